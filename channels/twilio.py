"""A caller on a Twilio media stream: mu-law frames in and out, marks and clear."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final, Self

from agents.audio import Untouched
from agents.errors import ChannelError, NotSupportedError
from agents.events import ChannelAudio, ChannelDigit, ChannelEvent, ChannelHeard, ChannelStarted, Heard
from agents.mulaw import FRAME_BYTES, RATE_HZ, SILENCE, PcmToUlaw, UlawToPcm
from agents.realtime import PCM, PCMU, AudioFormat, SpokenItem
from channels.inbound import InboundAudio
from channels.line_clock import LineClock
from channels.media_socket import LineSilent, MediaSocket
from channels.media_streams import Dtmf, FromTwilio, Mark, Media, Stop, write_clear, write_mark, write_media
from channels.playback import MARK_EVERY_MS, MAX_CUTS, Cut, Playback

log = logging.getLogger(__name__)

ARRIVAL_TIMEOUT_S: Final = 15.0
"""How long after the webhook the media stream may take to come: Twilio gives webhooks as long."""

MEDIA_TIMEOUT_S: Final = 10.0
"""Twilio sends a frame every 20 ms, silence included: this long without one, the line is dead."""

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


class _Wait:
    """What a cut will turn out to have been. Any number may wait, each may be cancelled."""

    def __init__(self, cut: Cut) -> None:
        self.cut = cut
        self._heard: asyncio.Future[tuple[Heard, ...]] = asyncio.get_running_loop().create_future()
        self._patience: asyncio.TimerHandle | None = None

    def __await__(self) -> Generator[Any, None, tuple[Heard, ...]]:
        return asyncio.shield(self._heard).__await__()

    def expect(self, timeout_s: float) -> None:
        """Ends in so long, unless it has ended before."""
        if not self._heard.done():
            self._patience = asyncio.get_running_loop().call_later(timeout_s, self.end)

    def end(self) -> None:
        """Lets all know that wait, unless they do."""
        if self._patience:
            self._patience.cancel()
        if not self._heard.done():
            self._heard.set_result(self.cut.heard)


class TwilioChannel:
    """The line to one caller. It is made before the caller's media stream exists; `attach` brings the stream.

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
        self._arrival: asyncio.Future[tuple[MediaSocket, str] | None] = asyncio.get_running_loop().create_future()
        self._over = False
        self._is_open = False
        self._has_started = False
        self._media_by = 0.0
        self._over_at = 0.0
        self._unexpected = 0
        self._inbound = InboundAudio()
        self._from_ulaw = Untouched() if audio_format == PCMU else UlawToPcm()
        self._to_ulaw = Untouched() if audio_format == PCMU else PcmToUlaw()
        self._held = b""
        self._item: SpokenItem | None = None
        self._message_bytes = FRAME_BYTES
        self._line_clock = LineClock()
        self._playback = Playback()
        self._waits: deque[_Wait] = deque()
        self._sending = asyncio.Lock()
        self._changed = asyncio.Event()
        self._generation = 0

    def attach(self, socket: MediaSocket, stream_sid: str) -> None:
        """Brings the stream, once its `start` was checked. Raises ChannelError when the line has one or is over."""
        if self._arrival.done() or self._over:
            raise ChannelError("the call has its media stream already, or is over")
        self._arrival.set_result((socket, stream_sid))

    # ---- from the caller ----

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChannelEvent:
        stream = None if self._over else await self._opened()
        if stream and not self._has_started:
            self._has_started = True
            self._media_by = self._clock() + MEDIA_TIMEOUT_S
            return ChannelStarted()
        while True:
            if self._playback.finished:
                return ChannelHeard(self._playback.finished.popleft())
            if stream is None or self._over:
                raise StopAsyncIteration
            message = await self._receive(stream[0])
            if self._over:
                continue
            match message:
                case Media(ulaw, timestamp_ms, "inbound"):
                    now = self._clock()
                    self._media_by = now + MEDIA_TIMEOUT_S
                    self._line_clock.frame(timestamp_ms, len(ulaw) / _BYTES_PER_MS, now)
                    pcm = self._from_ulaw.feed(self._inbound.take(ulaw, timestamp_ms, now))
                    if pcm:
                        return ChannelAudio(pcm)
                case Mark(name):
                    self._echoed(name)
                case Dtmf(digit):
                    return ChannelDigit(digit)
                case Stop():
                    self.end()
                case None:
                    self.end()
                    raise ChannelError("the media stream broke off")
                case other:
                    self._report(other)

    def _report(self, message: FromTwilio) -> None:
        self._unexpected += 1
        if self._unexpected <= MAX_REPORTS:
            log.warning("unexpected on the line: %s", type(message).__name__)

    async def _receive(self, socket: MediaSocket) -> FromTwilio | None:
        left_s = self._media_by - self._clock()
        try:
            if left_s > 0:
                return await socket.receive(left_s)
        except LineSilent:
            pass
        raise ChannelError(f"no media came for {MEDIA_TIMEOUT_S:g} s")

    async def _opened(self) -> tuple[MediaSocket, str] | None:
        """The stream, ready for audio: first of all a mark on the silent line tells how long it takes to come back."""
        stream = await self._arrived()
        if stream and not (self._is_open or self._over):
            self._is_open = True
            async with self._sending:
                await stream[0].send(write_mark(stream[1], self._playback.mark(self._clock())))
        return stream

    async def _arrived(self) -> tuple[MediaSocket, str] | None:
        """The stream, as soon as it is there; None when the line was closed before."""
        if self._arrival.done():
            return self._arrival.result()
        try:
            async with asyncio.timeout(ARRIVAL_TIMEOUT_S):
                return await asyncio.shield(self._arrival)
        except TimeoutError:
            raise ChannelError(f"no media stream came within {ARRIVAL_TIMEOUT_S:g} s") from None

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
        stream = self._arrival.result() if self._arrival.done() and not self._over else None
        wait = _Wait(self._playback.clear(self._cleared_at()))
        if stream is None:
            wait.end()
            return wait
        async with self._sending:
            await stream[0].send(write_clear(stream[1]))
            self._playback.clear_left(wait.cut, self._cleared_at())
            self._await_fence(wait)
            await stream[0].send(write_mark(stream[1], wait.cut.fence))
        wait.expect(FENCE_TIMEOUT_S)
        return wait

    def _cleared_at(self) -> float:
        """When a clear leaves that leaves now: on a line that is over, as if it had come there at the line's end."""
        return self._over_at - self._playback.round_trip_s if self._over else self._clock()

    def _await_fence(self, wait: _Wait) -> None:
        if self._over:
            wait.end()
            return
        if len(self._waits) == MAX_CUTS:
            self._waits.popleft().end()
        self._waits.append(wait)

    def _is_audible(self) -> bool:
        """Whether there is anything for a clear to silence by the time that it gets there."""
        playback = self._playback
        is_over = not self._over and playback.is_over_by(self._clock() + playback.round_trip_s)
        return not (playback.is_silent or is_over)

    @property
    def audio_format(self) -> AudioFormat:
        return self._format

    @property
    def is_playing(self) -> bool:
        return not (self._playback.is_silent or self._over)

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
        self._over, self._over_at = True, self._clock()
        lost_ms, refused_ms = self._inbound.missing_ms, self._inbound.refused_ms
        if lost_ms or refused_ms:
            log.warning("of the caller's audio %d ms were lost and %d ms came too fast", lost_ms, refused_ms)
        while self._waits:
            self._waits.popleft().end()
        if not self._arrival.done():
            self._arrival.set_result(None)
        self._changed.set()

    async def close(self) -> None:
        self.end()
        if stream := self._arrival.result():
            await stream[0].close()

    async def _send_frames(self, ulaw: bytes, item: SpokenItem) -> None:
        """Sends the whole frames, a mark behind each message, and holds the rest. Stops when the line is cleared."""
        generation = self._generation
        stream = await self._opened()
        if stream is None or generation != self._generation:
            return
        socket, stream_sid = stream
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
