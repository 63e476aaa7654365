"""Gemini under test."""

from typing import Any, ClassVar

import orjson

from agents.errors import ErrorCategory
from agents.providers.gemini import GeminiModel
from agents.realtime import WebSocketFactory
from tests.fake_gemini import KEY, FakeGemini, Refusal
from tests.fake_gemini_words import ENDS
from tests.fake_net import in_memory
from tests.rig import Reply, Rig

MODEL = "gemini-3.8-live"

REFUSALS: dict[ErrorCategory, Refusal] = {
    "auth": Refusal(403, "Method doesn't allow unregistered callers.", "PERMISSION_DENIED"),
    "quota": Refusal(429, ENDS["quota"][1], "RESOURCE_EXHAUSTED"),
    "rate": Refusal(429, ENDS["rate"][1], "RESOURCE_EXHAUSTED"),
    "unavailable": Refusal(503, ENDS["unavailable"][1], "UNAVAILABLE"),
}


class GeminiRig(Rig):
    name: ClassVar[str] = "gemini"

    def __init__(self, fake: FakeGemini | None = None) -> None:
        self.fake = fake or FakeGemini()
        self.fake.words = self.caller_words

    @property
    def websocket(self) -> WebSocketFactory:
        self.fake.words = self.caller_words
        return in_memory(self.fake)

    def model(self) -> GeminiModel:
        return GeminiModel(MODEL, api_key=KEY)

    @property
    def violations(self) -> list[str]:
        return self.fake.violations

    @property
    def connections(self) -> int:
        return len(self.fake.sessions)

    def will(self, *replies: Reply) -> None:
        self.fake.replies.extend(replies)

    async def release(self, index: int = -1) -> None:
        await self.fake.sessions[index].release()

    def refuse(self, category: ErrorCategory | None) -> None:
        self.fake.refusal = None if category is None else REFUSALS[category]

    def drop(self, index: int = -1) -> None:
        session = self.fake.sessions[index]
        session.is_open = False
        session.wire.drop()

    async def warn(self, left_s: float, index: int = -1) -> None:
        await self.fake.sessions[index].send(goAway={"timeLeft": f"{left_s:g}s"})

    async def expire(self, index: int = -1) -> None:
        await self.fake.sessions[index].close(*ENDS["session_limit"])

    async def say_raw(self, message: str | bytes, index: int = -1) -> None:
        await self.fake.sessions[index].wire.send(message)

    async def take_back(self, call_id: str, index: int = -1) -> None:
        await self.fake.sessions[index].take_back(call_id)

    def heard_ms(self, index: int = -1) -> int:
        return self.fake.sessions[index].ear.heard_ms

    def past(self, index: int = -1) -> list[tuple[str, str]]:
        return [told for role, text in self.fake.sessions[index].past if (told := _told(role, text))]

    def resumed(self, index: int = -1) -> str | None:
        return self.fake.sessions[index].handle

    def results(self, index: int = -1) -> dict[str, str]:
        return {call_id: _text(answer) for call_id, answer in self.fake.sessions[index].results.items()}

    def responses(self, index: int = -1) -> int:
        return self.fake.sessions[index].responses


def _told(role: str, text: str) -> tuple[str, str] | None:
    """A message as it was before it became words for a wire without a role for it; None for a call of a tool."""
    note = text.removeprefix("(Note, not said by the caller: ")
    if note == text:
        return role, text
    return None if note.startswith("the tool ") else ("system", note.removesuffix(")"))


def _text(answer: dict[str, Any]) -> str:
    output = answer.get("output", answer.get("error"))
    return output if isinstance(output, str) else orjson.dumps(output).decode()
