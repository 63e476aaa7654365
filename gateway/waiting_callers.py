"""The callers who wait until there is room for them, in the order in which they came."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

GRACE_S: Final = 15.0
"""How much later than they should a caller may come back: Twilio's slowest answer to our answer. Who does not come back
has hung up, and nobody told us."""


@dataclass(slots=True)
class Waiting:
    """One caller: since when, until when they are to have come back, and what Twilio first said of the call."""

    since: float
    back_by: float
    parameters: Mapping[str, str]
    spoken_to_at: float | None = None


class WaitingCallers:
    """First come, first served: who came later gets only what those before leave. Times are of one clock, in seconds.

    Nobody waits who was not `put`, so that without a queue it is empty.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock: Final = clock
        self._callers: dict[str, Waiting] = {}

    def __len__(self) -> int:
        self._forget_those_gone()
        return len(self._callers)

    def ahead_of(self, sid: str) -> int:
        """How many came before this caller; for one who does not wait, all."""
        self._forget_those_gone()
        return next((place for place, waiting in enumerate(self._callers) if waiting == sid), len(self._callers))

    def find(self, sid: str) -> Waiting | None:
        self._forget_those_gone()
        return self._callers.get(sid)

    def put(self, sid: str, parameters: Mapping[str, str], within_s: float) -> Waiting:
        """Has a caller wait, who is to come back within so many seconds; one who waits keeps their place."""
        now = self.clock()
        waiting = self._callers.setdefault(sid, Waiting(now, now, parameters))
        waiting.back_by = now + within_s + GRACE_S
        return waiting

    def forget(self, sid: str) -> None:
        """The caller is served, or gone."""
        self._callers.pop(sid, None)

    def _forget_those_gone(self) -> None:
        now = self.clock()
        for sid in [sid for sid, waiting in self._callers.items() if waiting.back_by < now]:
            del self._callers[sid]
