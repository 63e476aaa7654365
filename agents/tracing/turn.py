"""One turn: the caller speaks, the agent answers, and how long each step of it took."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from opentelemetry.trace import Span

from agents.tracing import names
from agents.tracing.frame import Frame, mark_failed

Ending = Literal["completed", "interrupted", "session_closed"]
"""How the conventions say that an agent's turn ended."""

EVENTS: Final = {
    "model_heard": "voice.model.heard",
    "model_first_byte": "voice.model.first_byte",
    "phone_first_byte": "voice.phone.first_byte",
    "first_sound": "voice.phone.first_sound",
}
"""The steps of an answer, and what a span calls each."""

STOPPED: Final = "voice.caller.stopped"


@dataclass(slots=True, eq=False)
class Turn:
    """Moments are those of the loop's clock. `responses`, `tools` and `items` are those that are not over.

    An item is over when the caller has heard it, or never will.
    """

    span: Span
    is_callers: bool
    last_at: float
    stopped_at: float | None = None
    marks: dict[str, float] = field(default_factory=dict)
    responses: set[str] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)
    items: set[str] = field(default_factory=set)
    heard: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    is_answered: bool = False
    is_owed: bool = False
    ending: Ending = "completed"

    @property
    def is_over(self) -> bool:
        """True when it was answered, and nothing more of the answer is to come or to be heard."""
        return self.is_answered and not (self.is_owed or self.responses or self.tools or self.items)

    def mark(self, step: str, at: float) -> None:
        """A step of the answer; the first time counts."""
        self.marks.setdefault(step, at)
        self.last_at = max(self.last_at, at)

    def stopped(self, at: float) -> None:
        """The caller's last sound of the turn was then, so far. What the model made of less does not count."""
        self.stopped_at = at
        self.marks.pop("model_heard", None)

    def latencies_s(self, until: float) -> Iterator[tuple[str, float]]:
        """How long after the caller's last sound each step was that had come by then."""
        for step, at in self.marks.items():
            if self.stopped_at is not None and self.stopped_at <= at <= until:
                yield step, at - self.stopped_at

    def end(self, frame: Frame, at: float, ending: Ending) -> None:
        """Says all that is known of it. What was to be heard later was not heard."""
        self.span.set_attribute(names.END_REASON, ending)
        if self.stopped_at is not None:
            frame.note(self.span, STOPPED, self.stopped_at)
        for step, happened_at in self.marks.items():
            if happened_at <= at:
                frame.note(self.span, EVENTS[step], happened_at)
        for step, seconds in self.latencies_s(at):
            self.span.set_attribute(f"voice.turn.{step}_ms", round(seconds * 1000))
            frame.telemetry.meters.latencies[step].record(seconds, {**frame.who, names.AGENT: frame.agent})
        frame.content.put_messages(self.span, heard=self.heard, said=self.said)
        frame.end(self.span, at)

    def fail(self, error_type: str) -> None:
        """A response of it failed."""
        mark_failed(self.span, error_type)
