"""What a line still has to play, and how far it has come: items, marks, and the clock between marks. Pure.

A position on the line counts milliseconds of audio since it was last cleared. A mark that was reached says between
which two moments playing must have begun; each of them narrows that down, since a line may fall behind and never runs
ahead. A line that ran dry begins again: that is another run, with a beginning of its own.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Final

from agents.events import Heard
from agents.mulaw import FRAME_MS
from agents.realtime import SpokenItem
from channels.line_clock import Span

ENDED_MS: Final = 10
"""An item that has begun and of which less is unheard counts as heard to its end: no mark can tell half a frame."""

MAX_MARKS: Final = 4000
"""Marks that are waited for: Twilio holds ten minutes of audio, 3000 of ours. Of more, which a model makes that speaks
in tiny pieces, every second one is forgotten: the others tell as much of the line, less often.
"""

MAX_RUNS: Final = 4000
"""Pauses that are kept in mind, and as many items. Marks that come back make room; where none do, the oldest go."""


@dataclass(slots=True)
class Stretch:
    """Where one item lies on the line. `audio_ms` is what its model sent: more than the line has while filters and
    frames hold some back, less once the last frame was padded. `before_ms` is what was heard of the item before this.
    """

    item: SpokenItem
    start_ms: float
    end_ms: float
    audio_ms: float = 0.0
    before_ms: float = 0.0
    has_ended: bool = False

    def heard_ms(self, position_ms: float, ended_ms: float = ENDED_MS) -> float:
        """How much of the audio is heard when the line has played so far. All of it, at the end of an item."""
        length_ms = min(self.end_ms - self.start_ms, self.audio_ms)
        heard_ms = max(0.0, min(position_ms - self.start_ms, length_ms))
        is_near_end = self.has_ended and heard_ms > 0 and self.audio_ms - heard_ms < ended_ms
        return self.audio_ms if is_near_end else heard_ms

    def is_heard(self, position_ms: float, ended_ms: float = ENDED_MS) -> bool:
        return self.has_ended and self.heard_ms(position_ms, ended_ms) >= self.audio_ms


@dataclass(slots=True)
class Mark:
    """`asked_at` is when it was sent, where nothing was left to play: such marks measure the round trip."""

    position_ms: float
    asked_at: float | None


@dataclass(slots=True)
class Run:
    """Audio that plays without a pause, from a position on. `start` is when position 0 would have been played in it."""

    from_ms: float
    start: Span

    def narrow(self, earliest: float, latest: float) -> None:
        """Takes one more proof in. One that contradicts those before wins: the line has stopped in between."""
        start = Span(max(earliest, self.start.earliest), min(latest, self.start.latest))
        self.start = start if start.earliest <= start.latest else Span(earliest, latest)


def begun(start: Span) -> float:
    """The moment to reckon with: as early as can be, until a mark has told how late a line is."""
    return start.earliest if start.latest == inf else start.middle


class PlayQueue:
    """The line since it was last cleared."""

    def __init__(self) -> None:
        self.stretches: deque[Stretch] = deque(maxlen=MAX_RUNS)
        self.marks: dict[str, Mark] = {}
        self.runs = [Run(0.0, Span(-inf, inf))]
        self.sent_ms = 0.0
        self.played_ms = 0.0

    @property
    def is_played(self) -> bool:
        """True when nothing that was sent is known to be unplayed."""
        return self.played_ms >= self.sent_ms

    def mark(self, name: str, now: float) -> None:
        """Puts a mark behind all that was sent so far."""
        self.marks[name] = Mark(self.sent_ms, now if self.is_played else None)
        if len(self.marks) > MAX_MARKS:
            for each in list(self.marks)[1:-1:2]:
                del self.marks[each]

    def stretch(self, item: SpokenItem) -> Stretch:
        """Where audio of this item goes now: it has not ended, whatever was said before."""
        last = self.stretches[-1] if self.stretches else None
        if last is None or last.item != item:
            last = Stretch(item, self.sent_ms, self.sent_ms)
            self.stretches.append(last)
        last.has_ended = False
        return last

    def take_heard(self) -> Heard | None:
        """Takes the oldest item out when it has ended and the mark behind it was reached. None when it was not.

        An item that goes on behind another is one item: its pieces are told together, with the last.
        """
        while self.stretches and self.stretches[0].end_ms <= self.played_ms and self.stretches[0].is_heard(inf):
            first = self.stretches.popleft()
            whole_ms = first.before_ms + first.audio_ms
            rest = next((stretch for stretch in self.stretches if stretch.item == first.item), None)
            if rest is None:
                return _heard(first.item, whole_ms, whole_ms)
            rest.before_ms = whole_ms
        return None

    def start(self, position_ms: float) -> Span:
        """When position 0 would have been played, in the run that ends at this position, or is in it."""
        return self._start(self.runs[self._run_index(position_ms)])

    @property
    def last_start(self) -> Span:
        """The same for audio that is sent now, if it does not come too late."""
        return self._start(self.runs[-1])

    def _start(self, run: Run) -> Span:
        """No run begins earlier than the one before it, and marks tell of the first."""
        if run is self.runs[0]:
            return run.start
        return Span(max(run.start.earliest, self.runs[0].start.earliest), run.start.latest)

    def _run_index(self, position_ms: float) -> int:
        if len(self.runs) == 1:
            return 0
        return max(0, bisect_left(self.runs, position_ms, key=lambda run: run.from_ms) - 1)

    def sent(self, item: SpokenItem, ms: float, arrives_at: float) -> None:
        """Audio that arrives then, at the earliest: it cannot be played before."""
        earliest = arrives_at - self.sent_ms / 1000
        if earliest > self.runs[-1].start.earliest:  # it may not come while the rest still plays
            self._arrived(earliest)
        stretch = self.stretch(item)
        self.sent_ms += ms
        stretch.end_ms = self.sent_ms

    def _arrived(self, earliest: float) -> None:
        """Position 0 cannot have been played before this: the last run is later than was thought, or another begins."""
        if earliest <= begun(self.last_start):
            self.runs[-1].narrow(earliest, inf)
        elif self.sent_ms:
            self.runs.append(Run(self.sent_ms, Span(earliest, inf)))
            if len(self.runs) > MAX_RUNS:
                del self.runs[0]
        else:
            self.runs = [Run(0.0, Span(earliest, inf))]

    def reached(self, position_ms: float, when: Span) -> None:
        """A mark was reached: it tells of its own run, and that those after it began no earlier."""
        self.played_ms = max(self.played_ms, position_ms)
        if position_ms <= self.runs[0].from_ms:
            return  # of a run that nothing is known of any more
        if reached := self._run_index(position_ms):
            self.runs[reached].start = self._start(self.runs[reached])
            del self.runs[:reached]
        self.runs[0].narrow(when.earliest - position_ms / 1000, when.latest - position_ms / 1000)

    def begins_at(self, item: SpokenItem) -> float | None:
        """When the first of an item is played, by the clock, as news of it would come here; None of one not sent."""
        stretch = next((stretch for stretch in self.stretches if stretch.item == item), None)
        if stretch is None or stretch.end_ms <= stretch.start_ms:
            return None
        return begun(self.start(min(stretch.start_ms + 1, stretch.end_ms))) + stretch.start_ms / 1000

    def position_ms(self, at: float) -> float:
        """How far the line has played by the clock."""
        ends = [*(run.from_ms for run in self.runs[1:]), self.sent_ms]
        by_clock = (min((at - begun(self._start(run))) * 1000, end) for run, end in zip(self.runs, ends, strict=True))
        return max(self.played_ms, *by_clock)

    def position_below(self, limit_ms: float, at: Span) -> float:
        """How far the line had played at a moment at which it had not reached this position.

        A clock that is sure to be beyond it has missed that the line stopped: anything since the last mark may be.
        """
        start, by_clock = self.start(limit_ms), self.position_ms(at.middle)
        if start.latest == inf and limit_ms - self.played_ms <= FRAME_MS:
            middle = (self.played_ms + limit_ms) / 2  # within a frame of the truth, whatever the line hides
            return middle if by_clock - limit_ms > FRAME_MS / 2 else min((by_clock + middle) / 2, limit_ms)
        latest, spare_ms = (start.earliest, FRAME_MS / 2) if start.latest == inf else (start.latest, FRAME_MS)
        if (at.earliest - latest) * 1000 > limit_ms + spare_ms:
            return (self.played_ms + limit_ms) / 2
        return min(by_clock, limit_ms)

    def unheard(self, position_ms: float, ended_ms: float = ENDED_MS) -> tuple[Heard, ...]:
        """Each item that is not heard to its end at this position, oldest first. Of less than `ended_ms`, none is."""
        items: dict[SpokenItem, list[Stretch]] = {}
        for stretch in self.stretches:
            items.setdefault(stretch.item, []).append(stretch)
        return tuple(
            _heard(
                item,
                pieces[0].before_ms + sum(piece.heard_ms(position_ms, ended_ms) for piece in pieces),
                pieces[0].before_ms + sum(piece.audio_ms for piece in pieces),
            )
            for item, pieces in items.items()
            if not all(piece.is_heard(position_ms, ended_ms) for piece in pieces)
        )


def _heard(item: SpokenItem, heard_ms: float, audio_ms: float) -> Heard:
    """In whole milliseconds, and never more than there are."""
    return Heard(item.item_id, item.content_index, min(round(heard_ms), int(audio_ms)), int(audio_ms))
