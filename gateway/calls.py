"""The calls of this process: each one task from webhook to end, found by CallSid, opened once by its token."""

import asyncio
import contextlib
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from agents.agent import CallContext, RealtimeAgent
from agents.errors import ChannelError, GatewayError
from agents.events import Closed, EndReason, Error
from agents.realtime import PCM, PCMU
from agents.session import RealtimeSession
from agents.templates import render
from agents.tools.voicemail import MESSAGE_S
from agents.tracing import Telemetry
from channels.media_streams import ULAW_8K, Start
from channels.twilio import TwilioChannel
from gateway.addresses import Addresses
from gateway.call_control import TwilioCallControl
from gateway.call_trace import CallTrace
from gateway.errands import Errands
from gateway.log import current_call, masked
from gateway.rest import TwilioRest

log = logging.getLogger(__name__)

TOKEN_TTL_S: Final = 30.0
"""How long a media stream may use its token after the webhook. It comes within a second, or something is wrong."""

MAX_REMEMBERED: Final = 1000
"""Ended calls of which we remember how they ended, for Twilio's later questions."""

BROKEN: Final[frozenset[EndReason]] = frozenset({"provider", "line", "error"})
"""Ends that the caller is to hear an apology for. Twilio asks for it when the stream is over, if the call is not."""

AT_TWILIO: Final = BROKEN | {"caller", "transferred"}
"""Ends after which the call is over, or goes on without us: it is not to be hung up."""

HangUp = Callable[[str], Awaitable[bool]]
"""Ends the call of a CallSid at Twilio. Takes a bounded time and never raises."""


class Line(TwilioChannel):
    """The line to a caller, whose stream outlives the session: the call decides how it ends."""

    async def close(self) -> None:
        """Ends the line and leaves the stream open. Why the session is over is known only after this."""
        self.end()

    async def close_stream(self) -> None:
        """Closes the stream. Twilio then asks what is next, unless the call is over."""
        await super().close()


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that is over: how, and whose it was."""

    closed: Closed
    agent: RealtimeAgent
    context: CallContext

    @property
    def broke(self) -> bool:
        return self.closed.reason in BROKEN


class Call:
    """One telephone call: its session and line, from the webhook on."""

    def __init__(
        self,
        sid: str,
        agent: RealtimeAgent,
        context: CallContext,
        clock: Callable[[], float],
        hang_up: HangUp | None,
        telemetry: Telemetry | None = None,
        control: "Callable[[Call], TwilioCallControl] | None" = None,
        message: str | None = None,
    ) -> None:
        """Without `hang_up` the end of the stream has to do; without `telemetry` nobody is told what became of it.

        `control` makes what its tools may do with the call. With a `message`, for an answering machine, that is said,
        and then the call ends.
        """
        self.sid = sid
        self.token = secrets.token_urlsafe(24)
        self.channel = Line(clock, PCMU if agent.config.output_format == PCMU else PCM)  # the session refuses others
        self.context = context
        self.session = RealtimeSession(
            agent,
            channel=self.channel,
            context=context,
            telemetry=telemetry,
            call_control=control(self) if control else None,
        )
        self.session.on("error", self._log_error)
        self.expires_at = clock() + TOKEN_TTL_S
        self.ended = asyncio.Event()
        self.is_claimed = False
        self.agent = agent
        self._message = message
        self._clock = clock
        self._telemetry = telemetry
        self._hang_up = hang_up
        self._began_at = clock()

    async def run(self) -> Closed:
        """Serves the call to its end. Raises nothing but cancellation: what breaks one call breaks no other."""
        current_call.set(self.sid)
        context = self.context
        log.info("call from %s to %s: agent %s", masked(context.caller), masked(context.called), context.agent)
        closed = Closed("error")
        trace = CallTrace(self._telemetry, context) if self._telemetry else None
        try:
            closed = await self._converse()
        finally:
            if trace:
                trace.ended(closed, self.session.worst_silence_ms)
            seconds = self._clock() - self._began_at
            detail = f" ({closed.detail})" if closed.detail else ""
            level = logging.WARNING if closed.reason in BROKEN else logging.INFO
            waited_s = self.session.worst_silence_ms / 1000
            text = "call ended: %s%s after %.1f s; the longest wait for an answer once a turn was over: %.1f s"
            log.log(level, text, closed.reason, detail, seconds, waited_s)
        return closed

    async def _converse(self) -> Closed:
        closed = Closed("error")
        try:
            async with self.session:
                if self._message:
                    await self.leave_message(self._message)
                closed = await self.session.wait_closed()
        except GatewayError as error:
            closed = self.session.closed or Closed("provider", str(error))
        except Exception as error:
            log.exception("the call broke")
            closed = Closed("error", str(error))
        finally:
            try:
                if self._hang_up and closed.reason not in AT_TWILIO:
                    await self._hang_up(self.sid)
            finally:
                await self.channel.close_stream()
        return closed

    async def leave_message(self, text: str) -> None:
        """Says a text to a machine, which is not listened to, and ends the call when it was heard."""
        await self.session.interrupt()
        await self.session.mute()
        await self.session.say(text)
        await self.session.close("agent", after_playback=True, timeout_s=MESSAGE_S)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the caller's leg is off its stream on purpose, or about to be: another stream is to come."""
        return self.channel.streams.is_leaving or self.channel.streams.is_away

    def renew_token(self, after_s: float = 0.0) -> str:
        """A token for the next stream, which Twilio can open from `after_s` on. One that nobody used stays the same."""
        if self.is_claimed:
            self.token, self.is_claimed = secrets.token_urlsafe(24), False
        self.expires_at = self._clock() + after_s + TOKEN_TTL_S
        return self.token

    def _log_error(self, error: Error) -> None:
        log.warning("model error %s: %s", error.code, error.message)


class Calls:
    """Every call of this process. Enter it before the first call; leaving it ends them all.

    `rest` hangs up the calls that end by our side, and with `addresses` to give to Twilio it does what their tools ask
    for; it is entered and left together with the calls. `telemetry` is where their spans and figures go.
    """

    def __init__(
        self,
        agents: Mapping[str, RealtimeAgent],
        max_calls: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        rest: TwilioRest | None = None,
        addresses: Addresses | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._agents = agents
        self._max_calls = max_calls
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
        return not self.is_draining and len(self._live) < self._max_calls

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
        that answered it, with {{ variables }}.
        """
        live = self._live.get(sid)
        if live and not live.is_claimed and not live.ended.is_set():
            return live
        if sid in self._over or not (live or self.has_room):
            return None
        direction: Literal["inbound", "outbound"] = "inbound" if placed is None else "outbound"
        context = CallContext(sid, caller, called, agent, parameters, direction, placed or {})
        served = self._agents[agent]
        if message:
            message = render(message, served.variables_for(context))
            served = replace(served, greeting=None)
        hang_up = self._rest.hang_up if self._rest else None
        call = Call(sid, served, context, self._clock, hang_up, self._telemetry, self._control(), message)
        self._group.create_task(self._serve(call, replacing=live), name=f"call {sid}")
        self._live[sid] = call
        return call

    def leave_message(self, sid: str, message: str) -> None:
        """Has a live call's agent say no more than a message, with {{ variables }}, and end the call; does not wait."""
        call = self._live.get(sid)
        if call and not call.ended.is_set():
            said = render(message, call.agent.variables_for(call.context))
            self._group.create_task(call.leave_message(said), name=f"message {sid}")

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
            self._group.create_task(call.session.close(reason), name=f"finish {call.sid}")

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
            call.ended.set()
