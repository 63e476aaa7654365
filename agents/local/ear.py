"""What an ear is: it hears one caller and tells, in the events of a realtime model, who speaks and what was said."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agents.errors import ProviderError
from agents.events import (
    AudioInputCommitted,
    RawEvent,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)
from agents.local.turns import TurnSettings


@dataclass(frozen=True, slots=True)
class NotHeard:
    """The turn that was committed under this id cannot be understood: the ear failed at it."""

    item_id: str
    error: ProviderError


Heard = (
    SpeechStarted
    | SpeechStopped
    | AudioInputCommitted
    | TranscriptInputDelta
    | TranscriptInput
    | NotHeard
    | SessionError
    | RawEvent
)

Tell = Callable[[Heard], None]


class Ear(Protocol):
    """Hears for one call, and tells in this order of each turn:

        SpeechStarted           the caller began to speak
        TranscriptInputDelta    more of the turn's words, where they are known before its end
        SpeechStopped
        AudioInputCommitted     the turn is over
        TranscriptInput         what was said, empty for a cough; or NotHeard

    Every turn that was committed is told the end of, within a limited time.
    """

    @property
    def is_speaking(self) -> bool:
        """True while the caller is in the middle of a turn."""

    @property
    def settings(self) -> TurnSettings: ...

    @settings.setter
    def settings(self, settings: TurnSettings) -> None: ...

    async def hear(self, audio: bytes) -> None:
        """Takes audio in the session's input format, in pieces of any length. Raises ProviderError when it is deaf."""

    async def commit(self) -> str | None:
        """Ends the turn now, and gives its id; None when nothing was heard since the last one."""

    def clear(self) -> None:
        """Forgets what was heard since the last turn. Raises NotSupportedError where the audio is gone already."""

    async def run(self) -> None:
        """Whatever hearing needs beside: until it is cancelled. Raises ProviderError once it can hear no more."""
