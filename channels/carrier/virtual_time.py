"""Virtual time: an event loop whose clock stands still while there is work, then jumps to the next timer.

    report = run_virtual(place_call(dial, script, app=app))     # an hour's call, in seconds

Everything that asks the loop for the time (`asyncio.sleep`, `asyncio.timeout`, `loop.time()`) lives in that time; what
takes a clock is given `loop_time`. Work itself takes no time: the figures of such a call have no machine in them.
"""

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from math import inf, nextafter
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START_S: Final = 1000.0
"""What the clock shows first. Not 0, which code may take for "never"."""

JOB_WAIT_S: Final = 300.0
"""Longest, in real seconds, that the clock stands still for a thread or process that does a job for the loop."""

OUTSIDE_WAIT_S: Final = 5.0
"""Longest, in real seconds, that a loop with nothing scheduled waits for sockets and strange threads to wake it."""

_OWN_FILES: Final = 1
"""What every loop listens to by itself: the socket on which threads wake it."""

EXACT_UNTIL_S: Final = 2.0**22
"""Later (48 days) the nanosecond by which asyncio lets timers come early is lost in the size of the number."""

MAX_NAMED_TASKS: Final = 10
"""So many waiting tasks are named when nothing is left to happen."""


class Deadlock(RuntimeError):
    """Every task waits, nothing is scheduled, and nobody outside came to wake one."""


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in virtual time, and returns what it returns: `asyncio.run` on a loop with another clock.

    The clock stands still while `run_in_executor` or `asyncio.to_thread` have work under way, which is waited for in
    real time. It knows of no other threads and jumps over what they do, and over the time that sockets take. Raises
    Deadlock where `asyncio.run` would wait for ever.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def loop_time() -> float:
    """The running loop's clock, in seconds: virtual on a virtual loop. To be given to all that takes a clock."""
    return asyncio.get_running_loop().time()


async def in_real_time(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in a thread, on a loop of its own and on the real clock, while a virtual one stands still.

    For what the world outside does and has to be given its time for: processes, sockets.
    """
    return await asyncio.to_thread(asyncio.run, main)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop below `run_virtual`."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def run_forever(self) -> None:
        try:
            super().run_forever()
        except _NothingComes:
            names = sorted(task.get_name() for task in asyncio.all_tasks(self))
            more = f" and {len(names) - MAX_NAMED_TASKS} more" if len(names) > MAX_NAMED_TASKS else ""
            waiting = ", ".join(names[:MAX_NAMED_TASKS]) + more
            raise Deadlock(f"nothing is left to happen at {self.time():.3f} s; still waiting: {waiting}") from None

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._jumping.jobs += 1
        future.add_done_callback(self._job_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Waits for the threads in real time. `timeout`, which would be virtual, is that of any job instead."""
        self._jumping.jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jumping.jobs -= 1

    def _job_done(self, _: asyncio.Future[Any]) -> None:
        self._jumping.jobs -= 1


class _NothingComes(Exception):
    """The selector has nothing to wait for, or waited in vain."""


class _JumpingSelector(selectors.DefaultSelector):
    """Lets time pass where others wait. `jobs` is how many of them the outside world does for the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = START_S
        self.jobs = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.now_s > EXACT_UNTIL_S:
            self.now_s = nextafter(self.now_s, inf)
        is_alone = not self.jobs and len(self.get_map()) <= _OWN_FILES
        if timeout is not None and timeout <= 0:
            return [] if is_alone else super().select(0)
        events = [] if is_alone else super().select(0)
        if events:
            return events
        if timeout is not None and not self.jobs:
            self.now_s += timeout
            return []
        return self._wait(is_alone and threading.active_count() == 1)

    def _wait(self, is_in_vain: bool) -> list[tuple[selectors.SelectorKey, int]]:
        events = [] if is_in_vain else super().select(JOB_WAIT_S if self.jobs else OUTSIDE_WAIT_S)
        if not events:
            raise _NothingComes
        return events
