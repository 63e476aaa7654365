"""What a brain is: it reads the conversation and says what comes next."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.events import Usage
from agents.local.memory import Memory, Message
from agents.realtime import SessionConfig


@dataclass(frozen=True, slots=True)
class Say:
    """A text to speak. What is said at once is best said in one sentence: it is heard when it is complete."""

    text: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """A tool to call, after what was said before. `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


Step = Say | CallTool | Usage


class Brain(Protocol):
    """Thinks for one call at a time."""

    @property
    def follows_instructions(self) -> bool:
        """False when a response cannot be given instructions."""

    def answer(
        self, conversation: Memory, asked: Sequence[Message], config: SessionConfig, instructions: str | None
    ) -> AsyncGenerator[Step]:
        """The answer to the conversation so far, step by step; `asked` is what no answer was given to yet.

        `instructions` come after the configured ones. Raises ProviderError when thinking fails. May be stopped at
        any step.
        """
