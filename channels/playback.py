"""The ledger of what the caller has heard: per spoken item, in milliseconds of audio. Pure: time is an argument.

The line is one queue that plays in real time; a position on it counts milliseconds of audio since it was last cleared.
The clock says how far playing can have come, a mark that comes back says how far it really came.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from agents.events import Heard
from agents.realtime import SpokenItem

MARK_EVERY_MS: Final = 200
"""One mark for each so many milliseconds: what a clock may be wrong by is then noticed five times a second."""


@dataclass(slots=True)
class _Stretch:
    """Where one item lies on the line. `audio_ms` is what its model sent: more than the line has while filters and
    frames hold some back, less once the last frame was padded.
    """

    item: SpokenItem
    start_ms: float
    end_ms: float
    audio_ms: float = 0.0
    has_ended: bool = False


class Playback:
    """What was sent down a line, and how much of it was heard.

    `received` and `ended` follow the model, `sent` and `mark` what goes out, `echoed` the marks that come back. Never
    claims more than was sent; a mark that is not outstanding counts for nothing.
    """

    def __init__(self) -> None:
        self._stretches: deque[_Stretch] = deque()
        self._marks: dict[str, float] = {}
        self._sent_ms = 0.0
        self._known_ms = 0.0
        self._known_at = 0.0
        self._generation = 0
        self._marks_made = 0

    @property
    def is_silent(self) -> bool:
        """True when every item has ended and the mark behind the last has come back."""
        return not self._stretches

    def remaining_s(self, now: float) -> float:
        """How long the audio that was sent goes on, by the clock."""
        return (self._sent_ms - self._position(now)) / 1000

    def received(self, item: SpokenItem, audio_ms: float) -> None:
        """Counts audio of an item as it comes from the model, before filters and frames hold any of it back."""
        self._stretch(item).audio_ms += audio_ms

    def sent(self, item: SpokenItem, ms: float, now: float) -> None:
        """Counts audio that goes to the line now. `now` is seconds on any clock that only goes forward."""
        if self._position(now) >= self._sent_ms:
            self._known_ms, self._known_at = self._sent_ms, now
        self._sent_ms += ms
        self._stretch(item).end_ms = self._sent_ms

    def ended(self, item: SpokenItem) -> None:
        """No more of this item will be sent."""
        for stretch in self._stretches:
            if stretch.item == item:
                stretch.has_ended = True
        self._drop_heard()

    def mark(self) -> str:
        """Names a mark for all that was sent so far. Unique for the life of the line."""
        self._marks_made += 1
        name = f"{self._generation}:{self._marks_made}"
        self._marks[name] = self._sent_ms
        return name

    def echoed(self, name: str, now: float) -> bool:
        """A mark came back. False when it was not outstanding: cleared before, or never ours."""
        position = self._marks.pop(name, None)
        if position is None:
            return False
        if position >= self._known_ms:
            self._known_ms, self._known_at = position, now
        self._drop_heard()
        return True

    def clear(self, now: float) -> tuple[Heard, ...]:
        """All that is unplayed is dropped. Returns each item not heard to its end: how much of it was heard."""
        position = self._position(now)
        heard = tuple(
            Heard(
                stretch.item.item_id,
                stretch.item.content_index,
                int(max(0.0, min(position - stretch.start_ms, stretch.end_ms - stretch.start_ms, stretch.audio_ms))),
                int(stretch.audio_ms),
            )
            for stretch in self._stretches
        )
        self._stretches.clear()
        self._marks.clear()
        self._generation += 1
        self._sent_ms = self._known_ms = 0.0
        return tuple(item for item in heard if item.heard_ms < item.sent_ms)

    def _drop_heard(self) -> None:
        while self._stretches and self._stretches[0].has_ended and self._stretches[0].end_ms <= self._known_ms:
            self._stretches.popleft()

    def _position(self, now: float) -> float:
        """How far the line has played, by the last proof and the clock since."""
        return min(self._sent_ms, self._known_ms + (now - self._known_at) * 1000)

    def _stretch(self, item: SpokenItem) -> _Stretch:
        if not self._stretches or self._stretches[-1].item != item:
            self._stretches.append(_Stretch(item, self._sent_ms, self._sent_ms))
        return self._stretches[-1]
