"""AssemblyAI's Voice Agent under the tests that every provider passes."""

from typing import ClassVar, Literal

from agents.errors import ErrorCategory
from agents.providers.assemblyai import AssemblyAIModel
from agents.providers.assemblyai.session import INLINE
from agents.realtime import WebSocketFactory
from tests.fake_assemblyai import KEY, FakeAssemblyAI
from tests.fake_assemblyai_session import FakeAssemblyAISession
from tests.fake_net import in_memory
from tests.rig import Reply, Rig

_ROLES: dict[str, Literal["user", "assistant", "system"]] = {"Caller": "user", "You": "assistant", "Note": "system"}


class AssemblyAIRig(Rig):
    name: ClassVar[str] = "assemblyai"

    def __init__(self) -> None:
        self.service = FakeAssemblyAI(caller_words=self.caller_words)

    @property
    def websocket(self) -> WebSocketFactory:
        return in_memory(self.service)

    def model(self) -> AssemblyAIModel:
        return AssemblyAIModel(INLINE, api_key=KEY)

    @property
    def violations(self) -> list[str]:
        return self.service.violations

    @property
    def connections(self) -> int:
        return len(self.service.connections)

    # ---- what the fake does ----

    def will(self, *replies: Reply) -> None:
        self.service.replies.extend(replies)

    async def release(self, index: int = -1) -> None:
        await self._session(index).release()

    def refuse(self, category: ErrorCategory | None) -> None:
        """It takes the connection, and says then that it does not."""
        self.service.refuses = category

    def drop(self, index: int = -1) -> None:
        self._session(index).wire.drop()

    async def warn(self, left_s: float, index: int = -1) -> None:
        """It announces nothing."""

    async def expire(self, index: int = -1) -> None:
        await self._session(index).end()

    async def say_raw(self, message: str | bytes, index: int = -1) -> None:
        await self._session(index).wire.send(message)

    async def take_back(self, call_id: str, index: int = -1) -> None:
        """By the caller's speaking up, which is the only way."""
        await self._session(index).take_back()

    # ---- what the fake was told ----

    def heard_ms(self, index: int = -1) -> int:
        return self._session(index).heard_ms

    def past(self, index: int = -1) -> list[tuple[str, str]]:
        """The history stands in the prompt, a line for each message."""
        lines = [line.partition(": ") for line in self._session(index).config.get("system_prompt", "").splitlines()]
        return [(_ROLES[who], text) for who, _, text in lines if who in _ROLES]

    def resumed(self, index: int = -1) -> str | None:
        return self._session(index).resumed

    def results(self, index: int = -1) -> dict[str, str]:
        return self._session(index).results

    def responses(self, index: int = -1) -> int:
        return self._session(index).responses

    def _session(self, index: int) -> FakeAssemblyAISession:
        return self.service.connections[index]
