"""What came of one number of calls: what the load saw, what the process used, and whether that holds."""

from dataclasses import dataclass
from typing import Final, Literal

from gateway.load.figures import Step

Kind = Literal["gateway", "floor"]
"""What stands between the carrier and the provider: the gateway, or the same parts without its session."""

LIMIT_MS: Final = 20.0
"""Most that the 99th percentile of added latency may be: one frame. Beyond it a listener's buffer runs dry."""

LATE_MS: Final = 5.0
"""A load whose own frames leave so much later than due (99th percentile) may itself be what failed."""

OTHERS_PERCENT: Final = 5.0
"""Of the process's cores: who takes more of them has a part in its figures, and is named beside them."""

Verdict = Literal["holds", "fails", "generator's limit"]


@dataclass(frozen=True, slots=True)
class LoopLag:
    """How late the process's event loop came round, in milliseconds, in its own words."""

    p50: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One step on a fresh process, which was asked to carry so many calls.

    `cpu_s` is processor time of all its threads and children while the `cpu_wall_s` seconds passed. `memory_kb` is its
    share of memory (PSS) with all calls up, `memory_kb_per_call` what each call added; None for too few calls to tell.
    `loop_lag_ms` is None for a process that does not say it. `others_percent` of its cores' time went to other
    processes, or to other guests of the machine's host. `troubles` are the load's own words for what broke.
    """

    kind: Kind
    asked: int
    step: Step
    cpu_s: float
    cpu_wall_s: float
    memory_kb: float
    memory_kb_per_call: float | None
    loop_lag_ms: LoopLag | None
    others_percent: float = 0.0
    troubles: tuple[str, ...] = ()

    @property
    def cpu_ms_per_call_second(self) -> float:
        return self.cpu_s * 1000 / (max(1, self.step.calls) * self.cpu_wall_s)

    @property
    def cpu_percent(self) -> float:
        """Of one core."""
        return self.cpu_s * 100 / self.cpu_wall_s

    @property
    def audio_faults(self) -> tuple[str, ...]:
        """What callers or the provider would have noticed beside waiting: nothing of it may ever be."""
        step = self.step
        counts = (
            (step.frames_lost, "frames lost"),
            (step.frames_doubled, "frames doubled"),
            (step.frames_damaged, "frames damaged"),
            (step.stale_ms, "ms of stale audio"),
            (step.keys_lost, "keys lost"),
            (step.marks_lost, "marks lost"),
            (step.calls_lost, "calls lost"),
        )
        return tuple(f"{count:g} {what}" for count, what in counts if count)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Calls that were asked for and are not up."""
        refused = (f"{self.step.calls_refused} calls refused",) if self.step.calls_refused else ()
        missing = self.asked - self.step.calls - self.step.calls_refused
        return (*refused, f"{missing} calls not up") if missing > 0 else refused

    @property
    def delays(self) -> tuple[str, ...]:
        """Which way was slower than the limit, or never measured."""
        ways = (("up", self.step.up_ms), ("down", self.step.down_ms), ("both ways", self.step.both_ms))
        late = (f"{way} p99 {spread.p99:.1f} ms" for way, spread in ways if spread.p99 > LIMIT_MS)
        return (*(f"nothing measured {way}" for way, spread in ways if not spread.count), *late)

    @property
    def is_generator_late(self) -> bool:
        return self.step.lateness_ms.p99 > LATE_MS

    @property
    def verdict(self) -> Verdict:
        if not (self.audio_faults or self.refusals or self.delays):
            return "holds"
        return "generator's limit" if self.is_generator_late else "fails"

    @property
    def remark(self) -> str:
        """The verdict with its reasons, for people."""
        late = f"generator late: p99 {self.step.lateness_ms.p99:.1f} ms" if self.is_generator_late else ""
        others = f"others took {self.others_percent:.0f} % of its cores" if self.others_percent > OTHERS_PERCENT else ""
        reasons = "; ".join(
            part
            for part in (*self.audio_faults, *self.refusals, *self.delays, late, others, *self.troubles[:1])
            if part
        )
        return f"{self.verdict}: {reasons}" if reasons else self.verdict
