"""The line to a caller on Twilio: whole frames, marks, one clear, and an end in every state."""

import asyncio
import itertools
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from agents.audio import DELAY_MS, PCM_BYTES_PER_MS
from agents.errors import ChannelError, NotSupportedError
from agents.events import (
    ChannelAudio,
    ChannelAway,
    ChannelBack,
    ChannelDigit,
    ChannelEvent,
    ChannelHeard,
    ChannelStarted,
    Heard,
)
from agents.mulaw import FRAME_BYTES, FRAME_MS, RATE_HZ, SILENCE, PcmToUlaw, UlawToPcm
from agents.realtime import PCM, PCMU, AudioFormat, RealtimeChannel, SpokenItem
from channels.carrier.virtual_time import START_S, Deadlock, loop_time, run_virtual
from channels.carrier.wire import Clear, MarkRequest, Play
from channels.carrier.wire import decode as decode_as_twilio
from channels.cut_wait import CutWait
from channels.media_socket import SEND_TIMEOUT_S
from channels.playback import MARK_EVERY_MS, MAX_CUTS, Playback
from channels.streams import LEAVE_TIMEOUT_S
from channels.twilio import FENCE_TIMEOUT_S, MARK_GRACE_S, TAKEN_AFTER_S, TwilioChannel
from tests.phone_line import STREAM, PhoneLine

HELLO, GOODBYE = SpokenItem("r1", "hello"), SpokenItem("r2", "goodbye")
ULAW_BYTES_PER_MS = RATE_HZ // 1000
STOP = '{"event":"stop"}'
A_MOMENT_AGO = -1
"""Milliseconds: what comes from a line that sends no frames is taken to have waited, half of the least that can be."""


class Phone:
    """A channel, the line it is on, and its clock, which a test moves on from that of the loop."""

    def __init__(self, audio_format: AudioFormat = PCM) -> None:
        self.ahead_s = 0.0
        self.channel = TwilioChannel(lambda: self.now, audio_format)
        self.line = PhoneLine()
        self.heard: list[Heard] = []
        self._played_ms = 0.0
        self._timestamps = itertools.count(53, FRAME_MS)

    @property
    def now(self) -> float:
        return loop_time() + self.ahead_s

    @now.setter
    def now(self, now: float) -> None:
        self.ahead_s = now - loop_time()

    async def connect(self) -> None:
        await self.line.websocket.accept()
        self.line.sent.clear()
        self.channel.attach(self.line.socket, STREAM)

    async def echo(self, *names: str) -> None:
        """Marks come back. The key behind them shows that the channel has seen them; `heard` has what it tells."""
        for name in names:
            self.line.say(mark(name))
        self.press("0")
        while isinstance(event := await anext(self.channel), ChannelHeard):
            self.heard.append(event.heard)
        assert event == ChannelDigit("0")

    async def play(self, ms: float) -> None:
        """Time goes on, and the marks that the phone reaches come back as it does."""
        until_ms = self._played_ms + ms
        for name, position_ms in self._ahead().items():
            if self._played_ms < position_ms <= until_ms:
                self.now += (position_ms - self._played_ms) / 1000
                self._played_ms = position_ms
                await self.echo(name)
        self.now += (until_ms - self._played_ms) / 1000
        self._played_ms = until_ms

    async def cut(self) -> tuple[Heard, ...]:
        """Interrupts, and returns the marks as Twilio does then, the one behind the clear as the last."""
        ahead = self.ahead_marks
        told = await self.channel.interrupt()
        assert told is not None
        await self.echo(*ahead, self.line.marks[-1])
        self._played_ms = 0
        return await told

    @property
    def ahead_marks(self) -> list[str]:
        return [name for name, position_ms in self._ahead().items() if position_ms > self._played_ms]

    def _ahead(self) -> dict[str, float]:
        """Where each mark is that was sent since the last clear."""
        position_ms, marks = 0.0, dict[str, float]()
        for message in self.line.messages:
            match message:
                case {"event": "media", "media": {"payload": payload}}:
                    position_ms += len(b64decode(payload)) / ULAW_BYTES_PER_MS
                case {"event": "mark", "mark": {"name": name}}:
                    marks[name] = position_ms
                case _:
                    position_ms, marks = 0.0, {}
        return marks

    @property
    def lengths_ms(self) -> list[int]:
        """Of each message of audio that Twilio was sent."""
        return [len(payload) // ULAW_BYTES_PER_MS for payload in self.line.payloads]

    def press(self, digit: str) -> None:
        self.line.say(f'{{"event":"dtmf","dtmf":{{"track":"inbound_track","digit":"{digit}"}}}}')

    def speak(self, ulaw: bytes, timestamp_ms: int | None = None, track: str = "inbound") -> None:
        timestamp_ms = next(self._timestamps) if timestamp_ms is None else timestamp_ms
        payload = b64encode(ulaw).decode()
        self.line.say(
            f'{{"event":"media","media":{{"track":"{track}","timestamp":"{timestamp_ms}","payload":"{payload}"}}}}'
        )


def run(test: Callable[[Phone], Coroutine[Any, Any, None]], audio_format: AudioFormat = PCM) -> None:
    """Runs a test on a phone whose stream has begun, and whose opening mark took no time to come back."""

    async def main() -> None:
        phone = Phone(audio_format)
        await phone.connect()
        assert await anext(phone.channel) == ChannelStarted()
        await phone.echo(*phone.line.marks)
        phone.line.sent.clear()
        await test(phone)

    run_virtual(main())


def run_before_arrival(test: Callable[[Phone], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await test(Phone())

    run_virtual(main())


def mark(name: str) -> str:
    return f'{{"event":"mark","streamSid":"{STREAM}","mark":{{"name":"{name}"}}}}'


async def turns_of_the_loop(count: int = 20) -> None:
    """Lets what can run now, run."""
    for _ in range(count):
        await asyncio.sleep(0)


def voice(ms: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(-9_000, 9_000, ms * 24).astype("<i2").tobytes()


def on_the_phone(pcm: bytes) -> bytes:
    """What one item sounds like: all of it, and silence up to a whole frame."""
    encoder = PcmToUlaw()
    ulaw = encoder.feed(pcm) + encoder.flush()
    return ulaw + bytes([SILENCE]) * (-len(ulaw) % FRAME_BYTES)


# ---- what the caller hears ----


def test_it_is_a_channel() -> None:
    async def test(phone: Phone) -> None:
        assert isinstance(phone.channel, RealtimeChannel)

    run_before_arrival(test)


def test_audio_goes_out_in_whole_frames_and_the_remainder_waits_for_more() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(FRAME_MS), HELLO)
        too_short = phone.line.payloads
        await phone.channel.send_audio(voice(FRAME_MS), HELLO)

        assert too_short == []
        assert [len(payload) for payload in phone.line.payloads] == [FRAME_BYTES]

    run(test)


def test_the_remainder_is_flushed_at_the_end_and_padded_with_silence() -> None:
    async def test(phone: Phone) -> None:
        pcm = voice(30)
        await phone.channel.send_audio(pcm, HELLO)
        await phone.channel.end_audio(HELLO)

        first, last = phone.line.payloads
        assert first + last == on_the_phone(pcm)
        assert last[-80:] == b"\xff" * 80
        assert last[-81] != 0xFF

    run(test)


def test_all_that_is_sent_is_what_twilio_documents() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(450), HELLO)
        await phone.channel.interrupt()

        kinds = [type(decode_as_twilio(message["text"])) for message in phone.line.sent]
        assert kinds == [Play, MarkRequest] * 5 + [Clear, MarkRequest]
        assert {message["streamSid"] for message in phone.line.messages} == {STREAM}

    run(test)


def test_messages_grow_from_a_frame_to_200_ms_and_a_mark_follows_each() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1_000), HELLO)
        await phone.channel.end_audio(HELLO)

        assert phone.line.events == ["media", "mark"] * 9
        assert phone.lengths_ms == [20, 40, 80, 160, 200, 200, 200, 80, 20]
        assert MARK_EVERY_MS == 200

    run(test)


