"""What the workers of one service know of each other: a block of shared memory with a slot for each.

A slot is written by its worker alone (and cleared by the supervisor when the worker is dead); everybody reads all of
them. Who decides something by what stands in the slots of others does so `alone`, which is what makes a limit strict.
"""

import fcntl
import hashlib
import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final

from agents.errors import GatewayError

RECENT: Final = 1000
"""Calls that are over and still lead to the worker that had them: as many as a worker remembers."""

LOCK_TIMEOUT_S: Final = 0.25
"""The board is held for less than a millisecond. Longer than this it is held by a process that was stopped."""

LOCK_RETRY_S: Final = 0.0002

NUMBER_BYTES: Final = 8


class State(IntEnum):
    """Of a worker. ABSENT is one that has not started, or is no more."""

    ABSENT = 0
    READY = 1
    DRAINING = 2


class BoardHeld(GatewayError):
    """Another worker holds the board and does not let go of it."""


class _Field(IntEnum):
    """The numbers at the head of a slot, before the calls."""

    STATE = 0
    LIVE = 1
    EXPECTED = 2
    DIALS_UNTIL_NS = 3


class Board:
    """The whole block. `number` counts workers from 1."""

    def __init__(self, descriptor: int, workers: int, max_calls: int) -> None:
        """The block behind a descriptor that `new_block` has made for as many workers and calls."""
        self.descriptor = descriptor
        self.workers = workers
        self.max_calls = max_calls
        self._live_at = len(_Field)
        self._recent_at = self._live_at + max_calls
        self._length = self._recent_at + RECENT
        self._memory = mmap.mmap(descriptor, workers * self._length * NUMBER_BYTES)
        self._numbers = memoryview(self._memory).cast("q")

    def close(self) -> None:
        self._numbers.release()
        self._memory.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else decides meanwhile. Not to be nested. Raises BoardHeld after LOCK_TIMEOUT_S.

        The lock is the process's: it falls when the process dies.
        """
        until = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > until:
                    raise BoardHeld(f"the workers' board was held for {LOCK_TIMEOUT_S:g} s") from error
                time.sleep(LOCK_RETRY_S)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    # ---- one slot ----

    def clear(self, number: int) -> None:
        """The worker is no more, and its calls with it."""
        first = self._first(number)
        self._numbers[first : first + self._length] = memoryview(bytes(self._length * NUMBER_BYTES)).cast("q")

    def set_state(self, number: int, state: State) -> None:
        self._numbers[self._first(number) + _Field.STATE] = state

    def tell(self, number: int, live: int, expected: int) -> None:
        """How many calls it has, and how many may come to be by somebody who answers."""
        first = self._first(number)
        self._numbers[first + _Field.LIVE] = live
        self._numbers[first + _Field.EXPECTED] = expected

    def tell_live(self, number: int, index: int, sid: str | None) -> None:
        """Writes which call has place `index` among its live ones; None for nobody."""
        self._numbers[self._first(number) + self._live_at + index] = _digest(sid) if sid else 0

    def tell_recent(self, number: int, index: int, sid: str) -> None:
        self._numbers[self._first(number) + self._recent_at + index % RECENT] = _digest(sid)

    def dial_after_s(self, number: int, now_s: float, every_s: float) -> float:
        """How long the worker's next dialling has to wait behind those of all, in seconds; its place is taken.

        To be asked `alone`. A worker that died gives its places back. `now_s` is the machine's monotonic clock.
        """
        now_ns, every_ns = round(now_s * 1e9), round(every_s * 1e9)
        at_ns = max(now_ns, *(self._field(each, _Field.DIALS_UNTIL_NS) for each in self._all))
        self._numbers[self._first(number) + _Field.DIALS_UNTIL_NS] = at_ns + every_ns
        return (at_ns - now_ns) / 1e9

    # ---- all of them ----

    def state(self, number: int) -> State:
        return State(self._field(number, _Field.STATE))

    def live(self, number: int) -> int:
        return self._field(number, _Field.LIVE)

    def calls(self, number: int) -> int:
        """Its live calls, and those that may come to be."""
        return self._field(number, _Field.LIVE) + self._field(number, _Field.EXPECTED)

    @property
    def ready(self) -> list[int]:
        """The workers that take calls."""
        return [number for number in self._all if self.state(number) is State.READY]

    def owner(self, sid: str) -> int | None:
        """The worker that has a call, or had it lately. None for one that nobody knows."""
        sought = _digest(sid).to_bytes(NUMBER_BYTES, "little", signed=True)
        for number in self._all:
            if self.state(number) is not State.ABSENT and self._has(number, sought):
                return number
        return None

    def _has(self, number: int, sought: bytes) -> bool:
        begin = (self._first(number) + self._live_at) * NUMBER_BYTES
        end = (self._first(number) + self._length) * NUMBER_BYTES
        at = self._memory.find(sought, begin, end)
        while at != -1 and at % NUMBER_BYTES:
            at = self._memory.find(sought, at + 1, end)
        return at != -1

    @property
    def _all(self) -> range:
        return range(1, self.workers + 1)

    def _first(self, number: int) -> int:
        return (number - 1) * self._length

    def _field(self, number: int, field: _Field) -> int:
        return self._numbers[self._first(number) + field]


def new_block(workers: int, max_calls: int) -> int:
    """A descriptor of empty memory that child processes may inherit, with no disk behind it where there is memfd."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("voice-gateway")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, workers * (len(_Field) + max_calls + RECENT) * NUMBER_BYTES)
    return descriptor


def _digest(sid: str) -> int:
    """A call's SID as a number that is not 0."""
    digest = hashlib.blake2b(sid.encode("utf-8", "surrogateescape"), digest_size=NUMBER_BYTES).digest()
    return int.from_bytes(digest, "little", signed=True) or 1
