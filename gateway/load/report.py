"""What a measurement says: a table for people, and JSON with each figure by name."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from gateway.load.figures import Spread
from gateway.load.measured import Kind, Measured
from gateway.load.summary import Latency, Ratio, Summary

DIGITS: Final = 4
"""Of a figure in JSON after the point: a tenth of a microsecond where it is in milliseconds."""

SPREADS: Final = (
    ("up_ms", "added upward"),
    ("down_ms", "added downward"),
    ("both_ms", "both ways"),
    ("clear_ms", "until clear"),
    ("webhook_ms", "webhook"),
    ("setup_ms", "call set up"),
    ("lateness_ms", "generator late"),
)
"""Of a step, as the table names them."""

LIMITS: Final = {
    "process": "the process's own limit",
    "generator": "the generator's limit: at least so many",
    "sweep": "nothing failed: at least so many",
}


@dataclass(frozen=True, slots=True)
class Overload:
    """More calls offered than fit, with admission on."""

    offered: int
    measured: Measured

    @property
    def admitted(self) -> int:
        return self.measured.step.calls


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured: every step in order, and what is published of it. Without a floor there is no ratio."""

    steps: tuple[Measured, ...]
    summaries: tuple[Summary, ...]
    ratio: Ratio | None
    overload: Overload | None = None

    def with_overload(self, overload: Overload) -> "Found":
        return replace(self, overload=overload)

    @property
    def has_failed(self) -> bool:
        """Whether calls failed that should not: any of one number of calls, every one of a sweep, admitted ones."""
        is_sweep = any(summary.limit for summary in self.summaries)
        if is_sweep:
            return any(not summary.calls for summary in self.summaries) or self._lost_in_overload
        return any(one.audio_faults or one.refusals for one in self.steps) or self._lost_in_overload

    @property
    def _lost_in_overload(self) -> bool:
        return self.overload is not None and bool(self.overload.measured.audio_faults)


@dataclass(frozen=True, slots=True)
class Report:
    """A whole measurement: how and where it was made, and what was found."""

    command: str
    date: str
    machine: Mapping[str, str | int]
    versions: Mapping[str, str]
    conditions: Mapping[str, str | int | float | bool]
    found: Found

    def as_json(self) -> dict[str, Any]:
        """Each figure by name. Times are in milliseconds where a name does not say otherwise."""
        return {
            "command": self.command,
            "date": self.date,
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "conditions": dict(self.conditions),
            **{summary.kind: _rounded(_summary_json(summary)) for summary in self.found.summaries},
            "ratio": _rounded(asdict(self.found.ratio)) if self.found.ratio else None,
            "overload": _overload_json(self.found.overload) if self.found.overload else None,
            "steps": [_rounded(_step_json(measured)) for measured in self.found.steps],
        }

    def as_text(self) -> str:
        """The steps in a row each when there are many, each in full when there are few; then the summaries."""
        kinds = [measured.kind for measured in self.found.steps]
        is_sweep = len(kinds) > len(set(kinds))
        parts = [_rows(self.found.steps)] if is_sweep else [_full(measured) for measured in self.found.steps]
        if self.found.overload:
            parts.append(_overload_text(self.found.overload))
        parts += [_summary_text(summary) for summary in self.found.summaries if is_sweep]
        if self.found.ratio:
            parts.append(_ratio_text(self.found.ratio))
        machine = {
            **self.machine,
            "cores": f"{self.machine['cores']} cores",
            "python": f"Python {self.machine['python']}",
        }
        where = ", ".join(map(str, machine.values()))
        return "\n\n".join([*parts, f"{self.date}, {where}\n{self.command}"])


def row(measured: Measured) -> str:
    """One step on one line, as HEAD names its columns."""
    step = measured.step
    lag = f"{measured.loop_lag_ms.p95:.1f}" if measured.loop_lag_ms else "-"
    memory = f"{measured.memory_kb_per_call:.0f}" if measured.memory_kb_per_call is not None else "-"
    latency = " ".join(f"{s.p50:6.2f} {s.p99:7.2f}" for s in (step.up_ms, step.down_ms, step.both_ms))
    return (
        f"{measured.kind:8} {measured.asked:5} {latency} {measured.cpu_ms_per_call_second:6.2f} "
        f"{measured.cpu_percent:5.0f} {memory:>5} {lag:>6}  {measured.remark}"
    )


HEAD: Final = (
    f"{'':8} {'':5} {'up, ms':>14} {'down, ms':>14} {'both, ms':>14} {'CPU ms':>6} {'CPU':>5} {'kB':>5} {'lag':>6}\n"
    f"{'':8} {'calls':>5} {'p50':>6} {'p99':>7} {'p50':>6} {'p99':>7} {'p50':>6} {'p99':>7} {'/call s':>6} {'%':>4} "
    f"{'/call':>5} {'p95 ms':>6}"
)


def _rows(steps: Sequence[Measured]) -> str:
    return "\n".join([HEAD, *map(row, steps)])


