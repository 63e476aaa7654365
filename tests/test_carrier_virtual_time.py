"""Virtual time jumps from timer to timer, stands still for threads, and fails where nothing can happen any more."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator

import pytest

from channels.carrier import virtual_time
from channels.carrier.virtual_time import Deadlock, loop_time, run_virtual

DAY_S = 24 * 3600


def test_waiting_takes_as_long_as_it_was_asked_to_and_no_real_time() -> None:
    async def wait() -> float:
        began_s = loop_time()
        await asyncio.sleep(1000 * DAY_S)
        return loop_time() - began_s

    began_s = time.monotonic()

    assert run_virtual(wait()) == pytest.approx(1000 * DAY_S)
    assert time.monotonic() - began_s < 60


def test_things_happen_in_the_order_of_their_times() -> None:
    told: list[tuple[str, float]] = []

    async def tell(name: str, *after_s: float) -> None:
        began_s = loop_time()
        for seconds in after_s:
            await asyncio.sleep(seconds)
            told.append((name, round(loop_time() - began_s, 6)))

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tell("a", 1, 2))
            tasks.create_task(tell("b", 0.02, 2))

    run_virtual(both())

    assert told == [("b", 0.02), ("a", 1), ("b", 2.02), ("a", 3)]


def test_a_timeout_is_virtual_too() -> None:
    async def wait() -> None:
        async with asyncio.timeout(DAY_S):
            await asyncio.sleep(2 * DAY_S)

    with pytest.raises(TimeoutError):
        run_virtual(wait())


def test_work_takes_no_time() -> None:
    async def work() -> float:
        began_s = loop_time()
        for _ in range(1000):
            await asyncio.sleep(0)
        return loop_time() - began_s

    assert run_virtual(work()) == 0


def test_what_is_left_at_the_end_is_cancelled_and_closed() -> None:
    told: list[str] = []

    async def linger() -> None:
        try:
            await asyncio.sleep(DAY_S)
        finally:
            told.append("cancelled")

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            told.append("closed")

    async def main() -> str:
        lingering = asyncio.ensure_future(linger())
        generator = numbers()
        await anext(generator)
        await asyncio.sleep(1)
        assert not lingering.done()
        return "done"

    assert run_virtual(main()) == "done"
    assert sorted(told) == ["cancelled", "closed"]


def test_what_the_coroutine_raises_comes_out() -> None:
    async def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_virtual(fail())


# ---- threads and sockets ----


def test_the_clock_stands_still_while_a_thread_works_for_the_loop() -> None:
    started, may_end = threading.Event(), threading.Event()
    told: list[str] = []

    def work() -> str:
        started.set()
        may_end.wait(30)
        told.append("worked")
        return "result"

    def let_it_end() -> None:
        # The timer has the whole of a thread's start to come too early.
        started.wait(30)
        may_end.set()

    async def main() -> tuple[str, float]:
        began_s = loop_time()
        asyncio.get_running_loop().call_later(0.001, told.append, "a millisecond later")
        asyncio.get_running_loop().call_soon(let_it_end)
        result = await asyncio.to_thread(work)
        stood_s = loop_time() - began_s
        await asyncio.sleep(1)
        return result, stood_s

    assert run_virtual(main()) == ("result", 0)
    assert told == ["worked", "a millisecond later"]


def test_time_goes_on_after_a_thread_that_failed() -> None:
    def fail() -> None:
        raise OSError("disk")

    async def main() -> float:
        began_s = loop_time()
        with pytest.raises(OSError, match="disk"):
            await asyncio.to_thread(fail)
        await asyncio.sleep(DAY_S)
        return loop_time() - began_s

    assert run_virtual(main()) == DAY_S


def test_a_strange_thread_may_wake_a_loop_that_has_nothing_else_to_do() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[str] = loop.create_future()
        threading.Thread(target=loop.call_soon_threadsafe, args=(told.set_result, "hello")).start()
        return await told

    assert run_virtual(main()) == "hello"


def test_sockets_work_where_no_timer_is_waited_for() -> None:
    async def main() -> bytes:
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            threading.Thread(target=there.sendall, args=(b"hello",)).start()
            return await asyncio.get_running_loop().sock_recv(here, 100)

    assert run_virtual(main()) == b"hello"


# ---- nothing left to happen ----


def test_a_deadlock_fails_at_once_names_who_waits_and_cleans_up() -> None:
    told: list[str] = []

    async def wait_for_nobody() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            told.append("cleaned up")

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wait_for_nobody(), name="forgotten")

    with pytest.raises(Deadlock, match=r"at 1000\.000 s; still waiting: .*forgotten"):
        run_virtual(main())
    assert told == ["cleaned up"]


def test_a_deadlock_beside_idle_threads_fails_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "OUTSIDE_WAIT_S", 0.05)

    async def main() -> None:
        await asyncio.to_thread(len, "leaves a thread of the pool behind")
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run_virtual(main())


def test_a_thread_that_takes_too_long_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "JOB_WAIT_S", 0.05)
    may_end = threading.Event()

    async def main() -> None:
        try:
            await asyncio.to_thread(may_end.wait, 30)
        finally:
            may_end.set()

    with pytest.raises(Deadlock):
        run_virtual(main())
