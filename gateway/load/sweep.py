"""Finds the highest number of calls that holds: upwards in steps, then between the last two by halves."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

from gateway.load.measured import Kind, Measured

FIRST_STEPS: Final = (25, 50, 100)
"""Small ones, as they show the unloaded latency, and a process that carries few calls."""

STEP: Final = 100
"""Between the steps above."""

MOST_CALLS: Final = 5000
"""A sweep ends here: one address of this machine has some 28000 ports, and each call takes four of them at most."""

RESOLUTION: Final = 0.03
"""Of the lowest number that failed: between runs on a quiet machine the highest differs by about as much."""

ATTEMPTS: Final = 2
"""A number has failed when it did so often, each time on a fresh process: other work on the machine fails it once."""

UNLOADED: Final = 50
"""Calls at which latency is given as that of a machine with room."""

Limit = Literal["process", "generator", "sweep"]


class Sweep:
    """The numbers tried, and what comes next.

    A number holds when one of at most ATTEMPTS attempts holds.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.tried: list[Measured] = []
        self._held = 0
        self._failed: int | None = None
        self._limit: Limit = "sweep"

    @property
    def calls(self) -> int:
        """The highest number that held; 0 while none did."""
        return self._held

    @property
    def limit(self) -> Limit:
        """What failed above: the process, the generator of the load, or nothing up to the sweep's own end."""
        return self._limit

    @property
    def next_calls(self) -> int | None:
        """The number to try now; None when the highest is known."""
        if self.tried and self.tried[-1].verdict != "holds" and self._failed != self.tried[-1].asked:
            return self.tried[-1].asked
        if self._failed is None:
            return _above(self._held)
        if self._failed - self._held <= max(1, self._failed * RESOLUTION):
            return None
        return (self._held + self._failed) // 2

    def add(self, measured: Measured) -> None:
        """Takes what came of `next_calls`."""
        self.tried.append(measured)
        if measured.verdict == "holds":
            self._held = measured.asked
            return
        attempts = [one for one in self.tried if one.asked == measured.asked]
        if len(attempts) >= ATTEMPTS:
            self._failed = measured.asked
            was_late = any(one.verdict == "generator's limit" for one in attempts)
            self._limit = "generator" if was_late else "process"

    @property
    def highest(self) -> Measured | None:
        """The last measurement at the highest number that held."""
        return self.held_at(self._held)

    def held_at(self, calls: int) -> Measured | None:
        """The last measurement of so many calls, if they held."""
        return next((one for one in reversed(self.tried) if one.asked == calls and one.verdict == "holds"), None)


async def sweep_in_turn(sweeps: Mapping[Kind, Sweep], try_calls: Callable[[Kind, int], Awaitable[Measured]]) -> None:
    """Carries all sweeps to their end, a step of each in turn, so that what else the machine does meets all alike."""
    while waiting := [sweep for sweep in sweeps.values() if sweep.next_calls is not None]:
        for sweep in waiting:
            if (calls := sweep.next_calls) is not None:
                sweep.add(await try_calls(sweep.kind, calls))


def _above(held: int) -> int | None:
    following = next((calls for calls in FIRST_STEPS if calls > held), held - held % STEP + STEP)
    return following if following <= MOST_CALLS else None