def _full(measured: Measured) -> str:
    """Every figure of one step."""
    step, lag = measured.step, measured.loop_lag_ms
    each = f"{measured.memory_kb_per_call:.0f} kB per call, " if measured.memory_kb_per_call is not None else ""
    lines = [
        f"{measured.kind}: {step.calls} calls for {step.seconds:.1f} s: {measured.remark}",
        f"{'ms':16} {'p50':>8} {'p90':>8} {'p99':>8} {'max':>8} {'count':>8}",
        *(_spread(name, getattr(step, field)) for field, name in SPREADS),
        f"frames sent {step.frames_sent}, lost {step.frames_lost}, doubled {step.frames_doubled}, "
        f"damaged {step.frames_damaged}",
        f"stale audio {step.stale_ms:g} ms, truncated wrongly by at most {step.truncate_error_ms:.1f} ms, "
        f"keys lost {step.keys_lost}, marks lost {step.marks_lost}",
        f"calls refused {step.calls_refused}, lost {step.calls_lost}",
        f"CPU {measured.cpu_ms_per_call_second:.2f} ms per call-second, {measured.cpu_percent:.0f} % of a core",
        f"memory {each}{measured.memory_kb / 1000:.0f} MB in all",
        f"event-loop lag p50 {lag.p50:.1f}, p95 {lag.p95:.1f}, max {lag.max:.1f} ms" if lag else "",
    ]
    return "\n".join(line for line in lines if line)


def _spread(name: str, spread: Spread) -> str:
    if not spread.count:
        return f"{name:16} {'-':>8} {'-':>8} {'-':>8} {'-':>8} {0:8}"
    return f"{name:16} {spread.p50:8.2f} {spread.p90:8.2f} {spread.p99:8.2f} {spread.max:8.2f} {spread.count:8}"


def _summary_text(summary: Summary) -> str:
    parts = []
    if summary.calls is not None and summary.limit:
        runs = ", ".join(map(str, summary.calls_of_runs))
        of_runs = f", the median of {runs}" if len(summary.calls_of_runs) > 1 else ""
        parts.append(f"{summary.calls:g} calls{of_runs} ({LIMITS[summary.limit]})")
    if summary.cpu_ms_per_call_second is not None:
        parts.append(f"{summary.cpu_ms_per_call_second:.2f} ms of CPU per call-second")
    if summary.memory_kb_per_call is not None:
        parts.append(f"{summary.memory_kb_per_call:.0f} kB per call")
    found = f"{summary.kind}: {'; '.join(parts)}"
    return f"{found}\n  {_latency_text(summary.latency_ms)}" if summary.latency_ms else found


def _latency_text(latency: Latency) -> str:
    return (
        f"with {latency.calls} calls, p50/p99: up {latency.up_p50:.2f}/{latency.up_p99:.2f} ms, "
        f"down {latency.down_p50:.2f}/{latency.down_p99:.2f} ms, both {latency.both_p50:.2f}/{latency.both_p99:.2f} ms"
    )


def _ratio_text(ratio: Ratio) -> str:
    parts = [
        f"{value:.2f} of its {what}"
        for value, what in ((ratio.calls, "calls"), (ratio.cpu, "CPU per call-second"))
        if value is not None
    ]
    return f"gateway against floor: {', '.join(parts) or 'nothing to compare'}"


def _overload_text(overload: Overload) -> str:
    return (
        f"overload: {overload.offered} calls offered, {overload.admitted} admitted, "
        f"{overload.measured.step.calls_refused} refused\n{_full(overload.measured)}"
    )


def _overload_json(overload: Overload) -> dict[str, Any]:
    refused = overload.measured.step.calls_refused
    step = _rounded(_step_json(overload.measured))
    return {"offered": overload.offered, "admitted": overload.admitted, "refused": refused, "step": step}


def _summary_json(summary: Summary) -> dict[str, Any]:
    return {
        "calls": summary.calls,
        "calls_of_runs": list(summary.calls_of_runs),
        "limit": summary.limit,
        "cpu_ms_per_call_second": summary.cpu_ms_per_call_second,
        "memory_kb_per_call": summary.memory_kb_per_call,
        "latency_ms": asdict(summary.latency_ms) if summary.latency_ms else None,
    }


def _step_json(measured: Measured) -> dict[str, Any]:
    return {
        "kind": measured.kind,
        "asked": measured.asked,
        "verdict": measured.verdict,
        "remark": measured.remark,
        **asdict(measured.step),
        "cpu_ms_per_call_second": measured.cpu_ms_per_call_second,
        "cpu_percent": measured.cpu_percent,
        "memory_kb": measured.memory_kb,
        "memory_kb_per_call": measured.memory_kb_per_call,
        "others_percent": measured.others_percent,
        "loop_lag_ms": asdict(measured.loop_lag_ms) if measured.loop_lag_ms else None,
    }


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, DIGITS)
        case dict():
            return {name: _rounded(one) for name, one in value.items()}
        case list() | tuple():
            return [_rounded(one) for one in value]
        case _:
            return value


def by_calls(kind: Kind, steps: Sequence[Measured]) -> dict[int, list[Measured]]:
    """The steps of one kind in the order of their calls: of each number those that hold, or all when none does."""
    found: dict[int, list[Measured]] = {}
    for measured in sorted((one for one in steps if one.kind == kind), key=lambda one: one.asked):
        found.setdefault(measured.asked, []).append(measured)
    return {calls: [one for one in tried if one.verdict == "holds"] or tried for calls, tried in found.items()}
