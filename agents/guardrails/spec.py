"""What an operator may write of guardrails in an agent's YAML."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from agents.guardrails.patterns import patterns_finder
from agents.guardrails.words import words_finder
from agents.spec import Sentence, Spec

Stage = Literal["output", "input", "tool_call", "tool_result"]
"""Whose words: the agent's, the caller's, what a tool is called with, what it gives."""


def _not_0(every_chars: int) -> int:
    if every_chars == 0:
        raise ValueError("must be above 0, or -1 to check words only when they are complete")
    return every_chars


EveryChars = Annotated[int, AfterValidator(_not_0)]
"""How often growing words are checked."""


class JudgeSpec(Spec):
    """A model behind an OpenAI-compatible chat endpoint that says whether a text is about something."""

    url: str = Field(pattern=r"^https?://", description="Base address of the endpoint, as in brain.url.")
    model: str = Field(min_length=1, description="The model's name at that endpoint.")
    api_key_env: str | None = Field(
        None, pattern=r"^[A-Z][A-Z0-9_]*$", description="The environment variable that holds the endpoint's key."
    )
    topics: tuple[str, ...] = Field(min_length=1, description="What must not be talked about, each in a few words.")
    timeout_s: float = Field(3, gt=0, le=30, description="Longest that it may take, in seconds.")


class GuardrailSpec(Spec):
    """A rule that words must keep."""

    name: str = Field(min_length=1, description="A short name, for logs and events.")
    stages: tuple[Stage, ...] = Field(
        ("output",), min_length=1, description="What is checked: what the agent says, the caller says, a tool is given."
    )
    tools: tuple[str, ...] | None = Field(
        None, description="With stage tool_call or tool_result: of which tools; null for all."
    )
    words: tuple[str, ...] = Field((), description="Trips on any of these words or phrases, in any case.")
    patterns: tuple[str, ...] = Field((), description="Trips on any of these regular expressions.")
    max_chars: int | None = Field(None, ge=1, le=20_000, description="Trips on a text that is longer.")
    judge: JudgeSpec | None = Field(None, description="Trips on topics that a model finds in the text.")
    function: str | None = Field(
        None, description="The dotted name of a Python function that takes the text and says why it trips, or None."
    )
    hint: Sentence | None = Field(
        None, description="What the model is told to do instead; without it, to apologise and to change the subject."
    )
    fails: Literal["open", "closed"] = Field(
        "open", description="When the check itself breaks: open lets the words pass, closed stops them."
    )

    @field_validator("words")
    @classmethod
    def _can_be_found(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        words_finder(words)
        return words

    @field_validator("patterns")
    @classmethod
    def _are_expressions(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        patterns_finder(patterns)
        return patterns

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        kinds = ("words", "patterns", "max_chars", "judge", "function")
        if sum(bool(getattr(self, kind)) for kind in kinds) != 1:
            raise ValueError(f"a guardrail checks one thing: give one of {', '.join(kinds)}")
        if self.tools is not None and not {"tool_call", "tool_result"} & set(self.stages):
            raise ValueError("tools are for the stages tool_call and tool_result: remove tools, or add a stage")
        return self
