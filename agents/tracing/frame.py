"""What all spans of one conversation share: its clock, who talks with which model, and where they belong."""

import asyncio
import time
from dataclasses import dataclass, field

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.util.types import AttributeValue

from agents.tracing import names
from agents.tracing.content import Content
from agents.tracing.telemetry import Telemetry

Attributes = dict[str, AttributeValue]


class SpanClock:
    """The loop's clock, which is virtual in tests, as spans have it: nanoseconds of the world's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began_at, self._began_ns = self._loop.time(), time.time_ns()

    def now(self) -> float:
        """Seconds of the loop's clock, which all moments here are in."""
        return self._loop.time()

    def ns(self, at: float) -> int:
        return self._began_ns + round((at - self._began_at) * 1e9)


@dataclass(slots=True)
class Frame:
    """`root` is the span of the whole conversation; agent and model change when others go on with it."""

    telemetry: Telemetry
    clock: SpanClock
    root: Span
    agent: str
    provider: str
    model: str
    content: Content
    conversation_id: str | None = None
    common: Attributes = field(default_factory=dict)

    def start(
        self,
        name: str,
        at: float,
        attributes: Attributes,
        *,
        parent: Span | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        """A span below `parent`, or else below the root."""
        context: Context = set_span_in_context(parent or self.root)
        known = {names.CONVERSATION: self.conversation_id} if self.conversation_id else {}
        return self.telemetry.tracer.start_span(
            name, context, kind, {**self.common, **known, **attributes}, start_time=self.clock.ns(at)
        )

    def end(self, span: Span, at: float) -> None:
        span.end(self.clock.ns(at))

    def note(self, span: Span, name: str, at: float, attributes: Attributes | None = None) -> None:
        """Something that happened in the middle of a span."""
        span.add_event(name, attributes, self.clock.ns(at))

    @property
    def who(self) -> Attributes:
        """Which model of whose, for spans and figures."""
        return {names.PROVIDER: names.provider_name(self.provider), names.MODEL: self.model}

    def model_is(self, name: str) -> None:
        """Another model goes on with the conversation; `name` is provider/model."""
        self.provider, _, self.model = name.partition("/")


def mark_failed(span: Span, error_type: str) -> None:
    """The span ends in an error. Its kind is told, and never its words, which may quote anything."""
    span.set_attribute(names.ERROR_TYPE, error_type)
    span.set_status(Status(StatusCode.ERROR))
