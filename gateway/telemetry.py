"""Sends spans and metrics where OpenTelemetry's standard environment variables say, without ever holding up a call.

Nothing is sent unless an exporter is asked for: by OTEL_EXPORTER_OTLP_ENDPOINT, or by OTEL_TRACES_EXPORTER and
OTEL_METRICS_EXPORTER. The SDK, which reads the other OTEL_ variables by itself, is loaded only then.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Literal, Self

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation

from agents.errors import ConfigError
from agents.tracing.meters import SCOPE
from agents.tracing.telemetry import Telemetry, wants_content
from gateway.loop_lag import LoopLoad

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

SERVICE: Final = "voice-gateway"
"""The service's name, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES give another."""

FLUSH_TIMEOUT_S: Final = 5.0
"""Longest that stopping waits for a collector to take the last spans: operators wait for the process to end."""

REPORT_EVERY_S: Final = 60.0
"""A collector that cannot be reached is complained of so often."""

Signal = Literal["TRACES", "METRICS"]

_KNOWN: Final = ("otlp", "console", "none")
_TRUE: Final = "true"


class Exporting:
    """The process's exporters while it is entered. Leaving sends what is left, for at most FLUSH_TIMEOUT_S."""

    def __init__(self, traces: "TracerProvider | None", figures: "MeterProvider | None", *, has_content: bool) -> None:
        self._providers = (traces, figures)
        self._complaints = _Complaints()
        self.telemetry: Final = Telemetry.to(traces, figures, has_content=has_content)

    def __enter__(self) -> Self:
        self._complaints.take_over(logging.getLogger("opentelemetry"))
        return self

    def share(self) -> None:
        """Makes them the process's own, so that tools and libraries which make spans have them sent as well. Once."""
        traces, figures = self._providers
        if traces:
            trace.set_tracer_provider(traces)
        if figures:
            metrics.set_meter_provider(figures)

    def observe(self, load: LoopLoad) -> None:
        """Has what the event loop has to do sent with the other metrics."""
        _, figures = self._providers
        if not figures:
            return

        def lag(_: CallbackOptions) -> Iterator[Observation]:
            for name, late_ms in asdict(load.lag()).items():
                yield Observation(late_ms / 1000, {"percentile": name})

        meter = figures.get_meter(SCOPE)
        meter.create_observable_gauge("voice.loop.lag", [lag], "s", "How late the event loop comes round.")
        meter.create_observable_gauge(
            "voice.loop.cpu", [lambda _: [Observation(load.cpu)]], "1", "Fraction of a core that the event loop takes."
        )

    def __exit__(self, *_: object) -> None:
        until = time.monotonic() + FLUSH_TIMEOUT_S
        stopping = [
            threading.Thread(target=provider.shutdown, name="telemetry", daemon=True)
            for provider in self._providers
            if provider
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in stopping):
            log.warning("stopped without waiting any longer for the collector to take the last spans and metrics")
        self._complaints.give_back()


def exporting(environment: Mapping[str, str]) -> Exporting | None:
    """What the environment asks for; None when that is nothing. Raises ConfigError for what it cannot have."""
    if problems := wrong_variables(environment):
        raise ConfigError("the environment is wrong:\n  " + "\n  ".join(problems))
    traces, figures = _asked(environment, "TRACES"), _asked(environment, "METRICS")
    if not (traces or figures) or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == _TRUE:
        return None
    resource = _resource(environment)
    return Exporting(
        _tracer_provider(traces, resource) if traces else None,
        _meter_provider(figures, resource) if figures else None,
        has_content=wants_content(environment),
    )


def wrong_variables(environment: Mapping[str, str]) -> list[str]:
    """Each wrong variable as a line: its name and what would be right."""
    problems = [
        f"OTEL_{signal}_EXPORTER: must be otlp, console or none, or several with commas between"
        for signal in ("TRACES", "METRICS")
        if not {*_listed(environment, f"OTEL_{signal}_EXPORTER")} <= {*_KNOWN}
    ]
    for name in (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    ):
        if environment.get(name, "").strip() not in ("", "http/protobuf"):
            problems.append(f"{name}: must be http/protobuf, which is all that is spoken here")
    return problems


def _asked(environment: Mapping[str, str], signal: Signal) -> tuple[str, ...]:
    """The exporters of one kind. An endpoint alone asks for otlp."""
    listed = _listed(environment, f"OTEL_{signal}_EXPORTER")
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    if not listed and any(environment.get(name, "").strip() for name in endpoints):
        listed = ("otlp",)
    return tuple(name for name in listed if name != "none")


def _listed(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in environment.get(name, "").split(",") if part.strip())


def _resource(environment: Mapping[str, str]) -> "Resource":
    from opentelemetry.sdk.resources import Resource

    known = {"service.version": version(SERVICE)}
    if not environment.get("OTEL_SERVICE_NAME") and "service.name=" not in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        known["service.name"] = SERVICE
    return Resource.create(known)


def _tracer_provider(exporters: tuple[str, ...], resource: "Resource") -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for name in exporters:
        exporter = OTLPSpanExporter() if name == "otlp" else ConsoleSpanExporter(out=sys.stdout)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _meter_provider(exporters: tuple[str, ...], resource: "Resource") -> "MeterProvider":
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader

    readers = [
        PeriodicExportingMetricReader(OTLPMetricExporter() if name == "otlp" else ConsoleMetricExporter(out=sys.stdout))
        for name in exporters
    ]
    return MeterProvider(readers, resource, shutdown_on_exit=False)


class _Complaints(logging.Handler):
    """What OpenTelemetry has to complain of, as lines of ours, and seldom: its exporters try again and again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._again_at = 0.0
        self._unsaid = 0
        self._taken: logging.Logger | None = None

    def take_over(self, logger: logging.Logger) -> None:
        self._taken = logger
        logger.addHandler(self)
        logger.propagate = False

    def give_back(self) -> None:
        if self._taken:
            self._taken.removeHandler(self)
            self._taken.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        if now < self._again_at:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more since the last such line)" if self._unsaid else ""
        self._again_at, self._unsaid = now + REPORT_EVERY_S, 0
        log.warning("telemetry: %s%s", record.getMessage(), more)