def test_marks_are_unique_per_stream() -> None:
    async def test(phone: Phone) -> None:
        for item in (HELLO, GOODBYE):
            await phone.channel.send_audio(voice(1_000), item)
            await phone.channel.interrupt()

        assert len(set(phone.line.marks)) == len(phone.line.marks) == 18

    run(test)


def test_audio_of_the_next_item_follows_the_whole_of_the_last() -> None:
    async def test(phone: Phone) -> None:
        for item, seed in ((HELLO, 1), (GOODBYE, 2)):
            await phone.channel.send_audio(voice(130, seed), item)
            await phone.channel.end_audio(item)

        assert b"".join(phone.line.payloads) == on_the_phone(voice(130, 1)) + on_the_phone(voice(130, 2))

    run(test)


def test_messages_grow_again_after_a_pause_in_which_the_line_ran_dry() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(500), HELLO)
        await phone.play(480)
        phone.now += 0.3
        phone.line.sent.clear()

        await phone.channel.send_audio(voice(500), HELLO)

        assert phone.lengths_ms[:4] == [20, 40, 80, 160]

    run(test)


def test_messages_stay_long_while_the_line_has_enough_to_play() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(2_000), HELLO)
        await phone.play(1_000)
        phone.line.sent.clear()

        await phone.channel.send_audio(voice(1_000), HELLO)

        assert phone.lengths_ms == [200] * 5

    run(test)


def test_what_is_held_back_is_sent_with_the_next_piece_in_whole_frames() -> None:
    async def test(phone: Phone) -> None:
        for _ in range(50):
            await phone.channel.send_audio(voice(7), HELLO)
            phone.now += 0.007

        assert sum(phone.lengths_ms) == 340
        assert {length_ms % FRAME_MS for length_ms in phone.lengths_ms} == {0}
        assert phone.line.events == ["media", "mark"] * len(phone.lengths_ms)

    run(test)


def test_an_item_that_was_not_ended_ends_when_the_next_begins() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(130, 1), HELLO)
        await phone.channel.send_audio(voice(130, 2), GOODBYE)
        await phone.channel.end_audio(HELLO)
        await phone.channel.end_audio(GOODBYE)

        assert b"".join(phone.line.payloads) == on_the_phone(voice(130, 1)) + on_the_phone(voice(130, 2))

    run(test)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 9_601), max_size=6))
def test_odd_byte_pieces_are_carried_over_and_not_dropped(cuts: list[int]) -> None:
    pcm = voice(200) + b"\x01"
    edges = [0, *sorted(cuts), len(pcm)]

    async def test(phone: Phone) -> None:
        for start, end in itertools.pairwise(edges):
            await phone.channel.send_audio(pcm[start:end], HELLO)
        await phone.channel.end_audio(HELLO)

        assert b"".join(phone.line.payloads) == on_the_phone(pcm)
        assert {len(payload) % FRAME_BYTES for payload in phone.line.payloads} == {0}

    run(test)


def test_ending_an_item_that_is_not_playing_sends_nothing() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.end_audio(HELLO)

        assert phone.line.sent == []
        assert not phone.channel.is_playing

    run(test)


# ---- before the stream is there ----


def test_nothing_is_sent_before_the_stream_is_known_and_then_all_in_order() -> None:
    async def test(phone: Phone) -> None:
        async def speak() -> None:
            await phone.channel.send_audio(voice(100, 1), HELLO)
            await phone.channel.end_audio(HELLO)

        speaking = asyncio.ensure_future(speak())
        await turns_of_the_loop()
        before = list(phone.line.sent)
        await phone.connect()
        await speaking

        assert before == []
        assert b"".join(phone.line.payloads) == on_the_phone(voice(100, 1))

    run_before_arrival(test)


def test_the_first_thing_sent_is_a_mark_that_tells_the_round_trip() -> None:
    async def test(phone: Phone) -> None:
        await phone.connect()
        await anext(phone.channel)
        opening = phone.line.events
        phone.now += 0.25
        await phone.echo(*phone.line.marks)
        await phone.channel.send_audio(voice(1_000), HELLO)
        phone.now += 0.5
        await end_line(phone, "stop")

        told = await phone.channel.interrupt()

        # The audio took a quarter of a second to be heard, and news of it to be back.
        assert opening == ["mark"]
        assert told is not None
        assert [each.heard_ms for each in await told] == pytest.approx([250], abs=2)

    run_before_arrival(test)


def test_the_opening_mark_goes_before_a_greeting_that_waited_for_the_stream() -> None:
    async def test(phone: Phone) -> None:
        speaking = asyncio.ensure_future(phone.channel.send_audio(voice(100), HELLO))
        await turns_of_the_loop()
        await phone.connect()
        await speaking
        await anext(phone.channel)

        assert phone.line.events[:2] == ["mark", "media"]
        assert phone.line.events.count("mark") == 1 + phone.line.events.count("media")

    run_before_arrival(test)


def test_the_first_event_is_that_the_line_is_there() -> None:
    async def test(phone: Phone) -> None:
        waiting = asyncio.ensure_future(anext(phone.channel))
        await turns_of_the_loop()
        was_early = waiting.done()
        await phone.connect()

        assert not was_early
        assert await waiting == ChannelStarted()

    run_before_arrival(test)


def test_a_stream_that_does_not_come_in_time_is_an_error() -> None:
    async def test(phone: Phone) -> None:
        with pytest.raises(ChannelError, match="no media stream came within 15 s"):
            await anext(phone.channel)
        with pytest.raises(ChannelError, match="no media stream came within 15 s"):
            await phone.channel.send_audio(voice(100), HELLO)

    run_before_arrival(test)


def test_a_second_stream_is_refused() -> None:
    async def test(phone: Phone) -> None:
        with pytest.raises(ChannelError, match="media stream already"):
            phone.channel.attach(PhoneLine().socket, STREAM)

    run(test)


def test_a_stream_that_comes_after_the_end_is_refused() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.close()

        with pytest.raises(ChannelError, match="is over"):
            phone.channel.attach(phone.line.socket, STREAM)

    run_before_arrival(test)


