"""Where spans and metrics go."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.trace import Tracer, TracerProvider

from agents.tracing.meters import SCOPE, Meters

CONTENT_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""OpenTelemetry's switch for words, arguments and results in spans."""

_ON: Final = frozenset({"true", "span_only", "span_and_event"})
"""What turns it on for spans, in any case."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """`has_content` lets what was said, and what tools are given and give, into spans."""

    tracer: Tracer
    meters: Meters
    has_content: bool = False

    @classmethod
    def to(
        cls, traces: TracerProvider | None = None, figures: MeterProvider | None = None, *, has_content: bool = False
    ) -> Self:
        """To these providers. Without one of them that kind goes nowhere."""
        tracer = (traces or trace.NoOpTracerProvider()).get_tracer(SCOPE)
        return cls(tracer, Meters(figures or NoOpMeterProvider()), has_content)


def wants_content(environment: Mapping[str, str]) -> bool:
    """Whether the environment lets words into spans."""
    return environment.get(CONTENT_VARIABLE, "").strip().lower() in _ON


def process_telemetry() -> Telemetry | None:
    """To the providers that the process was given, as by an SDK; None when it has none."""
    traces, figures = trace.get_tracer_provider(), metrics.get_meter_provider()
    if _is_empty(traces) and _is_empty(figures):
        return None
    return _telemetry(traces, figures, wants_content(os.environ))


def _is_empty(provider: object) -> bool:
    """The API's own providers, which stand in for one that may come, record nothing."""
    return type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


@lru_cache(maxsize=4)
def _telemetry(traces: TracerProvider, figures: MeterProvider, has_content: bool) -> Telemetry:
    return Telemetry.to(traces, figures, has_content=has_content)
