"""What is counted of a simulated call while it goes on, each count bounded."""

from array import array
from dataclasses import dataclass, field
from typing import Final

from channels.carrier.playout import Clearing
from channels.media_streams import WireError

MAX_COMPLAINTS: Final = 50
"""So many wrong messages, and so many warnings, are kept of a call; a service that is wrong is wrong 50 times a second.
"""

MAX_ERRORS: Final = 80
"""So many errors are kept in all: what broke a call must have room beside the messages that were wrong before."""

MAX_CLEARINGS: Final = 15_000
"""So many clears are told of one by one: more than one a second in the longest call."""


@dataclass(slots=True)
class Tally:
    """What is counted of a call, over all its media sockets. Frames are 20 ms; marks and clears are messages received.

    `played_ms` of audio have sounded, by the end of each stream. `clearings` has each clear that came, the first
    `MAX_CLEARINGS` of them.
    """

    frames_sent: int = 0
    frames_received: int = 0
    marks: int = 0
    clears: int = 0
    played_ms: float = 0.0
    clearings: list[Clearing] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lateness_ms: "array[float]" = field(default_factory=lambda: array("f"))

    def fail(self, error: str) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(error)

    def clear(self, clearing: Clearing) -> None:
        """A clear came."""
        self.clears += 1
        if len(self.clearings) < MAX_CLEARINGS:
            self.clearings.append(clearing)

    def refuse(self, error: WireError) -> None:
        """A message was wrong."""
        if len(self.errors) < MAX_COMPLAINTS:
            self.fail(f"protocol: {error}")

    def warn(self, warning: str) -> None:
        if len(self.warnings) < MAX_COMPLAINTS and warning not in self.warnings:
            self.warnings.append(warning)