def test_an_interruption_before_the_stream_is_there_does_not_wait_for_it() -> None:
    async def test(phone: Phone) -> None:
        speaking = asyncio.ensure_future(phone.channel.send_audio(voice(100), HELLO))
        await turns_of_the_loop()

        told = await phone.channel.interrupt()
        assert told is not None
        heard = await told
        await phone.connect()
        await speaking

        assert heard == (Heard("hello", 0, 0, 100),)
        assert phone.line.payloads == []
        assert not phone.channel.is_playing

    run_before_arrival(test)


def test_the_tail_of_a_reply_interrupted_before_the_stream_came_is_not_in_the_next() -> None:
    async def test(phone: Phone) -> None:
        speaking = asyncio.ensure_future(phone.channel.send_audio(voice(110, 1), HELLO))
        await turns_of_the_loop()
        interrupting = asyncio.ensure_future(phone.channel.interrupt())
        await turns_of_the_loop()
        await phone.connect()
        await asyncio.gather(speaking, interrupting)
        phone.line.sent.clear()

        await phone.channel.send_audio(voice(110, 2), GOODBYE)
        await phone.channel.end_audio(GOODBYE)

        assert b"".join(phone.line.payloads) == on_the_phone(voice(110, 2))

    run_before_arrival(test)


# ---- interruption ----


def test_an_interruption_sends_one_clear_and_tells_what_was_heard() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1_000), HELLO)
        await phone.play(250)

        heard = await phone.cut()

        assert heard == (Heard("hello", 0, A_MOMENT_AGO + 250, 1_000),)
        assert phone.line.messages[-2] == {"event": "clear", "streamSid": STREAM}
        assert phone.line.events[-3:] == ["mark", "clear", "mark"]

    run(test)


def test_two_interruptions_in_a_row_cause_one_clear() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1_000), HELLO)

        first, second = await phone.channel.interrupt(), await phone.channel.interrupt()

        assert (first is None, second) == (False, None)
        assert phone.line.events.count("clear") == 1

    run(test)


def test_an_interruption_of_a_silent_line_sends_nothing() -> None:
    async def test(phone: Phone) -> None:
        never_spoke = await phone.channel.interrupt()
        await phone.channel.send_audio(voice(100), HELLO)
        await phone.channel.end_audio(HELLO)
        await phone.echo(*phone.line.marks)
        phone.line.sent.clear()
        heard_out = await phone.channel.interrupt()

        assert (never_spoke, heard_out) == (None, None)
        assert phone.line.sent == []

    run(test)


def test_an_interruption_after_the_model_is_done_still_clears_what_the_phone_plays() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1_000), HELLO)
        await phone.channel.end_audio(HELLO)
        await phone.play(510)

        assert await phone.cut() == (Heard("hello", 0, A_MOMENT_AGO + 510, 1_000),)
        assert phone.line.events[-2:] == ["clear", "mark"]

    run(test)


def test_audio_that_is_still_held_back_counts_as_not_heard() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(10), HELLO)

        assert phone.channel.is_playing
        assert await phone.cut() == (Heard("hello", 0, 0, 10),)

    run(test)


def test_no_tail_of_the_old_reply_is_in_the_next() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(111, 1), HELLO)
        await phone.channel.interrupt()
        phone.line.sent.clear()

        await phone.channel.send_audio(voice(111, 2), GOODBYE)
        await phone.channel.end_audio(GOODBYE)

        assert b"".join(phone.line.payloads) == on_the_phone(voice(111, 2))

    run(test)


def test_ending_an_interrupted_item_sends_nothing() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(111), HELLO)
        await phone.channel.interrupt()
        phone.line.sent.clear()

        await phone.channel.end_audio(HELLO)

        assert phone.line.sent == []
        assert not phone.channel.is_playing

    run(test)


def test_nothing_follows_a_clear_that_overtakes_audio_on_a_full_socket() -> None:
    async def test(phone: Phone) -> None:
        phone.line.takes.clear()
        speaking = asyncio.ensure_future(phone.channel.send_audio(voice(1_000), HELLO))
        await turns_of_the_loop()
        interrupting = asyncio.ensure_future(phone.channel.interrupt())
        await turns_of_the_loop()

        phone.line.takes.set()
        await asyncio.gather(speaking, interrupting)

        assert phone.line.events == ["media", "clear", "mark"]
        assert not phone.channel.is_playing

    run(test)


def test_the_next_reply_waits_behind_a_clear_and_its_mark_on_a_full_socket() -> None:
    async def test(phone: Phone) -> None:
        phone.line.takes.clear()
        speaking = asyncio.ensure_future(phone.channel.send_audio(voice(1_000, 1), HELLO))
        await turns_of_the_loop()
        silencing = asyncio.ensure_future(silenced(phone))
        await turns_of_the_loop()
        replying = asyncio.ensure_future(phone.channel.send_audio(voice(60, 2), GOODBYE))
        await turns_of_the_loop()

        phone.line.takes.set()
        await asyncio.gather(speaking, silencing, replying)

        assert phone.line.events == ["media", "clear", "mark", "media", "mark", "media", "mark"]
        assert b"".join(phone.line.payloads[1:]) == on_the_phone(voice(60, 2))[: 2 * FRAME_BYTES]

    run(test)


class DrainingLine(PhoneLine):
    """A socket that takes each message at once and then keeps its sender waiting."""

    async def _take(self, message: Message) -> None:
        self.sent.append(message)
        await self.takes.wait()


def test_nothing_comes_between_a_clear_and_its_mark() -> None:
    async def test(phone: Phone) -> None:
        phone.line = DrainingLine()
        await phone.connect()
        await phone.channel.send_audio(voice(100, 1), HELLO)
        phone.line.takes.clear()
        silencing = asyncio.ensure_future(silenced(phone))
        await turns_of_the_loop()
        replying = asyncio.ensure_future(phone.channel.send_audio(voice(60, 2), GOODBYE))
        await turns_of_the_loop()

        phone.line.takes.set()
        await asyncio.gather(silencing, replying)

        behind = phone.line.events[phone.line.events.index("clear") :]
        assert behind == ["clear", "mark", "media", "mark", "media", "mark"]

    run_before_arrival(test)


def test_the_next_item_of_an_interrupted_reply_does_not_follow_the_clear() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(110, 1), HELLO)
        phone.line.takes.clear()
        speaking = asyncio.ensure_future(phone.channel.send_audio(voice(110, 2), GOODBYE))
        await turns_of_the_loop()
        interrupting = asyncio.ensure_future(phone.channel.interrupt())
        await turns_of_the_loop()

        phone.line.takes.set()
        await asyncio.gather(speaking, interrupting)

        assert "media" not in phone.line.events[phone.line.events.index("clear") :]
        assert not phone.channel.is_playing

    run(test)


def test_what_was_heard_is_known_when_the_mark_behind_the_clear_is_back_and_not_before() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1_000), HELLO)
        await phone.play(250)
        ahead = phone.ahead_marks
        told = await phone.channel.interrupt()
        assert told is not None
        waiting = asyncio.ensure_future(once(told))
        await phone.echo(*ahead)
        await turns_of_the_loop()
        was_early = waiting.done()

        await phone.echo(phone.line.marks[-1])

        assert not was_early
        assert await waiting == (Heard("hello", 0, A_MOMENT_AGO + 250, 1_000),)
        assert loop_time() == START_S

    run(test)


