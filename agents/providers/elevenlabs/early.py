"""What is said to an ElevenLabs agent before its conversation is ready."""

from typing import Final

from agents.errors import ProviderError
from agents.events import AudioInputAppend, ClientEvent

MAX_AUDIO_MS: Final = 2000
"""Of the caller's audio the last so much is kept: to be ready takes well under a second."""

MAX_EVENTS: Final = 64
"""Other events that wait: nobody asks for so much so early."""


class EarlyEvents:
    """Events in their order, the oldest audio dropped first. `bytes_per_ms` is that of the audio."""

    def __init__(self, bytes_per_ms: int) -> None:
        self._max_bytes = MAX_AUDIO_MS * bytes_per_ms
        self._events: list[ClientEvent] = []

    def hold(self, event: ClientEvent) -> None:
        """Raises ProviderError when more waits than can make sense."""
        self._events.append(event)
        audio = [each for each in self._events if isinstance(each, AudioInputAppend)]
        if len(self._events) - len(audio) > MAX_EVENTS:
            raise ProviderError("the model is not ready and too much waits for it", code="timeout", retryable=True)
        size = sum(len(each.pcm) for each in audio)
        for each in audio:
            if size <= self._max_bytes:
                break
            size -= len(each.pcm)
            self._events = [event for event in self._events if event is not each]

    def take(self) -> list[ClientEvent]:
        """All of them, which are no longer held."""
        events, self._events = self._events, []
        return events
