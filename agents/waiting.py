"""Waits for something to happen, for so long and no longer."""

import asyncio
from math import inf
from types import TracebackType
from typing import Self


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Waits until the event is set. False when the time ran out."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


class Patience:
    """Bounds waits that come again and again, one at a time, and hardly ever last: its timer is set when it is due.

    What `asyncio.timeout` costs is a timer for each wait, a fifth of what a frame of audio may cost.
    """

    __slots__ = ("_cancelling", "_loop", "_task", "_timer", "_timer_at", "due_at", "is_over")

    def __init__(self) -> None:
        self.due_at = inf
        self.is_over = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    def at_most(self, seconds: float) -> Self:
        """For a `with` block that ends after so long with TimeoutError."""
        self.due_at = self.now() + seconds
        return self

    def until(self, due_at: float) -> Self:
        """For a `with` block that ends with TimeoutError at a time of the loop, which may be infinity."""
        self.due_at = due_at
        return self

    def reschedule(self, due_at: float) -> None:
        """Ends the block, if there is one, at another time. Does nothing once its time is over."""
        if self._task and not self.is_over and due_at != self.due_at:
            self.due_at = due_at
            self._mind()

    def now(self) -> float:
        """The loop's time. The loop is kept: up to Python 3.11 each `get_running_loop()` is a call into the kernel."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop.time()

    def __enter__(self) -> Self:
        self._task = task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a wait belongs to a task")
        self.is_over = False
        self._cancelling = task.cancelling()
        if self.due_at < self._timer_at:
            self._mind()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self.is_over and task:
            is_cancelled = exc_type is not None and issubclass(exc_type, asyncio.CancelledError)
            if task.uncancel() <= self._cancelling and is_cancelled:
                raise TimeoutError from exc

    def _mind(self) -> None:
        """Sees to it that somebody looks when the time is over."""
        if self.due_at < self._timer_at:
            if self._timer:
                self._timer.cancel()
            self._timer_at = self.due_at
            self._timer = (self._loop or asyncio.get_running_loop()).call_at(self.due_at, self._look)

    def _look(self) -> None:
        self._timer, self._timer_at = None, inf
        if self._task is None:
            return
        if self.now() < self.due_at:
            self._mind()
        else:
            self.is_over = True
            self._task.cancel()