def test_a_fence_that_never_comes_is_waited_for_a_second_and_the_clock_believed() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1_000), HELLO)
        phone.now += 0.375

        told = await phone.channel.interrupt()

        assert told is not None
        assert await told == (Heard("hello", 0, 375, 1_000),)
        assert loop_time() == START_S + FENCE_TIMEOUT_S == START_S + 1

    run(test)


async def cut_on_a_full_socket(phone: Phone, full_s: float) -> Awaitable[tuple[Heard, ...]]:
    """Interrupts 375 ms into ten seconds of audio, on a socket that takes nothing for so long."""
    await phone.channel.send_audio(voice(10_000), HELLO)
    phone.now += 0.375
    phone.line.takes.clear()
    interrupting = asyncio.ensure_future(phone.channel.interrupt())
    await asyncio.sleep(full_s)
    phone.line.takes.set()
    told = await interrupting
    assert told is not None
    return told


def test_the_wait_for_a_fence_begins_when_it_has_left() -> None:
    async def test(phone: Phone) -> None:
        told = await cut_on_a_full_socket(phone, 3.0)
        waiting = asyncio.ensure_future(once(told))
        await asyncio.sleep(FENCE_TIMEOUT_S - 0.01)
        assert not waiting.done()

        await waiting

        assert loop_time() == START_S + 3.0 + FENCE_TIMEOUT_S

    run(test)


def test_what_a_cut_was_by_the_clock_is_reckoned_for_the_moment_at_which_its_clear_left() -> None:
    async def test(phone: Phone) -> None:
        told = await cut_on_a_full_socket(phone, 3.0)

        assert await told == (Heard("hello", 0, 3_375, 10_000),)

    run(test)


def test_a_line_that_ends_while_its_clear_waits_was_heard_until_its_end() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(10_000), HELLO)
        phone.now += 0.375
        phone.line.takes.clear()
        interrupting = asyncio.ensure_future(phone.channel.interrupt())
        await asyncio.sleep(1.0)
        phone.channel.end()
        await asyncio.sleep(1.0)
        phone.line.takes.set()
        told = await interrupting

        assert told is not None
        assert await told == (Heard("hello", 0, 1_375, 10_000),)
        assert loop_time() == START_S + 2.0

    run(test)


def test_a_fence_that_comes_when_nobody_waits_any_more_changes_nothing() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1_000), HELLO)
        phone.now += 0.375
        told = await phone.channel.interrupt()
        assert told is not None
        by_clock = await told

        await phone.echo(phone.line.marks[-1])

        assert await told == by_clock

    run(test)


def test_a_cut_whose_fence_was_lost_is_told_when_the_next_is_back() -> None:
    async def test(phone: Phone) -> None:
        waits = []
        for item in (HELLO, GOODBYE):
            await phone.channel.send_audio(voice(1_000), item)
            waits.append(asyncio.ensure_future(silenced(phone)))
            await turns_of_the_loop()

        await phone.echo(phone.line.marks[-1])

        assert [heard.item_id for wait in waits for heard in await wait] == ["hello", "goodbye"]
        assert loop_time() == START_S

    run(test)


def test_a_fence_that_comes_back_without_having_been_sent_hurts_nobody() -> None:
    async def test(phone: Phone) -> None:
        speaking = asyncio.ensure_future(phone.channel.send_audio(voice(100), HELLO))
        await turns_of_the_loop()
        await phone.channel.interrupt()
        await phone.connect()
        await speaking
        await anext(phone.channel)

        await phone.echo("m1", "m2", "m3")

        assert phone.line.events == ["mark"]

    run_before_arrival(test)


def test_marks_that_waited_for_our_own_loop_are_dated_by_the_frames_that_came_with_them() -> None:
    async def test(phone: Phone) -> None:
        begin = phone.now
        for number in range(10):
            phone.now = begin + number * FRAME_MS / 1000
            phone.speak(b"\xff" * FRAME_BYTES)
            await anext(phone.channel)
        await phone.channel.send_audio(voice(1_000), HELLO)
        sent_at_ms = 9 * FRAME_MS
        phone.now = begin + 0.5  # nothing was read meanwhile
        reached = {20: phone.line.marks[0], 60: phone.line.marks[1], 140: phone.line.marks[2], 300: phone.line.marks[3]}
        for number in range(10, 26):
            for position_ms in [each for each in reached if sent_at_ms + each < number * FRAME_MS]:
                phone.line.say(mark(reached.pop(position_ms)))
            phone.speak(b"\xff" * FRAME_BYTES)
            while not isinstance(await anext(phone.channel), ChannelAudio):
                pass

        told = await phone.channel.interrupt()
        assert told is not None
        await phone.echo(phone.line.marks[-1])

        assert reached == {}
        assert [each.heard_ms for each in await told] == pytest.approx([500 - sent_at_ms], abs=FRAME_MS / 2)

    run(test)


def test_one_who_stops_waiting_takes_nothing_from_the_others() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1_000), HELLO)
        await phone.play(250)
        ahead = phone.ahead_marks
        told = await phone.channel.interrupt()
        assert told is not None
        leaving, staying = asyncio.ensure_future(once(told)), asyncio.ensure_future(once(told))
        await turns_of_the_loop()

        leaving.cancel()
        await phone.echo(*ahead, phone.line.marks[-1])

        expected = (Heard("hello", 0, A_MOMENT_AGO + 250, 1_000),)
        assert [await staying, await told, await told] == [expected] * 3
        assert leaving.cancelled()

    run(test)


def test_a_cut_that_is_known_leaves_no_timer_behind() -> None:
    async def main() -> None:
        phone = Phone()
        await phone.connect()
        await anext(phone.channel)
        await phone.channel.send_audio(voice(1_000), HELLO)
        await phone.cut()
        await asyncio.Event().wait()

    # What happens last is the look of the socket's Patience, which finds that nobody waits.
    with pytest.raises(Deadlock, match=f"nothing is left to happen at {START_S + SEND_TIMEOUT_S:.3f} s"):
        run_virtual(main())


def test_a_cut_that_is_known_has_stopped_its_own_timer() -> None:
    async def main() -> None:
        wait = CutWait(Playback().clear(START_S))
        wait.expect(5 * SEND_TIMEOUT_S)
        wait.end()
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=f"nothing is left to happen at {START_S:.3f} s"):
        run_virtual(main())


def test_a_caller_who_hangs_up_while_a_cut_waits_ends_the_wait() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1_000), HELLO)
        phone.now += 0.25
        told = await phone.channel.interrupt()
        assert told is not None
        phone.line.say(STOP)

        events = await events_of(phone.channel)

        assert events == []
        assert await told == (Heard("hello", 0, 250, 1_000),)
        assert loop_time() == START_S

    run(test)


def test_what_a_caller_heard_who_hung_up_is_what_had_been_played_then() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1_000), HELLO)
        phone.now += 0.25
        await end_line(phone, "stop")
        phone.now += 0.5
        phone.line.sent.clear()

        told = await phone.channel.interrupt()

        assert told is not None
        assert await told == (Heard("hello", 0, 250, 1_000),)
        assert loop_time() == START_S
        assert phone.line.sent == []

    run(test)


