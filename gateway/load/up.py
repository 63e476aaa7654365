"""Compares what the provider gets of a caller with what the caller said, frame by frame. Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.load.closeness import CODES
from gateway.load.script import Script
from gateway.load.tally import Tally

MAX_SKIP: Final = 250
"""How many frames ahead and back a frame that does not fit is looked for: half a cycle."""

PCM_TOLERANCE: Final = 16
"""By how many steps of PCM16 a sample may be another: rounding at another place, less than the ear's own noise."""

INNER: Final = slice(4 * 24, -4 * 24)
"""The part of a window that a resampler does not mix with what is before and behind it, in samples."""


class Heard:
    """One call's audio at the provider. `feed` takes it as it comes and counts what is wrong with it.

    `frames` is the number, since the call's start, of the frame that is expected next. Silence that is lost or doubled
    shows, and is counted, when the next words do not come where they should.
    """

    def __init__(self, script: Script, start: int) -> None:
        self._script = script
        self._windows, self._appends = script.windows, script.appends
        self._place = start
        self._rest = script.windows[start][: script.lag_bytes]
        self._inner = INNER if script.mode == "transcode" else slice(None)
        self.frames = 0

    @property
    def expected(self) -> bytes | None:
        """The message that brings the next frame, no more and no less; None when part of one is here already."""
        return None if self._rest else self._appends[self._place]

    def go_on(self, frames: int = 1) -> None:
        """What was expected has come, or so many frames with what was lost before it."""
        self.frames += frames
        self._place = (self._place + frames) % len(self._windows)

    def feed(self, audio: bytes, tally: Tally) -> None:
        size = self._script.window_bytes
        held = self._rest + audio
        whole = len(held) - len(held) % size
        self._rest = held[whole:]
        for start in range(0, whole, size):
            self._take(held[start : start + size], tally)

    def _take(self, window: bytes, tally: Tally) -> None:
        if window == self._windows[self._place]:
            self.go_on()
            return
        got = self._samples(window)
        if self._is_like(got, self._place, whole=True):
            self.go_on()
            return
        if self._is_silent(got):
            self._take_silence(tally)
            return
        skipped = self._find(got)
        if skipped is None:
            tally.frames_damaged += 1
            self.go_on()
        elif skipped >= 0:
            tally.frames_lost += skipped
            self.go_on(skipped + 1)
        else:
            tally.frames_doubled += 1

    def _take_silence(self, tally: Tally) -> None:
        """Silence where words should begin is silence twice; in their midst it is in place of words."""
        if self._is_silent(self._samples(self._windows[self._place - 1])):
            tally.frames_doubled += 1
        else:
            tally.frames_damaged += 1
            self.go_on()

    def _find(self, got: NDArray[np.int16]) -> int | None:
        """How many frames ahead of the expected one this is; negative behind. None of the near ones is like it."""
        count = len(self._windows)
        steps = sorted(range(-min(MAX_SKIP, count // 2), min(MAX_SKIP, count // 2)), key=abs)
        return next((step for step in steps if self._is_like(got, (self._place + step) % count)), None)

    def _is_silent(self, samples: NDArray[np.int16]) -> bool:
        return not samples[self._inner].any()

    def _is_like(self, got: NDArray[np.int16], place: int, *, whole: bool = False) -> bool:
        expected = self._samples(self._windows[place])
        if self._script.mode == "passthrough":
            return bool(np.abs(got - expected).max() <= 1)
        part = slice(None) if whole else self._inner
        return bool(np.abs(got[part].astype(np.int32) - expected[part]).max() <= PCM_TOLERANCE)

    def _samples(self, window: bytes) -> NDArray[np.int16]:
        if self._script.mode == "passthrough":
            return CODES[np.frombuffer(window, np.uint8)]
        return np.frombuffer(window, "<i2")
