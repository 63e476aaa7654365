"""One telephone call: its session, its line, and how it ends at Twilio."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from agents.agent import CallContext, RealtimeAgent
from agents.errors import GatewayError
from agents.events import Closed, EndReason, Error
from agents.realtime import PCM, PCMU
from agents.session import RealtimeSession
from agents.tools.voicemail import MESSAGE_S
from agents.tracing import Telemetry
from channels.twilio import TwilioChannel
from gateway.call_control import TwilioCallControl
from gateway.call_trace import CallTrace
from gateway.log import current_call, masked

log = logging.getLogger(__name__)

TOKEN_TTL_S: Final = 30.0
"""How long a media stream may use its token after the webhook. It comes within a second, or something is wrong."""

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
        self._is_connected = False
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
                self._is_connected = True
                if self._message:
                    self.leave_message(self._message)
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

    def leave_message(self, text: str) -> None:
        """Has a text said to a machine, as soon as the model is there, and the call ended when it was heard.

        Does not wait. A call leaves one message: does nothing when another was asked for, by this or by a tool.
        """
        self._message = self._message or text
        if self._is_connected:
            self.session.say_last(self._message, "agent", timeout_s=MESSAGE_S)

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
