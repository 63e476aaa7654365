"""What can be done with the telephone call that a conversation is held on, beside talking: the contract.

The line's network does it; a session is given who asks for it (`RealtimeSessionOptions.call_control`).
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

Outcome = Literal["answered", "declined", "no-answer", "busy", "failed"]
"""What came of ringing somebody. `answered` of a warm transfer means that they accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Somebody whom an operator allows an agent to reach: `name` is what the model says, `address` is what is dialled.

    `address` is a number with its country code, or `sip:name@host`.
    """

    name: str
    address: str = field(repr=False)


class CallControl(Protocol):
    """One call in the hands of the network that carries it.

    Every method takes a bounded time and raises ToolError, in words for the model, for what the network refuses or does
    not do in time, and for what one call does not get so often; a call that is over by then is no error. None of them
    asks whether it is allowed: tools do.
    """

    async def transfer(self, to: Destination, *, ring_s: float, whisper: str | None) -> Outcome:
        """Takes the caller off the line and rings the destination.

        `whisper` is said to whoever answers, before they hear the caller. `answered`: the caller talks with them, and
        the session ends as `transferred`. Anything else: the caller is back on the line, in the same conversation.
        """

    async def warm_transfer(self, to: Destination, *, ring_s: float, briefing: str) -> Outcome:
        """Rings the destination, while the caller stays on the line, and says the briefing to whoever answers.

        They accept or decline by key or by voice. `answered`: they accepted, the caller talks with them, and the
        session ends as `transferred`. Anything else: nothing has changed for the caller. Cancelling hangs up on them.
        """

    async def send_digits(self, digits: str) -> None:
        """Presses keys towards the far end: `0-9 A-D * #`, and `w` for half a second. Returns when the line is back."""

    async def send_sms(self, to: str, text: str, *, sender: str | None) -> None:
        """Sends a text message. `sender` is a number of the account's; None is the number that the call is held on."""

    async def start_recording(self) -> None:
        """Records the call, both sides, or goes on with a recording that is paused."""

    async def pause_recording(self) -> bool:
        """Pauses the recording: silence stands in its place. False where none goes on, and nothing is done.

        Raises ToolError also where it is not known that it is paused.
        """

    @property
    def is_recording(self) -> bool:
        """Whether a recording goes on, or may go on: a network can fail to say whether it began, or paused, one."""
