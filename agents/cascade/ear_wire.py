"""What the wires of the streaming recognisers share: audio in binary messages, and turns that can be committed."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Final

from agents.cascade.caller_turns import CallerTurns, TurnEvent
from agents.errors import NotSupportedError, ProviderError
from agents.events import AudioInputAppend, AudioInputCommit, ClientEvent, ServerEvent
from agents.providers.socket import Answer, Codec, Wait
from agents.realtime import AudioFormat

UNDERSTOOD_WITHIN_S: Final = 3.0
"""From committing a turn to its text. A recogniser takes some 300 ms; without an answer what was written so far must
do, for the caller waits."""


class EarCodec(Codec):
    """A recogniser's wire in the events of a realtime model. Takes `AudioInputAppend` and `AudioInputCommit`.

    `commit` comes before the event of that name is sent, and gives what is to be told at once.
    """

    def __init__(self, audio_format: AudioFormat, *, is_manual: bool) -> None:
        self.turns = CallerTurns(is_manual=is_manual)
        self._bytes_per_ms = audio_format.bytes_per_ms
        self._heard_bytes = 0
        self._failure: ProviderError | None = None

    @property
    def heard_ms(self) -> int:
        """All audio that was sent."""
        return self._heard_bytes // self._bytes_per_ms

    def commit(self) -> tuple[TurnEvent, ...]:
        """Ends the caller's turn; empty when there is none."""
        return self.turns.commit(self.heard_ms)

    def encode(self, event: ClientEvent) -> Iterable[str | bytes]:
        match event:
            case AudioInputAppend(audio):
                self._heard_bytes += len(audio)
                self.turns.heard(len(audio) / self._bytes_per_ms)
                return self._audio(audio)
            case AudioInputCommit():
                self.wait = Wait(UNDERSTOOD_WITHIN_S)
                return self._end_of_turn()
            case _:
                raise NotSupportedError(f"a recogniser knows no {event.kind}")

    def waited(self) -> Iterator[ServerEvent | Answer | ProviderError]:
        self.wait = None
        if self.turns.is_awaited:
            yield from self.turns.ended(self._written, self.heard_ms)

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        return self._failure or super().loss(code, reason)

    @property
    @abstractmethod
    def _written(self) -> str:
        """The words of the turn so far."""

    @abstractmethod
    def _audio(self, audio: bytes) -> Iterable[str | bytes]:
        """The messages that carry audio."""

    @abstractmethod
    def _end_of_turn(self) -> Iterable[str | bytes]:
        """The messages that end a turn."""
