"""The embedded agent's script, as an operator writes it."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from agents.spec import Sentence, Spec
from agents.templates import texts_in
from agents.tools.spec import TOOL_NAME

_ACTION: Any = Field(None, pattern=TOOL_NAME, description="The tool to call when the answer was said, such as hang_up.")
_ARGUMENTS: Any = Field(
    default_factory=dict, description="What the tool is called with. {{ variables }} are filled in."
)
_RESULT: Any = Field(
    None,
    description="What to say then; {{ result }} is the tool's answer. Without it nothing is said, unless it failed.",
)


class _Step(Spec):
    @model_validator(mode="after")
    def _belongs_to_an_action(self) -> Self:
        if isinstance(self, IntentSpec | NoMatchSpec) and self.action is None and (self.arguments or self.result):
            raise ValueError("arguments and result belong to an action: add it, or remove them")
        return self


class IntentSpec(_Step):
    """One thing a caller may want, and the answer to it."""

    name: str = Field(min_length=1, description="A short name, for logs.")
    examples: tuple[Sentence, ...] = Field(min_length=1, description="How callers say it.")
    answer: Sentence | Annotated[tuple[Sentence, ...], Field(min_length=1)] = Field(
        description="What to say; of several, one after the other in turn. {{ variables }} are filled in."
    )
    action: str | None = _ACTION
    arguments: dict[str, Any] = _ARGUMENTS
    result: Sentence | None = _RESULT


class NoMatchSpec(_Step):
    """What to do when nothing that the caller said is understood."""

    answer: Sentence = Field(description="What to say.")
    action: str | None = _ACTION
    arguments: dict[str, Any] = _ARGUMENTS
    result: Sentence | None = _RESULT


ActionSpec = IntentSpec | NoMatchSpec
"""What may call a tool, once its answer was said."""


class ScriptSpec(Spec):
    """The embedded agent's script: intents matched by their examples."""

    intents: tuple[IntentSpec, ...] = Field(min_length=1, description="What callers may want.")
    no_match: tuple[NoMatchSpec, ...] = Field(
        (
            NoMatchSpec(answer="Sorry, I did not catch that. Could you say it another way?", action=None),
            NoMatchSpec(answer="I am sorry, I still do not understand. Please try asking something else.", action=None),
        ),
        min_length=1,
        description="The first time nothing matches, the second time in a row, and so on; the last one repeats.",
    )
    threshold: int = Field(
        70, ge=1, le=100, description="How alike caller and example must be, 1 to 100, for an intent to match."
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [intent.name for intent in self.intents]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"intent names must be unique; twice: {', '.join(twice)}")
        return self

    def templates(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Every text that may hold {{ variables }}, with the path to its field, but for what is said of a result."""
        found: list[tuple[tuple[str | int, ...], str]] = []
        for i, intent in enumerate(self.intents):
            path: tuple[str | int, ...] = ("intents", i)
            if isinstance(intent.answer, str):
                found.append(((*path, "answer"), intent.answer))
            else:
                found += [((*path, "answer", j), answer) for j, answer in enumerate(intent.answer)]
        found += [(("no_match", i, "answer"), step.answer) for i, step in enumerate(self.no_match)]
        for place, step in self.actions():
            found += texts_in(step.arguments, (*place, "arguments"))
        return found

    def actions(self) -> list[tuple[tuple[str | int, ...], ActionSpec]]:
        """Everything that calls a tool, with the path to it."""
        steps: list[tuple[tuple[str | int, ...], ActionSpec]] = [
            *((("intents", i), intent) for i, intent in enumerate(self.intents)),
            *((("no_match", i), step) for i, step in enumerate(self.no_match)),
        ]
        return [(path, step) for path, step in steps if step.action]