def test_two_cuts_are_each_told_when_their_own_mark_is_back() -> None:
    async def test(phone: Phone) -> None:
        waits = []
        for item in (HELLO, GOODBYE):
            await phone.channel.send_audio(voice(1_000), item)
            waits.append(asyncio.ensure_future(silenced(phone)))
            await turns_of_the_loop()
        fences = [phone.line.marks[8], phone.line.marks[-1]]

        known = []
        for fence in fences:
            await phone.echo(fence)
            await turns_of_the_loop()
            known.append([wait.done() for wait in waits])

        assert known == [[True, False], [True, True]]
        assert [heard.item_id for wait in waits for heard in await wait] == ["hello", "goodbye"]

    run(test)


def test_of_cuts_whose_marks_never_come_so_many_are_waited_for() -> None:
    async def test(phone: Phone) -> None:
        waits = []
        for _ in range(MAX_CUTS + 1):
            await phone.channel.send_audio(voice(100), HELLO)
            waits.append(asyncio.ensure_future(silenced(phone)))
            await turns_of_the_loop()

        assert [wait.done() for wait in waits] == [True] + [False] * MAX_CUTS
        await asyncio.gather(*waits)
        assert loop_time() == START_S + FENCE_TIMEOUT_S

    run(test)


@pytest.mark.parametrize(("played_ms", "sent"), [(200, ["clear", "mark"]), (300, [])])
def test_no_clear_is_sent_when_all_will_have_been_played_by_the_time_that_it_arrives(
    played_ms: int, sent: list[str]
) -> None:
    async def test(phone: Phone) -> None:
        await phone.connect()
        await anext(phone.channel)
        phone.now += 0.25
        await phone.echo(*phone.line.marks)
        await phone.channel.send_audio(voice(500), HELLO)
        await phone.channel.end_audio(HELLO)
        phone.now += 0.25
        await phone.play(played_ms)
        phone.line.sent.clear()

        told = await phone.channel.interrupt()

        # Until the clear arrives and its news is back, another 250 ms are played.
        assert phone.line.events == sent
        assert (told is None) == (not sent)

    run_before_arrival(test)


# ---- marks ----


def test_what_was_heard_follows_the_marks_that_come_back() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(2_000), HELLO)
        await phone.channel.end_audio(HELLO)
        await phone.channel.send_audio(voice(500), GOODBYE)
        phone.now += 0.2  # all of it is late
        await phone.play(563)

        heard = await phone.cut()

        assert heard == (Heard("hello", 0, 563, 2_000), Heard("goodbye", 0, 0, 500))

    run(test)


def test_marks_returned_because_of_clear_do_not_affect_the_next_reply() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(2_000), HELLO)
        await phone.channel.interrupt()
        cleared = phone.line.marks
        await phone.channel.send_audio(voice(2_000), GOODBYE)

        await phone.echo(*cleared, "never ours")
        await phone.play(510)

        assert await phone.cut() == (Heard("goodbye", 0, A_MOMENT_AGO + 510, 2_000),)

    run(test)


def test_the_line_plays_until_the_last_mark_is_back() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(500), HELLO)
        await phone.channel.end_audio(HELLO)
        *others, last = phone.line.marks
        await phone.echo(*others)
        before = phone.channel.is_playing
        await phone.echo(last)

        assert before
        assert not phone.channel.is_playing

    run(test)


def test_each_item_that_was_heard_to_its_end_is_told_once() -> None:
    async def test(phone: Phone) -> None:
        for item in (HELLO, GOODBYE):
            await phone.channel.send_audio(voice(300), item)
            await phone.channel.end_audio(item)
        told = []
        for _ in range(3):
            await phone.play(300)
            told.append(list(phone.heard))
        await phone.echo(*phone.line.marks)

        hello, goodbye = Heard("hello", 0, 300, 300), Heard("goodbye", 0, 300, 300)
        assert told == [[hello], [hello, goodbye], [hello, goodbye]]
        assert phone.heard == [hello, goodbye]

    run(test)


def test_an_item_whose_end_is_said_after_it_was_heard_is_told_with_the_next_message() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(302), HELLO)
        await phone.play(300)
        before = list(phone.heard)
        await phone.channel.end_audio(HELLO)
        await phone.echo(*phone.line.marks)

        assert before == []
        assert phone.heard == [Heard("hello", 0, 302, 302)]

    run(test)


def test_what_was_heard_when_the_caller_hung_up_is_still_told() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(300), HELLO)
        await phone.channel.end_audio(HELLO)
        for name in phone.line.marks:
            phone.line.say(mark(name))
        phone.line.say(STOP)

        assert await events_of(phone.channel) == [ChannelHeard(Heard("hello", 0, 300, 300))]

    run(test)


def test_an_item_that_was_interrupted_is_not_told_as_heard() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(300), HELLO)
        await phone.channel.end_audio(HELLO)
        await phone.play(100)

        await phone.cut()
        await phone.echo(*phone.line.marks)

        assert phone.heard == []

    run(test)


# ---- waiting for the caller to have heard ----


def test_waiting_for_a_silent_line_takes_no_time() -> None:
    async def test(phone: Phone) -> None:
        assert await phone.channel.wait_played(0)

    run(test)


def test_waiting_ends_when_the_caller_has_heard_everything() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(500), HELLO)
        await phone.channel.end_audio(HELLO)
        waiting = asyncio.ensure_future(phone.channel.wait_played(5))
        *others, last = phone.line.marks
        await phone.echo(*others)
        await turns_of_the_loop()
        was_early = waiting.done()

        await phone.echo(last)

        assert not was_early
        assert await waiting

    run(test)


def test_waiting_gives_up_when_the_time_runs_out() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(500), HELLO)

        assert not await phone.channel.wait_played(0.25)
        assert loop_time() == START_S + 0.25

    run(test)


def test_waiting_ends_when_the_audio_is_dropped() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(500), HELLO)
        waiting = asyncio.ensure_future(phone.channel.wait_played(5))
        await turns_of_the_loop()

        await phone.channel.interrupt()

        assert await waiting

    run(test)


def test_a_mark_that_never_comes_back_does_not_keep_a_goodbye_waiting() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(500), HELLO)
        await phone.channel.end_audio(HELLO)

        assert await phone.channel.wait_played(60)
        assert loop_time() == START_S + 0.5 + MARK_GRACE_S

    run(test)


@pytest.mark.parametrize("end", ["close", "stop", "drop"])
def test_waiting_ends_with_the_line(end: str) -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(500), HELLO)
        waiting = asyncio.ensure_future(phone.channel.wait_played(5))
        await turns_of_the_loop()

        await end_line(phone, end)

        assert await waiting
        assert not phone.channel.is_playing

    run(test)


# ---- what the caller says ----


def test_a_20_ms_frame_in_is_480_samples_of_pcm_on_average() -> None:
    async def test(phone: Phone) -> None:
        frames = 500
        pcm = b""
        for number in range(frames):
            phone.now = START_S + number * FRAME_MS / 1000
            phone.speak(b"\x2a" * FRAME_BYTES)
            event = await anext(phone.channel)
            assert isinstance(event, ChannelAudio)
            pcm += event.pcm

        assert len(pcm) == (frames * FRAME_MS - DELAY_MS) * PCM_BYTES_PER_MS
        decoder = UlawToPcm()
        assert pcm == decoder.feed(b"\x2a" * FRAME_BYTES * frames)

    run(test)


