"""Dials the calls that we place, over Twilio's REST API."""

from collections.abc import Callable

from agents.call_spec import OutboundSpec
from gateway.addresses import OUTBOUND_MACHINE_PATH, OUTBOUND_PATH, OUTBOUND_STATUS_PATH, Addresses
from gateway.outbound import Placed, Refused
from gateway.rest import TwilioRest


class TwilioNetwork:
    """One account's telephone."""

    def __init__(self, rest: TwilioRest, addresses: Addresses, has_room: Callable[[], bool]) -> None:
        """`has_room` says whether another call can be served: nobody is called whom no agent could talk with."""
        self._rest = rest
        self._at = addresses
        self._has_room = has_room

    async def place(self, placed: Placed, spec: OutboundSpec, sender: str) -> str:
        """The SID of the call at Twilio. Raises RestFailed for what Twilio refuses, Refused when there is no room.

        A message can be left only after the beep, which Twilio then waits for; else the verdict is wanted at once.
        """
        if not self._has_room():
            raise Refused(503, "as many calls are live as the service may serve")
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
