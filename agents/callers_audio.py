"""The caller's audio that a new connection must hear again: of a turn nobody answered yet, and of the last moment."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from agents.realtime import AudioFormat

MAX_TURN_MS: Final = 30_000
"""Longest turn that is kept whole, and longest gap between two connections: of longer ones the end. 1.4 MB of PCM."""

RECENT_MS: Final = 800
"""What is kept between turns: the beginning of a word that no model has told of yet."""

SLICE_MS: Final = 200
"""Audio in one message of what was missed."""


class CallersAudio:
    """Keeps audio while somebody would miss it; `is_turn_open` is set by who knows that."""

    def __init__(self, format: AudioFormat) -> None:
        self._bytes_per_ms = format.bytes_per_ms
        self._recent_bytes, self._turn_bytes = RECENT_MS * self._bytes_per_ms, MAX_TURN_MS * self._bytes_per_ms
        self._kept = _Latest()
        self._missed: _Latest | None = None
        self.is_turn_open = False

    @property
    def is_missed(self) -> bool:
        """True in a gap, while there is audio that was not taken."""
        return self._missed is not None and self._missed.size > 0

    def add(self, audio: bytes) -> None:
        self._kept.add(audio, self._turn_bytes if self.is_turn_open else self._recent_bytes)
        if self._missed is not None:
            self._missed.add(audio, self._turn_bytes)

    def forget(self) -> None:
        """What came so far is of a turn that is answered: nobody is to hear it again."""
        self._kept = _Latest()

    def gap_began(self) -> None:
        """Whoever listened does so no more: the next one is to hear what is kept, and all that follows."""
        if self._missed is None:
            self._missed = _Latest(deque(self._kept.pieces), self._kept.size)

    def take_missed(self) -> Iterator[bytes]:
        """What the next one is to hear and was not given before, in slices."""
        audio = b"".join(self._missed.pieces) if self._missed is not None else b""
        if self._missed is not None:
            self._missed = _Latest()
        size = SLICE_MS * self._bytes_per_ms
        return (audio[at : at + size] for at in range(0, len(audio), size))

    def gap_ended(self) -> None:
        self._missed = None


@dataclass(slots=True)
class _Latest:
    """Audio in pieces, of which the latest are kept; `size` in bytes."""

    pieces: deque[bytes] = field(default_factory=deque)
    size: int = 0

    def add(self, audio: bytes, longest: int) -> None:
        pieces = self.pieces
        pieces.append(audio)
        self.size += len(audio)
        while self.size - len(pieces[0]) >= longest:
            self.size -= len(pieces.popleft())
