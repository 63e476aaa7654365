"""What the simulated caller hears: where the agent's sound begins and ends, and the holes in it. Pure."""

from dataclasses import dataclass
from typing import Final

from agents.mulaw import RATE_HZ
from channels.carrier.loudness import is_sound
from channels.carrier.playout import Tick

OVER_MS: Final = 800
"""So long nothing is played before the caller takes the agent's turn to be over."""

OVER_WHILE_SPEAKING_MS: Final = 100
"""The same while the caller speaks over the agent: what comes after this is taken for the reply to the new words."""

_BYTES_PER_MS: Final = RATE_HZ // 1000


@dataclass(frozen=True, slots=True)
class Sound:
    """One stretch of the agent's sound. `turn` is the number of utterances the caller had begun when it began."""

    turn: int
    began_ms: int
    ended_ms: int
    was_cleared: bool


class Ears:
    """Cuts what is played into stretches of sound. `sounding_ms` is when the present one began, None between two."""

    def __init__(self) -> None:
        self.sounding_ms: int | None = None
        self.turn = 0
        self.first_sound_ms: int | None = None
        self.last_sound_ms: int | None = None
        self.gaps = 0
        self.gap_ms = 0
        self._played_until_ms = 0

    def hear(self, tick: Tick, turn: int, is_speaking: bool) -> Sound | None:
        """Takes one tick; gives the stretch of sound that is now known to have ended.

        `turn` is the number of utterances begun so far; `is_speaking` is true until the last sound of the last one.
        """
        is_over = tick.was_cleared or self.quiet_ms(tick.at_ms) >= self._over_ms(turn, is_speaking)
        ended = self.end(tick.was_cleared) if is_over else None
        if tick.ulaw is not None:
            self._count_gap(tick.began_ms)
            self._played_until_ms = tick.began_ms + len(tick.ulaw) // _BYTES_PER_MS
            if is_sound(tick.ulaw):
                self._hear_sound(tick.began_ms, turn)
        return ended

    def end(self, was_cleared: bool) -> Sound | None:
        """Ends the present stretch, if there is one, where the last audio of it was played."""
        if self.sounding_ms is None:
            return None
        ended = Sound(self.turn, self.sounding_ms, self._played_until_ms, was_cleared)
        self.sounding_ms = None
        return ended

    def quiet_ms(self, at_ms: int) -> int:
        """How long the buffer has been empty."""
        return at_ms - self._played_until_ms

    def _over_ms(self, turn: int, is_speaking: bool) -> int:
        return OVER_WHILE_SPEAKING_MS if is_speaking or turn != self.turn else OVER_MS

    def _count_gap(self, at_ms: int) -> None:
        if self.sounding_ms is not None and at_ms > self._played_until_ms:
            self.gaps += 1
            self.gap_ms += at_ms - self._played_until_ms

    def _hear_sound(self, at_ms: int, turn: int) -> None:
        self.last_sound_ms = at_ms
        if self.first_sound_ms is None:
            self.first_sound_ms = at_ms
        if self.sounding_ms is None:
            self.sounding_ms = at_ms
            self.turn = turn