def test_a_gap_in_the_callers_audio_is_filled_with_silence() -> None:
    async def test(phone: Phone) -> None:
        pcm = b""
        for timestamp_ms in (53, 73, 133, 153):
            phone.speak(b"\x2a" * FRAME_BYTES, timestamp_ms)
            event = await anext(phone.channel)
            assert isinstance(event, ChannelAudio)
            pcm += event.pcm

        frame, gap = b"\x2a" * FRAME_BYTES, bytes([SILENCE]) * 2 * FRAME_BYTES
        assert pcm == UlawToPcm().feed(frame * 2 + gap + frame * 2)

    run(test)


def test_a_flood_of_audio_is_not_passed_on() -> None:
    async def test(phone: Phone) -> None:
        for _ in range(1_000):
            phone.speak(b"\x2a" * FRAME_BYTES)
        phone.line.say(STOP)

        events = [event async for event in phone.channel]

        assert len(events) == 500

    run(test)


def test_each_key_is_an_event() -> None:
    async def test(phone: Phone) -> None:
        phone.press("1")
        phone.press("#")

        assert [await anext(phone.channel), await anext(phone.channel)] == [ChannelDigit("1"), ChannelDigit("#")]

    run(test)


def test_what_is_not_supported_is_reported_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    async def test(phone: Phone) -> None:
        phone.line.say("not json")
        phone.line.say('{"event":"foo"}')
        phone.line.say('{"event":"connected"}')
        phone.line.say('{"event":"media","media":{"payload":"***"}}')
        phone.speak(b"\x2a" * FRAME_BYTES, track="outbound")
        phone.line.say_bytes(b"{}")
        phone.press("1")

        assert await anext(phone.channel) == ChannelDigit("1")

    run(test)

    assert len(caplog.records) == 6


def test_no_key_gets_into_a_log_or_a_reason_however_malformed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    async def test(phone: Phone) -> None:
        phone.press("7")
        assert await anext(phone.channel) == ChannelDigit("7")
        for _ in range(100):
            phone.press("4711")
        with pytest.raises(
            ChannelError, match="100 messages made no sense, the last: dtmf digit is not one key"
        ) as end:
            await anext(phone.channel)
        assert "4711" not in str(end.value)

    run(test)

    assert caplog.text.count("dtmf digit is not one key") == 99
    assert "4711" not in caplog.text


def test_too_many_malformed_messages_end_the_call() -> None:
    async def test(phone: Phone) -> None:
        for _ in range(100):
            phone.line.say("not json")

        with pytest.raises(ChannelError, match="made no sense"):
            await anext(phone.channel)

    run(test)


def test_no_media_for_a_while_ends_the_call() -> None:
    async def test(phone: Phone) -> None:
        with pytest.raises(ChannelError, match="no media came for 10 s"):
            await anext(phone.channel)

    run(test)


def test_other_messages_do_not_keep_a_line_without_media_alive() -> None:
    async def test(phone: Phone) -> None:
        phone.now += 10.1
        phone.line.say('{"event":"mark","mark":{"name":"x"}}')
        with pytest.raises(ChannelError, match="no media"):
            await anext(phone.channel)

    run(test)


def test_what_was_lost_of_the_caller_is_told_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async def test(phone: Phone) -> None:
        phone.speak(bytes([0xFF]) * 160, timestamp_ms=0)
        phone.speak(bytes([0xFF]) * 160, timestamp_ms=120)
        await anext(phone.channel)
        await anext(phone.channel)
        await phone.channel.close()
        await phone.channel.close()

    run(test)

    assert [record.message for record in caplog.records] == [
        "of the caller's audio 100 ms were lost and 0 ms came too fast"
    ]


# ---- passed through ----

EVERY_CODE = bytes(range(256))
"""Each byte that mu-law has, its two zeros among them: decoding and encoding again would lose one of those."""


@pytest.mark.parametrize("audio_format", [PCM, PCMU])
def test_a_line_says_what_its_audio_is(audio_format: AudioFormat) -> None:
    async def test(phone: Phone) -> None:
        assert phone.channel.audio_format == audio_format

    run(test, audio_format)


def test_a_line_of_another_format_is_refused() -> None:
    async def test(_: Phone) -> None:
        with pytest.raises(NotSupportedError, match="audio/pcma"):
            TwilioChannel(audio_format=AudioFormat(mime_type="audio/pcma", sample_rate=8000))

    run_before_arrival(test)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 1_600), max_size=6))
def test_the_agents_mu_law_reaches_the_phone_byte_for_byte_with_silence_up_to_a_whole_frame(cuts: list[int]) -> None:
    ulaw = EVERY_CODE * 7
    edges = [0, *sorted(cuts), len(ulaw)]

    async def test(phone: Phone) -> None:
        for start, end in itertools.pairwise(edges):
            await phone.channel.send_audio(ulaw[start:end], HELLO)
        await phone.channel.end_audio(HELLO)

        assert b"".join(phone.line.payloads) == ulaw + b"\xff" * (-len(ulaw) % FRAME_BYTES)
        assert {len(payload) % FRAME_BYTES for payload in phone.line.payloads} == {0}

    run(test, PCMU)


def test_mu_law_goes_out_as_soon_as_it_is_a_frame() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(EVERY_CODE[:FRAME_BYTES], HELLO)

        assert phone.line.payloads == [EVERY_CODE[:FRAME_BYTES]]

    run(test, PCMU)


def test_the_callers_mu_law_is_passed_on_byte_for_byte_and_its_gaps_are_mu_laws_silence() -> None:
    frames = [EVERY_CODE[:FRAME_BYTES], EVERY_CODE[-FRAME_BYTES:]]

    async def test(phone: Phone) -> None:
        phone.speak(frames[0], timestamp_ms=100)
        phone.speak(frames[1], timestamp_ms=120 + 2 * FRAME_MS)

        gap = bytes([SILENCE]) * 2 * FRAME_BYTES
        assert [await anext(phone.channel) for _ in range(2)] == [
            ChannelAudio(frames[0]),
            ChannelAudio(gap + frames[1]),
        ]

    run(test, PCMU)


def test_what_was_heard_of_mu_law_is_told_in_its_milliseconds_and_its_rest_is_not_in_the_next_reply() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(EVERY_CODE * 31 + EVERY_CODE[:72], HELLO)  # 1001 ms
        await phone.play(340)

        told = await phone.cut()
        phone.line.sent.clear()
        await phone.channel.send_audio(b"\x2a" * FRAME_BYTES, GOODBYE)

        assert told == (Heard("hello", 0, A_MOMENT_AGO + 340, 1001),)
        assert phone.line.payloads == [b"\x2a" * FRAME_BYTES]

    run(test, PCMU)


# ---- the end ----


