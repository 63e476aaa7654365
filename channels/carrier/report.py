"""What is told of a simulated call: events while it goes on, a report when it is over.

Every `at_ms` counts from the moment the call was dialled (the first webhook was sent).
"""

from dataclasses import dataclass, field
from typing import Literal

from channels.carrier.recording import Tape

EndedBy = Literal["caller", "agent", "rejected", "carrier-error"]
"""The caller hung up, the service's TwiML came to its end, the service turned the call away, or it failed."""


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The media socket is open and audio flows."""

    at_ms: int
    stream_sid: str


@dataclass(frozen=True, slots=True)
class CallerBegan:
    """The caller begins to speak. `said` is None when nobody wrote down what the recording says."""

    at_ms: int
    turn: int
    said: str | None


@dataclass(frozen=True, slots=True)
class KeyPressed:
    at_ms: int
    digit: str


@dataclass(frozen=True, slots=True)
class AgentBegan:
    """The first sound of the agent in this turn, or after a pause in it. Turn 0 is before the caller's first words."""

    at_ms: int
    turn: int


@dataclass(frozen=True, slots=True)
class AgentEnded:
    """The agent's sound that began at `began_ms` was over at `at_ms`. `was_cleared`: the service cut it off."""

    at_ms: int
    turn: int
    began_ms: int
    was_cleared: bool


@dataclass(frozen=True, slots=True)
class AgentHeard:
    """The transcript of sound that ended earlier; `at_ms` is when the transcript was ready."""

    at_ms: int
    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class CarrierSaid:
    """The carrier read TwiML's `<Say>` to the caller. No audio is made of it."""

    at_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class TroubleFound:
    """Something that makes the call fail; the same text is among the report's errors."""

    at_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    at_ms: int
    by: EndedBy


CallEvent = (
    StreamStarted
    | CallerBegan
    | KeyPressed
    | AgentBegan
    | AgentEnded
    | AgentHeard
    | CarrierSaid
    | TroubleFound
    | CallEnded
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance of the caller and what came back.

    `reply_ms` is from the caller's last sound to the first of the reply, below 0 when the agent spoke into it; None
    when no reply came. `heard` is the transcript of all that was played in this turn; None when nobody transcribed.
    """

    said: str | None
    reply_ms: int | None
    heard: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """A whole call, seen from the telephone network.

    `answer_ms` is from the first webhook to the agent's first sound; None when there was none. Frames are 20 ms of
    audio each. `marks` and `clears` count what the service sent. A playout gap is the buffer running empty inside a
    reply, which the caller hears as a hole. `lateness_p99_ms` is how late this simulator's own ticks were: figures of
    a call where it is large are not to be trusted. `tape` has every frame that was said and played.
    """

    call_sid: str
    answer_ms: int | None
    greeting: str | None
    turns: tuple[Turn, ...]
    unsaid: int
    frames_sent: int
    frames_received: int
    marks: int
    clears: int
    playout_gaps: int
    playout_gap_ms: int
    ended_by: EndedBy
    duration_ms: int
    lateness_p99_ms: float
    recording: str | None
    carrier_said: tuple[str, ...]
    warnings: tuple[str, ...]
    errors: tuple[str, ...]
    tape: Tape = field(repr=False, compare=False)

    @property
    def is_good(self) -> bool:
        """True when sound came back in every turn, the protocol was kept and the call ended in good order."""
        return (
            not self.errors
            and self.ended_by in ("caller", "agent")
            and self.answer_ms is not None
            and all(turn.reply_ms is not None for turn in self.turns)
        )
