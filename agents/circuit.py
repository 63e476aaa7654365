"""Keeps a model that fails from costing every call its time-out. Pure: time is an argument."""

from math import inf
from typing import Final

FAILURES: Final = 3
"""Failures in a row after which a model is asked last: one may be chance, and two a bad moment."""

REST_S: Final = 30.0
"""How long it is asked last; then one call may try it in its turn."""


class Circuit:
    """What is known of one model's health, shared by all calls of this process."""

    def __init__(self) -> None:
        self._failures = 0
        self._rests_until = -inf

    def is_resting(self, now_s: float) -> bool:
        """True while others should be asked before it."""
        return self._failures >= FAILURES and now_s < self._rests_until

    def tried(self, now_s: float) -> None:
        """Somebody asks it: others wait for what becomes of that."""
        if self._failures >= FAILURES:
            self._rests_until = now_s + REST_S

    def failed(self, now_s: float, *, for_good: bool = False) -> None:
        """It could not be reached or broke; `for_good` when asking again cannot help (a key, a quota)."""
        self._failures = FAILURES if for_good else self._failures + 1
        self._rests_until = now_s + REST_S

    def worked(self) -> None:
        self._failures = 0