@pytest.mark.parametrize("end", ["stop", "drop", "close"])
def test_stop_a_closed_socket_and_our_own_close_end_the_iteration_for_good(end: str) -> None:
    async def test(phone: Phone) -> None:
        phone.press("1")
        events: list[ChannelEvent] = [await anext(phone.channel)]

        await end_line(phone, end)

        assert events == [ChannelDigit("1")]
        assert [event async for event in phone.channel] == []

    run(test)


def test_closing_ends_an_iteration_that_waits() -> None:
    async def test(phone: Phone) -> None:
        waiting = asyncio.ensure_future(events_of(phone.channel))
        await turns_of_the_loop()

        await phone.channel.close()

        assert await waiting == []
        assert phone.line.close_codes == [1000]

    run(test)


def test_closing_before_the_stream_came_ends_an_iteration_that_waits() -> None:
    async def test(phone: Phone) -> None:
        waiting = asyncio.ensure_future(events_of(phone.channel))
        await turns_of_the_loop()

        await phone.channel.close()

        assert await waiting == []

    run_before_arrival(test)


def test_closing_before_the_stream_came_ends_a_send_that_waits() -> None:
    async def test(phone: Phone) -> None:
        speaking = asyncio.ensure_future(phone.channel.send_audio(voice(100), HELLO))
        await turns_of_the_loop()

        await phone.channel.close()
        await speaking

        assert not phone.channel.is_playing

    run_before_arrival(test)


def test_a_line_can_be_closed_twice_in_every_state() -> None:
    async def twice(phone: Phone) -> None:
        await phone.channel.close()
        await phone.channel.close()

    async def after_the_caller(phone: Phone) -> None:
        await end_line(phone, "drop")
        await twice(phone)

    run_before_arrival(twice)
    run(twice)
    run(after_the_caller)


@pytest.mark.parametrize("has_begun", [True, False])
def test_a_line_that_is_ended_sends_nothing_more_and_leaves_its_stream_open(has_begun: bool) -> None:
    async def test(phone: Phone) -> None:
        await phone.connect()
        if has_begun:
            await anext(phone.channel)
            phone.line.sent.clear()
        phone.channel.end()

        await phone.channel.send_audio(voice(500), HELLO)
        await phone.channel.end_audio(HELLO)

        assert phone.line.sent == []

    run_before_arrival(test)


def test_audio_that_waits_for_a_full_socket_is_not_sent_after_the_end() -> None:
    async def test(phone: Phone) -> None:
        phone.line.takes.clear()
        speaking = asyncio.ensure_future(phone.channel.send_audio(voice(500), HELLO))
        await turns_of_the_loop()
        phone.channel.end()
        phone.line.takes.set()
        await speaking

        assert phone.line.events == ["media", "mark"]

    run(test)


def test_iteration_ends_with_the_first_message_after_the_end() -> None:
    async def test(phone: Phone) -> None:
        waiting = asyncio.ensure_future(events_of(phone.channel))
        await turns_of_the_loop()
        phone.channel.end()
        phone.press("1")

        assert await waiting == []

    run(test)


def test_ending_a_line_before_its_stream_came_ends_every_wait_for_it() -> None:
    async def test(phone: Phone) -> None:
        speaking = asyncio.ensure_future(phone.channel.send_audio(voice(100), HELLO))
        listening = asyncio.ensure_future(events_of(phone.channel))
        await turns_of_the_loop()

        phone.channel.end()

        await speaking
        assert await listening == []
        assert loop_time() == START_S
        with pytest.raises(ChannelError, match="is over"):
            phone.channel.attach(phone.line.socket, STREAM)

    run_before_arrival(test)


@pytest.mark.parametrize("start", [run, run_before_arrival])
def test_every_method_after_the_end_is_without_effect(
    start: Callable[[Callable[[Phone], Coroutine[Any, Any, None]]], None],
) -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.close()
        phone.line.sent.clear()

        await phone.channel.send_audio(voice(500), HELLO)
        await phone.channel.end_audio(HELLO)
        told = await phone.channel.interrupt()

        assert told is not None
        assert await told == (Heard("hello", 0, 0, 500),)
        assert phone.line.sent == []
        assert await phone.channel.wait_played(0)
        assert [event async for event in phone.channel] == []

    start(test)


def test_a_phone_that_stops_reading_makes_the_speaker_wait_and_breaks_the_line() -> None:
    async def test(phone: Phone) -> None:
        phone.line.takes.clear()
        with pytest.raises(ChannelError, match="the line took no audio for 10 s"):
            await phone.channel.send_audio(voice(60_000), HELLO)

        assert loop_time() == START_S + 10
        assert phone.line.sent == []

    run(test)


def test_a_socket_that_dies_while_we_speak_is_not_an_error_of_the_speaker() -> None:
    async def test(phone: Phone) -> None:
        phone.line.failure = OSError("broken pipe")

        await phone.channel.send_audio(voice(500), HELLO)
        phone.line.drop()

        with pytest.raises(ChannelError, match="broke off"):
            await anext(phone.channel)

    run(test)


async def end_line(phone: Phone, how: str) -> None:
    match how:
        case "stop":
            phone.line.say(STOP)
        case "drop":
            phone.line.drop()
            with pytest.raises(ChannelError, match="broke off"):
                await events_of(phone.channel)
        case _:
            await phone.channel.close()
    assert await events_of(phone.channel) == []


async def once(told: Awaitable[tuple[Heard, ...]]) -> tuple[Heard, ...]:
    return await told


async def silenced(phone: Phone) -> tuple[Heard, ...]:
    told = await phone.channel.interrupt()
    assert told is not None
    return await told


async def events_of(channel: TwilioChannel) -> list[ChannelEvent]:
    return [event async for event in channel]


# ---- a stream that is taken away, and the next ----

NEXT = "MZ" + "3" * 32
AWAY_S = 40.0


async def taken_away(phone: Phone) -> None:
    """The stream is taken away on purpose."""
    phone.channel.leave(AWAY_S)
    phone.line.say(STOP)
    assert await anext(phone.channel) == ChannelAway()


async def next_stream(phone: Phone) -> PhoneLine:
    line = await PhoneLine.accepted()
    phone.channel.attach(line.socket, NEXT)
    return line


@pytest.mark.parametrize("end", ["stop", "drop"])
def test_a_stream_that_is_taken_away_on_purpose_is_away_and_the_next_one_is_back(end: str) -> None:
    async def test(phone: Phone) -> None:
        phone.channel.leave(AWAY_S)
        phone.speak(bytes(FRAME_BYTES))
        assert isinstance(await anext(phone.channel), ChannelAudio)  # until it is gone the call goes on
        phone.line.say(STOP) if end == "stop" else phone.line.drop()
        assert await anext(phone.channel) == ChannelAway()
        assert phone.channel.streams.is_away and await phone.channel.streams.wait_gone(0)

        line = await next_stream(phone)

        assert await anext(phone.channel) == ChannelBack()
        assert not phone.channel.streams.is_away and await phone.channel.streams.wait_back(0)
        line.say('{"event":"dtmf","dtmf":{"track":"inbound_track","digit":"5"}}')
        assert await anext(phone.channel) == ChannelDigit("5")

    run(test)


