"""Dials the calls that we place, over Twilio's REST API."""

import logging

from agents.call_spec import OutboundSpec
from gateway.addresses import OUTBOUND_MACHINE_PATH, OUTBOUND_PATH, OUTBOUND_STATUS_PATH, Addresses
from gateway.placed_call import Placed, Unanswered
from gateway.rest import RestFailed, TwilioRest

log = logging.getLogger(__name__)


class TwilioNetwork:
    """One account's telephone."""

    def __init__(self, rest: TwilioRest, addresses: Addresses) -> None:
        self._rest = rest
        self._at = addresses

    async def place(self, placed: Placed, spec: OutboundSpec, sender: str) -> str:
        """The SID of the call at Twilio. Raises RestFailed for what Twilio refuses, Unanswered when it said nothing.

        A message can be left only after the beep, which Twilio then waits for; else the verdict is wanted at once.
        """
        try:
            return await self._create(placed, spec, sender)
        except RestFailed as error:
            if error.may_pass and not error.was_not_done:
                raise Unanswered(str(error)) from error
            raise

    async def take_back(self, call_sid: str) -> None:
        """Ends a call that nobody has answered; one that somebody just did goes on."""
        try:
            await self._rest.update_call(call_sid, status="canceled")
        except RestFailed as error:
            log.warning("a call that rings could not be taken back: %s", error)

    async def _create(self, placed: Placed, spec: OutboundSpec, sender: str) -> str:
        detects = spec.detect_machine != "off"
        waits_for_beep = spec.on_machine == "leave_message"
        is_async = spec.detect_machine == "async"
        return await self._rest.create_call(
            to=placed.wanted.to,
            sender=sender,
            url=self._at.of(OUTBOUND_PATH, placed.id),
            timeout_s=spec.ring_s,
            status_callback=self._at.of(OUTBOUND_STATUS_PATH, placed.id),
            status_events=("initiated", "ringing", "answered", "completed"),
            machine_detection=("DetectMessageEnd" if waits_for_beep else "Enable") if detects else None,
            async_amd_callback=self._at.of(OUTBOUND_MACHINE_PATH, placed.id) if is_async else None,
        )
