"""The span of one telephone call, from the webhook to its end, and the count of the calls that are live."""

from opentelemetry import context as current
from opentelemetry.trace import SpanKind, set_span_in_context

from agents.agent import CallContext
from agents.events import Closed
from agents.tracing import names
from agents.tracing.frame import SpanClock, mark_failed
from agents.tracing.session_trace import BROKEN
from agents.tracing.telemetry import Telemetry
from gateway.log import masked


class CallTrace:
    """Made in the call's own task: the session's spans, which that task begins, are below it.

    Of telephone numbers the last digits show.
    """

    def __init__(self, telemetry: Telemetry, context: CallContext) -> None:
        self._clock = SpanClock()
        self._calls = telemetry.meters.calls
        self._figures = {names.AGENT: context.agent, names.DIRECTION: context.direction}
        self._span = telemetry.tracer.start_span(
            "call",
            kind=SpanKind.SERVER,
            attributes={
                names.CALL_ID: context.call_id,
                names.CALLER: masked(context.caller),
                names.CALLED: masked(context.called),
                **self._figures,
            },
            start_time=self._clock.ns(self._clock.now()),
        )
        self._calls.add(1, self._figures)
        current.attach(set_span_in_context(self._span))  # for as long as the call's task lives

    def ended(self, closed: Closed, worst_silence_ms: int) -> None:
        """The call is over. The longest that the caller waited for the agent is told with it."""
        self._calls.add(-1, self._figures)
        self._span.set_attribute(names.REASON, closed.reason)
        self._span.set_attribute(names.WORST_SILENCE, worst_silence_ms)
        if closed.reason in BROKEN:
            mark_failed(self._span, closed.reason)
        self._span.end(self._clock.ns(self._clock.now()))
