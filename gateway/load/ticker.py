"""The one clock of a load: it says when the next frame of each call is due, and runs what was put off."""

import asyncio
import heapq
import time
from collections.abc import Callable
from typing import Final, Protocol

from agents.mulaw import FRAME_MS

TICK_S: Final = 0.001
"""The finest that timers of the loop come; calls are spread evenly over the ticks of a frame."""

TICKS: Final = int(FRAME_MS / 1000 / TICK_S)

now: Final = time.monotonic
"""Seconds, for all that a load dates: the loop's own clock stands still within one of its rounds."""


class Sender(Protocol):
    """Who has a frame to send every 20 ms."""

    def send_frame(self, due: float) -> None:
        """The frame that was due then; it may be late."""


class Ticker:
    """Runs from `start` to `stop`. It has one timer, whatever the number of calls."""

    def __init__(self) -> None:
        self._slots: list[list[Sender]] = [[] for _ in range(TICKS)]
        self._slot = 0
        self._next_due = 0.0
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._next_due = now()
        self._round()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def add(self, sender: Sender) -> None:
        """From now on its frames are due, in the tick that has the fewest others."""
        min(self._slots, key=len).append(sender)

    def remove(self, sender: Sender) -> None:
        """Does nothing for one that was not added."""
        for slot in self._slots:
            if sender in slot:
                slot.remove(sender)

    def at(self, due: float, act: Callable[[], None]) -> None:
        """Has something done at a moment of `now`, or right after it."""
        self._count += 1
        heapq.heappush(self._later, (due, self._count, act))

    def _round(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._round)
        self.tick(now())

    def tick(self, present: float) -> None:
        """Does all that is due by then: what was put off, and the frames, each with the moment at which it was due."""
        later = self._later
        while later and later[0][0] <= present:
            heapq.heappop(later)[2]()
        while self._next_due <= present:
            for sender in tuple(self._slots[self._slot]):
                sender.send_frame(self._next_due)
            self._slot = (self._slot + 1) % TICKS
            self._next_due += TICK_S
