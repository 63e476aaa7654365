"""One direction of a connection: messages in order, bounded in bytes, each to be had when it is due."""

import asyncio
from collections import deque
from typing import Final

from channels.carrier.reach import SocketClosed

_AT_ONCE_S: Final = 1e-6
"""So close to its time a message is due: timers and floating point are no more exact than this."""


class Pipe:
    """Several may put in, one takes out. Times are those of the running loop, in seconds.

    It counts as full while `limit_bytes` or more wait in it, so that a message of any length fits into one that is not.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._messages: deque[tuple[float, str | bytes]] = deque()
        self._bytes = 0
        self._ends_at: float | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._reader: asyncio.Future[None] | None = None

    async def room(self) -> None:
        """Waits until it is not full. Raises SocketClosed when it has ended, at once or meanwhile."""
        while not self._room.is_set():
            await self._room.wait()
        if self._ends_at is not None:
            raise SocketClosed

    def push(self, message: str | bytes, due_s: float = 0.0) -> None:
        """Puts a message in, to be had from `due_s` on, and not before those that were put in earlier."""
        if not self._messages:
            self._wake()
        self._messages.append((due_s, message))
        self._bytes += len(message)
        if self._bytes >= self._limit_bytes and self._ends_at is None:
            self._room.clear()

    async def take(self) -> str | bytes | None:
        """Waits for the next message, and until it is due. None when the pipe has ended and all was taken."""
        clock = asyncio.get_running_loop().time
        while True:
            if self._messages:
                due_s = self._messages[0][0]
            elif self._ends_at is not None:
                due_s = self._ends_at
            else:
                await self._news(None)
                continue
            if due_s - clock() > _AT_ONCE_S:
                await self._news(due_s)
            elif self._messages:
                return self._taken()
            else:
                return None

    def end(self, due_s: float = 0.0) -> None:
        """Takes no more; what is in it can still be taken out, and its end is known from `due_s` on."""
        if self._ends_at is None:
            self._ends_at = due_s
            self._room.set()
            self._wake()

    def break_off(self) -> None:
        """Ends it here and now: what is in it is lost."""
        self._messages.clear()
        self._bytes = 0
        self._ends_at = 0.0
        self._room.set()
        self._wake()

    def _taken(self) -> str | bytes:
        _, message = self._messages.popleft()
        self._bytes -= len(message)
        if self._bytes < self._limit_bytes:
            self._room.set()
        return message

    async def _news(self, until_s: float | None) -> None:
        """Waits until something changes, at most until that time."""
        loop = asyncio.get_running_loop()
        self._reader = loop.create_future()
        timer = None if until_s is None else loop.call_at(until_s, self._wake)
        try:
            await self._reader
        finally:
            self._reader = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
