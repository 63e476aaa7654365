"""Lets others watch a session: `on / once / off / emit`, and an async iterator over the same events.

Watching is never control: a listener that raises is logged, a slow one loses events, and neither can hurt the call.
"""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, Self

from agents.cancelling import is_being_cancelled
from agents.events import SessionEvent

log = logging.getLogger(__name__)

Listener = Callable[[Any], object]
"""A function, sync or async, that takes the event."""

MAX_WAITING: Final = 1000
"""Events kept for a slow observer: about a minute of a lively call. The oldest go first."""

LISTENER_TIMEOUT_S: Final = 30.0
"""Longest an async listener may take before it is cancelled, so that the next one gets its turn."""


class Emitter:
    """Tells listeners of events by `kind`.

    A sync listener runs inside `emit`, so it must be quick. An async one is awaited by `run_async_listeners`, one after
    the other. The last event of a kind in `sticky` is told again to those who come late.
    """

    def __init__(self, sticky: frozenset[str] = frozenset()) -> None:
        self._listeners: dict[str, list[tuple[Listener, bool]]] = {}
        self._streams: list[_Stream] = []
        self._sticky = sticky
        self._last: dict[str, SessionEvent] = {}
        self._waiting: deque[Coroutine[Any, Any, object]] = deque()
        self._wake = asyncio.Event()
        self._is_over = False

    def on(self, kind: str, listener: Listener) -> Self:
        return self._add(kind, listener, once=False)

    def once(self, kind: str, listener: Listener) -> Self:
        return self._add(kind, listener, once=True)

    def off(self, kind: str, listener: Listener) -> Self:
        """Removes the listener, also one added by `once`. Does nothing when it is not there."""
        self._listeners[kind] = [entry for entry in self._listeners.get(kind, []) if entry[0] != listener]
        return self

    def emit(self, event: SessionEvent) -> bool:
        """Tells everyone who watches. Returns whether anyone did."""
        if self._is_over:
            return False
        if event.kind in self._sticky:
            self._last[event.kind] = event
        entries = tuple(self._listeners.get(event.kind, ()))
        for listener, once in entries:
            if not once or self._spend(event.kind, listener):
                self._tell(listener, event)
        for stream in self._streams:
            stream.put(event)
        return bool(entries or self._streams)

    def is_watched(self, kind: str) -> bool:
        """Whether an event of this kind would reach anyone: lets the audio path skip building it."""
        return bool(self._streams or self._listeners.get(kind))

    def events(self) -> AsyncIterator[SessionEvent]:
        """Every event from now on, until the last. A reader slower than the call loses the oldest."""
        stream = _Stream()
        if self._is_over:
            stream.end()
        else:
            self._streams.append(stream)
            for event in self._last.values():
                stream.put(event)
        return stream

    async def run_async_listeners(self) -> None:
        """Awaits what async listeners do, in order, until `end()` was called and all is done."""
        while True:
            while self._waiting:
                await self._finish(self._waiting.popleft())
            if self._is_over:
                return
            self._wake.clear()
            await self._wake.wait()

    def end(self) -> None:
        """No event is told from now on; iterators end when what they hold is read."""
        self._is_over = True
        for stream in self._streams:
            stream.end()
        self._wake.set()

    def forget(self) -> None:
        """Drops what async listeners have not begun."""
        while self._waiting:
            self._waiting.popleft().close()

    def _add(self, kind: str, listener: Listener, *, once: bool) -> Self:
        if kind in self._last and not self._is_over:
            self._tell(listener, self._last[kind])
            if once:
                return self
        self._listeners.setdefault(kind, []).append((listener, once))
        return self

    def _spend(self, kind: str, listener: Listener) -> bool:
        """Removes a listener that was added by `once`. False when it has fired or was removed meanwhile."""
        entries = self._listeners[kind]
        if (listener, True) not in entries:
            return False
        entries.remove((listener, True))
        return True

    def _tell(self, listener: Listener, event: SessionEvent) -> None:
        try:
            result = listener(event)
        except (Exception, asyncio.CancelledError):
            log.exception("a listener for %s raised", event.kind)
            return
        if inspect.iscoroutine(result):
            if len(self._waiting) == MAX_WAITING:
                self._waiting.popleft().close()
            self._waiting.append(result)
            self._wake.set()

    async def _finish(self, running: Coroutine[Any, Any, object]) -> None:
        try:
            async with asyncio.timeout(LISTENER_TIMEOUT_S):
                await running
        except (Exception, asyncio.CancelledError):
            if is_being_cancelled():
                raise
            log.exception("an async listener raised")


class _Stream:
    """An async iterator over events, bounded: the oldest are lost when nobody reads."""

    def __init__(self) -> None:
        self._events: deque[SessionEvent] = deque(maxlen=MAX_WAITING)
        self._changed = asyncio.Event()
        self._is_over = False

    def put(self, event: SessionEvent) -> None:
        self._events.append(event)
        self._changed.set()

    def end(self) -> None:
        self._is_over = True
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionEvent:
        while not self._events:
            if self._is_over:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()
