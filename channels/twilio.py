"""A caller on a Twilio media stream: mu-law frames in and out, marks and clear."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final, Self

from agents.audio import PCM_BYTES_PER_MS
from agents.errors import ChannelError
from agents.events import ChannelAudio, ChannelDigit, ChannelEvent, ChannelStarted, Heard
from agents.realtime import SpokenItem
from channels.inbound import InboundAudio
from channels.media_socket import LineSilent, MediaSocket
from channels.media_streams import Dtmf, FromTwilio, Mark, Media, Stop, write_clear, write_mark, write_media
from channels.mulaw import FRAME_BYTES, RATE_HZ, SILENCE, PcmToUlaw, UlawToPcm
from channels.playback import MARK_EVERY_MS, Playback

log = logging.getLogger(__name__)

ARRIVAL_TIMEOUT_S: Final = 15.0
"""How long after the webhook the media stream may take to come: Twilio gives webhooks as long."""

MEDIA_TIMEOUT_S: Final = 10.0
"""Twilio sends a frame every 20 ms, silence included: this long without one, the line is dead."""

MARK_GRACE_S: Final = 3.0
"""How much later than the clock says the last mark may come back; then it is not coming."""

MAX_REPORTS: Final = 10
"""Log lines about messages that are sound but have no meaning here; a line that sends them may send many."""

_BYTES_PER_MS: Final = RATE_HZ // 1000
_MESSAGE_BYTES: Final = MARK_EVERY_MS * _BYTES_PER_MS


class TwilioChannel:
    """The line to one caller. It is made before the caller's media stream exists; `attach` brings the stream.

    Audio goes out at once, in messages of whole 20 ms frames with a mark after each 200 ms; Twilio plays it in real
    time. Frames that are missing from the caller's audio are replaced by silence.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds and never goes back."""
        self._clock = clock
        self._arrival: asyncio.Future[tuple[MediaSocket, str] | None] = asyncio.get_running_loop().create_future()
        self._over = False
        self._has_started = False
        self._media_by = 0.0
        self._unexpected = 0
        self._inbound = InboundAudio()
        self._to_pcm = UlawToPcm()
        self._to_ulaw = PcmToUlaw()
        self._held = b""
        self._item: SpokenItem | None = None
        self._playback = Playback()
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
        if self._over:
            raise StopAsyncIteration
        stream = await self._arrived()
        if stream is None:
            raise StopAsyncIteration
        if not self._has_started:
            self._has_started = True
            self._media_by = self._clock() + MEDIA_TIMEOUT_S
            return ChannelStarted()
        while True:
            match await self._receive(stream[0]):
                case Media(ulaw, timestamp_ms, "inbound"):
                    now = self._clock()
                    self._media_by = now + MEDIA_TIMEOUT_S
                    pcm = self._to_pcm.feed(self._inbound.take(ulaw, timestamp_ms, now))
                    if pcm:
                        return ChannelAudio(pcm)
                case Mark(name):
                    self._echoed(name)
                case Dtmf(digit):
                    return ChannelDigit(digit)
                case Stop():
                    self._end()
                    raise StopAsyncIteration
                case None:
                    raise self._broken_off()
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

    def _broken_off(self) -> Exception:
        """What a socket means that closed without `stop`: nothing when we closed it, else a line that was lost."""
        if self._over:
            return StopAsyncIteration()
        self._end()
        return ChannelError("the media stream broke off")

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
        if not self._playback.echoed(name, self._clock()):
            log.debug("a mark that was not outstanding came back")
        self._changed.set()

    # ---- to the caller ----

    async def send_audio(self, pcm: bytes, item: SpokenItem) -> None:
        generation = self._generation
        await self._begin(item)
        if generation != self._generation:
            return
        self._playback.received(item, len(pcm) / PCM_BYTES_PER_MS)
        await self._send_frames(self._held + self._to_ulaw.feed(pcm), item)

    async def end_audio(self, item: SpokenItem) -> None:
        if item == self._item:
            self._item = None
            tail = self._held + self._to_ulaw.flush()
            padding = bytes([SILENCE]) * (-len(tail) % FRAME_BYTES)
            await self._send_frames(tail + padding, item)
            self._playback.ended(item)
            self._changed.set()

    async def interrupt(self) -> tuple[Heard, ...]:
        if not self.is_playing:
            return ()
        self._generation += 1
        heard = self._playback.clear(self._clock())
        self._to_ulaw.reset()
        self._held = b""
        self._item = None
        self._changed.set()
        stream = self._arrival.result() if self._arrival.done() else None
        if stream:
            await stream[0].send(write_clear(stream[1]))
        return heard

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

    async def close(self) -> None:
        self._end()
        if not self._arrival.done():
            self._arrival.set_result(None)
        elif stream := self._arrival.result():
            await stream[0].close()

    async def _begin(self, item: SpokenItem) -> None:
        """Ends the item before, when its model did not say that it was done."""
        if self._item and self._item != item:
            await self.end_audio(self._item)
        self._item = item

    async def _send_frames(self, ulaw: bytes, item: SpokenItem) -> None:
        """Sends the whole frames, a mark behind each message, and holds the rest. Stops when the line is cleared."""
        generation = self._generation
        stream = await self._arrived()
        if stream is None or generation != self._generation:
            return
        socket, stream_sid = stream
        whole = len(ulaw) - len(ulaw) % FRAME_BYTES
        self._held = ulaw[whole:]
        for start in range(0, whole, _MESSAGE_BYTES):
            piece = ulaw[start : min(start + _MESSAGE_BYTES, whole)]
            self._playback.sent(item, len(piece) / _BYTES_PER_MS, self._clock())
            mark = self._playback.mark()
            await socket.send(write_media(stream_sid, piece))
            if generation != self._generation:
                return
            await socket.send(write_mark(stream_sid, mark))
            if generation != self._generation:
                return

    def _end(self) -> None:
        lost_ms, refused_ms = self._inbound.missing_ms, self._inbound.refused_ms
        if (lost_ms or refused_ms) and not self._over:
            log.warning("of the caller's audio %d ms were lost and %d ms came too fast", lost_ms, refused_ms)
        self._over = True
        self._changed.set()
