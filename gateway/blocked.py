"""Names the line that blocks the event loop: a thread looks on, and says which line it is while nobody is served."""

import logging
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

log = logging.getLogger(__name__)

BLOCKED_S: Final = 0.1
"""How long the loop may stay away before it is asked where it is: five frames of a call, which callers hear."""

LOOK_EVERY_S: Final = 0.04
"""How often the thread looks: often enough to find the loop where it is blocked, seldom enough to cost nothing."""

STUCK_S: Final = 2.0
"""After so long nobody waits for the end of it to be told: there may be none."""

TELL_EVERY_S: Final = 5.0
"""At most one line in so long: what blocks once blocks each call."""

STOP_TIMEOUT_S: Final = 1.0
"""Longest that stopping waits for the thread, which writes a line at most."""

_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_LOOPS: Final = (str(Path("asyncio", "base_events.py")), str(Path("asyncio", "runners.py")), "selectors.py")
"""Where a loop itself is; what stands outside of it has started it, and is not at work."""

NO_LINE: Final = "no line that takes long: there is much to do at once, or no core to do it on"

_OUR_ROOMS: Final = tuple(str(Path(__file__).parent.parent / room) for room in ("agents", "channels", "gateway"))


@dataclass(slots=True)
class _Block:
    """The loop stays away: since when, and where it was found."""

    since: float
    where: str
    is_told: bool = False


class BlockedLoop:
    """Looks at a loop's thread when the loop does not come round. Pure but for the look: time is an argument."""

    def __init__(self, came_round_at: Callable[[], float | None], thread: int) -> None:
        """`came_round_at` says when the loop last did, None while nobody measures; `thread` is the loop's thread."""
        self._came_round_at = came_round_at
        self._thread = thread
        self._block: _Block | None = None
        self._tell_again_at = 0.0
        self._untold = 0

    def look(self, now: float) -> None:
        """Writes a line when a block is over, or has lasted for STUCK_S: one for each, and at most one in a while."""
        came_round_at = self._came_round_at()
        block = self._block
        if block and block.since != came_round_at:
            self._block = None
            if not block.is_told:
                over_at = now if came_round_at is None else came_round_at
                self._tell(now, f"for {(over_at - block.since) * 1000:.0f} ms", block.where)
        if came_round_at is None or now - came_round_at < BLOCKED_S:
            return
        if self._block is None:
            self._block = _Block(came_round_at, self._where())
        if not self._block.is_told and now - came_round_at >= STUCK_S:
            self._block.is_told = True
            self._tell(now, f"for {now - came_round_at:.1f} s and is still", self._where())

    def _where(self) -> str:
        frame = sys._current_frames().get(self._thread)
        return line_of(frame) if frame else "a thread that is gone"

    def _tell(self, now: float, how_long: str, where: str) -> None:
        if now < self._tell_again_at:
            self._untold += 1
            return
        more = f" ({self._untold} more since the last such line)" if self._untold else ""
        self._tell_again_at, self._untold = now + TELL_EVERY_S, 0
        log.warning("the event loop was blocked %s, by %s%s", how_long, where, more)


def line_of(innermost: FrameType) -> str:
    """The line that a thread is at: the innermost one of code that is not installed, and where that has led to.

    It is looked for in what the loop runs. NO_LINE where it runs nothing.
    """
    frame: FrameType | None = innermost
    while frame and not _is_ours(frame.f_code.co_filename):
        if frame.f_code.co_filename.endswith(_LOOPS):
            return NO_LINE if frame is innermost else _line(innermost)
        frame = frame.f_back
    if frame is None or frame is innermost:
        return _line(innermost)
    return f"{_line(frame)}, in {_line(innermost)}"


def _is_ours(filename: str) -> bool:
    """Whether this is a file of the gateway's, or of the operator's: no library's, and not Python's own."""
    return filename.startswith(_OUR_ROOMS) or not filename.startswith((*_INSTALLED, "<"))


def _line(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


@contextmanager
def watching(came_round_at: Callable[[], float | None]) -> Iterator[None]:
    """Looks after the loop of this thread, from a thread of its own, until left."""
    blocked = BlockedLoop(came_round_at, threading.get_ident())
    is_over = threading.Event()

    def look_on() -> None:
        while not is_over.wait(LOOK_EVERY_S):
            blocked.look(time.monotonic())

    thread = threading.Thread(target=look_on, name="blocked loop", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(STOP_TIMEOUT_S)
