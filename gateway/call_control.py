"""What Twilio's REST API can do with a live call: agents' CallControl for the telephone."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, Final, TypeVar

from agents.agent import CallContext
from agents.call_control import Destination, Outcome
from agents.call_spec import NUMBER
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
    from gateway.calls import Call

T = TypeVar("T")

LEAST_RING_S: Final = 5
MOST_RING_S: Final = 120
"""Twilio's least, and what an agent's file may ask for."""

DIGITS: Final = re.compile(r"[0-9A-D*#w]{1,32}")
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

    # ---- putting through ----

    async def transfer(self, to: Destination, *, ring_s: float, whisper: str | None) -> Outcome:
        with self._alone():
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
                is_live = await self.redirect(document, away_s=rings_s + AFTER_RING_S + RETURN_S)
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
        try:
            await self._rest.send_message(to=to, sender=sender or self._sender(), body=text)
        except RestFailed as error:
            raise _tool_error(error) from error

    async def start_recording(self) -> None:
        async with self._recording_changes:
            if self._is_recording:
                return
            sid, known = self._call.sid, self._recording
            if known:
                await _of_live_call(self._rest.resume_recording(sid, known))
            else:
                told = self._at.of(RECORDING_STATUS_PATH)
                self._recording = await _of_live_call(self._rest.start_recording(sid, told))
            self._is_recording = self._recording is not None

    async def pause_recording(self) -> None:
        async with self._recording_changes:
            if self._is_recording and self._recording:
                await _of_live_call(self._rest.pause_recording(self._call.sid, self._recording))
                self._is_recording = False

    @property
    def is_recording(self) -> bool:
        return self._is_recording

    # ---- numbers ----

    @property
    def _own_number(self) -> str | None:
        """The number of the account's that the call is held on; None for a call to or from something else."""
        context: CallContext = self._call.context
        number = context.called if context.direction == "inbound" else context.caller
        return number if re.fullmatch(NUMBER, number) else None

    def _sender(self) -> str:
        if (number := self._own_number) is None:
            raise ToolError("this call is held on no telephone number from which others could be reached")
        return number


def _whole_ring_s(ring_s: float) -> int:
    return min(max(ceil(ring_s), LEAST_RING_S), MOST_RING_S)


async def _of_live_call(asking: Awaitable[T]) -> T | None:
    """What Twilio answers, None when the call is over by then. Raises ToolError for what it refuses or does not do."""
    try:
        return await asking
    except RestFailed as error:
        if error.is_over:
            return None
        raise _tool_error(error) from error


def _tool_error(error: RestFailed) -> ToolError:
    return ToolError(f"the telephone network does not do it: {error}")
