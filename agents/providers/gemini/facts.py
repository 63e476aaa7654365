"""What a Gemini Live server can say, as small facts without spelling."""

from dataclasses import dataclass

from agents.events import SessionError, Usage


@dataclass(frozen=True, slots=True)
class Ready:
    """The setup is accepted."""

    session_id: str | None


@dataclass(frozen=True, slots=True)
class Voice:
    """The caller began or ceased to speak, `at_ms` into the audio, where that is told."""

    is_active: bool
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class Heard:
    """Words of the caller; `is_final` when they were the last of a turn."""

    text: str
    is_final: bool


@dataclass(frozen=True, slots=True)
class HeardSomething:
    """Words of the caller that may still change: a sign of a voice."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of the model's voice, PCM16 mono."""

    pcm: bytes
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Said:
    """Words of the model's voice; `is_beside_voice` when they came in one message with it."""

    text: str
    is_beside_voice: bool


@dataclass(frozen=True, slots=True)
class Wrote:
    """Text that is the model's answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The model's generation was stopped, by the caller's voice or by our words."""


@dataclass(frozen=True, slots=True)
class Generated:
    """All of the turn was generated; the server believes that it is being played."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The model has said something and is not done."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The model's turn is over, also one in which it said nothing. `reason` is empty for an ordinary end."""

    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The model says nothing, as it waits for more of the caller."""


@dataclass(frozen=True, slots=True)
class Call:
    """`arguments` is JSON text; `call_id` is None where the server gives none."""

    call_id: str | None
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Called:
    """The model calls functions, all at once."""

    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The model wants no answer to these calls."""

    call_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens of the turn so far."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Failed:
    """A request of ours was refused; `event_id` is not known here."""

    error: SessionError


Fact = (
    Ready
    | Voice
    | Heard
    | HeardSomething
    | Sound
    | Said
    | Wrote
    | Interrupted
    | Generated
    | Paused
    | Ended
    | Waiting
    | Called
    | TakenBack
    | Spent
    | Failed
)
