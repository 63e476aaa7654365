"""How late the event loop comes round, and how much of a core it takes: measured all the time, for next to nothing."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Final

TICK_S: Final = 0.02
"""A frame of a telephone. A tick takes 5 microseconds, 0.03 % of a core; more only where it wakes an idle one."""

WINDOW_S: Final = 10.0
"""How far back the figures look: long enough for a percentile, short enough to be news."""

LOOK_BACK: Final = 10
"""Seconds that count where callers are let in or not: calls that talk in turn are not equally busy in each of them."""

HICCUPS: Final = 2
"""The worst of these seconds do not count: two bad ones, such as those in which the garbage collector ran or a library
was loaded, turn nobody away; three do."""

_MOST_SAMPLES: Final = round(WINDOW_S / TICK_S)


@dataclass(frozen=True, slots=True)
class Lag:
    """How late the loop came round, in milliseconds: what a message that came at any moment had to wait."""

    p50: float
    p95: float
    max: float


class LoopLoad:
    """What an event loop has to do. It is told of each tick and each second; others may read it from any thread."""

    def __init__(self) -> None:
        self._late_ms: list[float] = []
        self._oldest = 0
        self._this_second: list[float] = []
        self._lags_ms: deque[float] = deque([0.0] * LOOK_BACK, maxlen=LOOK_BACK)
        self._cpus: deque[float] = deque([0.0] * LOOK_BACK, maxlen=LOOK_BACK)
        self._watchers: list[Callable[[float], None]] = []
        self.came_round_at: float | None = None
        """When it last did, on the monotonic clock; None while nobody measures."""

    def came_round(self, at: float, late_s: float) -> None:
        """A timer ran, so late. The ticks that it missed count too: messages that came meanwhile waited as well."""
        self.came_round_at = at
        late_ms = max(late_s, 0.0) * 1000
        self._keep(late_ms)
        for _ in range(min(int(late_ms / (TICK_S * 1000)), _MOST_SAMPLES - 1)):
            late_ms -= TICK_S * 1000
            self._keep(late_ms)

    def second_passed(self, cpu: float) -> None:
        """A second or so is over, of which the loop's thread had a core for the fraction `cpu`."""
        self._lags_ms.append(percentile(self._this_second, 95))
        self._cpus.append(cpu)
        self._this_second.clear()
        for told in self._watchers:
            told(cpu)

    def watch(self, told: Callable[[float], None]) -> None:
        """Has `told` called each second with the fraction of a core that it took."""
        self._watchers.append(told)

    def lag(self) -> Lag:
        """Over the last WINDOW_S."""
        late = sorted(self._late_ms)
        return Lag(percentile(late, 50), percentile(late, 95), late[-1] if late else 0.0)

    def figures(self) -> dict[str, object]:
        """All of it, for who asks over HTTP."""
        lag = {name: round(late_ms, 2) for name, late_ms in asdict(self.lag()).items()}
        return {"loop_lag_ms": lag, "cpu_percent": round(self.cpu * 100, 1)}

    @property
    def peak_lag_ms(self) -> float:
        """The 95th percentile of a busy one of the last seconds."""
        return busy_one(self._lags_ms)

    @property
    def peak_cpu(self) -> float:
        """The fraction of a core that the loop's thread takes, in a busy one of the last seconds."""
        return busy_one(self._cpus)

    @property
    def cpu(self) -> float:
        """The fraction of a core that the loop's thread takes, as a mean of the last seconds."""
        return sum(tuple(self._cpus)) / LOOK_BACK

    def _keep(self, late_ms: float) -> None:
        self._this_second.append(late_ms)
        if len(self._late_ms) < _MOST_SAMPLES:
            self._late_ms.append(late_ms)
        else:
            self._late_ms[self._oldest] = late_ms
            self._oldest = (self._oldest + 1) % _MOST_SAMPLES


def busy_one(seconds: Iterable[float]) -> float:
    """The highest of so many seconds' figures, but for the HICCUPS."""
    return sorted(seconds)[-1 - HICCUPS]


def percentile(values: list[float], percent: float) -> float:
    """The value that so many per cent of them do not exceed; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


@asynccontextmanager
async def measuring(load: LoopLoad) -> AsyncIterator[None]:
    """Measures the running loop, from its own thread."""
    ticker = _Ticker(load, asyncio.get_running_loop())
    try:
        yield
    finally:
        ticker.stop()


class _Ticker:
    """One timer. The clock is the system's: a loop's own may stand still while it works."""

    def __init__(self, load: LoopLoad, loop: asyncio.AbstractEventLoop) -> None:
        self._load = load
        self._loop = loop
        self._second_at, self._second_cpu_s = time.monotonic(), time.thread_time()
        self._wait()

    def stop(self) -> None:
        self._timer.cancel()
        self._load.came_round_at = None

    def _wait(self) -> None:
        self._due = time.monotonic() + TICK_S
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        self._load.came_round(now, now - self._due)
        if now - self._second_at >= 1:
            cpu_s = time.thread_time()
            self._load.second_passed((cpu_s - self._second_cpu_s) / (now - self._second_at))
            self._second_at, self._second_cpu_s = now, cpu_s
        self._wait()
