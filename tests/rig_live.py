"""OpenAI Live under the tests that every provider passes."""

from typing import Any, ClassVar

from agents.errors import ErrorCategory
from agents.providers.openai_live import LiveModel
from agents.providers.openai_live.wire import ALIVE_MS
from agents.realtime import WebSocketFactory
from tests.fake_live import KEY, FakeLive
from tests.fake_live_session import FakeLiveSession
from tests.fake_net import in_memory
from tests.rig import Reply, Rig

TOOL_NOTE = "The tool "
"""How the past of a tool's call begins, which is told as a message."""


class LiveRig(Rig):
    name: ClassVar[str] = "openai-live"

    def __init__(self) -> None:
        self.service = FakeLive()

    @property
    def websocket(self) -> WebSocketFactory:
        self.service.script.caller_words = self.caller_words
        return in_memory(self.service)

    def model(self) -> LiveModel:
        return LiveModel("gpt-live-1", api_key=KEY)

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
        """It announces nothing."""

    async def expire(self, index: int = -1) -> None:
        await self._session(index).end("expired")

    async def say_raw(self, message: str | bytes, index: int = -1) -> None:
        await self._session(index).wire.send(message)

    # ---- what the fake was told ----

    def heard_ms(self, index: int = -1) -> int:
        """The caller's audio: not the silence that the session is kept alive with."""
        session = self._session(index)
        per_ms = 8 if self._start(index).get("audio", {}).get("format", {}).get("type") == "audio/pcmu" else 48
        silence = bytes([255 if per_ms == 8 else 0]) * (ALIVE_MS * per_ms)
        return sum(len(audio) for audio in session.audio if audio != silence) // per_ms

    def past(self, index: int = -1) -> list[tuple[str, str]]:
        said = [(item["role"], item["content"][0]["text"]) for item in self._start(index).get("input", [])]
        return [
            ("system" if role == "developer" else role, text)
            for role, text in said
            if not (role == "developer" and text.startswith(TOOL_NOTE))
        ]

    def resumed(self, index: int = -1) -> str | None:
        """No session goes on with another's."""
        return None

    def results(self, index: int = -1) -> dict[str, str]:
        return self._session(index).results

    def responses(self, index: int = -1) -> int:
        return self._session(index).responses

    def _session(self, index: int) -> FakeLiveSession:
        return self.service.sessions[index]

    def _start(self, index: int) -> dict[str, Any]:
        return self._session(index).config
