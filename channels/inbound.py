"""Puts the caller's frames on one timeline: silence for frames that are missing, a limit on too many. Pure."""

from typing import Final

from agents.mulaw import FRAME_MS, RATE_HZ, SILENCE

MAX_GAP_MS: Final = 10_000
"""The most silence for one gap, and the furthest that audio may run ahead of the clock."""

_BYTES_PER_MS: Final = RATE_HZ // 1000


class InboundAudio:
    """Follows the timestamps of a stream, which count milliseconds of audio from its start."""

    def __init__(self) -> None:
        self._next_ms: float | None = None
        self._last_ms = 0
        self._began_at: float | None = None
        self._taken_ms = 0.0
        self.missing_ms = 0
        self.refused_ms = 0.0

    def take(self, ulaw: bytes, timestamp_ms: int | None, now: float) -> bytes:
        """The audio to hear for one media message: the frame, after silence for what was lost before it.

        Empty when the stream runs further ahead of the clock (`now`, seconds) than a network can hold back. A
        timestamp that goes back, or is missing, means no gap.
        """
        if self._began_at is None:
            self._began_at = now
        duration_ms = len(ulaw) / _BYTES_PER_MS
        room_ms = MAX_GAP_MS - (self._taken_ms - (now - self._began_at) * 1000)
        if duration_ms > room_ms:
            self.refused_ms += duration_ms
            return b""
        gap_ms = self._gap_ms(timestamp_ms, duration_ms)
        if not gap_ms:
            self._taken_ms += duration_ms
            return ulaw
        silence_ms = min(gap_ms, int(room_ms - duration_ms))
        self.missing_ms += silence_ms
        self._taken_ms += silence_ms + duration_ms
        return bytes([SILENCE]) * (silence_ms * _BYTES_PER_MS) + ulaw if silence_ms else ulaw

    def _gap_ms(self, timestamp_ms: int | None, duration_ms: float) -> int:
        """Milliseconds lost before this frame. Less than a frame is jitter, and kept in mind until it is a frame."""
        if timestamp_ms is None:
            return 0
        expected = self._next_ms
        if expected is None or timestamp_ms < self._last_ms:
            expected = timestamp_ms
        self._last_ms = timestamp_ms
        gap_ms = timestamp_ms - expected
        if gap_ms < FRAME_MS:
            self._next_ms = expected + duration_ms
            return 0
        self._next_ms = timestamp_ms + duration_ms
        return min(int(gap_ms), MAX_GAP_MS)
