"""What the caller's phone plays: Twilio's buffer for audio from the service, in continuous time. Pure.

Time is an argument everywhere: milliseconds, which never go back but for those of late ticks. Frames sound one after
the other, 20 ms each, from the moment the first begins; when the phone is asked makes no difference to that.
"""

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Final

from agents.mulaw import FRAME_BYTES, FRAME_MS, RATE_HZ

BUFFER_FRAMES: Final = 10 * 60 * 1000 // FRAME_MS
"""Twilio holds ten minutes of audio and discards what comes on top (31931)."""

_BYTES_PER_MS: Final = RATE_HZ // 1000


@dataclass(frozen=True, slots=True)
class Tick:
    """What the phone did in the 20 ms up to `at_ms`.

    `ulaw` is the frame that began to sound in them, at `began_ms`; only its beginning when it was cut off already. None
    when none began, which sounds like silence. `was_cleared`: audio was thrown away, after the frame of the tick before
    and before this one's.
    """

    at_ms: int
    ulaw: bytes | None
    began_ms: int
    was_cleared: bool = False


@dataclass(frozen=True, slots=True)
class Clearing:
    """What the caller really had heard when a clear arrived, in milliseconds of audio.

    `played_ms` had sounded since the stream began, a frame in mid-sound counted by its part; `dropped_ms` was waiting
    or cut off. `at_ms` counts from dialling. `marks` were outstanding, in order.
    """

    at_ms: float
    played_ms: float
    dropped_ms: float
    marks: tuple[str, ...]


class Playout:
    """The buffer: audio and marks in the order they came. A mark is reached when all audio before it has sounded.

    Audio that finds the phone silent begins to sound `delay_ms` after it came; other audio follows what sounds. A frame
    takes its place for 20 ms even when it is cut off, as the packet that carries it does.
    """

    def __init__(self, delay_ms: float = 0.0) -> None:
        self._delay_ms = delay_ms
        self._frames: deque[bytes] = deque()  # wait to sound
        self._begun = 0  # frames, since the beginning
        self._next_ms = -inf  # no frame begins before
        self._silent_ms = -inf  # when the last frame that began ends, or was cut off
        self._cut_ms = 0.0
        self._marks: deque[tuple[int, str]] = deque()  # each with the number of frames before it, since the beginning
        # What ticks have not told of yet. Where nobody asks for ticks, the oldest is forgotten.
        self._untold: deque[tuple[float, bytes]] = deque(maxlen=BUFFER_FRAMES)
        self._untold_clears: deque[float] = deque(maxlen=BUFFER_FRAMES)

    def play(self, ulaw: bytes, at_ms: float) -> int:
        """Appends whole 20 ms frames. Returns how many frames did not fit and are lost."""
        self._pass(at_ms)
        count = len(ulaw) // FRAME_BYTES
        kept = min(count, BUFFER_FRAMES - len(self._frames))
        if not self._frames and at_ms >= self._silent_ms:
            self._next_ms = max(self._next_ms, at_ms + self._delay_ms)
        self._frames.extend(ulaw[at : at + FRAME_BYTES] for at in range(0, kept * FRAME_BYTES, FRAME_BYTES))
        return count - kept

    def mark(self, name: str, at_ms: float) -> bool:
        """Appends a mark. True when it is reached at once, because nothing is left to sound before it."""
        self._pass(at_ms)
        if not self._frames and at_ms >= self._silent_ms and not self._marks:
            return True
        self._marks.append((self._begun + len(self._frames), name))
        return False

    def clear(self, at_ms: float) -> Clearing:
        """Falls silent at once. Forgets all audio, and the marks that nobody has taken out."""
        self._pass(at_ms)
        cut_ms = max(0.0, self._silent_ms - at_ms)
        dropped_ms = cut_ms + len(self._frames) * FRAME_MS
        if cut_ms:
            self._cut(at_ms, cut_ms)
        if dropped_ms:
            self._untold_clears.append(at_ms)
        marks = tuple(name for _, name in self._marks)
        self._marks.clear()
        self._frames.clear()
        return Clearing(at_ms, self.played_ms(at_ms), dropped_ms, marks)

    @property
    def outstanding(self) -> int:
        """How many marks have not been reached."""
        return len(self._marks)

    @property
    def next_mark_ms(self) -> float | None:
        """When the first outstanding mark is reached, unless a clear comes before; None when none is outstanding."""
        if not self._marks:
            return None
        frames_left = self._marks[0][0] - self._begun
        if frames_left > 0:
            return self._next_ms + frames_left * FRAME_MS
        return self._silent_ms if frames_left == 0 else -inf

    def reached(self, at_ms: float) -> tuple[str, ...]:
        """Takes out the marks that have been reached by now, in order."""
        self._pass(at_ms)
        marks = []
        while (due_ms := self.next_mark_ms) is not None and due_ms <= at_ms:
            marks.append(self._marks.popleft()[1])
        return tuple(marks)

    def played_ms(self, at_ms: float) -> float:
        """How much audio has sounded since the beginning; of a frame that sounds now, the part that has."""
        self._pass(at_ms)
        return self._begun * FRAME_MS - self._cut_ms - max(0.0, self._silent_ms - at_ms)

    def tick(self, at_ms: int) -> Tick:
        """Tells of the 20 ms up to now: call it once for each, in order. A late one tells what it would have told."""
        self._pass(at_ms)
        ulaw, began_ms = None, float(at_ms)
        if self._untold and self._untold[0][0] <= at_ms:
            began_ms, ulaw = self._untold.popleft()
        was_cleared = False
        while self._untold_clears and self._untold_clears[0] <= began_ms:
            self._untold_clears.popleft()
            was_cleared = True
        return Tick(at_ms, ulaw, round(began_ms), was_cleared)

    def _pass(self, at_ms: float) -> None:
        """Lets the frames begin that are due by now."""
        while self._frames and self._next_ms <= at_ms:
            self._untold.append((self._next_ms, self._frames.popleft()))
            self._begun += 1
            self._next_ms += FRAME_MS
            self._silent_ms = self._next_ms

    def _cut(self, at_ms: float, cut_ms: float) -> None:
        """Ends the frame that sounds."""
        self._cut_ms += cut_ms
        self._silent_ms = at_ms
        if self._untold and self._untold[-1][0] + FRAME_MS == self._next_ms:
            began_ms, ulaw = self._untold.pop()
            if heard := ulaw[: int((at_ms - began_ms) * _BYTES_PER_MS)]:
                self._untold.append((began_ms, heard))
