"""Keeps a model that fails from costing every call its time-out. Pure: time is an argument."""

from typing import Final

FAILURES: Final = 3
"""Failures in a row after which a model is left alone: one may be chance, and two a bad moment."""

REST_S: Final = 30.0
"""How long it is left alone; then one call may try it."""


class Circuit:
    """What is known of one model's health, shared by all calls of this process."""

    def __init__(self) -> None:
        self._failures = 0
        self._closed_again_at = 0.0

    def is_open(self, now_s: float) -> bool:
        """True while the model is left alone. The first to ask afterwards may try it, and the others wait for that."""
        if self._failures < FAILURES or now_s < self._closed_again_at:
            return self._failures >= FAILURES
        self._closed_again_at = now_s + REST_S
        return False

    def failed(self, now_s: float, *, for_good: bool = False) -> None:
        """It could not be reached or broke; `for_good` when asking again cannot help (a key, a quota)."""
        self._failures = FAILURES if for_good else self._failures + 1
        self._closed_again_at = now_s + REST_S

    def worked(self) -> None:
        self._failures = 0
