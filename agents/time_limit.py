"""How long a call may last, and the words before its end. Pure: time is an argument, in seconds of a forward clock."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationWarning:
    """What the agent says, word for word, `before_s` seconds before the longest call is over."""

    before_s: float
    say: str


class TimeLimit:
    """One call's time: it began at `began_at` and ends `max_duration_s` seconds later."""

    def __init__(self, max_duration_s: float, warning: DurationWarning | None, began_at: float) -> None:
        self._ends_at = began_at + max_duration_s
        self._warning = warning

    def left_s(self, now: float) -> float:
        """Seconds until the call must end, never below 0."""
        return max(0.0, self._ends_at - now)

    def due(self, now: float) -> DurationWarning | None:
        """The warning, once, when its time has come; never when the call's own time is over."""
        warning = self._warning
        if warning is None or not 0 < self.left_s(now) <= warning.before_s:
            return None
        self._warning = None
        return warning
