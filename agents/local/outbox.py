"""What the model says, waiting for its reader: bounded, in order, over when closed."""

import asyncio
from collections import deque
from typing import Final

from agents.errors import ProviderError
from agents.events import ServerEvent

ROOM: Final = 64
"""Events after which speech waits for the reader: some 25 s of voice in pieces of 400 ms."""

MAX_UNREAD: Final = 1000
"""Events after which nobody can be reading any more. Answers to what is sent cannot wait for room before that: the
reader may be the one who is sending."""


class Outbox:
    """A queue of events for one reader."""

    def __init__(self) -> None:
        self._events: deque[ServerEvent] = deque()
        self._has_events = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._failure: ProviderError | None = None
        self.is_closed = False

    def put_now(self, event: ServerEvent) -> None:
        """Adds without waiting; when nobody reads, closes instead. After the closing, events vanish."""
        if self.is_closed:
            return
        if len(self._events) >= MAX_UNREAD:
            self.close(ProviderError(f"{MAX_UNREAD} events were not read", code="closed", retryable=False))
            return
        self._events.append(event)
        self._has_events.set()
        if len(self._events) >= ROOM:
            self._has_room.clear()

    async def put(self, event: ServerEvent) -> None:
        """Adds as soon as there is room."""
        await self.wait_for_room()
        self.put_now(event)

    async def wait_for_room(self) -> None:
        await self._has_room.wait()

    async def get(self) -> ServerEvent | None:
        """The next event; None when closed. Raises the ProviderError that it was closed with."""
        await self._has_events.wait()
        if self._failure:
            raise self._failure
        if self.is_closed:
            return None
        event = self._events.popleft()
        if not self._events:
            self._has_events.clear()
        if len(self._events) < ROOM:
            self._has_room.set()
        return event

    def close(self, failure: ProviderError | None = None) -> None:
        """Drops what was not read, and ends the reading. Only the first closing counts."""
        if self.is_closed:
            return
        self.is_closed = True
        self._failure = failure
        self._events.clear()
        self._has_events.set()
        self._has_room.set()