def test_what_was_not_heard_when_the_stream_was_taken_away_is_told_as_it_is_after_a_clear() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1000), HELLO)
        await phone.channel.end_audio(HELLO)
        await phone.play(400)
        await taken_away(phone)
        phone.now += 5  # the clock does not go on for a stream that is gone
        assert phone.channel.is_playing

        told = await phone.channel.interrupt()

        assert told is not None
        [heard] = await told
        assert heard.item_id == "hello"
        assert heard.heard_ms == pytest.approx(400, abs=FRAME_MS)
        assert not phone.channel.is_playing
        assert await phone.channel.wait_played(0)

    run(test)


def test_an_item_that_was_heard_to_its_end_is_told_before_the_line_is_away() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(200), HELLO)
        await phone.channel.end_audio(HELLO)
        marks = phone.line.marks
        phone.now += 0.2
        phone.channel.leave(AWAY_S)
        for name in marks:
            phone.line.say(mark(name))
        phone.line.say(STOP)

        assert isinstance(await anext(phone.channel), ChannelHeard)
        assert await anext(phone.channel) == ChannelAway()

    run(test)


def test_a_cut_that_waits_for_its_fence_is_told_when_the_stream_is_taken_away() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1000), HELLO)
        told = await phone.channel.interrupt()
        assert told is not None

        await taken_away(phone)

        async with asyncio.timeout(0):
            [heard] = await told
        assert heard.heard_ms <= FRAME_MS

    run(test)


def test_nothing_is_sent_while_the_line_is_away_and_nothing_of_it_is_on_the_next_stream() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(130), HELLO)  # some of it is held back
        await taken_away(phone)
        phone.line.sent.clear()
        await phone.channel.send_audio(voice(500), GOODBYE)
        await phone.channel.end_audio(GOODBYE)
        assert await phone.channel.interrupt() is not None
        assert phone.line.sent == []
        line = await next_stream(phone)
        assert await anext(phone.channel) == ChannelBack()
        assert line.events == ["mark"]

        later = SpokenItem("r3", "later")
        pcm = voice(400, seed=9)
        await phone.channel.send_audio(pcm, later)
        await phone.channel.end_audio(later)

        assert b"".join(line.payloads)[: 400 * ULAW_BYTES_PER_MS] == on_the_phone(pcm)[: 400 * ULAW_BYTES_PER_MS]
        assert {message["streamSid"] for message in line.messages} == {NEXT}
        assert phone.line.sent == []

    run(test)


def test_the_next_stream_has_marks_and_a_ledger_of_its_own() -> None:
    async def test(phone: Phone) -> None:
        await phone.channel.send_audio(voice(1000), HELLO)
        await taken_away(phone)
        line = await next_stream(phone)
        assert await anext(phone.channel) == ChannelBack()

        assert not phone.channel.is_playing
        assert line.marks == ["m1"]
        await phone.channel.send_audio(voice(200), GOODBYE)
        await phone.channel.end_audio(GOODBYE)
        phone.now += 0.3
        for name in line.marks:
            line.say(mark(name))
        assert await anext(phone.channel) == ChannelHeard(Heard("goodbye", 0, 200, 200))

    run(test)


def test_a_line_that_is_away_waits_without_media_until_its_time_is_over() -> None:
    async def test(phone: Phone) -> None:
        await taken_away(phone)
        began = loop_time()

        with pytest.raises(ChannelError, match=r"the line did not come back within 40 s"):
            await anext(phone.channel)

        assert loop_time() - began == pytest.approx(AWAY_S)

    run(test)


def test_a_stream_whose_stop_is_lost_is_taken_for_gone_when_its_frames_stop() -> None:
    async def test(phone: Phone) -> None:
        phone.channel.leave(AWAY_S)
        phone.speak(bytes(FRAME_BYTES))
        await anext(phone.channel)
        began = loop_time()

        assert await anext(phone.channel) == ChannelAway()

        assert loop_time() - began == pytest.approx(TAKEN_AFTER_S)

    run(test)


def test_the_next_stream_may_come_before_the_stop_of_the_last() -> None:
    async def test(phone: Phone) -> None:
        phone.channel.leave(AWAY_S)
        await next_stream(phone)
        with pytest.raises(ChannelError, match="has its media stream already"):
            await next_stream(phone)
        phone.line.say(STOP)

        assert [await anext(phone.channel), await anext(phone.channel)] == [ChannelAway(), ChannelBack()]

    run(test)


def test_a_line_that_stays_after_all_ends_with_its_stream_and_takes_no_other() -> None:
    async def test(phone: Phone) -> None:
        phone.channel.leave(AWAY_S)
        phone.channel.stay()
        with pytest.raises(ChannelError, match="has its media stream already"):
            await next_stream(phone)
        phone.line.say(STOP)

        assert await events_of(phone.channel) == []

    run(test)


def test_a_line_that_stays_after_all_and_is_gone_by_then_is_over() -> None:
    async def test(phone: Phone) -> None:
        await taken_away(phone)
        phone.channel.stay()

        assert await events_of(phone.channel) == []

    run(test)


def test_a_stream_that_ends_long_after_it_was_to_leave_ends_the_line() -> None:
    async def test(phone: Phone) -> None:
        phone.channel.leave(AWAY_S)
        phone.now += LEAVE_TIMEOUT_S
        phone.line.say(STOP)

        assert await events_of(phone.channel) == []

    run(test)


def test_a_line_cannot_leave_that_is_not_there_or_is_leaving_or_over() -> None:
    async def leaves(phone: Phone) -> None:
        with pytest.raises(ChannelError, match="not there, or is leaving"):
            phone.channel.leave(AWAY_S)

    async def test(phone: Phone) -> None:
        phone.channel.leave(AWAY_S)
        await leaves(phone)
        phone.line.say(STOP)
        assert await anext(phone.channel) == ChannelAway()
        await leaves(phone)
        await phone.channel.close()
        await leaves(phone)

    run_before_arrival(leaves)
    run(test)


def test_closing_a_line_that_is_away_ends_it_and_refuses_the_next_stream() -> None:
    async def test(phone: Phone) -> None:
        await taken_away(phone)
        waiting = asyncio.ensure_future(events_of(phone.channel))
        await turns_of_the_loop()

        await phone.channel.close()

        assert await waiting == []
        with pytest.raises(ChannelError):
            await next_stream(phone)
        assert not await phone.channel.streams.wait_back(1)

    run(test)


def test_who_keeps_a_stream_open_is_told_when_the_line_has_no_more_use_for_it() -> None:
    async def test(phone: Phone) -> None:
        first = await PhoneLine.accepted()
        first_is_over = phone.channel.attach(first.socket, STREAM)
        assert await anext(phone.channel) == ChannelStarted()
        phone.channel.leave(AWAY_S)
        first.say(STOP)
        assert not first_is_over.is_set()
        assert await anext(phone.channel) == ChannelAway()
        assert first_is_over.is_set()

        second = await PhoneLine.accepted()
        second_is_over = phone.channel.attach(second.socket, NEXT)
        assert await anext(phone.channel) == ChannelBack()
        await phone.channel.close()

        assert second_is_over.is_set()
        assert (first.close_codes, second.close_codes) == ([], [1000])

    run_before_arrival(test)
