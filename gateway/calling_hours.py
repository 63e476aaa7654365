"""When an agent may place calls, and how fast an account may. Pure: time is an argument."""

from datetime import datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from agents.call_spec import HoursSpec

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_open(hours: HoursSpec, now: datetime) -> bool:
    """Whether calls may be placed now, a time that knows its zone."""
    there = now.astimezone(ZoneInfo(hours.timezone))
    return _DAYS[there.weekday()] in hours.days and hours.begin <= f"{there:%H:%M}" < hours.end


def in_words(hours: HoursSpec) -> str:
    """The hours as people read them."""
    return f"{hours.begin} to {hours.end} ({hours.timezone}) on {', '.join(hours.days)}"


class Pacing(Protocol):
    """Who says when it is a call's turn."""

    def wait_s(self, now: float) -> float:
        """How long the next call has to wait, and its place is taken. `now` is in seconds and never goes back."""


class Pace:
    """Spreads calls so that an account's calls per second are kept."""

    def __init__(self, per_second: float) -> None:
        self._every_s = 1 / per_second
        self._next = 0.0

    def wait_s(self, now: float) -> float:
        """How long the next call has to wait, and its place is taken. `now` is in seconds and never goes back."""
        at = max(now, self._next)
        self._next = at + self._every_s
        return at - now
