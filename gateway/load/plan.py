"""What a measurement consists of, and its carrying out: numbers of calls, runs, and the floor in turn."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.load import summary
from gateway.load.measured import Kind, Measured
from gateway.load.progress import Progress
from gateway.load.report import HEAD, Found, Overload, row
from gateway.load.sweep import Sweep, sweep_in_turn

OVERLOAD: Final = 2
"""Times the calls that hold are offered to a gateway that admits what fits."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`calls` is the only number that is tried; None for the search of the highest that holds."""

    kinds: tuple[Kind, ...] = ("gateway",)
    calls: int | None = None
    runs: int = 1
    has_overload: bool = False


@dataclass(frozen=True, slots=True)
class Trials:
    """How a number of calls is measured on a fresh process, and offered to one that may turn calls away."""

    hold: Callable[[Kind, int], Awaitable[Measured]]
    offer: Callable[[int], Awaitable[Measured]]


async def carry_out(plan: Plan, trials: Trials, progress: Progress) -> Found:
    """Measures everything, a line of progress for each number of calls."""
    steps: list[Measured] = []

    async def hold(kind: Kind, calls: int) -> Measured:
        measured = await trials.hold(kind, calls)
        short = f"{kind}, {calls} calls: {measured.verdict}"
        progress.step(short, row(measured) if steps else f"{HEAD}\n{row(measured)}")
        steps.append(measured)
        return measured

    if plan.calls is None:
        found = _of_runs(plan, [await _sweep(plan, hold) for _ in range(plan.runs)], steps)
    else:
        for _ in range(plan.runs):
            for kind in plan.kinds:
                await hold(kind, plan.calls)
        found = _of_steps(plan, steps)
    if plan.has_overload and (fits := plan.calls or int(found.summaries[0].calls or 0)):
        offered = OVERLOAD * fits
        found = found.with_overload(Overload(offered, await trials.offer(offered)))
    return found


async def _sweep(plan: Plan, hold: Callable[[Kind, int], Awaitable[Measured]]) -> Mapping[Kind, Sweep]:
    sweeps = {kind: Sweep(kind) for kind in plan.kinds}
    await sweep_in_turn(sweeps, hold)
    return sweeps


def _of_runs(plan: Plan, runs: list[Mapping[Kind, Sweep]], steps: list[Measured]) -> Found:
    summaries = tuple(summary.of_sweeps(kind, runs) for kind in plan.kinds)
    return Found(tuple(steps), summaries, summary.ratio_of_sweeps(runs) if "floor" in plan.kinds else None)


def _of_steps(plan: Plan, steps: list[Measured]) -> Found:
    summaries = tuple(summary.of_steps(kind, steps) for kind in plan.kinds)
    return Found(tuple(steps), summaries, summary.ratio_of_steps(steps) if "floor" in plan.kinds else None)
