"""What the caller's phone plays: Twilio's buffer for audio from the service, in 20 ms ticks. Pure."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from channels.mulaw import FRAME_BYTES, FRAME_MS

BUFFER_FRAMES: Final = 10 * 60 * 1000 // FRAME_MS
"""Twilio holds ten minutes of audio and discards what comes on top (31931)."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What the phone did at one tick.

    `ulaw` is the frame that sounds from `at_ms` for 20 ms; None when the buffer was empty, which sounds like silence.
    `marks` have been reached by `at_ms`, in order. `was_cleared`: audio was thrown away since the tick before.
    """

    at_ms: int
    ulaw: bytes | None
    marks: tuple[str, ...] = ()
    was_cleared: bool = False


class Playout:
    """The buffer: audio and marks in the order they came. A mark is reached when all audio before it has sounded."""

    def __init__(self) -> None:
        self._queue: deque[bytes | str] = deque()
        self._frames = 0
        self._is_sounding = False
        self._was_cleared = False

    def play(self, ulaw: bytes) -> int:
        """Appends whole 20 ms frames. Returns how many frames did not fit and are lost."""
        count = len(ulaw) // FRAME_BYTES
        kept = min(count, BUFFER_FRAMES - self._frames)
        self._queue.extend(ulaw[at : at + FRAME_BYTES] for at in range(0, kept * FRAME_BYTES, FRAME_BYTES))
        self._frames += kept
        return count - kept

    def mark(self, name: str) -> bool:
        """Appends a mark. True when it is reached at once, because nothing is left to sound before it."""
        if not self._queue and not self._is_sounding:
            return True
        self._queue.append(name)
        return False

    def clear(self) -> tuple[str, ...]:
        """Falls silent, forgets all audio and returns the marks that were not reached, in order."""
        self._was_cleared = self._was_cleared or self._is_sounding or self._frames > 0
        marks = tuple(entry for entry in self._queue if isinstance(entry, str))
        self._queue.clear()
        self._frames = 0
        self._is_sounding = False
        return marks

    def tick(self, at_ms: int) -> Tick:
        """Lets the next 20 ms pass, from `at_ms`: call it once for each, in order."""
        marks = []
        ulaw = None
        while self._queue and ulaw is None:
            match self._queue.popleft():
                case str(name):
                    marks.append(name)
                case bytes(frame):
                    ulaw = frame
                    self._frames -= 1
        was_cleared, self._was_cleared = self._was_cleared, False
        self._is_sounding = ulaw is not None
        return Tick(at_ms, ulaw, tuple(marks), was_cleared)
