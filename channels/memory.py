"""A line without a telephone: for tests, and for agents that run without the gateway."""

import asyncio
from collections.abc import Awaitable
from typing import Self

from agents.errors import ChannelError
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
from agents.realtime import PCM, AudioFormat, SpokenItem
from channels.line_clock import Span
from channels.playback import Playback


class MemoryChannel:
    """A line whose far side is this object: `say`, `press`, `hang_up` and `drop` are the caller's.

    Nothing plays by itself: `play(ms)` moves the caller's ear onward, `play_all()` to the end. `heard` has all audio
    that was sent, in order; `interruptions` counts how often the line was silenced. All audio is of `audio_format`.
    """

    def __init__(self, audio_format: AudioFormat = PCM) -> None:
        self._format = audio_format
        self.heard: list[tuple[SpokenItem, bytes]] = []
        self.interruptions = 0
        self.is_closed = False
        self._events: asyncio.Queue[ChannelEvent | ChannelError | None] = asyncio.Queue()
        self._events.put_nowait(ChannelStarted())
        self._playback = Playback()
        self._ends: list[tuple[float, str]] = []
        self._sent_ms = 0.0
        self._ear_ms = 0.0
        self._changed = asyncio.Event()

    # ---- the caller's side ----

    def say(self, pcm: bytes) -> None:
        self._events.put_nowait(ChannelAudio(pcm))

    def press(self, digit: str) -> None:
        self._events.put_nowait(ChannelDigit(digit))

    def leave(self) -> None:
        """The caller is elsewhere until they `come_back`."""
        self._events.put_nowait(ChannelAway())

    def come_back(self) -> None:
        self._events.put_nowait(ChannelBack())

    def hang_up(self) -> None:
        self._events.put_nowait(None)

    def drop(self, why: str) -> None:
        """Breaks the line."""
        self._events.put_nowait(ChannelError(why))

    def play(self, ms: float) -> None:
        """Lets the caller hear `ms` more of what was sent."""
        self._ear_ms = min(self._ear_ms + ms, self._sent_ms)
        while self._ends and self._ends[0][0] <= self._ear_ms:
            self._playback.echoed(self._ends.pop(0)[1], Span(self._ear_ms / 1000, self._ear_ms / 1000))
        self._tell_finished()

    def play_all(self) -> None:
        self.play(self._sent_ms - self._ear_ms)

    # ---- the session's side ----

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChannelEvent:
        event = await self._events.get()
        if isinstance(event, ChannelError):
            raise event
        if event is None:
            raise StopAsyncIteration
        return event

    async def send_audio(self, pcm: bytes, item: SpokenItem) -> None:
        self.heard.append((item, pcm))
        ms = len(pcm) / self._format.bytes_per_ms
        self._playback.received(item, ms)
        self._playback.sent(item, ms, self._ear_ms / 1000)
        self._sent_ms += ms
        self._ends.append((self._sent_ms, self._playback.mark(self._ear_ms / 1000)))

    async def end_audio(self, item: SpokenItem) -> None:
        self._playback.ended(item)
        self._tell_finished()

    async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
        if self._playback.is_silent:
            return None
        self.interruptions += not self.is_closed
        self._ends.clear()
        heard: asyncio.Future[tuple[Heard, ...]] = asyncio.get_running_loop().create_future()
        heard.set_result(self._playback.clear(self._ear_ms / 1000).heard)
        self._sent_ms = self._ear_ms
        self._changed.set()
        return heard

    def _tell_finished(self) -> None:
        while self._playback.finished:
            self._events.put_nowait(ChannelHeard(self._playback.finished.popleft()))
        self._changed.set()

    @property
    def audio_format(self) -> AudioFormat:
        return self._format

    @property
    def is_playing(self) -> bool:
        return not (self._playback.is_silent or self.is_closed)

    def sounds_in_s(self, item: SpokenItem) -> float | None:
        """How long the ear must move onward to hear the first of an item; None of one that was not sent."""
        at = self._playback.sounds_at(item)
        return None if at is None else at - self._ear_ms / 1000

    async def wait_played(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while self.is_playing:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        self.is_closed = True
        self._changed.set()
        self._events.put_nowait(None)
