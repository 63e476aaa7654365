"""The line that blocks a loop is named: with made-up times, and by a thread that looks at a loop which stands."""

import asyncio
import logging
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import currentframe

import pytest

from gateway.blocked import BLOCKED_S, NO_LINE, STUCK_S, TELL_EVERY_S, BlockedLoop, line_of, watching
from gateway.loop_lag import LoopLoad, measuring


class Loop:
    """Comes round when it is told to. Its thread is the one of the test."""

    def __init__(self) -> None:
        self.came_round_at: float | None = 0.0
        self.blocked = BlockedLoop(lambda: self.came_round_at, threading.get_ident())

    def stand(self, since: float, until: float) -> None:
        """Is looked at while it stands, and after it has come round again."""
        self.came_round_at = since
        self.blocked.look(since + BLOCKED_S + 0.01)
        self.came_round_at = until
        self.blocked.look(until + 0.01)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "gateway.blocked"]


# ---- when a line is written ----


def test_a_loop_that_comes_round_is_not_blocked(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()
    for tick in range(100):
        loop.came_round_at = tick / 10
        loop.blocked.look(tick / 10 + BLOCKED_S - 0.001)

    assert lines(caplog) == []


def test_a_block_is_told_once_when_it_is_over_with_its_line_and_length(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()

    loop.stand(10.0, until=10.25)
    loop.blocked.look(10.3)

    [line] = lines(caplog)
    assert re.fullmatch(r"the event loop was blocked for 250 ms, by \S+blocked\.py:\d+ in _where", line)


def test_one_that_does_not_end_is_told_while_it_lasts_and_not_again(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()

    for now in (0.2, STUCK_S + 0.1, STUCK_S + 3):
        loop.blocked.look(now)
    loop.came_round_at = 9.0
    loop.blocked.look(9.01)

    [line] = lines(caplog)
    assert line.startswith("the event loop was blocked for 2.1 s and is still, by ")


def test_one_line_is_written_in_a_while_and_then_a_count(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()

    for block in range(8):
        loop.stand(0.9 * block, until=0.9 * block + 0.2)

    first, second = lines(caplog)
    assert TELL_EVERY_S == 5
    assert "more" not in first
    assert second.endswith("(5 more since the last such line)")


def test_while_nobody_measures_nothing_is_blocked(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop()
    loop.came_round_at = None

    loop.blocked.look(1000.0)

    assert lines(caplog) == []


def test_a_loop_that_is_gone_has_no_line(caplog: pytest.LogCaptureFixture) -> None:
    blocked, at = BlockedLoop(lambda: at[0], thread=0), [0.0]
    blocked.look(1.0)
    at[0] = 2.0
    blocked.look(2.0)

    assert lines(caplog) == ["the event loop was blocked for 2000 ms, by a thread that is gone"]


# ---- which line ----


def test_a_line_of_ours_stands_alone() -> None:
    frame = currentframe()
    assert frame

    assert line_of(frame) == f"{__file__}:{frame.f_lineno} in test_a_line_of_ours_stands_alone"


def test_where_nothing_is_ours_the_innermost_line_is_named() -> None:
    is_over = threading.Event()
    thread = threading.Thread(target=is_over.wait, daemon=True)
    thread.start()

    line = line_of(sys._current_frames()[thread.ident or 0])
    is_over.set()
    thread.join()

    assert re.fullmatch(r"\S+/threading\.py:\d+ in \w+", line)


def test_a_loop_that_runs_nothing_has_no_line() -> None:
    loop, is_running = asyncio.new_event_loop(), threading.Event()
    thread = threading.Thread(target=loop.run_forever)
    loop.call_soon(is_running.set)
    thread.start()
    is_running.wait(5)

    line, until = "", time.monotonic() + 5
    while line != NO_LINE and time.monotonic() < until:  # it may be on its way to where it waits
        line = line_of(sys._current_frames()[thread.ident or 0])
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()

    assert line == NO_LINE


# ---- a real loop ----


@contextmanager
def looked_after(caplog: pytest.LogCaptureFixture) -> Iterator[LoopLoad]:
    load = LoopLoad()
    with caplog.at_level(logging.WARNING), watching(lambda: load.came_round_at):
        yield load


def wait_for_a_lock() -> None:
    threading.Event().wait(2.5 * BLOCKED_S)


@pytest.mark.parametrize("block", [wait_for_a_lock, lambda: time.sleep(2.5 * BLOCKED_S)], ids=["library", "own"])
def test_a_blocked_loop_names_the_tests_own_line(block: object, caplog: pytest.LogCaptureFixture) -> None:
    async def serve(load: LoopLoad) -> None:
        async with measuring(load):
            await asyncio.sleep(0.03)
            assert callable(block)
            block()
            async with asyncio.timeout(5):
                while not lines(caplog):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    ours = f"{__file__}:{block.__code__.co_firstlineno + (block is wait_for_a_lock)} in "  # type: ignore[attr-defined]
    for _ in range(5):  # the machine may stop the whole process meanwhile, which is a block too, and told in its place
        caplog.clear()
        with looked_after(caplog) as load:
            asyncio.run(serve(load))
        if ours in lines(caplog)[0]:
            break

    assert ours in lines(caplog)[0]
    assert ("threading.py" in lines(caplog)[0]) == (block is wait_for_a_lock)


def test_the_thread_that_looks_on_is_gone_with_it(caplog: pytest.LogCaptureFixture) -> None:
    with looked_after(caplog):
        during = [thread.name for thread in threading.enumerate()]

    assert "blocked loop" in during
    assert "blocked loop" not in [thread.name for thread in threading.enumerate()]
