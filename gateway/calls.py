"""The calls of this process: each one task from webhook to end, found by CallSid, opened once by its token."""

import asyncio
import contextlib
import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from agents.agent import CallContext, RealtimeAgent
from agents.errors import ChannelError
from agents.events import EndReason
from agents.templates import render
from agents.tracing import Telemetry
from channels.media_streams import ULAW_8K, Start
from gateway.addresses import Addresses
from gateway.admission import Admission
from gateway.call import Call, Ended
from gateway.call_control import TwilioCallControl
from gateway.errands import Errands
from gateway.rest import TwilioRest
from gateway.waiting_callers import WaitingCallers

log = logging.getLogger(__name__)

MAX_REMEMBERED: Final = 1000
"""Ended calls of which we remember how they ended, for Twilio's later questions."""


class Expecting(Protocol):
    """Who calls people: each of them may answer at any moment, and is to find somebody to talk with."""

    @property
    def expected(self) -> int:
        """How many may."""

    def take_back(self) -> None:
        """Calls nobody any more, and lets no telephone ring on. Does not wait until they are silent."""

    @property
    def is_busy(self) -> bool:
        """Whether a call waits for its turn or rings."""


class Calls:
    """Every call of this process. Enter it before the first call; leaving it ends them all.

    `admission` says how many are let in; a number lets in so many. `waiting` are those whom it did not, and who wait.
    `rest` hangs up the calls that end by our side, and with `addresses` to give to Twilio it does what their tools ask
    for; it is entered and left together with the calls. `telemetry` is where their spans and figures go.
    """

    def __init__(
        self,
        agents: Mapping[str, RealtimeAgent],
        admission: Admission | int,
        clock: Callable[[], float] = time.monotonic,
        *,
        rest: TwilioRest | None = None,
        addresses: Addresses | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._agents = agents
        self._admission = Admission(admission) if isinstance(admission, int) else admission
        self.waiting = WaitingCallers(clock)
        self._clock = clock
        self._rest = rest
        self._addresses = addresses
        self.errands = Errands()
        self._telemetry = telemetry
        self._while_entered = contextlib.AsyncExitStack()
        self._live: dict[str, Call] = {}
        self._ended: OrderedDict[str, Ended] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()
        self._group = asyncio.TaskGroup()
        self._expecting: Expecting | None = None
        self.is_draining = False

    async def __aenter__(self) -> Self:
        if self._rest:
            await self._while_entered.enter_async_context(self._rest)
        await self._while_entered.enter_async_context(self._group)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.end_all()
        await self._while_entered.__aexit__(exc_type, exc, tb)

    def __len__(self) -> int:
        return len(self._live)

    @property
    def has_room(self) -> bool:
        """Whether one more can be served, beside the callers who wait."""
        return self.why_not("") is None

    def why_not(self, sid: str) -> str | None:
        """Why a call that is not live would not be served, as words for a log; None when it would."""
        if not self.is_welcome(sid):
            return "the service is stopping" if self.is_draining else "the call is over"
        return self._admission.why_not(self._taken, self.waiting.ahead_of(sid) + 1)

    def is_welcome(self, sid: str) -> bool:
        """Whether a call would be served if there were room."""
        return not self.is_draining and sid not in self._over

    def take_room(self) -> bool:
        """Whether one more can be placed. Who is told so expects it, before others are asked."""
        return self.has_room

    @property
    def everywhere(self) -> int:
        """The live calls of the whole service."""
        return len(self._live)

    @property
    def expected(self) -> int:
        """How many were placed and may be answered."""
        return self._expecting.expected if self._expecting else 0

    @property
    def _taken(self) -> int:
        """How many have their room: those that are live, and those that were placed and may be answered."""
        return len(self._live) + self.expected

    def _may_begin(self, sid: str, *, is_placed: bool) -> bool:
        """Whoever answers a call of ours is let in, however busy we are meanwhile: their room was kept."""
        if is_placed:
            return self.is_welcome(sid) and not self._admission.is_full(self._taken)
        return self.why_not(sid) is None

    @property
    def is_busy(self) -> bool:
        """Whether a call is live, or may come to be by somebody who answers."""
        return bool(self._live) or (self._expecting is not None and self._expecting.is_busy)

    def expect(self, expecting: Expecting) -> None:
        """Keeps room for the calls that are placed."""
        self._expecting = expecting

    def drain(self) -> None:
        """Lets the live calls go on, and no other begin; telephones that ring are silenced."""
        self.is_draining = True
        if self._expecting:
            self._expecting.take_back()

    def open(
        self,
        sid: str,
        agent: str,
        caller: str,
        called: str,
        parameters: Mapping[str, str],
        *,
        placed: Mapping[str, str] | None = None,
        message: str | None = None,
    ) -> Call | None:
        """Begins to serve a call: its model is called up while Twilio is still reading our answer.

        A webhook that Twilio delivers twice gets the same call again. One for a call whose stream had begun means that
        the stream is over: a fresh one takes its place, and its room. None when there is no room, or when the call is
        over. `placed` has the variables that a call which we placed was placed with; a `message` is left on the machine
        that answered it, with {{ variables }}. Raises ConfigError for one that cannot be filled in.
        """
        live = self._live.get(sid)
        if live and not live.is_claimed and not live.ended.is_set():
            return live
        if sid in self._over or not (live or self._may_begin(sid, is_placed=placed is not None)):
            return None
        direction: Literal["inbound", "outbound"] = "inbound" if placed is None else "outbound"
        context = CallContext(sid, caller, called, agent, parameters, direction, placed or {})
        served = self._agents[agent]
        if message:
            message = render(message, served.variables_for(context))
            served = replace(served, greeting=None)
        hang_up = self._rest.hang_up if self._rest else None
        call = Call(sid, served, context, self._clock, hang_up, self._telemetry, self._control(), message)
        self._start(lambda: self._serve(call, replacing=live), f"call {sid}")
        if not live:
            self._admission.begun()
        self._live[sid] = call
        self.waiting.forget(sid)
        return call

    def leave_message(self, sid: str, message: str) -> None:
        """Has a live call's agent say no more than a message, with {{ variables }}, and end the call; does not wait.

        Raises ConfigError for a message that cannot be filled in.
        """
        call = self._live.get(sid)
        if call and not call.ended.is_set():
            call.leave_message(render(message, call.agent.variables_for(call.context)))

    def _control(self) -> Callable[[Call], TwilioCallControl] | None:
        rest, addresses = self._rest, self._addresses
        if rest is None or addresses is None:
            return None
        return lambda call: TwilioCallControl(
            call, rest, addresses, self.errands, lambda reason: self._finish(call, reason)
        )

    def _finish(self, call: Call, reason: EndReason) -> None:
        """Ends a call's session, and does not wait for it."""
        if not call.ended.is_set():
            self._start(lambda: call.session.close(reason), f"finish {call.sid}")

    def _start(self, part: Callable[[], Awaitable[None]], name: str) -> None:
        """Runs a part of one call. What breaks there ends that call at most: the group is that of all."""

        async def alone() -> None:
            try:
                await part()
            except Exception:
                log.exception("%s broke", name)

        self._group.create_task(alone(), name=name)

    def live(self, sid: str) -> Call | None:
        return self._live.get(sid)

    def claim(self, start: Start, token: str) -> Call:
        """The call that a media stream belongs to.

        Raises ChannelError unless the token is the call's own, fresh and unused, and the audio is mu-law.
        """
        call = self._live.get(start.call_sid)
        if call is None or not hmac.compare_digest(call.token.encode(), token.encode()):
            raise ChannelError("the stream's token is not that of its call")
        if call.is_claimed:
            raise ChannelError("the stream's token was used before")
        if self._clock() > call.expires_at:
            raise ChannelError("the stream's token has expired")
        call.is_claimed = True
        if start.media_format != ULAW_8K:
            raise ChannelError(f"the stream's media format is {start.media_format}, not {ULAW_8K}")
        return call

    async def hung_up(self, sid: str) -> None:
        """Twilio says that the call is over, whatever its media stream says."""
        self._over[sid] = None
        while len(self._over) > MAX_REMEMBERED:
            self._over.popitem(last=False)
        self.errands.forget(sid)
        self.waiting.forget(sid)
        await self.end(sid, "caller")

    async def end(self, sid: str, reason: EndReason) -> None:
        """Ends a call and waits until nothing of it is left. Does nothing when it is not live."""
        call = self._live.get(sid)
        if call:
            await call.session.close(reason)
            await call.ended.wait()

    async def end_all(self) -> None:
        """Ends every call and waits until nothing of them is left."""
        async with asyncio.TaskGroup() as tasks:
            for sid in tuple(self._live):
                tasks.create_task(self.end(sid, "closed"), name=f"end {sid}")

    def how_it_ended(self, sid: str) -> "Ended | None":
        return self._ended.get(sid)

    def recording(self, agent: str) -> Path | None:
        """What callers of that agent are played when no model can serve them; None without such a recording."""
        known = self._agents.get(agent)
        return known.last_resort.recording if known else None

    async def _serve(self, call: Call, replacing: Call | None) -> None:
        if replacing:
            await replacing.session.close("caller")
        try:
            self._ended[call.sid] = Ended(await call.run(), call.session.agent, call.context)
            while len(self._ended) > MAX_REMEMBERED:
                self._ended.popitem(last=False)
        finally:
            if self._live.get(call.sid) is call:
                del self._live[call.sid]
                self._admission.ended()
            call.ended.set()
