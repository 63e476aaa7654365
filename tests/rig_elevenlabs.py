"""ElevenLabs under test."""

from dataclasses import replace
from typing import ClassVar, Final

import orjson

from agents.errors import ErrorCategory
from agents.providers.elevenlabs import ElevenLabsModel
from agents.realtime import RealtimeModel, WebSocketFactory
from tests.fake_elevenlabs import AGENT, DEFAULT_EVENTS, ERRORS, KEY, FakeElevenLabs, Settings
from tests.fake_net import Json, in_memory
from tests.rig import Reply, Rig

BASE_URL: Final = "https://elevenlabs.test"

REFUSALS: Final[dict[ErrorCategory, tuple[int, Json]]] = {
    "auth": (401, {"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}),
    "quota": (401, {"detail": {"status": "quota_exceeded", "message": "This request exceeds your quota"}}),
    "rate": (429, {"detail": {"status": "too_many_concurrent_requests", "message": "Too many requests"}}),
    "unavailable": (503, {"detail": {"status": "unavailable", "message": "We are busy"}}),
    "invalid_request": (404, {"detail": {"status": "document_not_found", "message": "No such agent"}}),
}


ULAW: Final = Settings(heard_format="ulaw_8000", spoken_format="ulaw_8000")
"""An agent that is set up for telephones, as our documentation says."""

PLAIN: Final = replace(ULAW, events=DEFAULT_EVENTS, says_final=False)
"""One that tells neither of voices nor of the end of a reply, as the platform makes them."""


class ElevenLabsRig(Rig):
    name: ClassVar[str] = "elevenlabs"

    def __init__(self, settings: Settings = ULAW) -> None:
        self.fake = FakeElevenLabs(settings=settings)
        self.fake.script.caller_words = self.caller_words

    @property
    def websocket(self) -> WebSocketFactory:
        return in_memory(self.fake)

    def model(self) -> RealtimeModel:
        return ElevenLabsModel(AGENT, api_key=KEY, base_url=BASE_URL, ask=self.fake.ask)

    @property
    def violations(self) -> list[str]:
        return self.fake.violations

    @property
    def connections(self) -> int:
        return len(self.fake.conversations)

    # ---- what the fake does ----

    def will(self, *replies: Reply) -> None:
        self.fake.script.replies.extend(replies)

    async def release(self, index: int = -1) -> None:
        await self.fake.conversations[index].release()

    def refuse(self, category: ErrorCategory | None) -> None:
        self.fake.refusal = None if category is None else REFUSALS[category]

    def drop(self, index: int = -1) -> None:
        self.fake.conversations[index].drop()

    async def warn(self, left_s: float, index: int = -1) -> None:
        """ElevenLabs announces no end."""

    async def expire(self, index: int = -1) -> None:
        await self.fake.conversations[index].fail(*ERRORS["session_limit"])

    async def say_raw(self, message: str | bytes, index: int = -1) -> None:
        await self.fake.conversations[index].raw(message)

    # ---- what the fake was told ----

    def heard_ms(self, index: int = -1) -> int:
        return self.fake.conversations[index].ear.heard_ms

    def past(self, index: int = -1) -> list[tuple[str, str]]:
        context = self.fake.conversations[index].heard.context
        lines = [orjson.loads(line) for text in context for line in text.splitlines() if line.startswith("{")]
        return [(line["role"], line["text"]) for line in lines if "role" in line]

    def resumed(self, index: int = -1) -> str | None:
        return None

    def results(self, index: int = -1) -> dict[str, str]:
        return self.fake.conversations[index].heard.results

    def responses(self, index: int = -1) -> int:
        return self.fake.conversations[index].responses


class PlainElevenLabsRig(ElevenLabsRig):
    """The same provider with an agent that says less."""

    name: ClassVar[str] = "elevenlabs-plain"

    def __init__(self) -> None:
        super().__init__(PLAIN)
