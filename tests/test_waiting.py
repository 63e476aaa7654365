"""Waits that are bounded, one by one and many with one timer."""

import asyncio

import pytest

from agents.waiting import Patience, set_within
from channels.carrier.virtual_time import START_S, loop_time, run_virtual


def test_a_wait_for_an_event_says_whether_it_was_set_in_time() -> None:
    async def test() -> None:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(2, event.set)

        assert not await set_within(event, 1)
        assert await set_within(event, 5)
        assert loop_time() == START_S + 2

    run_virtual(test())


def test_a_block_that_lasts_too_long_ends_with_a_timeout_at_its_time() -> None:
    async def test() -> None:
        with pytest.raises(TimeoutError), Patience().at_most(3):
            await asyncio.Event().wait()

        assert loop_time() == START_S + 3

    run_virtual(test())


def test_blocks_that_end_in_time_are_left_alone_however_many_come() -> None:
    async def test() -> None:
        patience = Patience()
        for _ in range(100):
            with patience.at_most(3):
                await asyncio.sleep(2)

        assert loop_time() == START_S + 200

    run_virtual(test())


def test_a_later_block_ends_at_its_own_time_and_not_at_that_of_an_earlier_one() -> None:
    async def test() -> None:
        patience = Patience()
        with patience.at_most(3):
            await asyncio.sleep(2)
        with pytest.raises(TimeoutError), patience.at_most(3):
            await asyncio.Event().wait()

        assert loop_time() == START_S + 5

    run_virtual(test())


def test_a_shorter_wait_ends_at_its_own_time_when_a_longer_one_was_before_it() -> None:
    async def test() -> None:
        patience = Patience()
        with patience.at_most(10):
            await asyncio.sleep(1)
        with pytest.raises(TimeoutError), patience.at_most(2):
            await asyncio.Event().wait()

        assert loop_time() == START_S + 3

    run_virtual(test())


def test_a_block_can_be_given_an_earlier_or_a_later_end_while_it_waits() -> None:
    async def ended_at(due_at: float) -> float:
        patience = Patience()
        with pytest.raises(TimeoutError), patience.until(START_S + 5):
            asyncio.get_running_loop().call_later(1, patience.reschedule, due_at)
            await asyncio.Event().wait()
        return loop_time()

    assert run_virtual(ended_at(START_S + 2)) == START_S + 2
    assert run_virtual(ended_at(START_S + 50)) == START_S + 50


def test_who_is_cancelled_from_outside_is_cancelled_and_not_timed_out() -> None:
    async def test() -> None:
        async def wait() -> None:
            with Patience().at_most(3):
                await asyncio.Event().wait()

        task = asyncio.create_task(wait())
        await asyncio.sleep(1)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(test())


def test_who_is_cancelled_at_the_very_moment_of_the_timeout_is_cancelled() -> None:
    async def test() -> None:
        async def wait() -> None:
            with Patience().at_most(3):
                await asyncio.Event().wait()

        task = asyncio.create_task(wait())
        asyncio.get_running_loop().call_at(START_S + 3, task.cancel)

        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(test())


def test_an_error_inside_the_block_comes_out_as_it_is() -> None:
    async def test() -> None:
        with pytest.raises(ValueError, match="mine"), Patience().at_most(3):
            raise ValueError("mine")

    run_virtual(test())
