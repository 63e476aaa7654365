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
    """Bounds waits that come again and again and hardly ever last: one timer for all of them, set anew when it is due.

    Any number of tasks may be waiting at a time, all of one loop. What `asyncio.timeout` costs is a timer for each
    wait, a fifth of what a frame of audio may cost.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waits: dict[Limit, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf

    def at_most(self, seconds: float) -> "Limit":
        """A `with` block that ends after so long with TimeoutError."""
        return Limit(self, self.now() + seconds)

    def until(self, due_at: float) -> "Limit":
        """A `with` block that ends with TimeoutError at a time of the loop, which may be infinity."""
        return Limit(self, due_at)

    def now(self) -> float:
        """The loop's time."""
        return self.loop.time()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of whoever came first: up to Python 3.11 each `get_running_loop()` is a call into the kernel."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _began(self, wait: "Limit") -> None:
        self._waits[wait] = None
        self._mind(wait.due_at)

    def _mind(self, due_at: float) -> None:
        if due_at < self._timer_at:
            if self._timer:
                self._timer.cancel()
            self._timer_at = due_at
            self._timer = self.loop.call_at(due_at, self._look)

    def _ended(self, wait: "Limit") -> None:
        del self._waits[wait]

    def _look(self) -> None:
        self._timer, self._timer_at = None, inf
        now = self.now()
        for wait in [each for each in self._waits if each.due_at <= now]:
            wait.expire()
        self._mind(min((wait.due_at for wait in self._waits if not wait.is_expired), default=inf))


class Limit:
    """One block that a Patience bounds. It is of the task that enters it."""

    __slots__ = ("_cancelling", "_patience", "_task", "due_at", "is_expired")

    def __init__(self, patience: Patience, due_at: float) -> None:
        self.due_at = due_at
        self.is_expired = False
        self._patience = patience
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0

    def reschedule(self, due_at: float) -> None:
        """Ends the block at another time. Does nothing once its time is over."""
        if not self.is_expired:
            self.due_at = due_at
            self._patience._mind(due_at)

    def expire(self) -> None:
        self.is_expired = True
        if self._task:
            self._task.cancel()

    def __enter__(self) -> Self:
        self._task = task = asyncio.current_task(self._patience.loop)
        if task is None:
            raise RuntimeError("a wait belongs to a task")
        self._cancelling = task.cancelling()
        self._patience._began(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._patience._ended(self)
        is_cancelled = exc_type is not None and issubclass(exc_type, asyncio.CancelledError)
        if self.is_expired and self._task and self._task.uncancel() <= self._cancelling and is_cancelled:
            raise TimeoutError from exc
