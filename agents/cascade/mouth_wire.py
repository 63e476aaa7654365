"""What the wires of the streaming voices share: sentences in, sound out, in the events of a realtime model.

    ItemCreate(text, item_id)        a sentence more of a stretch of speech
    ResponseCreate(event_id)         no sentence follows in it
    ResponseCancel(response_id)      it is not to be heard any more
    AudioOutputDelta(response_id)    a piece of its sound
    ResponseDone(response_id)        it was spoken, or is silent
    SessionError(event_id)           it cannot be spoken

The id is that of the stretch. One is spoken at a time.
"""

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from agents.errors import NotSupportedError, ProviderError
from agents.events import AudioOutputDelta, ClientEvent, ItemCreate, ResponseCancel, ResponseCreate, SessionError
from agents.providers.socket import Codec


class MouthCodec(Codec):
    """A voice's wire."""

    confirms_cancel: ClassVar[bool] = False
    """Whether a cancelled stretch ends with a ResponseDone, and the next must wait for it."""

    pause_s: ClassVar[float | None] = None
    """After so long without text a stretch that has been spoken so far is over, and another must be begun."""

    @property
    def is_spent(self) -> bool:
        """True when the connection takes no further stretch: another one is needed."""
        return False

    def encode(self, event: ClientEvent) -> Iterable[str]:
        match event:
            case ItemCreate(text=text, item_id=str(stretch)):
                return self._say(stretch, text)
            case ResponseCreate(event_id=stretch):
                return self._end(stretch)
            case ResponseCancel(response_id=str(stretch)):
                return self._cancel(stretch)
            case _:
                raise NotSupportedError(f"a voice knows no {event.kind}")

    @abstractmethod
    def _say(self, stretch: str, sentence: str) -> Iterable[str]: ...

    @abstractmethod
    def _end(self, stretch: str) -> Iterable[str]: ...

    @abstractmethod
    def _cancel(self, stretch: str) -> Iterable[str]: ...


def sound(stretch: str, audio: bytes) -> AudioOutputDelta:
    return AudioOutputDelta(stretch, stretch, 0, audio)


def cannot_speak(stretch: str | None, failure: ProviderError) -> SessionError:
    return SessionError(failure.code, str(failure), failure.retryable, event_id=stretch, category=failure.category)
