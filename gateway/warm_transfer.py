"""Asking somebody to take a call, while the caller stays on the line, and joining the two if they accept."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from agents.call_control import Destination, Outcome
from agents.errors import ToolError
from agents.events import EndReason, TransferStep
from gateway import twiml
from gateway.rest import RestFailed, TwilioRest
from gateway.spoken_answer import meaning

if TYPE_CHECKING:
    from gateway.call import Call

log = logging.getLogger(__name__)

BRIEFING_S: Final = 105.0
"""Longest from the end of the ringing until they have accepted or not: the longest briefing, said twice, an answer that
nobody understood, and another.
"""

_UNANSWERED: Final[Mapping[str, Outcome]] = {
    "no-answer": "no-answer",
    "busy": "busy",
    "failed": "failed",
    "canceled": "failed",
}

Stage = Literal["ringing", "joining", "joined", "over"]


class WarmTransfer:
    """One attempt. What Twilio asks and tells of it may come in any order, twice, or not at all."""

    def __init__(
        self,
        call: "Call",
        rest: TwilioRest,
        to: Destination,
        briefing: str,
        *,
        redirect: Callable[[str], Awaitable[bool]],
        finish: Callable[[EndReason], None],
    ) -> None:
        """`redirect` takes the caller's leg off its stream, as TwilioCallControl.redirect does; `finish` ends the
        session.
        """
        self._call = call
        self._rest = rest
        self._to = to
        self._briefing = briefing
        self._redirect = redirect
        self._finish = finish
        self._room = f"join-{secrets.token_urlsafe(16)}"
        self._stage: Stage = "ringing"
        self._leg: str | None = None
        self._is_leg_over = self._was_answered = self._was_unclear = False
        self._joining = asyncio.Lock()
        self._outcome: Outcome | None = None
        self._problem = ""
        self._is_decided = asyncio.Event()

    @property
    def call_sid(self) -> str:
        return self._call.sid

    @property
    def is_forgettable(self) -> bool:
        """False while they may be rung by a request that nobody waited for: their leg is hung up on when it begins."""
        return self._leg is not None or self._is_leg_over

    async def run(self, place: Callable[[], Awaitable[str]], ring_s: float) -> Outcome:
        """Rings them by `place`, which gives their leg, and waits for what comes of it.

        Raises ToolError when they could not be rung, or accepted and could not be joined. However it ends, their leg is
        over then unless the two were joined.
        """
        self._tell("began")
        try:
            self._leg = await place()
            async with asyncio.timeout(ring_s + BRIEFING_S):
                await self._is_decided.wait()
        except RestFailed as error:
            self._decide("failed")
            raise ToolError(f"they cannot be called: {error}") from error
        except TimeoutError:
            async with self._joining:  # they may have accepted at the last moment
                self._decide("declined" if self._was_answered else "no-answer")
        finally:
            await self._give_up()
        if self._problem:
            raise ToolError(self._problem)
        return self._outcome or "failed"

    async def _give_up(self) -> None:
        """Hangs up on them, unless they have accepted."""
        if self._stage != "ringing":
            return
        self._stage = "over"
        if self._leg and not self._is_leg_over:
            await self._rest.hang_up(self._leg)

    def _decide(self, outcome: Outcome) -> None:
        """The first outcome counts."""
        if self._outcome is None:
            self._outcome = outcome
            self._is_decided.set()
            log.info("warm transfer to %s: %s", self._to.name, outcome)
            self._tell("accepted" if outcome == "answered" else outcome)

    def _tell(self, step: Literal["began", "accepted", "declined", "no-answer", "busy", "failed"]) -> None:
        self._call.session.emit(TransferStep(self._to.name, step, is_warm=True))

    # ---- what Twilio asks ----

    def answered(self, answer_url: str) -> str:
        """They picked up: what they are told and asked."""
        if self._stage == "over":
            return self._goodbye(twiml.CALLER_GONE)
        self._was_answered = True
        return twiml.briefing(self._briefing, answer_url)

    async def replied(self, digits: str, speech: str, answer_url: str) -> str:
        """They said or pressed something, or nothing in time: what follows for them."""
        if self._stage == "over":
            return self._goodbye(twiml.CALLER_GONE)
        said = meaning(digits, speech)
        if said == "accept" or self._stage != "ringing":
            return await self._join()
        if said == "unclear" and not self._was_unclear:
            self._was_unclear = True
            return twiml.briefing(None, answer_url)
        document = self._goodbye(None)
        self._decide("declined")
        return document

    async def _join(self) -> str:
        """First the caller goes to the room, then they: nobody waits there for a caller who cannot come."""
        async with self._joining:
            if self._stage == "over":
                return self._goodbye(twiml.CALLER_GONE)
            if self._stage == "ringing":
                self._stage = "joining"
                try:
                    is_live = await self._redirect(twiml.conference(self._room))
                except ToolError as error:
                    self._problem = f"they accepted, and the caller could not be put through: {error}"
                    is_live = False
                if not is_live:
                    return self._not_joined()
                self._stage = "joined"
                self._decide("answered")
                self._finish("transferred")
                if self._is_leg_over:
                    await self._let_the_caller_go()
        return twiml.conference(self._room)

    def _not_joined(self) -> str:
        self._stage = "over"
        document = self._goodbye(twiml.NOT_JOINED if self._problem else twiml.CALLER_GONE)
        self._decide("failed")
        return document

    def _goodbye(self, words: str | None) -> str:
        self._is_leg_over = True
        return twiml.hang_up(words)

    # ---- what Twilio tells ----

    async def leg_told(self, status: str, leg: str) -> None:
        """Their leg begins, which may be known before it is known that they are rung, or is over."""
        self._leg = self._leg or leg
        if status in _UNANSWERED or status == "completed":
            self._is_leg_over = True
            if self._stage == "joined":
                await self._rest.hang_up(self._call.sid)  # over by now, unless they left before they were in the room
            elif self._stage == "ringing":
                self._decide(_UNANSWERED.get(status, "declined"))
        elif self._stage == "over":
            await self._rest.hang_up(leg)  # nobody waits for them any more, and nobody knew whom to hang up on

    async def _let_the_caller_go(self) -> None:
        """They hung up while the caller was on the way to them."""
        try:
            await self._rest.update_call(self._call.sid, twiml=twiml.hang_up(twiml.NOT_THROUGH))
        except RestFailed as error:
            log.warning("the caller waits for somebody who is gone: %s", error)
