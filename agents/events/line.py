"""What a channel yields: the line is there, the caller's audio, keys pressed, what was heard."""

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of one spoken item the caller heard: `heard_ms` of the `sent_ms` that went to the line."""

    item_id: str
    content_index: int
    heard_ms: int
    sent_ms: int


@dataclass(frozen=True, slots=True)
class ChannelStarted:
    """The far side is there: audio sent from now on is heard. Comes once, first."""

    kind: ClassVar[str] = "channel.started"


@dataclass(frozen=True, slots=True)
class ChannelAudio:
    """Audio from the caller. `pcm` may be of any length, whole samples only."""

    kind: ClassVar[str] = "channel.audio"
    pcm: bytes


@dataclass(frozen=True, slots=True)
class ChannelCommit:
    """The far side says that the caller's turn is over (push-to-talk channels)."""

    kind: ClassVar[str] = "channel.commit"


@dataclass(frozen=True, slots=True)
class ChannelInterrupt:
    """The far side asks to stop the agent (a stop button, a key)."""

    kind: ClassVar[str] = "channel.interrupt"


@dataclass(frozen=True, slots=True)
class ChannelDigit:
    """The caller pressed a key: one of `0-9 A-D * #`. It may be part of a secret: `repr` leaves it out."""

    kind: ClassVar[str] = "channel.digit"
    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChannelHeard:
    """The caller has heard an item to its end."""

    kind: ClassVar[str] = "channel.heard"
    heard: Heard


@dataclass(frozen=True, slots=True)
class ChannelAway:
    """The line is elsewhere for a while, at the request of our side: nothing is heard or said until it is back."""

    kind: ClassVar[str] = "channel.away"


@dataclass(frozen=True, slots=True)
class ChannelBack:
    """The line is back. What had not been heard when it left was dropped."""

    kind: ClassVar[str] = "channel.back"


ChannelEvent = (
    ChannelStarted
    | ChannelAudio
    | ChannelCommit
    | ChannelInterrupt
    | ChannelDigit
    | ChannelHeard
    | ChannelAway
    | ChannelBack
)
