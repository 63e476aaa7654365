"""What Twilio asks and tells of the calls that we place: who answered, what they are to hear, how it goes."""

import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.datastructures import FormData

from agents.call_spec import OutboundSpec
from agents.errors import ConfigError
from gateway import twiml
from gateway.addresses import OUTBOUND_MACHINE_PATH, OUTBOUND_PATH, OUTBOUND_STATUS_PATH
from gateway.calls import Calls
from gateway.outbound import OutboundCalls
from gateway.placed_call import OVER, Placed

log = logging.getLogger(__name__)


class OutboundWebhooks:
    """The answers to it, by path. Requests name the call by the id that it got before Twilio knew of it."""

    def __init__(self, outbound: OutboundCalls, calls: Calls, connect: Callable[[str], str]) -> None:
        """`connect` gives the TwiML that opens the media stream of a call, by its token."""
        self._outbound = outbound
        self._calls = calls
        self._connect = connect
        self.answers: Mapping[str, Callable[[FormData], Awaitable[str]]] = {
            OUTBOUND_PATH: self._answered,
            OUTBOUND_STATUS_PATH: self._status,
            OUTBOUND_MACHINE_PATH: self._machine,
        }

    async def _answered(self, fields: FormData) -> str:
        """Somebody picked up, or something: what they are to hear."""
        placed_id, sid = _text(fields, "id"), _text(fields, "CallSid")
        placed = self._outbound.known(placed_id)
        if placed is None:
            return twiml.hang_up()
        self._outbound.progressed(placed_id, "in-progress", sid)
        self._outbound.answered_by(placed_id, _text(fields, "AnsweredBy"))
        spec = self._outbound.spec(placed.wanted.agent)
        if placed.is_machine and spec.on_machine == "hang_up":
            return twiml.hang_up()
        is_left = placed.is_machine and spec.on_machine == "leave_message"
        parameters = {name: value for name, value in fields.items() if isinstance(value, str)}
        self._outbound.landed(placed_id)  # the room that was kept for it is now free, for it to take
        try:
            call = self._calls.open(
                sid,
                placed.wanted.agent,
                _text(fields, "From"),
                _text(fields, "To"),
                parameters,
                placed=placed.wanted.variables,
                message=spec.voicemail if is_left else None,
            )
        except ConfigError as error:
            return self._hang_up(placed, f"its message cannot be said: {error}")
        if call is None and not placed.is_over:
            return self._hang_up(placed, "they answered when no more calls could be served")
        return self._connect(call.token) if call else twiml.hang_up()

    def _hang_up(self, placed: Placed, why: str) -> str:
        """Without a word: whoever answered did not call us, and there is nothing to say to them."""
        log.warning("%s is hung up: %s", placed.id, why)
        self._outbound.landed(placed.id, why)
        return twiml.hang_up()

    async def _status(self, fields: FormData) -> str:
        sid, status = _text(fields, "CallSid"), _text(fields, "CallStatus")
        self._outbound.progressed(_text(fields, "id"), status, sid)
        if status in OVER:
            await self._calls.hung_up(sid)
        return twiml.nothing()

    async def _machine(self, fields: FormData) -> str:
        """Who answered, told while the agent talks with them."""
        placed = self._outbound.answered_by(_text(fields, "id"), _text(fields, "AnsweredBy"))
        if placed and placed.is_machine:
            await self._talk_no_more(placed, self._outbound.spec(placed.wanted.agent), _text(fields, "CallSid"))
        return twiml.nothing()

    async def _talk_no_more(self, placed: Placed, spec: OutboundSpec, sid: str) -> None:
        if spec.on_machine == "hang_up":
            await self._calls.end(sid, "agent")
        elif spec.on_machine == "leave_message" and spec.voicemail:
            try:
                self._calls.leave_message(sid, spec.voicemail)
            except ConfigError as error:
                self._hang_up(placed, f"its message cannot be said: {error}")
                await self._calls.end(sid, "agent")

    def is_machine(self, call_sid: str) -> bool:
        """Whether a machine answered this call, as far as Twilio has found out."""
        placed = self._outbound.of_call(call_sid)
        return placed is not None and placed.is_machine


def _text(fields: FormData, name: str) -> str:
    return str(fields.get(name, ""))
