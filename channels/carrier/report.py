"""What is told of a simulated call: events while it goes on, a report when it is over.

Every `at_ms` counts from the moment the call was dialled (the first webhook was sent).
"""

from dataclasses import dataclass, field
from typing import Literal

from channels.carrier.playout import Clearing
from channels.carrier.recording import Tape

EndedBy = Literal["caller", "agent", "rejected", "unanswered", "carrier-error"]
"""Who ended the call: the caller hung up; the service's TwiML came to its end, or the service hung up by REST; the
service turned the call away; nobody answered a call that the service placed; or it failed."""


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
    """The caller pressed a key. It may be of a PIN: no repr has it, nor what `DigitsGathered` has."""

    at_ms: int
    digit: str = field(repr=False)


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
class CarrierPlayed:
    """The carrier played TwiML's `<Play>` of a recording to the caller. It is not fetched; its length is a guess."""

    at_ms: int
    url: str


@dataclass(frozen=True, slots=True)
class DigitsSent:
    """The carrier pressed keys towards the far end. `w` is half a second. No repr has them: they may be a PIN."""

    at_ms: int
    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DigitsGathered:
    """TwiML's `<Gather>` is over; without digits when the caller pressed none, `said` being what was said instead."""

    at_ms: int
    digits: str = field(repr=False)
    said: str | None = None


@dataclass(frozen=True, slots=True)
class MessageRecorded:
    """TwiML's `<Record>` is over. `said` is what the caller said in it; None when unknown, or when nothing was said."""

    at_ms: int
    duration_ms: int
    said: str | None


@dataclass(frozen=True, slots=True)
class DialBegan:
    """TwiML's `<Dial>` rings a number, a client, a SIP address, or joins a conference."""

    at_ms: int
    to: str


@dataclass(frozen=True, slots=True)
class WhisperHeard:
    """The callee of a `<Dial>`, and nobody else, was told this."""

    at_ms: int
    to: str
    text: str


@dataclass(frozen=True, slots=True)
class DialEnded:
    """`<Dial>` is over; `status` is its DialCallStatus, and the two talked for `talked_ms`.

    `joined_with` are the numbers of the other calls of the account that were met in a conference.
    """

    at_ms: int
    to: str
    status: str
    talked_ms: int
    joined_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallUpdated:
    """The service changed the live call by REST; `what` says how."""

    at_ms: int
    what: str


CarrierEvent = (
    CarrierPlayed | DigitsSent | DigitsGathered | MessageRecorded | DialBegan | WhisperHeard | DialEnded | CallUpdated
)
"""What the carrier did because the service told it to."""


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
    | CarrierEvent
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
    a call where it is large are not to be trusted; in virtual time it is 0. `played_ms` of audio have really sounded,
    and `clearings` has what had been when each clear arrived. `carrier_did` is in order. `tape` has every frame that
    was said and played. `message_from_ms` is when an answering machine began to record, None for a person;
    `carrier_said_to_machine` is what of `carrier_said` was begun after that.
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
    played_ms: float
    clearings: tuple[Clearing, ...]
    playout_gaps: int
    playout_gap_ms: int
    ended_by: EndedBy
    duration_ms: int
    lateness_p99_ms: float
    recording: str | None
    carrier_said: tuple[str, ...]
    carrier_did: tuple[CarrierEvent, ...]
    warnings: tuple[str, ...]
    errors: tuple[str, ...]
    tape: Tape = field(repr=False, compare=False)
    message_from_ms: int | None = None
    carrier_said_to_machine: tuple[str, ...] = ()

    @property
    def left_message(self) -> bytes:
        """What an answering machine recorded of the agent's voice, PCM16 mono 8 kHz, from its beep to the end.

        Empty for a call that nobody's machine answered, or that ended before the beep did.
        """
        if self.message_from_ms is None:
            return b""
        return self.tape.heard(self.message_from_ms, max(self.message_from_ms, self.duration_ms))

    @property
    def is_good(self) -> bool:
        """True when sound came back in every turn, the protocol was kept and the call ended in good order."""
        return (
            not self.errors
            and self.ended_by in ("caller", "agent")
            and self.answer_ms is not None
            and all(turn.reply_ms is not None for turn in self.turns)
        )
