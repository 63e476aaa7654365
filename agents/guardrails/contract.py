"""What a guardrail is to a session: what it looks at, what it says, and what follows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from agents.errors import ConfigError
from agents.guardrails.spec import Stage

if TYPE_CHECKING:
    from agents.session import RealtimeSession

EVERY_CHARS: Final = 100
"""How often growing words are checked, as in the seeds: about six seconds of speech."""

CHECK_TIMEOUT_S: Final = 5.0
"""Longest that a check may take: the caller hears meanwhile what it is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailContext:
    """What a check may know beside the text.

    `is_complete` is False while more of the text is to come: it may end in the middle of a word. `tool` is the name of
    the tool that is called, empty for words.
    """

    session: "RealtimeSession"
    stage: Stage
    is_complete: bool = True
    tool: str = ""

    @property
    def context(self) -> object:
        """The context object that the session was made with."""
        return self.session.context


Check = Callable[[str, GuardrailContext], str | Awaitable[str | None] | None]
"""A sync or async function that says why a text is not to be; None lets it pass. A sync one must be quick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A rule that words must keep. `hint` is what the model is told to do instead.

    `tools` are those whose calls and results it looks at; None for all. A check that raises, or takes longer than
    `timeout_s`, is an `error` event, and lets the words pass when it `fails` open; closed, it counts as tripped.
    """

    name: str
    check: Check
    stages: frozenset[Stage] = frozenset({"output"})
    tools: frozenset[str] | None = None
    hint: str | None = None
    fails: Literal["open", "closed"] = "open"
    timeout_s: float = CHECK_TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputGuardrailSettings:
    """When the agent's words are checked: each time that they have grown by so many characters, and at their end.

    -1 checks them at their end alone. Raises ConfigError for 0 and other negative numbers.
    """

    debounce_text_length: int = EVERY_CHARS

    def __post_init__(self) -> None:
        if self.debounce_text_length < -1 or self.debounce_text_length == 0:
            raise ConfigError(f"debounce_text_length is {self.debounce_text_length}; it must be above 0, or -1")
