"""One connection while it carries a conversation, with what is known of its end."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Collection
from typing import Final

from agents.candidates import Candidate
from agents.errors import ProviderError
from agents.events import (
    AudioOutputDelta,
    ClientEvent,
    ItemCreate,
    ItemTruncate,
    ServerEvent,
    SessionCreated,
    SessionExpiring,
    SessionResumable,
    SessionUpdate,
    ToolResult,
)
from agents.realtime import RealtimeConnection
from agents.unfinished import Unfinished

log = logging.getLogger(__name__)

READY_S: Final = 5.0
"""Longest from an open connection to a model that is ready: a round trip or two, and a caller is waiting."""

RENEW_BEFORE_S: Final = 120.0
"""How long before a connection's end a quiet moment is looked for: nobody talks for two minutes without a pause."""

RENEW_PART: Final = 0.2
"""Of shorter connections, this part of them."""

SHORTEST_S: Final = 60.0
"""No provider opens a session for less: an earlier end means that its clock and ours differ."""

NO_NOTICE_S: Final = 10.0
"""What is left to a provider's connection when it announces the end without saying when."""


class Leg:
    """`ends_at` is when its provider will end it, in the loop's seconds; None when nobody knows."""

    def __init__(
        self,
        candidate: Candidate,
        connection: RealtimeConnection,
        told: Collection[str] = (),
        session_began_at: float | None = None,
    ) -> None:
        """`told` has the ids of the items and tool calls that the connection began with.

        `session_began_at` is when the session began that it resumes, in the loop's seconds; None for a new one.
        """
        self.candidate = candidate
        self.connection = connection
        self._events: AsyncIterator[ServerEvent] = connection.__aiter__()
        self.ends_at: float | None = None
        self.renew_from: float | None = None
        self.broken: ProviderError | None = None
        self.suspect: ProviderError | None = None
        """Why something could not be sent, until reading tells the true cause."""
        self.ready_at: float | None = None
        self.is_proven = False
        """Whether it has carried the conversation for a while, or some of it."""
        self.session_began_at = session_began_at
        self._handle: str | None = None
        self._told = frozenset(told)
        self._spoken: set[str] = set()
        self._early: deque[ServerEvent] = deque()
        self._is_ready = False
        self._over = asyncio.Event()
        self._holder: asyncio.Task[None] | None = None

    @property
    def handle(self) -> str | None:
        """What resumes the session elsewhere; None when nothing does, or the session is about to end itself."""
        longest_s = self.candidate.model.capabilities.max_session_s
        if longest_s is None or self.session_began_at is None:
            return self._handle
        left_s = self.session_began_at + longest_s - asyncio.get_running_loop().time()
        return self._handle if left_s > RENEW_BEFORE_S else None

    @property
    def is_ready(self) -> bool:
        return self._is_ready

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left."""
        return self._holder is not None and self._holder.done()

    # ---- what it is told ----

    def began_with(self, item_id: str) -> bool:
        """Whether it was given this item at its beginning."""
        return item_id in self._told

    def in_its_words(self, event: ClientEvent, unfinished: Unfinished) -> ClientEvent | None:
        """What this connection is told in place of the event: it may know what it is about otherwise, or not at all."""
        match event:
            case SessionUpdate(config):
                return SessionUpdate(self.candidate.adapted(config))
            case ItemTruncate(item_id) if item_id not in self._spoken:
                return None  # it knows the words as they stood when it began
            case ItemCreate(item_id=item_id) if item_id in self._told:
                return None
            case ToolResult(call_id) if call_id in self._told:
                return None
            case ToolResult(call_id, output) if not unfinished.is_ours(call_id):
                call = unfinished.tool_calls.get(call_id)
                name = f"The tool {call.name}, called with {call.arguments}," if call else "A tool"
                return ItemCreate("system", f"{name} has answered: {output}")
            case _:
                return event

    # ---- its life ----

    async def enter(self, tasks: asyncio.TaskGroup) -> None:
        """Enters the connection, in a task that leaves it in the end. Raises what the connection does."""
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._holder = tasks.create_task(self._hold(entered), name=f"connection to {self.candidate.name}")
        await entered

    async def ready(self) -> None:
        """Waits until the model is ready. Raises ProviderError when it never is."""
        while not self._is_ready:
            event = await self._first()
            self._note(event)
            self._early.append(event)

    def leave(self) -> None:
        """Ends the connection soon."""
        self._over.set()

    def break_off(self, error: ProviderError, *, is_alive: bool = True) -> None:
        """Ends the connection, as it is of no use. Closing one that is alive may end its session: that is over then."""
        self.broken = self.broken or error
        if is_alive:
            self._handle = None
        self._over.set()

    async def close(self) -> None:
        """Ends the connection, and waits until it has."""
        self._over.set()
        if self._holder:
            await asyncio.wait({self._holder})

    async def _hold(self, entered: "asyncio.Future[None]") -> None:
        try:
            async with self.connection:
                if not entered.done():
                    entered.set_result(None)
                await self._over.wait()
        except Exception as error:
            if not entered.done():
                entered.set_exception(error)
            else:
                log.warning("the connection to %s did not close well: %s", self.candidate.name, error)

    # ---- what its model says ----

    async def next(self) -> ServerEvent:
        """The next event. Raises StopAsyncIteration at the end, ProviderError when the model's side fails."""
        if self._early:
            return self._early.popleft()
        event = await (anext(self._events) if self._is_ready else self._first())
        self._note(event)
        return event

    async def _first(self) -> ServerEvent:
        try:
            async with asyncio.timeout(READY_S):
                return await anext(self._events)
        except TimeoutError as error:
            problem = f"{self.candidate.name} was not ready within {READY_S:g} s"
            raise ProviderError(problem, code="timeout", retryable=True) from error
        except StopAsyncIteration:
            problem = f"{self.candidate.name} closed the connection before it was ready"
            raise ProviderError(problem, code="closed", retryable=True) from None

    def _note(self, event: ServerEvent) -> None:
        match event:
            case AudioOutputDelta(_, item_id):
                self._spoken.add(item_id)
            case SessionCreated(_, expires_at):
                now = asyncio.get_running_loop().time()
                self._is_ready, self.ready_at = True, now
                can = self.candidate.model.capabilities
                if self.session_began_at is None:
                    self.session_began_at = now
                left_s = [can.max_connection_s] if can.max_connection_s else []
                left_s += [self.session_began_at + can.max_session_s - now] if can.max_session_s else []
                if expires_at and expires_at - time.time() > SHORTEST_S:
                    left_s.append(expires_at - time.time())
                if left_s:
                    self._ends(now, min(left_s), min(RENEW_BEFORE_S, RENEW_PART * min(left_s)))
            case SessionExpiring(left_s_or_none):
                left = NO_NOTICE_S if left_s_or_none is None else left_s_or_none
                self._ends(asyncio.get_running_loop().time(), left, left)
            case SessionResumable(handle):
                self._handle = handle

    def _ends(self, now: float, left_s: float, renew_before_s: float) -> None:
        self.ends_at = now + left_s
        self.renew_from = self.ends_at - renew_before_s
