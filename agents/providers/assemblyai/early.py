"""What the session says before AssemblyAI's is ready, which hears nothing until then."""

from collections import deque
from collections.abc import Iterator
from typing import Final

from agents.events import AudioInputAppend, ClientEvent

MAX_HELD_AUDIO_MS: Final = 5_000
"""Of the caller's audio, the latest: nobody is answered later than that."""

MAX_HELD_EVENTS: Final = 100
"""Other events; a session asks for a handful."""

SLICE_MS: Final = 1_000
"""Audio comes back in pieces of this length."""


class EarlyEvents:
    """Keeps events in order, and of the audio the end; `bytes_per_ms` is that of the audio."""

    def __init__(self, bytes_per_ms: int) -> None:
        self._bytes_per_ms = bytes_per_ms
        self._events: deque[ClientEvent] = deque(maxlen=MAX_HELD_EVENTS)
        self._audio = bytearray()

    def hold(self, event: ClientEvent) -> None:
        if isinstance(event, AudioInputAppend):
            self._audio += event.pcm
            del self._audio[: -MAX_HELD_AUDIO_MS * self._bytes_per_ms]
        else:
            self._events.append(event)

    def take(self) -> Iterator[ClientEvent]:
        """All that was held: the audio first, as what else is asked for is about what was heard."""
        size = SLICE_MS * self._bytes_per_ms
        audio, self._audio = self._audio, bytearray()
        for at in range(0, len(audio), size):
            yield AudioInputAppend(bytes(audio[at : at + size]))
        while self._events:
            yield self._events.popleft()
