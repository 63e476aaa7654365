"""The media streams of one line, one after the other: which is there, which is expected, for how long."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from agents.errors import ChannelError
from channels.media_socket import MediaSocket

ARRIVAL_TIMEOUT_S: Final = 15.0
"""How long after the webhook the media stream may take to come: Twilio gives webhooks as long."""

LEAVE_TIMEOUT_S: Final = 8.0
"""How long after it was announced a stream may be taken away: longer than the request for it may take, and the news of
it. What ends later ends the line.
"""


@dataclass(frozen=True, slots=True, eq=False)
class MediaStream:
    """A stream that has started. `is_over` is set once the line has no more use for it."""

    socket: MediaSocket
    sid: str
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def close(self) -> None:
        try:
            await self.socket.close()
        finally:
            self.is_over.set()


class Streams:
    """A line is made before its first stream is there. Between `leave` and `back` one takes the place of another.

    `is_away` is true while the line is without one, from when it was taken away until the next is in use.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds and never goes back."""
        self._clock = clock
        self._arrival = _awaited()
        self._next = _awaited()
        self._timeout_s = ARRIVAL_TIMEOUT_S
        self._leave_by = -inf
        self.is_away = False
        self._gone = asyncio.Event()
        self._here = asyncio.Event()
        self._is_over = False

    @property
    def present(self) -> MediaStream | None:
        """The stream that is there; None before it is, while the line is away, and where the line ended before."""
        return self._arrival.result() if self._arrival.done() and not self.is_away else None

    @property
    def is_leaving(self) -> bool:
        """True from `leave` on until the stream is taken away, or it is clear that it is not."""
        return self._leave_by != -inf and not self.is_away and self._clock() < self._leave_by

    def attach(self, stream: MediaStream) -> None:
        """Raises ChannelError when no stream is expected."""
        place = self._next if self._arrival.done() and self.is_leaving else self._arrival
        if place.done() or self._is_over:
            raise ChannelError("the call has its media stream already, or is over")
        place.set_result(stream)

    async def arrived(self) -> MediaStream | None:
        """The stream, as soon as it is there; None when the line ended before.

        Raises ChannelError for one that does not come in time.
        """
        if self._arrival.done():
            return self._arrival.result()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(self._arrival)
        except TimeoutError:
            what = "the line did not come back" if self.is_away else "no media stream came"
            raise ChannelError(f"{what} within {self._timeout_s:g} s") from None

    # ---- one after the other ----

    def leave(self, at_most_s: float) -> None:
        """The stream that is there will be taken away, and another be there at most so many seconds later.

        Raises ChannelError when none is there, or it is leaving already.
        """
        if self.present is None or self.is_leaving or self._is_over:
            raise ChannelError("the line is not there, or is leaving already")
        self._leave_by = self._clock() + LEAVE_TIMEOUT_S
        self._timeout_s = at_most_s

    def stay(self) -> None:
        """The stream that is there is not to be taken away after all."""
        self._leave_by = -inf

    def left(self) -> None:
        """The stream was taken away."""
        if stream := self.present:
            stream.is_over.set()
        self._arrival, self._next = self._next, _awaited()
        self._here.clear()
        self._gone.set()
        self.is_away = True

    def back(self) -> None:
        """The next one is there, and in use."""
        self._leave_by = -inf
        self._gone.clear()
        self.is_away = False
        self._here.set()

    async def wait_gone(self, timeout_s: float) -> bool:
        """Waits until the stream was taken away. False when it was not within so long."""
        return await _is_set_within(self._gone, timeout_s)

    async def wait_back(self, timeout_s: float) -> bool:
        """Waits until the line is there again. False when it was not within so long."""
        return await _is_set_within(self._here, timeout_s)

    # ---- the end ----

    def end(self) -> None:
        """Ends every wait for a stream. None is expected any more."""
        self._is_over = True
        if not self._arrival.done():
            self._arrival.set_result(None)

    async def close(self) -> None:
        """Closes whatever stream there is."""
        self.end()
        for arrival in (self._arrival, self._next):
            if arrival.done() and (stream := arrival.result()):
                await stream.close()


def _awaited() -> asyncio.Future[MediaStream | None]:
    return asyncio.get_running_loop().create_future()


async def _is_set_within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return False
