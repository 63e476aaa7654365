"""The ledger of what the caller has heard: per spoken item, in milliseconds of audio. Pure: time is an argument.

The clock is precise and blind, marks see and come late: the line is followed by the clock from mark to mark. What a
`clear` cut off is known exactly once the mark right behind it, the fence, has come back. Every mark that was on its way
has come back then, reached or thrown away, and which of the two shows in when it was sent.
"""

from collections import deque
from math import inf
from typing import Final

from agents.events import Heard
from agents.mulaw import FRAME_MS
from agents.realtime import SpokenItem
from channels.line_clock import Span
from channels.play_queue import ENDED_MS, MAX_RUNS, PlayQueue, begun

MARK_EVERY_MS: Final = 200
"""The most audio between two marks. Half of it, or double, told no better or worse what was heard (`voice-gateway
heard`): the clock is good for as long as a line does not stop.
"""

SPARE_MS: Final = 100
"""Audio that reaches a line with less than this left to play may find it dry: marks are closer together there."""

ENDED_LATE_MS: Final = 25
"""Where messages come late one by one, an item of which less seems unheard counts as heard to its end: more than the
frame between two dates of a mark. A model that is told to forget what was heard says it again.
"""

MAX_CUTS: Final = 16
"""Cuts whose fence is waited for; a line that returns none of so many never will."""


class Cut:
    """What a `clear` threw away: known by the clock at once, and exactly when `fence` has come back."""

    def __init__(self, queue: PlayQueue, fence: str, cleared_at: float, arrives_at: float) -> None:
        self.fence = fence
        self.cleared_at = cleared_at
        self._queue = queue
        self._returned: list[tuple[float, Span]] = []
        self.reckon(arrives_at)

    def reckon(self, arrives_at: float) -> None:
        """Takes what the clock says for a clear that arrives then."""
        self.heard = self._queue.unheard(self._queue.position_ms(arrives_at))

    def echoed(self, name: str, when: Span) -> bool:
        """A mark came back. False when it is not one of the old audio's."""
        mark = self._queue.marks.pop(name, None)
        if mark is None:
            return False
        if mark.asked_at is None:
            self._returned.append((mark.position_ms, when))
        return True

    def settle(self, fence: Span, spread_s: float) -> None:
        """The fence has come back: no mark of the old audio is still on its way.

        Marks were reached one after the other, as fast as audio plays; the rest was thrown away, all in one moment.
        On a line whose messages come up to `spread_s` late, ends are told apart less well.
        """
        queue = self._queue
        self._returned += [(mark.position_ms, fence) for mark in queue.marks.values() if mark.asked_at is None]
        at, limit_ms = self._returned[-1][1] if self._returned else fence, queue.sent_ms
        for position_ms, when in sorted(self._returned):
            if position_ms <= queue.played_ms:
                continue
            was_reached = self._was_reached(position_ms, when, at)
            if was_reached:
                queue.reached(position_ms, when)
            elif was_reached is False:
                limit_ms, at = position_ms, Span(min(at.earliest, when.latest), min(at.latest, when.latest))
                break
        ended_ms = min(max(ENDED_MS, spread_s * 1000), ENDED_LATE_MS)
        self.heard = queue.unheard(queue.position_below(limit_ms, at), ended_ms)

    def _was_reached(self, position_ms: float, when: Span, cleared: Span) -> bool | None:
        """Whether a mark that came back was reached, rather than thrown away. None when it was about to be reached."""
        start = self._queue.start(position_ms)
        due_in_s = begun(start) + position_ms / 1000 - when.middle
        cleared_in_s = cleared.middle - when.middle
        is_possible = start.earliest + position_ms / 1000 <= when.latest
        is_with_others = when.latest >= cleared.earliest
        if start.latest == inf:
            return not is_with_others or cleared_in_s * 1000 > FRAME_MS / 2
        if is_possible:
            return None if is_with_others else True
        return not is_with_others and due_in_s < cleared_in_s


