"""What a cut took from the caller is told in milliseconds of whole items, however often the line began them anew."""

import asyncio
from collections.abc import Awaitable

import pytest

from agents.cut import Cut
from agents.events import Heard
from agents.realtime import SpokenItem

HELLO, BYE = SpokenItem("r1", "hello"), SpokenItem("r1", "bye")


async def told(*heard: Heard) -> tuple[Heard, ...]:
    return heard


def unheard(cut: Cut, line: Awaitable[tuple[Heard, ...]] | None) -> tuple[Heard, ...]:
    async def ask() -> tuple[Heard, ...]:
        cut.ask(line)
        return await cut.unheard()

    return asyncio.run(ask())


def test_what_the_line_tells_is_what_was_not_heard() -> None:
    heard = Heard("hello", 0, 300, 1000)

    assert unheard(Cut({HELLO: True}, {}), told(heard)) == (heard,)


def test_an_item_that_the_line_began_in_its_middle_is_counted_from_its_beginning() -> None:
    cut = Cut({HELLO: True, BYE: True}, {HELLO: 250})

    assert unheard(cut, told(Heard("hello", 0, 100, 750), Heard("bye", 0, 0, 500))) == (
        Heard("hello", 0, 350, 1000),
        Heard("bye", 0, 0, 500),
    )


def test_an_item_with_an_end_that_the_line_does_not_tell_of_was_heard() -> None:
    assert unheard(Cut({HELLO: True}, {}), told()) == ()


def test_an_item_without_an_end_that_the_line_does_not_tell_of_never_reached_it() -> None:
    cut = Cut({HELLO: True, BYE: False}, {BYE: 40})

    assert unheard(cut, told(Heard("hello", 0, 300, 1000))) == (
        Heard("hello", 0, 300, 1000),
        Heard("bye", 0, 40, 40),
    )


@pytest.mark.parametrize("bytes_per_ms", [8, 48])
def test_items_that_came_after_the_line_was_silenced_were_not_heard(bytes_per_ms: int) -> None:
    cut = Cut({HELLO: True}, {}, {HELLO: 1000 * bytes_per_ms})
    cut.take_unsent({HELLO: 1000 * bytes_per_ms, BYE: 100 * bytes_per_ms}, bytes_per_ms)

    assert unheard(cut, told(Heard("hello", 0, 300, 1000))) == (Heard("hello", 0, 300, 1000), Heard("bye", 0, 0, 100))


def test_a_line_that_had_nothing_to_silence_cut_nothing() -> None:
    cut = Cut({HELLO: True}, {})
    before = cut.is_known

    assert (unheard(cut, None), before, cut.is_known) == ((), False, True)


def test_who_is_cancelled_while_waiting_leaves_the_word_of_the_line_to_others() -> None:
    async def ask() -> None:
        word: asyncio.Future[tuple[Heard, ...]] = asyncio.get_running_loop().create_future()
        cut = Cut({HELLO: True}, {})
        cut.ask(word)
        impatient, patient = asyncio.create_task(cut.unheard()), asyncio.create_task(cut.unheard())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait({impatient})

        word.set_result((Heard("hello", 0, 1, 2),))

        assert impatient.cancelled()
        assert await patient == (Heard("hello", 0, 1, 2),)

    asyncio.run(ask())
