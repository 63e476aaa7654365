"""What the two ends of one call know of each other: both are in this process, with one clock."""

from typing import Final

from agents.mulaw import FRAME_MS
from gateway.load.down import Earpiece
from gateway.load.script import Script
from gateway.load.tally import Setups, Tally

REMEMBERED_FRAMES: Final = 1024
"""Of so many frames it is known when they were sent: 20 seconds, after which they are not timed any more."""

OVERDUE_S: Final = 2
"""What is under way for so long at the end of a measurement counts as lost: no conversation waits for it."""

MAX_TROUBLES: Final = 20
"""Of so many it is kept what they were: when everything breaks, it breaks alike."""


class Call:
    """One call of a load. `start` is the place in the script's cycle of its first frame."""

    def __init__(self, sid: str, script: Script, start: int, board: "Board") -> None:
        self.sid = sid
        self.script = script
        self.start = start
        self.board = board
        self.earpiece = Earpiece()
        self.frames_sent = 0
        self._sent_at = [0.0] * REMEMBERED_FRAMES
        self.cut_at: float | None = None
        """When the provider said that the caller speaks into a reply, until the line is cleared."""
        self._keys_at: float | None = None
        self._arrived = 0
        self._written_off = 0

    @property
    def tally(self) -> Tally:
        return self.board.tally

    def sent(self, at: float) -> None:
        """The next frame is handed to the socket."""
        self._sent_at[self.frames_sent % REMEMBERED_FRAMES] = at
        self.frames_sent += 1

    def sent_at(self, frame: int) -> float | None:
        """When it was sent; None of one that was not, or too long ago."""
        if self.frames_sent - REMEMBERED_FRAMES <= frame < self.frames_sent:
            return self._sent_at[frame % REMEMBERED_FRAMES]
        return None

    def arrived(self, frames: int) -> None:
        """So many frames, since the call's start, are at the provider, or were lost on the way."""
        self._arrived = frames

    def pressed(self, at: float) -> None:
        """Keys are pressed. Those before, a cycle ago, should have arrived."""
        self.tally.keys_lost += self._keys_at is not None
        self._keys_at = at

    def keys_arrived(self) -> None:
        """The provider was told of keys."""
        self._keys_at = None

    def write_off(self, at: float) -> None:
        """Counts as lost what should have arrived OVERDUE_S ago, once."""
        tally = self.tally
        if self._keys_at is not None and self._keys_at < at - OVERDUE_S:
            tally.keys_lost += 1
            self._keys_at = None
        overdue = self.frames_sent - OVERDUE_S * 1000 // FRAME_MS - max(self._arrived, self._written_off)
        if overdue > 0:
            tally.frames_lost += overdue
            self._written_off = self.frames_sent - OVERDUE_S * 1000 // FRAME_MS
        self.earpiece.write_off(at - OVERDUE_S, tally)


class Board:
    """Where all calls count; the tally is another for each measurement. `troubles` has the first things that broke."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.setups = Setups()
        self.troubles: list[str] = []

    def trouble(self, what: str) -> None:
        """Something went wrong that no figure tells of. The same words are kept once."""
        if len(self.troubles) < MAX_TROUBLES and what not in self.troubles:
            self.troubles.append(what)

    def lost(self, call: Call) -> None:
        """A call is over that nobody ended here."""
        self.setups.lost += 1
        self.trouble(f"a call was ended by the far side after {call.frames_sent} frames")
