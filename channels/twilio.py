"""A caller on a Twilio media stream: mu-law frames in and out, marks and clear."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Self

from agents.audio import Untouched
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
from agents.mulaw import FRAME_BYTES, RATE_HZ, SILENCE, PcmToUlaw, UlawToPcm
from agents.realtime import PCM, PCMU, AudioFormat, SpokenItem
from channels.cut_wait import CutWait
from channels.inbound import InboundAudio
from channels.line_clock import LineClock
from channels.media_socket import LineSilent, MediaSocket
from channels.media_streams import Dtmf, FromTwilio, Mark, Media, Stop, write_clear, write_mark, write_media
from channels.playback import MARK_EVERY_MS, MAX_CUTS, Playback
from channels.streams import MediaStream, Streams

log = logging.getLogger(__name__)

MEDIA_TIMEOUT_S: Final = 10.0
"""Twilio sends a frame every 20 ms, silence included: this long without one, the line is dead."""

TAKEN_AFTER_S: Final = 3.0
"""The same for a stream that is to be taken away, whose `stop` may be lost."""

MARK_GRACE_S: Final = 3.0
"""How much later than the clock says the last mark may come back; then it is not coming."""

FENCE_TIMEOUT_S: Final = 1.0
"""Longest that a cut waits for its fence once that was sent: more than twice the round trip of the longest telephone
line. Callers speak for longer before an answer is due.
"""

MAX_REPORTS: Final = 10
"""Log lines about messages that are sound but have no meaning here; a line that sends them may send many."""

_BYTES_PER_MS: Final = RATE_HZ // 1000
_MESSAGE_BYTES: Final = MARK_EVERY_MS * _BYTES_PER_MS


class TwilioChannel:
    """The line to one caller. It is made before the caller's media stream exists; `attach` brings the stream.

    A stream that is taken away after `leave` was for another to come: what had not been heard of it is told as it is
    after a clear, nothing is sent until the next is attached, and nothing of the old stream is known to that. A stream
    that ends otherwise ends the line.

    Audio goes out at once, in messages of whole 20 ms frames with a mark behind each; Twilio plays it in real time. The
    messages grow from one frame, where the line may have run dry, to 200 ms. Frames that are missing from the caller's
    audio are replaced by silence. With PCMU the bytes of either side are the other's; only what fills gaps and last
    frames is ours.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, audio_format: AudioFormat = PCM) -> None:
        """`clock` gives seconds and never goes back. Raises NotSupportedError for any format but PCM and PCMU."""
        if audio_format not in (PCM, PCMU):
            raise NotSupportedError(f"a telephone line takes and gives {PCM} or {PCMU}, not {audio_format}")
        self._clock = clock
        self._format = audio_format
        self.streams = Streams(clock)
        self._stream: MediaStream | None = None
        self._over = False
        self._media_by = 0.0
        self._unexpected = 0
        self._waits: deque[CutWait] = deque()
        self._sending = asyncio.Lock()
        self._changed = asyncio.Event()
        self._generation = 0
        self._start_afresh()

    def _start_afresh(self) -> None:
        """Forgets all that one stream knows of its line."""
        is_untouched = self._format == PCMU
        self._is_open = self._is_away_to_be_told = False
        self._gone_at: float | None = None
        self._inbound = InboundAudio()
        self._from_ulaw = Untouched() if is_untouched else UlawToPcm()
        self._to_ulaw = Untouched() if is_untouched else PcmToUlaw()
        self._held = b""
        self._item: SpokenItem | None = None
        self._message_bytes = FRAME_BYTES
        self._line_clock = LineClock()
        self._playback = Playback()

    def attach(self, socket: MediaSocket, stream_sid: str) -> asyncio.Event:
        """Brings a stream, once its `start` was checked. Gives what is set when the line has no more use for it.

        Raises ChannelError when the line has one and expects no other, or is over.
        """
        stream = MediaStream(socket, stream_sid)
        self.streams.attach(stream)
        return stream.is_over

    # ---- elsewhere and back ----

    def leave(self, at_most_s: float) -> None:
        """The stream will be taken away, on purpose, and another be there at most so many seconds later.

        Until it is gone the call goes on. Raises ChannelError when no stream is there, or it is leaving already.
        """
        self.streams.leave(at_most_s)

    def stay(self) -> None:
        """The stream will not be taken away after all. One that ended meanwhile has ended the line."""
        self.streams.stay()
        if self.streams.is_away:
            self.end()

    # ---- from the caller ----

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChannelEvent:
        while True:
            if self._playback.finished:
                return ChannelHeard(self._playback.finished.popleft())
            if self._over:
                raise StopAsyncIteration
            if self._is_away_to_be_told:
                self._is_away_to_be_told = False
                return ChannelAway()
            stream = self._stream
            if stream is None or self.streams.is_away:
                stream = await self.streams.arrived()
            if stream is not self._stream:
                return await self._begun(stream)
            event = stream and self._heard(await self._receive(stream.socket))
            if event:
                return event

    async def _begun(self, stream: MediaStream | None) -> ChannelEvent:
        """A stream is there, the first or the next."""
        is_first, self._stream = self._stream is None, stream
        if stream is None:
            raise StopAsyncIteration
        if not is_first:
            self._start_afresh()
            self._generation += 1
            self.streams.back()
        await self._open(stream)
        self._media_by = self._clock() + MEDIA_TIMEOUT_S
        return ChannelStarted() if is_first else ChannelBack()

    def _heard(self, message: FromTwilio | None) -> ChannelEvent | None:
        """What a message tells; None when it tells nothing, or came when the line was over."""
        if self._over:
            return None
        match message:
            case Media(ulaw, timestamp_ms, "inbound"):
                now = self._clock()
                self._media_by = now + MEDIA_TIMEOUT_S
                self._line_clock.frame(timestamp_ms, len(ulaw) / _BYTES_PER_MS, now)
                pcm = self._from_ulaw.feed(self._inbound.take(ulaw, timestamp_ms, now))
                return ChannelAudio(pcm) if pcm else None
            case Mark(name):
                self._echoed(name)
            case Dtmf(digit):
                return ChannelDigit(digit)
            case Stop() | None if self.streams.is_leaving:
                self.streams.left()
                self._stream_ended()
                self._is_away_to_be_told = True
            case Stop():
                self.end()
            case None:
                self.end()
                raise ChannelError("the media stream broke off")
            case other:
                self._report(other)
        return None

    def _report(self, message: FromTwilio) -> None:
        self._unexpected += 1
        if self._unexpected <= MAX_REPORTS:
            log.warning("unexpected on the line: %s", type(message).__name__)

    async def _receive(self, socket: MediaSocket) -> FromTwilio | None:
        is_leaving = self.streams.is_leaving
        left_s = self._media_by - (MEDIA_TIMEOUT_S - TAKEN_AFTER_S if is_leaving else 0.0) - self._clock()
        try:
            if left_s > 0:
                return await socket.receive(left_s)
        except LineSilent:
            pass
        if is_leaving:
            return Stop()
        raise ChannelError(f"no media came for {MEDIA_TIMEOUT_S:g} s")

    async def _opened(self) -> MediaStream | None:
        """The stream, ready for audio; None when the line is over, or away."""
        if self.streams.is_away:
            return None
        stream = await self.streams.arrived()
        if stream:
            await self._open(stream)
        return stream

    async def _open(self, stream: MediaStream) -> None:
        """First of all a mark on the silent line tells how long it takes to come back."""
        if not (self._is_open or self._over):
            self._is_open = True
            async with self._sending:
                await stream.socket.send(write_mark(stream.sid, self._playback.mark(self._clock())))

    def _echoed(self, name: str) -> None:
        settled = self._playback.echoed(name, self._line_clock.span(self._clock()), self._line_clock.spread_s)
        if settled in [wait.cut for wait in self._waits]:
            while self._waits[0].cut is not settled:
                self._waits.popleft().end()
            self._waits.popleft().end()
        self._changed.set()

    # ---- to the caller ----

    async def send_audio(self, pcm: bytes, item: SpokenItem) -> None:
        generation = self._generation
        if self._item and self._item != item:
            await self.end_audio(self._item)  # its model did not say that it was done
        if generation != self._generation:
            return
        self._item = item
        self._playback.received(item, len(pcm) / self._format.bytes_per_ms)
        await self._send_frames(self._held + self._to_ulaw.feed(pcm), item)

    async def end_audio(self, item: SpokenItem) -> None:
        if item == self._item:
            self._item = None
            tail = self._held + self._to_ulaw.flush()
            padding = bytes([SILENCE]) * (-len(tail) % FRAME_BYTES)
            await self._send_frames(tail + padding, item)
            self._playback.ended(item)
            self._changed.set()

    async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
        if not self._is_audible():
            return None
        self._generation += 1
        self._to_ulaw.reset()
        self._held = b""
        self._item = None
        self._changed.set()
        stream = None if self._over else self.streams.present
        wait = CutWait(self._playback.clear(self._cleared_at()))
        if stream is None:
            wait.end()
            return wait
        async with self._sending:
            await stream.socket.send(write_clear(stream.sid))
            self._playback.clear_left(wait.cut, self._cleared_at())
            self._await_fence(wait)
            await stream.socket.send(write_mark(stream.sid, wait.cut.fence))
        wait.expect(FENCE_TIMEOUT_S)
        return wait

    def _cleared_at(self) -> float:
        """When a clear leaves that leaves now: without a stream, as if it had come there at the stream's end."""
        return self._clock() if self._gone_at is None else self._gone_at - self._playback.round_trip_s

    def _await_fence(self, wait: CutWait) -> None:
        if self._gone_at is not None:
            wait.end()
            return
        if len(self._waits) == MAX_CUTS:
            self._waits.popleft().end()
        self._waits.append(wait)

    def _is_audible(self) -> bool:
        """Whether there is anything for a clear to silence by the time that it gets there."""
        playback = self._playback
        is_over = self._gone_at is None and playback.is_over_by(self._clock() + playback.round_trip_s)
        return not (playback.is_silent or is_over)

    @property
    def audio_format(self) -> AudioFormat:
        return self._format

    @property
    def is_playing(self) -> bool:
        return not (self._playback.is_silent or self._over)

    def sounds_in_s(self, item: SpokenItem) -> float | None:
        """How long from now until the first of an item is heard at the carrier; None of one that was not sent yet.

        How far the caller's telephone is from there nobody tells.
        """
        at = self._playback.sounds_at(item)
        return None if at is None else at - self._clock()

    async def wait_played(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while self.is_playing and await self._has_changed():
                    pass
        except TimeoutError:
            return False
        return True

    async def _has_changed(self) -> bool:
        """Waits for news of the playback. False when a mark is so late that the clock must be believed instead."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._playback.remaining_s(self._clock()) + MARK_GRACE_S):
                return await self._changed.wait()
        return False

    def end(self) -> None:
        """Ends the line and leaves its stream open, if there is one.

        Every wait ends at once, iteration with the next message. No more audio is sent, none that comes is passed on.
        """
        if self._over:
            return
        self._over = True
        if self._gone_at is None:
            self._stream_ended()
        self.streams.end()
        self._changed.set()

    def _stream_ended(self) -> None:
        """What was not heard by now never will be."""
        self._gone_at = self._clock()
        lost_ms, refused_ms = self._inbound.missing_ms, self._inbound.refused_ms
        if lost_ms or refused_ms:
            log.warning("of the caller's audio %d ms were lost and %d ms came too fast", lost_ms, refused_ms)
        while self._waits:
            self._waits.popleft().end()
        self._changed.set()

    async def close(self) -> None:
        self.end()
        await self.streams.close()

    async def _send_frames(self, ulaw: bytes, item: SpokenItem) -> None:
        """Sends the whole frames, a mark behind each message, and holds the rest. Stops when the line is cleared."""
        generation = self._generation
        stream = await self._opened()
        if stream is None or generation != self._generation:
            return
        socket, stream_sid = stream.socket, stream.sid
        sent, whole = 0, len(ulaw) - len(ulaw) % FRAME_BYTES
        self._held = ulaw[whole:]
        if self._playback.may_run_dry(self._clock()):
            self._message_bytes = FRAME_BYTES
        while sent < whole:
            piece = ulaw[sent : min(sent + self._message_bytes, whole)]
            sent += len(piece)
            self._message_bytes = min(2 * self._message_bytes, _MESSAGE_BYTES)
            async with self._sending:
                if self._over or generation != self._generation:
                    return
                now = self._clock()
                self._playback.sent(item, len(piece) / _BYTES_PER_MS, now)
                mark = self._playback.mark(now)
                await socket.send(write_media(stream_sid, piece))
                if generation != self._generation:
                    return
                await socket.send(write_mark(stream_sid, mark))
