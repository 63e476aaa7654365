"""Who is let in: as many calls as were asked for, and never more than the event loop can carry in time."""

import time
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

from gateway.loop_lag import HICCUPS, LOOK_BACK, LoopLoad, busy_one

FIRST_COST: Final = 0.003
"""What a call is taken to cost until it was measured, as a fraction of a core: about a transcoded one on a server."""

SETUP_CPU_S: Final = 0.012
"""What the beginning of a call costs at most, in seconds of a core: a webhook, two sockets, a session. So a second in
which many begin does not look as if each of them were dear for good. Where it costs more, they look so for a second."""

SETUP_S: Final = 4.0
"""The same in seconds of a call, for machines and agents that are cheaper than usual."""

MOST_BEGUN: Final = 0.5
"""Calls that began in a second, as a fraction of those that went on: with more, it tells of beginnings and not of
calls."""

FEW_BEGUN: Final = 0.05
"""With more than these, what a second tells can make calls dearer and not cheaper: it depends on a guess of what
beginnings cost, and a wrong one would let in a whole storm."""

UNSEEN_S: Final = 1.0
"""How old a call is when its audio flows and costs what it will: until then it is in no measurement."""

TRUSTED_CALLS: Final = 50
"""Calls that a fresh process serves before it knows what one costs: as many as MAX_CALLS allows by default. On a
machine of a quarter of the usual speed they still fit."""

ENOUGH_CALLS: Final = 10
"""Calls in a second that tell what one costs: what few cost is half chance."""

RESUME_CPU: Final = 0.95
"""Of its limit: whoever was turned away for want of a core is followed by others until so much of it is needed. So
the doors stay open for some callers and closed for some, instead of changing with each call."""

RESUME_LAG: Final = 0.5
"""The same for the loop's lag, which grows steeply near its end: half of it is only a few calls away."""


class CallCost:
    """What one call costs, as a fraction of a core: learnt from what all of them cost, second by second."""

    def __init__(self) -> None:
        self._of_one: deque[float] = deque([FIRST_COST] * LOOK_BACK, maxlen=LOOK_BACK)
        self._of_none: deque[float] = deque([0.0] * LOOK_BACK, maxlen=LOOK_BACK)
        self._telling_s = 0

    @property
    def is_proven(self) -> bool:
        """Whether enough calls told for so long that their figures are those that count."""
        return self._telling_s > HICCUPS

    def learn(self, cpu: float, seen: int, begun: int) -> None:
        """A second took the fraction `cpu`, while `seen` calls had their audio flow and `begun` others began."""
        if not (seen or begun):
            self._of_none.append(cpu)
        elif begun <= seen * MOST_BEGUN:
            beginnings = begun * min(SETUP_CPU_S, SETUP_S * busy_one(self._of_one))
            least = 0.0 if begun <= seen * FEW_BEGUN else busy_one(self._of_one)
            self._of_one.append(max((cpu - median(self._of_none) - beginnings) / seen, least))
            self._telling_s += seen >= ENOUGH_CALLS

    def of(self, calls: int) -> float:
        """What so many calls would take of a core in a busy second, with what the process takes without any."""
        return median(self._of_none) + busy_one(self._of_one) * calls


class Admission:
    """Decides whether one more call is let in, by their number and by what the loop has to do.

    The number is a limit over this process and `others`. The loop's limits are its own: by the cost of a call, times
    the calls that there would be, it knows what those who were let in a moment ago will need. What is measured besides,
    the lag and the core's use, decides when that guess was wrong. Where no call is live, one is let in.
    """

    def __init__(
        self,
        max_calls: int,
        load: LoopLoad | None = None,
        others: Callable[[], int] = lambda: 0,
        *,
        max_lag_ms: float = 0.0,
        max_cpu_percent: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`others` says how many calls other processes of the service have. A limit of 0, as no `load`, is none."""
        self._max_calls = max_calls
        self._load = load
        self._others = others
        self._max_lag_ms = max_lag_ms
        self._max_cpu = max_cpu_percent / 100
        self._clock = clock
        self._cost = CallCost()
        self._live = 0
        self._begun: deque[float] = deque(maxlen=max_calls)
        self._begun_since = 0
        self._is_late = False
        self._is_at_its_limit = False
        if load:
            load.watch(self._learn)

    def begun(self) -> None:
        """A call was let in."""
        self._live += 1
        self._begun_since += 1
        self._begun.append(self._clock())

    def ended(self) -> None:
        """A call is over."""
        self._live -= 1

    def is_full(self, calls: int, more: int = 1) -> bool:
        """Whether there is no place left for the last of `more` calls, when this process has `calls` of its own."""
        return calls + self._others() + more > self._max_calls

    def why_not(self, calls: int, more: int = 1) -> str | None:
        """Why the last of `more` calls is not let in, as words for a log; None when it is."""
        if self.is_full(calls, more):
            return f"{calls + self._others()} calls are live"
        if self._load is None or calls + more == 1:
            return None
        return self._why_late(self._load) or self._why_too_much(self._load, calls, more)

    def _why_late(self, load: LoopLoad) -> str | None:
        """The loop does not come round in time."""
        if not self._max_lag_ms:
            return None
        late_ms = load.peak_lag_ms
        self._is_late = late_ms > self._max_lag_ms * (RESUME_LAG if self._is_late else 1)
        return f"the event loop is late by {late_ms:.0f} ms" if self._is_late else None

    def _why_too_much(self, load: LoopLoad, calls: int, more: int) -> str | None:
        """The loop's core is busy, or would be."""
        if not self._max_cpu:
            return None
        limit = self._max_cpu * (RESUME_CPU if self._is_at_its_limit else 1)
        needed = max(self._cost.of(calls + more), load.peak_cpu)
        if needed <= limit:
            self._is_at_its_limit = False
            is_unknown = calls + more > TRUSTED_CALLS and not self._cost.is_proven
            return "it is not known yet what so many calls cost" if is_unknown else None
        self._is_at_its_limit = self._is_at_its_limit or more == 1  # behind others that wait it is full sooner
        return f"{calls + more} calls would take {needed:.0%} of a core"

    def _learn(self, cpu: float) -> None:
        seen_since = self._clock() - UNSEEN_S
        while self._begun and self._begun[0] <= seen_since:
            self._begun.popleft()
        self._cost.learn(cpu, max(self._live - len(self._begun), 0), self._begun_since)
        self._begun_since = 0
