"""A scene with guardrails: checks that note what they are asked, and a session whose guardrails are watched."""

import asyncio
from typing import Any

from agents import Guardrail, GuardrailContext, OutputGuardrailSettings
from agents.events import ItemCreate
from agents.guardrails.rules import make_guardrail
from agents.guardrails.spec import GuardrailSpec
from channels.memory import MemoryChannel
from tests.scene import Scene, reply, voice

WORDS = GuardrailSpec(name="no-promises", words=("guarantee",), hint="Say that nobody can promise that.")


def no_promises(**more: Any) -> Guardrail:
    return make_guardrail(WORDS.model_copy(update=more), {})


class Asked:
    """A check that notes what it is asked, and says what it is told to."""

    def __init__(self, objection: str | None = None, *, error: Exception | None = None) -> None:
        self.texts: list[tuple[str, bool]] = []
        self.objection = objection
        self.error = error
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.running = self.most_running = 0

    def now(self, text: str, context: GuardrailContext) -> str | None:
        self.texts.append((text, context.is_complete))
        if self.error:
            raise self.error
        return self.objection

    async def later(self, text: str, context: GuardrailContext) -> str | None:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await self.may_answer.wait()
        finally:
            self.running -= 1
        return self.now(text, context)

    @property
    def lengths(self) -> list[int]:
        return [len(text) for text, _ in self.texts]


class Call(Scene):
    """A session whose guardrails' events are kept as well. Agents check every 10 characters unless told."""

    def __init__(
        self, *guardrails: Guardrail, every: int = 10, channel: MemoryChannel | None = None, **more: Any
    ) -> None:
        settings = OutputGuardrailSettings(debounce_text_length=every)
        super().__init__(channel, guardrails=guardrails, guardrail_settings=settings, **more)
        self.session.on("guardrail", self.told.append)

    @property
    def notes(self) -> list[str]:
        """What the model was told that nobody said."""
        return [event.text for event in self.model.sent if isinstance(event, ItemCreate) and event.role == "system"]

    async def begins(self, response_id: str, words: str, ms: int = 4000) -> None:
        """The model begins a response with these words and so much audio, and goes on."""
        await self.says(*reply(response_id, voice(ms), done=False, words=words))
