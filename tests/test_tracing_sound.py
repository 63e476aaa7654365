"""When the first of an item is heard, as the ledgers of the lines tell it."""

import asyncio

import pytest

from agents.realtime import SpokenItem
from agents.tracing.session_trace import TellsSound
from channels.line_clock import Span
from channels.memory import MemoryChannel
from channels.playback import Playback
from channels.twilio import TwilioChannel
from tests.scene import silence

FIRST, SECOND = SpokenItem("r1", "i1"), SpokenItem("r2", "i2")


def measured(round_trip_s: float) -> Playback:
    """A ledger whose line's round trip is known."""
    playback = Playback()
    name = playback.mark(10.0)
    back_at = 10.0 + round_trip_s
    playback.echoed(name, Span(back_at, back_at))
    return playback


def test_sound_on_a_silent_line_is_heard_half_a_round_trip_after_it_was_sent() -> None:
    playback = measured(0.08)

    playback.received(FIRST, 100)
    playback.sent(FIRST, 100, 20.0)

    assert playback.sounds_at(FIRST) == pytest.approx(20.04)


def test_sound_behind_other_sound_is_heard_when_that_was_played() -> None:
    playback = measured(0.08)
    for item, ms in ((FIRST, 3000), (SECOND, 200)):
        playback.received(item, ms)
        playback.sent(item, ms, 20.0)

    assert playback.sounds_at(SECOND) == pytest.approx(23.04)


def test_sound_on_a_line_that_ran_dry_is_heard_as_it_comes() -> None:
    playback = measured(0.08)
    for item, at in ((FIRST, 20.0), (SECOND, 25.0)):
        playback.received(item, 100)
        playback.sent(item, 100, at)

    assert playback.sounds_at(SECOND) == pytest.approx(25.04)


def test_nobody_knows_of_an_item_of_which_nothing_was_sent() -> None:
    playback = measured(0.08)

    playback.received(FIRST, 10)

    assert playback.sounds_at(FIRST) is None
    assert playback.sounds_at(SECOND) is None


def test_the_lines_tell_it_from_now_on() -> None:
    async def scene() -> None:
        line = MemoryChannel()
        assert isinstance(line, TellsSound)
        assert isinstance(TwilioChannel(), TellsSound)
        await line.send_audio(silence(1000), FIRST)
        await line.send_audio(silence(100), SECOND)
        line.play(400)
        assert line.sounds_in_s(SECOND) == pytest.approx(0.6)
        assert line.sounds_in_s(FIRST) == pytest.approx(-0.4)

    asyncio.run(scene())