class Playback:
    """What was sent down a line, and how much of it was heard.

    `received` and `ended` follow the model, `sent` and `mark` what goes out, `echoed` the marks that come back. Never
    claims more than was sent; a mark that is not outstanding counts for nothing. `finished` has the items that were
    heard to their end, for the reader to take out. `now` is seconds on any clock that only goes forward.
    """

    def __init__(self) -> None:
        self.finished: deque[Heard] = deque(maxlen=MAX_RUNS)
        self._queue = PlayQueue()
        self._cuts: deque[Cut] = deque(maxlen=MAX_CUTS)
        self._round_trip_s: float | None = None
        self._marks_made = 0

    @property
    def is_silent(self) -> bool:
        """True when every item has ended and the mark behind the last has come back."""
        return not self._queue.stretches

    @property
    def round_trip_s(self) -> float:
        """The least time that a mark took to come back when nothing was left to play before it; 0 until one has."""
        return self._round_trip_s or 0.0

    def remaining_s(self, now: float) -> float:
        """How long the audio that was sent goes on, by the clock, until we know of its end."""
        return (self._queue.sent_ms - self._queue.position_ms(now)) / 1000

    def sounds_at(self, item: SpokenItem) -> float | None:
        """When the first of an item leaves the far end of the line, by the clock: what is before it is played first.

        None of one of which nothing was sent. It is half a round trip before the news of it would be here.
        """
        begins_at = self._queue.begins_at(item)
        return None if begins_at is None else begins_at - self.round_trip_s / 2

    def is_over_by(self, arrival: float) -> bool:
        """Whether a message that comes back at `arrival` finds nothing left to play, as far as marks can tell."""
        return not self._queue.unheard((arrival - self._queue.last_start.latest) * 1000)

    def received(self, item: SpokenItem, audio_ms: float) -> None:
        """Counts audio of an item as it comes from the model, before filters and frames hold any of it back."""
        self._queue.stretch(item).audio_ms += audio_ms

    def sent(self, item: SpokenItem, ms: float, now: float) -> None:
        """Counts audio that goes to the line now."""
        self._queue.sent(item, ms, now + self.round_trip_s)

    def may_run_dry(self, now: float) -> bool:
        """Whether audio that is sent now may come after the line has played all the rest."""
        dry_at = self._queue.last_start.earliest + self._queue.sent_ms / 1000
        return now + self.round_trip_s + SPARE_MS / 1000 > dry_at

    def ended(self, item: SpokenItem) -> None:
        """No more of this item will be sent."""
        for stretch in self._queue.stretches:
            if stretch.item == item:
                stretch.has_ended = True
        self._tell_heard()

    def mark(self, now: float) -> str:
        """Names a mark for all that was sent so far. Unique for the life of the line."""
        name = self._new_name()
        self._queue.mark(name, now)
        return name

    def echoed(self, name: str, when: Span, spread_s: float = 0.0) -> Cut | None:
        """A mark came back, sent at `when`. Gives the cut that this settles. One that is not outstanding is ignored.

        `spread_s` is how late other messages have come lately.
        """
        for cut in self._cuts:
            if cut.fence == name:
                self._measure(cut.cleared_at, when)
                return self._settle(cut, when, spread_s)
            if cut.echoed(name, when):
                return None
        mark = self._queue.marks.pop(name, None)
        if mark is None:
            return None
        if mark.asked_at is None:
            self._queue.reached(mark.position_ms, when)
            self._tell_heard()
        else:
            self._measure(mark.asked_at, when)
        return None

    def clear(self, now: float) -> Cut:
        """All that is unplayed is dropped. The fence that the cut names is to be sent right behind the clear."""
        queue, self._queue = self._queue, PlayQueue()
        cut = Cut(queue, self._new_name(), now, now + self.round_trip_s)
        self._cuts.append(cut)
        return cut

    def clear_left(self, cut: Cut, now: float) -> None:
        """The clear of this cut leaves now: on a full socket that is later than when it was made."""
        cut.reckon(now + self.round_trip_s)

    def _new_name(self) -> str:
        self._marks_made += 1
        return f"m{self._marks_made}"

    def _measure(self, asked_at: float, when: Span) -> None:
        """A mark came back that nothing was left to play before.

        Of the time it may have taken, the least: a clear that is thought to take longer than it does is not sent while
        there still is something to silence.
        """
        took_s = max(0.0, when.earliest - asked_at)
        self._round_trip_s = took_s if self._round_trip_s is None else min(took_s, self._round_trip_s)

    def _settle(self, cut: Cut, when: Span, spread_s: float) -> Cut:
        """The fence of this cut is back. What was cut before it, whose fence was lost, stays as the clock had it."""
        while self._cuts.popleft() is not cut:
            pass
        cut.settle(when, spread_s)
        return cut

    def _tell_heard(self) -> None:
        while heard := self._queue.take_heard():
            self.finished.append(heard)
