"""Deepgram's Voice Agent under the tests that every provider passes."""

from typing import ClassVar

from agents.errors import ErrorCategory
from agents.providers.deepgram import DeepgramModel
from agents.realtime import WebSocketFactory
from tests.fake_deepgram import ERRORS, EXPIRED, KEY, FakeDeepgram, FakeDeepgramSession
from tests.fake_net import in_memory
from tests.rig import Reply, Rig


class DeepgramRig(Rig):
    """How Deepgram ends a session after two hours is not documented: here with an error that says so."""

    name: ClassVar[str] = "deepgram"

    def __init__(self) -> None:
        self.service = FakeDeepgram(caller_words=self.caller_words)

    @property
    def websocket(self) -> WebSocketFactory:
        return in_memory(self.service)

    def model(self) -> DeepgramModel:
        return DeepgramModel("gpt-4o-mini", api_key=KEY)

    @property
    def violations(self) -> list[str]:
        return self.service.violations

    @property
    def connections(self) -> int:
        return len(self.service.sessions)

    # ---- what the fake does ----

    def will(self, *replies: Reply) -> None:
        self.service.replies.extend(replies)

    async def release(self, index: int = -1) -> None:
        await self._session(index).release()

    def refuse(self, category: ErrorCategory | None) -> None:
        self.service.refuses = category

    def drop(self, index: int = -1) -> None:
        self._session(index).wire.drop()

    async def warn(self, left_s: float, index: int = -1) -> None:
        """It announces nothing that is documented."""

    async def expire(self, index: int = -1) -> None:
        await self._session(index).fail(ERRORS["session_limit"], EXPIRED)

    async def say_raw(self, message: str | bytes, index: int = -1) -> None:
        await self._session(index).wire.send(message)

    async def take_back(self, call_id: str, index: int = -1) -> None:
        await self._session(index).take_back(call_id)

    # ---- what the fake was told ----

    def heard_ms(self, index: int = -1) -> int:
        return self._session(index).heard_ms

    def past(self, index: int = -1) -> list[tuple[str, str]]:
        context = self._session(index).settings["agent"].get("context", {"messages": []})
        return [(message["role"], message["content"]) for message in context["messages"] if "role" in message]

    def resumed(self, index: int = -1) -> str | None:
        """No session goes on with another's."""
        return None

    def results(self, index: int = -1) -> dict[str, str]:
        return self._session(index).results

    def responses(self, index: int = -1) -> int:
        return self._session(index).responses

    def _session(self, index: int) -> FakeDeepgramSession:
        return self.service.sessions[index]
