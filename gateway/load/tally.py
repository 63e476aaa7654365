"""What a load counts and times, in memory that does not grow."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gateway.load.figures import Spread

FINE_S: Final = 0.2
FINE_STEPS: Final = 20_000
"""Durations under 200 ms are told apart to 10 microseconds."""

COARSE_STEPS: Final = 20_000
"""Longer ones to a millisecond, up to 20 seconds, and then no more."""

_PER_S: Final = FINE_STEPS / FINE_S


class Durations:
    """How long something took, many times over: a histogram."""

    def __init__(self) -> None:
        self._fine = [0] * FINE_STEPS
        self._coarse = [0] * COARSE_STEPS
        self._longest_s = 0.0

    def add(self, seconds: float) -> None:
        """Counts one. Less than nothing, as clocks may say, is nothing."""
        if seconds > self._longest_s:
            self._longest_s = seconds
        step = int(seconds * _PER_S)
        if step < FINE_STEPS:
            self._fine[step if step > 0 else 0] += 1
        else:
            self._coarse[min(int(seconds * 1000), COARSE_STEPS - 1)] += 1

    def spread(self) -> Spread:
        """The percentiles, in milliseconds, each to the end of its step but never above the longest."""
        counts = np.array(self._fine + self._coarse)
        total = int(counts.sum())
        if not total:
            return Spread(0.0, 0.0, 0.0, 0.0, 0)
        ends_ms = np.concatenate(
            ((np.arange(FINE_STEPS) + 1) * 1000 / _PER_S, np.arange(COARSE_STEPS, dtype=np.float64) + 1)
        )
        reached = counts.cumsum()
        longest_ms = self._longest_s * 1000
        p50, p90, p99 = (
            min(float(ends_ms[np.searchsorted(reached, np.ceil(share * total))]), longest_ms)
            for share in (0.5, 0.9, 0.99)
        )
        return Spread(p50, p90, p99, longest_ms, total)


@dataclass(slots=True)
class Tally:
    """What was counted since it was made. The fields are those of `figures.Step`."""

    up: Durations = field(default_factory=Durations)
    down: Durations = field(default_factory=Durations)
    both: Durations = field(default_factory=Durations)
    clear: Durations = field(default_factory=Durations)
    lateness: Durations = field(default_factory=Durations)
    frames_sent: int = 0
    frames_lost: int = 0
    frames_doubled: int = 0
    frames_damaged: int = 0
    stale_ms: float = 0.0
    truncate_error_ms: float = 0.0
    keys_lost: int = 0
    marks_lost: int = 0


@dataclass(slots=True)
class Setups:
    """What became of the calls that were begun."""

    webhook: Durations = field(default_factory=Durations)
    setup: Durations = field(default_factory=Durations)
    refused: int = 0
    lost: int = 0
