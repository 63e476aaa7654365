"""Collects the spans and figures that a test is about, in memory."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agents.tracing import Telemetry


class Collected:
    """`telemetry` is to be given to what is watched."""

    def __init__(self, *, has_content: bool = False) -> None:
        self._spans = InMemorySpanExporter()
        self.traces = TracerProvider(shutdown_on_exit=False)
        self.traces.add_span_processor(SimpleSpanProcessor(self._spans))
        self._reader = InMemoryMetricReader()
        self.figures = MeterProvider([self._reader], shutdown_on_exit=False)
        self.telemetry = Telemetry.to(self.traces, self.figures, has_content=has_content)

    @property
    def spans(self) -> list[ReadableSpan]:
        """All that have ended, in the order of their beginnings."""
        return sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        [span] = self.named(name)
        return span

    def figure(self, name: str) -> list[tuple[Mapping[str, Any], float]]:
        """The attributes and the sum of each series of a metric."""
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        metrics = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        points = [point for metric in metrics for point in metric.data.data_points]
        return [(dict(point.attributes or {}), _total(point)) for point in points]


def _total(point: Any) -> float:
    return float(point.sum if hasattr(point, "sum") else point.value)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def length_ms(span: ReadableSpan) -> int:
    assert span.start_time is not None
    assert span.end_time is not None
    return round((span.end_time - span.start_time) / 1e6)


def events_ms(span: ReadableSpan) -> dict[str, int]:
    """What happened in it, and how long after its beginning."""
    assert span.start_time is not None
    return {event.name: round((event.timestamp - span.start_time) / 1e6) for event in span.events}


def is_below(span: ReadableSpan, parent: ReadableSpan) -> bool:
    assert parent.context is not None
    return span.parent is not None and span.parent.span_id == parent.context.span_id
