"""When things happened at the far side of a line, told by the timestamps of the caller's audio. Pure.

A message that arrives has been on its way, and may have waited here. The caller's frames come on the same connection,
in order, 50 a second, each with the carrier's own time on it: they show how late the line is at each moment, and
between which two of them a message was sent.
"""

from math import inf
from typing import Final, NamedTuple

WINDOW_S: Final = 10.0
"""The least delay is looked for in the last one to two windows: clocks drift apart, by a few milliseconds a minute."""

SPREAD_WINDOW_S: Final = 1.0
"""The same for the most delay, which is what changes when a network gets better or worse."""

MAX_LATE_S: Final = 1.0
"""Frames later than this tell of a line that keeps another time than its timestamps: they start afresh."""

LEAST_SPREAD_S: Final = 0.002
"""How well two delays can agree: both ends round to milliseconds and do other things meanwhile."""


class Span(NamedTuple):
    """Two moments between which something happened, in seconds of our own clock.

    What happens at the far side is dated as if the news of it had come with the least delay of the line.
    """

    earliest: float
    latest: float

    @property
    def middle(self) -> float:
        return (self.earliest + self.latest) / 2


class LineClock:
    """Dates what comes from one line. Feed it every frame of the caller's audio, in the order of arrival."""

    def __init__(self) -> None:
        self._least = _Extreme(WINDOW_S)
        self._most = _Extreme(SPREAD_WINDOW_S)
        self._timestamp_ms: int | None = None
        self._frame_at = 0.0
        self._frame_s = 0.0

    def frame(self, timestamp_ms: int | None, duration_ms: float, now: float) -> None:
        """A frame arrived. `timestamp_ms` counts milliseconds from any beginning; None when it has no sense."""
        before, self._timestamp_ms = self._timestamp_ms, timestamp_ms
        if timestamp_ms is None or (before is not None and timestamp_ms <= before):
            self._least.forget()
            return
        sent_at = timestamp_ms / 1000
        offset = now - sent_at
        if abs(self._least.value(offset) - offset) > MAX_LATE_S:
            self._least.forget()
        self._frame_at = sent_at + self._least.take(offset, now)
        self._frame_s = duration_ms / 1000
        self._most.take(self._frame_at - now, now)

    @property
    def spread_s(self) -> float:
        """How much later than the quickest messages others have come lately."""
        return max(-self._most.value(0.0), LEAST_SPREAD_S)

    def span(self, now: float) -> Span:
        """When a message was sent that arrives now: after the last frame, before the next, and not too long ago."""
        spread = self.spread_s
        if not self._least.is_known or now - self._frame_at > MAX_LATE_S:
            return Span(now - spread, now)
        latest = min(now, self._frame_at + self._frame_s)
        earliest = max(self._frame_at, now - spread)
        return Span(earliest if earliest < latest else min(self._frame_at, latest), latest)


class _Extreme:
    """The least of the values in the last one to two windows of time."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._until = 0.0
        self._this = self._last = inf

    @property
    def is_known(self) -> bool:
        return self._this != inf

    def value(self, otherwise: float) -> float:
        if self._this == inf:
            return otherwise
        return self._this if self._this < self._last else self._last

    def take(self, value: float, now: float) -> float:
        """Gives the least with this one."""
        if now >= self._until:
            self._last, self._this = (self._this if now < self._until + self._window_s else inf), value
            self._until = now + self._window_s
        elif value < self._this:
            self._this = value
        return self._this if self._this < self._last else self._last

    def forget(self) -> None:
        self._this = self._last = inf
