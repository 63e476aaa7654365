"""What Twilio's REST API can do with a live call: agents' CallControl for the telephone."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, Final

from agents.agent import CallContext
from agents.call_control import Destination, Outcome
from agents.call_spec import is_number
from agents.errors import ChannelError, ToolError
from agents.events import EndReason
from channels.streams import LEAVE_TIMEOUT_S
from gateway import twiml
from gateway.addresses import (
    AFTER_DIAL_PATH,
    AFTER_STREAM_PATH,
    BRIEFED_STATUS_PATH,
    BRIEFING_PATH,
    DIAL_STATUS_PATH,
    RECORDING_STATUS_PATH,
    STREAM_STATUS_PATH,
    WHISPER_PATH,
    Addresses,
)
from gateway.cold_transfer import AFTER_RING_S, RETURN_S, ColdTransfer
from gateway.errands import Errands
from gateway.rest import RestFailed, TwilioRest
from gateway.warm_transfer import WarmTransfer

if TYPE_CHECKING:
    from gateway.call import Call

LEAST_RING_S: Final = 5
MOST_RING_S: Final = 120
"""Twilio's least, and what an agent's file may ask for."""

DIGITS: Final = re.compile(r"[0-9A-D*#w]{1,32}")
MAX_RINGS: Final = 5
"""Times that one call may have others rung: whom nobody reached by then, nobody reaches in this call."""

MAX_TEXTS: Final = 5
"""Text messages that one call may send: callers can claim any number, and some numbers earn from each text."""

CURRENT_RECORDING: Final = "Twilio.CURRENT"
"""Stands for the SID of a call's latest recording, which is not known when Twilio's answer was lost."""

KEY_S: Final = 0.5
"""Longest that Twilio takes over a key, and what `w` waits."""


class TwilioCallControl:
    """One call. What moves the caller's leg happens one at a time."""

    def __init__(
        self,
        call: "Call",
        rest: TwilioRest,
        addresses: Addresses,
        errands: Errands,
        finish: Callable[[EndReason], None],
    ) -> None:
        """`finish` ends the call's session, and returns at once."""
        self._call = call
        self._rest = rest
        self._at = addresses
        self._errands = errands
        self._finish = finish
        self._is_moving = False
        self._recording: str | None = None
        self._is_recording = False
        self._recording_changes = asyncio.Lock()
        self._rings = self._texts = 0

    # ---- putting through ----

    async def transfer(self, to: Destination, *, ring_s: float, whisper: str | None) -> Outcome:
        with self._alone():
            self._count_ring()
            transfer = ColdTransfer(self._call, to, whisper, connect=self.connect, finish=self._finish)
            errand = self._errands.add(transfer)
            rings_s = _whole_ring_s(ring_s)
            document = twiml.transfer(
                to.address,
                ring_s=rings_s,
                caller_id=self._own_number,
                action_url=self._at.of(AFTER_DIAL_PATH, errand),
                status_url=self._at.of(DIAL_STATUS_PATH, errand),
                whisper_url=self._at.of(WHISPER_PATH, errand) if whisper else None,
            )
            transfer.begin()
            try:
                away_s = rings_s + AFTER_RING_S + transfer.whisper_s + RETURN_S
                is_live = await self.redirect(document, away_s=away_s)
            except ToolError:
                transfer.decide("failed")
                raise
            if not is_live:
                transfer.decide("failed")
                return "failed"
            outcome = await transfer.outcome(rings_s)
            if outcome != "answered":
                await self._be_back()
            return outcome

    async def warm_transfer(self, to: Destination, *, ring_s: float, briefing: str) -> Outcome:
        with self._alone():
            sender, rings_s = self._sender(), _whole_ring_s(ring_s)
            self._count_ring()
            transfer = WarmTransfer(
                self._call, self._rest, to, briefing, redirect=self._redirect_for_good, finish=self._finish
            )
            errand = self._errands.add(transfer)

            def place() -> Awaitable[str]:
                return self._rest.create_call(
                    to=to.address,
                    sender=sender,
                    url=self._at.of(BRIEFING_PATH, errand),
                    timeout_s=rings_s,
                    status_callback=self._at.of(BRIEFED_STATUS_PATH, errand),
                    status_events=("initiated", "completed"),
                )

            return await transfer.run(place, rings_s)

    def _count_ring(self) -> None:
        if self._rings >= MAX_RINGS:
            raise ToolError(f"others were rung {MAX_RINGS} times in this call, which is as often as one call may")
        self._rings += 1

    # ---- the caller's leg ----

    async def send_digits(self, digits: str) -> None:
        if not DIGITS.fullmatch(digits):
            raise ToolError("digits must be 1 to 32 of 0-9, A-D, *, # and w")
        with self._alone():
            pressing_s = len(digits) * KEY_S
            if await self.redirect(self.connect(digits=digits), away_s=pressing_s + RETURN_S):
                await self._be_back(pressing_s + RETURN_S)

    def connect(self, *, digits: str = "") -> str:
        """What brings the caller's leg back to the conversation, after pressing `digits`."""
        token = self._call.renew_token(after_s=len(digits) * KEY_S)
        at = self._at
        return twiml.connect(at.media, at.of(AFTER_STREAM_PATH), at.of(STREAM_STATUS_PATH), token, digits=digits)

    async def redirect(self, document: str, *, away_s: float) -> bool:
        """Lets the caller's leg go on with another document, and returns when its stream was taken away.

        The next stream must come at most `away_s` later. False when the call is over. Raises ToolError when Twilio does
        not do it: the caller stays on the line then.
        """
        channel = self._call.channel
        try:
            channel.leave(away_s)
        except ChannelError:
            raise ToolError("the caller is not on the line at the moment") from None
        try:
            is_live = await self._rest.update_call(
                self._call.sid, twiml=document, is_done=lambda: channel.streams.is_away
            )
        except RestFailed as error:
            channel.stay()
            raise _tool_error(error) from error
        if not is_live:
            channel.stay()
            return False
        await channel.streams.wait_gone(LEAVE_TIMEOUT_S)
        return True

    async def _redirect_for_good(self, document: str) -> bool:
        return await self.redirect(document, away_s=RETURN_S)

    async def _be_back(self, timeout_s: float = RETURN_S) -> None:
        if not await self._call.channel.streams.wait_back(timeout_s):
            raise ToolError("the line has not come back")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._is_moving:
            raise ToolError("the caller is being put through, or keys are being pressed, at the moment")
        self._is_moving = True
        try:
            yield
        finally:
            self._is_moving = False

    # ---- beside the conversation ----

    async def send_sms(self, to: str, text: str, *, sender: str | None) -> None:
        if self._texts >= MAX_TEXTS:
            raise ToolError(f"{MAX_TEXTS} messages were sent in this call, which is as many as one call may")
        self._texts += 1
        try:
            await self._rest.send_message(to=to, sender=sender or self._sender(), body=text)
        except RestFailed as error:
            raise _tool_error(error) from error

    async def start_recording(self) -> None:
        async with self._recording_changes:
            if self._is_recording and self._recording is None:
                await self._pause_recording()  # which says whether there is any
            if self._is_recording:
                return
            sid, told = self._call.sid, self._at.of(RECORDING_STATUS_PATH)
            if self._recording:
                await self._change_recording(self._rest.resume_recording(sid, self._recording), is_on=True)
            else:
                await self._change_recording(self._rest.start_recording(sid, told), is_on=True)

    async def pause_recording(self) -> bool:
        async with self._recording_changes:
            return self._is_recording and await self._pause_recording()

    @property
    def is_recording(self) -> bool:
        return self._is_recording

    async def _pause_recording(self) -> bool:
        """False when there is no recording, which was not known."""
        known = self._recording or CURRENT_RECORDING
        await self._change_recording(self._rest.pause_recording(self._call.sid, known), is_on=False)
        return self._recording is not None

    async def _change_recording(self, change: Awaitable[str], *, is_on: bool) -> None:
        """Until Twilio has answered, and where its answer is lost, a recording may be on, and nobody knows which.

        Raises ToolError for what it refuses or does not do.
        """
        before = self._recording, self._is_recording
        self._recording, self._is_recording = None, True
        try:
            self._recording, self._is_recording = await change, is_on
        except RestFailed as error:
            if error.is_over:
                self._recording, self._is_recording = None, False
                return
            if error.may_be_done:
                raise ToolError(f"it is not known whether the call is being recorded now: {error}") from error
            self._recording, self._is_recording = before
            raise _tool_error(error) from error

    # ---- numbers ----

    @property
    def _own_number(self) -> str | None:
        """The number of the account's that the call is held on; None for a call to or from something else."""
        context: CallContext = self._call.context
        number = context.called if context.direction == "inbound" else context.caller
        return number if is_number(number) else None

    def _sender(self) -> str:
        if (number := self._own_number) is None:
            raise ToolError("this call is held on no telephone number from which others could be reached")
        return number


def _whole_ring_s(ring_s: float) -> int:
    return min(max(ceil(ring_s), LEAST_RING_S), MOST_RING_S)


def _tool_error(error: RestFailed) -> ToolError:
    return ToolError(f"the telephone network does not do it: {error}")
