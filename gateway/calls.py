"""The calls of this process: each one task from webhook to end, found by CallSid, opened once by its token."""

import asyncio
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

from agents.agent import CallContext, RealtimeAgent
from agents.errors import ChannelError, GatewayError
from agents.events import Closed, EndReason, Error
from agents.session import RealtimeSession
from channels.media_streams import ULAW_8K, Start
from channels.twilio import TwilioChannel
from gateway.log import current_call, masked

log = logging.getLogger(__name__)

TOKEN_TTL_S: Final = 30.0
"""How long a media stream may use its token after the webhook. It comes within a second, or something is wrong."""

MAX_REMEMBERED: Final = 1000
"""Ended calls of which we remember how they ended, for Twilio's later questions."""


class Call:
    """One telephone call: its session and line, from the webhook on."""

    def __init__(self, sid: str, agent: RealtimeAgent, context: CallContext, clock: Callable[[], float]) -> None:
        self.sid = sid
        self.token = secrets.token_urlsafe(24)
        self.channel = TwilioChannel(clock)
        self.session = RealtimeSession(agent, channel=self.channel, context=context)
        self.session.on("error", self._log_error)
        self.expires_at = clock() + TOKEN_TTL_S
        self.ended = asyncio.Event()
        self.is_claimed = False
        self._context = context
        self._clock = clock
        self._began_at = clock()

    async def run(self) -> Closed:
        """Serves the call to its end. Raises nothing but cancellation: what breaks one call breaks no other."""
        current_call.set(self.sid)
        context = self._context
        log.info("call from %s to %s: agent %s", masked(context.caller), masked(context.called), context.agent)
        closed = Closed("error")
        try:
            closed = await self._converse()
        finally:
            seconds = self._clock() - self._began_at
            detail = f" ({closed.detail})" if closed.detail else ""
            level = logging.WARNING if closed.reason in ("provider", "line", "error") else logging.INFO
            log.log(level, "call ended: %s%s after %.1f s", closed.reason, detail, seconds)
        return closed

    async def _converse(self) -> Closed:
        try:
            async with self.session:
                return await self.session.wait_closed()
        except GatewayError as error:
            return self.session.closed or Closed("provider", str(error))
        except Exception as error:
            log.exception("the call broke")
            return Closed("error", str(error))
        finally:
            await self.channel.close()

    def _log_error(self, error: Error) -> None:
        log.warning("model error %s: %s", error.code, error.message)


class Calls:
    """Every call of this process. Enter it before the first call; leaving it ends them all."""

    def __init__(
        self, agents: Mapping[str, RealtimeAgent], max_calls: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._agents = agents
        self._max_calls = max_calls
        self._clock = clock
        self._live: dict[str, Call] = {}
        self._ended: OrderedDict[str, Closed] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()
        self._group = asyncio.TaskGroup()
        self.is_draining = False

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.end_all()
        await self._group.__aexit__(exc_type, exc, tb)

    def __len__(self) -> int:
        return len(self._live)

    @property
    def has_room(self) -> bool:
        return not self.is_draining and len(self._live) < self._max_calls

    def open(self, sid: str, agent: str, caller: str, called: str, parameters: Mapping[str, str]) -> Call | None:
        """Begins to serve a call: its model is called up while Twilio is still reading our answer.

        A webhook that Twilio delivers twice gets the same call again. One for a call whose stream had begun means that
        the stream is over: a fresh one takes its place. None when there is no room, or when the call is over.
        """
        live = self._live.get(sid)
        if live and not live.is_claimed and not live.ended.is_set():
            return live
        if sid in self._over or not self.has_room:
            return None
        call = Call(sid, self._agents[agent], CallContext(sid, caller, called, agent, parameters), self._clock)
        self._group.create_task(self._serve(call, replacing=live), name=f"call {sid}")
        self._live[sid] = call
        return call

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
        await self.end(sid, "caller")

    async def end(self, sid: str, reason: EndReason) -> None:
        """Ends a call and waits until nothing of it is left. Does nothing when it is not live."""
        call = self._live.get(sid)
        if call:
            await call.session.close(reason)
            await call.ended.wait()

    async def end_all(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for call in tuple(self._live.values()):
                tasks.create_task(call.session.close("closed"), name=f"end {call.sid}")

    def how_it_ended(self, sid: str) -> Closed | None:
        return self._ended.get(sid)

    async def _serve(self, call: Call, replacing: Call | None) -> None:
        if replacing:
            await replacing.session.close("caller")
        try:
            self._ended[call.sid] = await call.run()
            while len(self._ended) > MAX_REMEMBERED:
                self._ended.popitem(last=False)
        finally:
            if self._live.get(call.sid) is call:
                del self._live[call.sid]
            call.ended.set()
