"""A telephone line in pure time, with a ledger at its near end: what the caller really heard is known here."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from agents.events import Heard
from agents.mulaw import FRAME_MS
from agents.realtime import SpokenItem
from channels.line_clock import LineClock
from channels.playback import MARK_EVERY_MS, Cut, Playback


@dataclass
class Cutting:
    """One cut: what the clock said at once, the truth, and what was settled when (None: never)."""

    cut: Cut
    by_clock: tuple[Heard, ...]
    truth_ms: float = 0.0
    settled: tuple[Heard, ...] | None = None
    settled_at: float | None = None


@dataclass
class FarLine:
    """Delays in seconds. `hidden_s` passes between a player's first audio and its sound, marks included.

    `stalls` are times at which the near end stands still: what arrives then is processed at the end of it.
    `timestamp` tells from its true age what is written on a frame; None leaves it out.
    """

    out_s: float = 0.0
    in_s: float = 0.0
    hidden_s: float = 0.0
    returns_cleared: bool = True
    returns: Callable[[str], bool] = lambda _name: True
    stalls: tuple[tuple[float, float], ...] = ()
    timestamp: Callable[[float], int | None] = lambda age_ms: round(age_ms)
    playback: Playback = field(default_factory=Playback)
    cuts: list[Cutting] = field(default_factory=list)
    finished: list[tuple[float, Heard]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = LineClock()
        self._events: list[tuple[float, float, int, Callable[[float], None]]] = []
        self._order = count()
        self._message_ms = FRAME_MS
        self._begins: list[tuple[float, float]] = []
        self._busy_until = 0.0
        self._waiting: list[tuple[float, str]] = []
        self._clears = 0

    # ---- what is to happen ----

    def open(self, at: float = 0.0) -> None:
        """The stream is there: a mark on the silent line."""
        self._near(at, lambda now: self._to_far(now, "mark", self.playback.mark(now)))

    def say(self, at: float, item: SpokenItem, ms: float, *, is_whole: bool = True) -> None:
        """Whole frames of one item, in messages that grow as the channel's do, a mark behind each."""
        self._near(at, lambda now: self._say(now, item, ms, is_whole))

    def clear(self, at: float) -> None:
        self._near(at, self._cut)

    def run(self, until: float) -> None:
        for number in range(int(until * 1000) // FRAME_MS):
            sent_at = number * FRAME_MS / 1000
            stamp = self.timestamp(sent_at * 1000)
            self._near(sent_at + self.in_s, lambda now, stamp=stamp: self.clock.frame(stamp, FRAME_MS, now))  # type: ignore[misc]
        while self._events and self._events[0][0] <= until:
            at, _, _, happen = heapq.heappop(self._events)
            happen(at)

    # ---- near ----

    def _near(self, at: float, happen: Callable[[float], None]) -> None:
        now = next((end for begin, end in self.stalls if begin <= at < end), at)
        heapq.heappush(self._events, (now, at, next(self._order), happen))

    def _say(self, now: float, item: SpokenItem, ms: float, is_whole: bool) -> None:
        self.playback.received(item, ms)
        if self.playback.may_run_dry(now):
            self._message_ms = FRAME_MS
        left_ms = ms
        while left_ms > 0:
            piece_ms = min(self._message_ms, left_ms)
            left_ms -= piece_ms
            self._message_ms = min(2 * self._message_ms, MARK_EVERY_MS)
            self.playback.sent(item, piece_ms, now)
            self._to_far(now, "audio", str(piece_ms))
            self._to_far(now, "mark", self.playback.mark(now))
        if is_whole:
            self.playback.ended(item)

    def _cut(self, now: float) -> None:
        cut = self.playback.clear(now)
        self.cuts.append(Cutting(cut, cut.heard))
        self._to_far(now, "clear", str(len(self.cuts) - 1))
        self._to_far(now, "mark", cut.fence)

    def _echo(self, now: float, name: str) -> None:
        settled = self.playback.echoed(name, self.clock.span(now))
        for each in self.cuts:
            if each.cut is settled:
                each.settled, each.settled_at = settled.heard, now
        while self.playback.finished:
            self.finished.append((now, self.playback.finished.popleft()))

    # ---- far ----

    def _to_far(self, now: float, kind: str, what: str) -> None:
        self._at(now + self.out_s, lambda at: self._arrive(at, kind, what))

    def _arrive(self, at: float, kind: str, what: str) -> None:
        match kind:
            case "audio":
                begin = self._busy_until if self._busy_until > at else at + self.hidden_s
                self._begins.append((begin, float(what)))
                self._busy_until = begin + float(what) / 1000
            case "mark" if self._busy_until > at:
                self._waiting.append((self._busy_until, what))
                self._at(self._busy_until, lambda at, clears=self._clears: self._reach(at, what, clears))  # type: ignore[misc]
            case "mark":
                self._return(at, what)
            case _:
                self._clear(at, self.cuts[int(what)])

    def _reach(self, at: float, name: str, clears: int) -> None:
        if clears == self._clears:
            self._waiting = [each for each in self._waiting if each[1] != name]
            self._return(at, name)

    def _clear(self, at: float, cutting: Cutting) -> None:
        cutting.truth_ms = sum(min(ms, max(0.0, (at - begin) * 1000)) for begin, ms in self._begins)
        waiting, self._waiting, self._begins = self._waiting, [], []
        self._clears += 1
        self._busy_until = at
        for _, name in waiting if self.returns_cleared else ():
            self._return(at, name)

    def _return(self, at: float, name: str) -> None:
        if self.returns(name):
            self._near(at + self.in_s, lambda now: self._echo(now, name))

    def _at(self, at: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at, at, next(self._order), happen))
