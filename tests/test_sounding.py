"""What is on the line is known item by item, through cuts that cut nothing and pauses that keep what comes."""

import asyncio
from collections.abc import Awaitable, Callable

from agents.events import Heard
from agents.realtime import SpokenItem
from agents.sounding import Sounding
from tests.scene import Ear, Line, audio_format, voice  # noqa: F401 the format is for all tests here

HELLO, BYE = SpokenItem("r1", "hello"), SpokenItem("r1", "bye")


class Watched(Ear):
    """A line that knows which items were ended on it."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[SpokenItem] = []

    async def end_audio(self, item: SpokenItem) -> None:
        self.ended.append(item)
        await super().end_audio(item)


def on(line: Callable[[], Line | None], test: Callable[[Sounding], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(Sounding(line(), keeps_audio=True))

    asyncio.run(main())


async def says(sounding: Sounding, item: SpokenItem, pcm: bytes) -> None:
    await sounding.play(item, pcm)
    await sounding.end(item)


async def paused(sounding: Sounding) -> None:
    pause = sounding.pause()
    assert pause is not None
    await sounding.silence(pause)


def test_an_item_sounds_until_the_line_says_that_it_was_heard() -> None:
    async def test(sounding: Sounding) -> None:
        await says(sounding, HELLO, voice(500))
        await says(sounding, BYE, voice(500))
        before = list(sounding.items)
        heard_ms = sounding.heard(Heard("hello", 0, 500, 500))

        assert (before, list(sounding.items), heard_ms) == ([HELLO, BYE], [BYE], 500)

    on(Line, test)


def test_a_cut_takes_all_that_sounds_and_may_give_it_back() -> None:
    async def test(sounding: Sounding) -> None:
        await says(sounding, HELLO, voice(500))
        cut = sounding.take()
        meanwhile = list(sounding.items)
        await sounding.play(BYE, voice(100))
        sounding.restore(cut)

        assert (dict(cut.items), meanwhile, list(sounding.items)) == ({HELLO: True}, [], [HELLO, BYE])

    on(Line, test)


def test_an_item_that_was_gone_on_with_is_heard_whole_after_a_cut_that_cut_nothing() -> None:
    line = Ear()

    async def test(sounding: Sounding) -> None:
        await says(sounding, HELLO, voice(500))
        line.play(200)
        await paused(sounding)
        await sounding.resume()
        sounding.restore(sounding.take())

        assert sounding.heard(Heard("hello", 0, 300, 300)) == 500

    on(lambda: line, test)


def test_during_a_pause_the_line_is_left_alone() -> None:
    line = Watched()

    async def test(sounding: Sounding) -> None:
        await sounding.play(HELLO, voice(500))
        line.play(200)
        await paused(sounding)
        sent_before = len(line.heard)
        await sounding.end(HELLO)
        await says(sounding, BYE, voice(300))
        during = len(line.heard) - sent_before, list(line.ended)
        await sounding.resume()
        line.play(10_000)

        assert during == (0, [])
        assert line.ended == [HELLO, BYE]
        assert bytes(line.ear) == voice(500) + voice(300)

    on(lambda: line, test)


def test_the_line_is_silenced_once_for_a_pause_that_becomes_a_cut() -> None:
    line = Ear()

    async def test(sounding: Sounding) -> None:
        await says(sounding, HELLO, voice(500))
        line.play(200)
        await paused(sounding)
        cut = sounding.take()
        await sounding.silence(cut)

        assert line.interruptions == 1
        assert await cut.unheard() == (Heard("hello", 0, 200, 500),)
        assert not (sounding.is_paused or sounding.is_heard)

    on(lambda: line, test)


def test_what_was_heard_out_before_a_pause_is_given_when_it_ends() -> None:
    line = Ear()

    async def test(sounding: Sounding) -> None:
        await says(sounding, HELLO, voice(500))
        await says(sounding, BYE, voice(500))
        line.play(495)  # of the first less is left than anybody can tell
        await paused(sounding)

        assert await sounding.resume() == (Heard("hello", 0, 500, 500),)
        assert list(sounding.items) == [BYE]

    on(lambda: line, test)


def test_a_line_whose_audio_is_not_kept_cannot_be_paused_nor_one_that_is_silent() -> None:
    async def main() -> None:
        unkept = Sounding(Line(), keeps_audio=False)
        await says(unkept, HELLO, voice(500))
        silent = Sounding(Line(), keeps_audio=True)

        assert (unkept.pause(), silent.pause()) == (None, None)
        assert await silent.resume() == ()

    asyncio.run(main())


def test_without_a_line_nothing_sounds() -> None:
    async def test(sounding: Sounding) -> None:
        await says(sounding, HELLO, voice(500))
        await sounding.wait_played(60)
        cut = sounding.take()
        await sounding.silence(cut)

        assert (sounding.has_line, sounding.is_heard, sounding.pause()) == (False, False, None)
        assert (dict(cut.items), await cut.unheard()) == ({}, ())

    on(lambda: None, test)
