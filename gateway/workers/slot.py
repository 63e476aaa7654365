"""One worker's own place on the board: which calls it has, so that the others find them and count them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from gateway.workers.board import Board, State


class Slot:
    """What worker `number` tells, and what it learns of the others."""

    def __init__(self, board: Board, number: int) -> None:
        self.board = board
        self.number = number
        self._index_of: dict[str, int] = {}
        self._free = list(range(board.max_calls))
        self._recent = 0

    def set_state(self, state: State) -> None:
        self.board.set_state(self.number, state)

    def tell(self, live: Iterable[str], expected: int) -> None:
        """Writes down which calls are live, and how many may come to be. Those that no longer are stay known a while.

        There may be no more live ones than the whole service may have.
        """
        sids = set(live)
        for sid in self._index_of.keys() - sids:
            self.remember(sid)
            index = self._index_of.pop(sid)
            self.board.tell_live(self.number, index, None)
            self._free.append(index)
        for sid in sids - self._index_of.keys():
            self._index_of[sid] = index = self._free.pop()
            self.board.tell_live(self.number, index, sid)
        self.board.tell(self.number, len(sids), expected)

    def remember(self, sid: str) -> None:
        """Questions about a call that is over are for this worker to answer."""
        self.board.tell_recent(self.number, self._recent, sid)
        self._recent += 1

    def others(self) -> int:
        """The calls of the other workers, live and expected."""
        return sum(self.board.calls(number) for number in self._rest)

    def others_live(self) -> int:
        return sum(self.board.live(number) for number in self._rest)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While one more call is let in. Raises BoardHeld."""
        with self.board.alone():
            yield

    @property
    def _rest(self) -> list[int]:
        return [number for number in range(1, self.board.workers + 1) if number != self.number]


class SharedPace:
    """Spreads the dialling of all workers so that an account's calls per second are kept: a `Pace` for all of them."""

    def __init__(self, slot: Slot, per_second: float) -> None:
        self._slot = slot
        self._every_s = 1 / per_second

    def wait_s(self, now: float) -> float:
        """As Pace has it. `now` is of the machine's monotonic clock. Raises BoardHeld."""
        with self._slot.alone():
            return self._slot.board.dial_after_s(self._slot.number, now, self._every_s)
