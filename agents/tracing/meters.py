"""The figures over all conversations of a process: histograms and counters."""

from typing import Final

from opentelemetry.metrics import Histogram, MeterProvider

SCOPE: Final = "voice-gateway"
"""What our spans and metrics are filed under."""

_SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS: Final = (
    *(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536),
    *(262144, 1048576, 4194304, 16777216, 67108864),
)
"""Both as the conventions have them."""

_LATENCY_SECONDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Finer where callers tell a difference: a second of waiting is long on a telephone."""


class Meters:
    """The instruments, made once for each provider of them. Durations are seconds."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = self._meter = provider.get_meter(SCOPE)
        self.operation = self._seconds("gen_ai.client.operation.duration", "How long a model's response took.")
        self.first_chunk = self._seconds(
            "gen_ai.client.operation.time_to_first_chunk", "From asking for a response to the first that came of it."
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens of one response.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self.tool = self._seconds("gen_ai.execute_tool.duration", "How long a tool ran.")
        self.latencies: dict[str, Histogram] = {
            name: self._seconds(f"voice.turn.{name}", f"From the caller's last sound to {until}.", _LATENCY_SECONDS)
            for name, until in (
                ("model_heard", "the model's word that it heard the turn"),
                ("model_first_byte", "the model's first audio"),
                ("phone_first_byte", "the first audio sent to the line"),
                ("first_sound", "the first sound in the caller's ear"),
            )
        }
        self.calls = meter.create_up_down_counter("voice.calls", unit="{call}", description="Calls that are live.")
        self.interruptions = meter.create_counter(
            "voice.interruptions", unit="{interruption}", description="Times that the agent was stopped."
        )
        self.trips = meter.create_counter(
            "voice.guardrail.trips", unit="{trip}", description="Times that a guardrail objected."
        )

    def _seconds(self, name: str, description: str, boundaries: tuple[float, ...] = _SECONDS) -> Histogram:
        return self._meter.create_histogram(
            name, unit="s", description=description, explicit_bucket_boundaries_advisory=boundaries
        )
