"""The figures of one measurement that are published: medians of its runs, and the gateway against the floor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from gateway.load.measured import Kind, Measured
from gateway.load.sweep import UNLOADED, Limit, Sweep


@dataclass(frozen=True, slots=True)
class Latency:
    """Medians over the runs, in milliseconds, with so many calls up."""

    calls: int
    up_p50: float
    up_p99: float
    down_p50: float
    down_p99: float
    both_p50: float
    both_p99: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Of the gateway or of the floor. Each figure is the median of the runs that have it; None when none has.

    `calls` and `limit` are of a sweep: the highest number that held in each run, and what ended the last one. CPU and
    memory are at that number, latency with UNLOADED calls; without a sweep all are at the number asked for.
    """

    kind: Kind
    calls_of_runs: tuple[int, ...]
    limit: Limit | None
    cpu_ms_per_call_second: float | None
    memory_kb_per_call: float | None
    latency_ms: Latency | None

    @property
    def calls(self) -> float | None:
        return median(self.calls_of_runs) if self.calls_of_runs else None


@dataclass(frozen=True, slots=True)
class Ratio:
    """Gateway divided by floor, so what our session costs: of the calls that hold, and of CPU with as many calls."""

    calls: float | None
    cpu: float | None


def of_sweeps(kind: Kind, runs: Sequence[Mapping[Kind, Sweep]]) -> Summary:
    sweeps = [run[kind] for run in runs]
    highest = [one for sweep in sweeps if (one := sweep.highest)]
    unloaded = [one for sweep in sweeps if (one := sweep.held_at(UNLOADED))]
    return _summary(kind, tuple(sweep.calls for sweep in sweeps), sweeps[-1].limit, highest, unloaded)


def of_steps(kind: Kind, steps: Sequence[Measured]) -> Summary:
    """Of one number of calls, tried once in each run."""
    mine = [one for one in steps if one.kind == kind]
    return _summary(kind, (), None, mine, mine)


def ratio_of_sweeps(runs: Sequence[Mapping[Kind, Sweep]]) -> Ratio:
    """CPU is compared, in each run, at the highest number that both carried."""
    pairs = []
    for run in runs:
        gateway, floor = run["gateway"], run["floor"]
        both = {one.asked for one in gateway.tried} & {one.asked for one in floor.tried}
        for calls in sorted(both, reverse=True):
            if (mine := gateway.held_at(calls)) and (least := floor.held_at(calls)):
                pairs.append((mine, least))
                break
    gateway_calls, floor_calls = (of_sweeps(kind, runs).calls for kind in ("gateway", "floor"))
    return Ratio(gateway_calls / floor_calls if gateway_calls and floor_calls else None, _cpu_ratio(pairs))


def ratio_of_steps(steps: Sequence[Measured]) -> Ratio:
    gateway, floor = ([one for one in steps if one.kind == kind] for kind in ("gateway", "floor"))
    return Ratio(None, _cpu_ratio(list(zip(gateway, floor, strict=True))))


def _cpu_ratio(pairs: Sequence[tuple[Measured, Measured]]) -> float | None:
    ratios = [
        mine.cpu_ms_per_call_second / least.cpu_ms_per_call_second
        for mine, least in pairs
        if least.cpu_ms_per_call_second
    ]
    return median(ratios) if ratios else None


def _summary(
    kind: Kind,
    calls: tuple[int, ...],
    limit: Limit | None,
    highest: Sequence[Measured],
    unloaded: Sequence[Measured],
) -> Summary:
    memory = [one.memory_kb_per_call for one in highest if one.memory_kb_per_call is not None]
    return Summary(
        kind,
        calls,
        limit,
        median(one.cpu_ms_per_call_second for one in highest) if highest else None,
        median(memory) if memory else None,
        _latency(unloaded) if unloaded else None,
    )


def _latency(measured: Sequence[Measured]) -> Latency:
    def middle(figure: Callable[[Measured], float]) -> float:
        return median(figure(one) for one in measured)

    return Latency(
        measured[0].asked,
        middle(lambda one: one.step.up_ms.p50),
        middle(lambda one: one.step.up_ms.p99),
        middle(lambda one: one.step.down_ms.p50),
        middle(lambda one: one.step.down_ms.p99),
        middle(lambda one: one.step.both_ms.p50),
        middle(lambda one: one.step.both_ms.p99),
    )
