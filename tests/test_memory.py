"""The line without a telephone keeps the contract of a line, with an ear that a test moves."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from agents.errors import ChannelError
from agents.events import ChannelAudio, ChannelDigit, ChannelHeard, ChannelStarted, Heard
from agents.realtime import PCMU, RealtimeChannel, SpokenItem
from channels.memory import MemoryChannel

HELLO, GOODBYE = SpokenItem("r1", "hello"), SpokenItem("r2", "goodbye")
PCM_500_MS = bytes(24_000)


def run(test: Callable[[MemoryChannel], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        channel = MemoryChannel()
        assert await anext(channel) == ChannelStarted()
        await test(channel)

    asyncio.run(asyncio.wait_for(main(), 5))


async def speak(channel: MemoryChannel, item: SpokenItem) -> None:
    """Half a second of an item, from its first word to its last."""
    await channel.send_audio(PCM_500_MS, item)
    await channel.end_audio(item)


async def unheard(channel: MemoryChannel) -> tuple[Heard, ...]:
    """Interrupts the line, and gives what was cut off."""
    told = await channel.interrupt()
    assert told is not None
    return await told


def test_it_is_a_channel() -> None:
    assert isinstance(MemoryChannel(), RealtimeChannel)


# ---- the caller's side ----


def test_what_the_caller_does_comes_in_order_until_hanging_up() -> None:
    async def test(channel: MemoryChannel) -> None:
        channel.say(PCM_500_MS)
        channel.press("5")
        channel.hang_up()

        assert [event async for event in channel] == [ChannelAudio(PCM_500_MS), ChannelDigit("5")]

    run(test)


def test_a_broken_line_is_an_error() -> None:
    async def test(channel: MemoryChannel) -> None:
        channel.drop("the cable is cut")

        with pytest.raises(ChannelError, match="the cable is cut"):
            await anext(channel)

    run(test)


def test_closing_ends_an_iteration_that_waits() -> None:
    async def test(channel: MemoryChannel) -> None:
        async def listen() -> list[object]:
            return [event async for event in channel]

        listening = asyncio.ensure_future(listen())
        await asyncio.sleep(0)

        await channel.close()

        assert await listening == []
        assert channel.is_closed

    run(test)


# ---- the session's side ----


def test_audio_is_counted_by_its_format() -> None:
    async def test() -> None:
        channel = MemoryChannel(PCMU)
        await channel.send_audio(bytes(4000), HELLO)
        await channel.end_audio(HELLO)
        channel.play(125)

        assert channel.audio_format == PCMU
        assert await unheard(channel) == (Heard("hello", 0, 125, 500),)

    asyncio.run(test())


def test_all_audio_that_was_sent_can_be_looked_at_in_order() -> None:
    async def test(channel: MemoryChannel) -> None:
        await channel.send_audio(b"\x01\x02", HELLO)
        await channel.send_audio(b"\x03", HELLO)
        await channel.send_audio(b"\x04", GOODBYE)

        assert channel.heard == [(HELLO, b"\x01\x02"), (HELLO, b"\x03"), (GOODBYE, b"\x04")]

    run(test)


@pytest.mark.parametrize(("ms", "heard_ms"), [(0, 0), (125, 125), (250, 250), (490, 490)])
def test_an_interruption_tells_how_far_the_ear_had_come(ms: int, heard_ms: int) -> None:
    async def test(channel: MemoryChannel) -> None:
        await speak(channel, HELLO)
        channel.play(ms)

        assert await unheard(channel) == (Heard("hello", 0, heard_ms, 500),)
        assert channel.interruptions == 1

    run(test)


def test_of_an_item_with_less_than_half_a_frame_left_nothing_counts_as_unheard() -> None:
    async def test(channel: MemoryChannel) -> None:
        await speak(channel, HELLO)
        channel.play(491)

        assert await unheard(channel) == ()
        assert (channel.interruptions, channel.is_playing) == (1, False)

    run(test)


def test_an_item_heard_to_its_end_is_told_once() -> None:
    async def test(channel: MemoryChannel) -> None:
        await speak(channel, HELLO)
        channel.play_all()
        await channel.interrupt()
        channel.hang_up()

        assert [event async for event in channel] == [ChannelHeard(Heard("hello", 0, 500, 500))]

    run(test)


def test_an_item_that_was_cut_is_never_told_as_heard() -> None:
    async def test(channel: MemoryChannel) -> None:
        await speak(channel, HELLO)
        channel.play(250)
        await channel.interrupt()
        channel.play_all()
        channel.hang_up()

        assert [event async for event in channel] == []

    run(test)


def test_of_two_queued_items_the_first_is_at_its_position_and_the_second_at_0() -> None:
    async def test(channel: MemoryChannel) -> None:
        await speak(channel, HELLO)
        await speak(channel, GOODBYE)
        channel.play(250)

        assert await unheard(channel) == (Heard("hello", 0, 250, 500), Heard("goodbye", 0, 0, 500))

    run(test)


def test_an_interruption_of_a_silent_line_counts_for_nothing() -> None:
    async def test(channel: MemoryChannel) -> None:
        never_spoke = await channel.interrupt()
        await speak(channel, HELLO)
        channel.play_all()
        heard_out = await channel.interrupt()

        assert (never_spoke, heard_out, channel.interruptions) == (None, None, 0)

    run(test)


def test_of_two_interruptions_the_second_counts_for_nothing() -> None:
    async def test(channel: MemoryChannel) -> None:
        await speak(channel, HELLO)
        await channel.interrupt()

        assert await channel.interrupt() is None
        assert channel.interruptions == 1

    run(test)


def test_after_an_interruption_the_next_reply_starts_at_0() -> None:
    async def test(channel: MemoryChannel) -> None:
        await speak(channel, HELLO)
        channel.play(250)
        await channel.interrupt()
        await speak(channel, GOODBYE)
        channel.play(125)

        assert await unheard(channel) == (Heard("goodbye", 0, 125, 500),)

    run(test)


def test_the_ear_cannot_hear_more_than_was_sent() -> None:
    async def test(channel: MemoryChannel) -> None:
        channel.play(10_000)
        await speak(channel, HELLO)

        assert channel.is_playing
        assert await unheard(channel) == (Heard("hello", 0, 0, 500),)

    run(test)


def test_the_line_plays_until_all_was_heard() -> None:
    async def test(channel: MemoryChannel) -> None:
        states = [channel.is_playing]
        await speak(channel, HELLO)
        for _ in range(2):
            states.append(channel.is_playing)
            channel.play(250)

        assert states == [False, True, True]
        assert not channel.is_playing

    run(test)


def test_an_item_without_an_end_goes_on_playing() -> None:
    async def test(channel: MemoryChannel) -> None:
        await channel.send_audio(PCM_500_MS, HELLO)
        channel.play_all()
        before = channel.is_playing

        await channel.end_audio(HELLO)

        assert before
        assert not channel.is_playing

    run(test)


def test_waiting_ends_when_the_caller_has_heard_everything() -> None:
    async def test(channel: MemoryChannel) -> None:
        await speak(channel, HELLO)
        waiting = asyncio.ensure_future(channel.wait_played(5))
        channel.play(499)
        await asyncio.sleep(0)
        was_early = waiting.done()

        channel.play(1)

        assert not was_early
        assert await waiting

    run(test)


def test_waiting_gives_up_when_the_time_runs_out() -> None:
    async def test(channel: MemoryChannel) -> None:
        await speak(channel, HELLO)

        assert not await channel.wait_played(0.01)

    run(test)


@pytest.mark.parametrize("end", [MemoryChannel.interrupt, MemoryChannel.close])
def test_waiting_ends_when_the_audio_is_dropped_or_the_line_is_over(
    end: Callable[[MemoryChannel], Coroutine[Any, Any, object]],
) -> None:
    async def test(channel: MemoryChannel) -> None:
        await speak(channel, HELLO)
        waiting = asyncio.ensure_future(channel.wait_played(5))
        await asyncio.sleep(0)

        await end(channel)

        assert await waiting
        assert not channel.is_playing

    run(test)
