"""Putting a caller through at once: their leg rings somebody, and comes back when nobody answers."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from agents.call_control import Destination, Outcome
from agents.events import EndReason, TransferStep
from gateway import twiml

if TYPE_CHECKING:
    from gateway.call import Call

log = logging.getLogger(__name__)

AFTER_RING_S: Final = 10.0
"""How much later than the longest ringing Twilio may say what came of it: it adds up to 5 s to what it is given."""

RETURN_S: Final = 15.0
"""Longest from what the caller's leg is told to do until its stream is there, on a slow network."""

WHISPER_CHARS_PER_S: Final = 10.0
"""Slower than any of Twilio's voices reads."""

WHISPER_MARGIN_S: Final = 5.0
"""For Twilio to fetch a whisper, and to tell that who heard it hung up."""

_UNANSWERED: Final[Mapping[str, Outcome]] = {
    "no-answer": "no-answer",
    "busy": "busy",
    "failed": "failed",
    "canceled": "failed",
}


class ColdTransfer:
    """One attempt. What Twilio asks and tells of it may come in any order, twice, or not at all."""

    def __init__(
        self,
        call: "Call",
        to: Destination,
        whisper: str | None,
        *,
        connect: Callable[[], str],
        finish: Callable[[EndReason], None],
    ) -> None:
        """`connect` gives what brings the caller's leg back, `finish` ends the session."""
        self.whisper = whisper
        self.whisper_s = len(whisper) / WHISPER_CHARS_PER_S + WHISPER_MARGIN_S if whisper else 0.0
        """Longest that who picks up hears no caller yet, and may hang up: the caller is to come back then."""
        self._call = call
        self._to = to
        self._connect = connect
        self._finish = finish
        self._outcome: Outcome | None = None
        self._unanswered: Outcome | None = None
        self._is_decided = asyncio.Event()
        self._whispering: asyncio.TimerHandle | None = None

    @property
    def call_sid(self) -> str:
        return self._call.sid

    @property
    def is_forgettable(self) -> bool:
        return True

    def begin(self) -> None:
        self._call.session.emit(TransferStep(self._to.name, "began"))

    async def outcome(self, ring_s: float) -> Outcome:
        """Waits for what comes of it, at most a little longer than it rings and they are whispered to.

        Who was told nothing by then must take it for answered: to fetch the caller back would tear apart two who talk.
        Unless it is known that nobody answered, and the caller's leg did not ask what is next: then it is gone.
        """
        try:
            async with asyncio.timeout(ring_s + AFTER_RING_S + self.whisper_s):
                await self._is_decided.wait()
        except TimeoutError:
            log.warning("Twilio does not say what came of the transfer to %s", self._to.name)
            if self._unanswered:
                self.decide(self._unanswered)
                self._finish("caller")
            else:
                self._answered()
        return self._outcome or "failed"

    def decide(self, outcome: Outcome) -> None:
        """The first outcome counts."""
        if self._outcome is None:
            self._outcome = outcome
            self._is_decided.set()
            if self._whispering:
                self._whispering.cancel()
            log.info("transfer to %s: %s", self._to.name, outcome)
            self._call.session.emit(TransferStep(self._to.name, outcome))

    def _answered(self) -> None:
        if self._outcome is None:
            self.decide("answered")
            self._finish("transferred")

    # ---- what Twilio tells and asks ----

    def leg_told(self, status: str) -> None:
        """The leg that rings them says so: they picked up, or it is over."""
        if status not in ("in-progress", "answered"):
            self._unanswered = _UNANSWERED.get(status)
        elif not self.whisper:
            self._answered()
        elif self._whispering is None:
            self._whispering = asyncio.get_running_loop().call_later(self.whisper_s, self._was_whispered)

    def _was_whispered(self) -> None:
        """They have heard it out, and now hear the caller, if the caller is still there."""
        if self._call.session.closed is None:
            self._answered()

    def dialled(self, status: str, *, was_bridged: bool) -> str | None:
        """The caller's leg is done with it, and asks what is next: the end, or back to the conversation.

        `was_bridged` is false where who answered hung up before they heard the caller. None for a caller who was not
        put through, and whose conversation is over.
        """
        if status not in _UNANSWERED and was_bridged:
            self._answered()
            return twiml.hang_up()
        self.decide(_UNANSWERED.get(status, "declined"))
        is_over = self._outcome == "answered" or self._call.session.closed is not None
        return None if is_over else self._connect()
