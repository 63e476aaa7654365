"""Compares what the carrier gets of the replies with what the provider said, and knows what the caller heard. Pure."""

from collections import deque
from typing import Final

from agents.mulaw import FRAME_BYTES, FRAME_MS, RATE_HZ
from gateway.load.closeness import is_close
from gateway.load.script import Reply, pieces
from gateway.load.tally import Tally

_BYTES_PER_MS: Final = RATE_HZ // 1000


class Saying:
    """One reply on its way to one caller.

    `sent_at` has when each of its deltas was sent, so far. `asked_at` is when the last frame of the words that it
    answers was sent, None where it answers none. `heard_ms` is how much of it had sounded when the line was cleared,
    None as long as it was not.
    """

    def __init__(self, reply: Reply, item_id: bytes, response_id: bytes, asked_at: float | None) -> None:
        self.reply = reply
        self.item_id = item_id
        self.response_id = response_id
        self.asked_at = asked_at
        self.sent_at: list[float] = []
        self.is_cut = False
        self.got = 0
        self.dated = 0
        self.heard_ms: float | None = None
        self.told_ms: int | None = None

    @property
    def is_sent(self) -> bool:
        return len(self.sent_at) == len(self.reply.deltas)

    @property
    def is_whole(self) -> bool:
        """Whether all of it has arrived."""
        return self.got >= len(self.reply.ulaw)

    @property
    def due_bytes(self) -> int:
        """How much the carrier must get for what was sent, in whole frames."""
        if self.is_sent:
            return len(self.reply.ulaw)
        sent = len(self.sent_at) * self.reply.delta_ms * _BYTES_PER_MS
        return max(0, sent - sent % FRAME_BYTES - FRAME_BYTES)

    def compare(self, tally: Tally) -> None:
        """Counts how far off the provider was told of what was heard, once both are known."""
        if self.heard_ms is not None and self.told_ms is not None:
            tally.truncate_error_ms = max(tally.truncate_error_ms, abs(self.told_ms - self.heard_ms))


class Earpiece:
    """The telephone of one call: what is said to it comes in order, and sounds in real time."""

    def __init__(self) -> None:
        self._coming: deque[Saying] = deque()
        self._saying: Saying | None = None
        self._last: Saying | None = None
        self._is_uncleared = False
        self.free_at = 0.0
        """When all that arrived so far will have sounded."""

    def announce(self, saying: Saying) -> None:
        """The provider begins to say this, after all that it said before."""
        self._coming.append(saying)

    def cut(self, at: float) -> None:
        """The caller speaks: what was announced so far is to be cleared."""
        self._is_uncleared = self.is_sounding(at)
        for saying in (self._saying, *self._coming):
            if saying:
                saying.is_cut = True

    def is_sounding(self, at: float) -> bool:
        """Whether anything has not sounded yet of what arrived."""
        return self.free_at > at

    def feed(self, ulaw: bytes, at: float, tally: Tally) -> None:
        """Audio arrived: whole frames."""
        saying = self._current()
        if saying and saying.reply.ulaw.startswith(ulaw, saying.got):
            self._got(saying, len(ulaw), at, tally)
        else:
            for frame in pieces(ulaw, FRAME_BYTES):
                self._take(frame, at, tally)
        self.free_at = max(self.free_at, at) + len(ulaw) / RATE_HZ

    def clear(self, at: float, tally: Tally) -> None:
        """The line is cleared: what has not sounded never will."""
        unplayed_ms = max(0.0, self.free_at - at) * 1000
        self.free_at = at
        self._is_uncleared = False
        if self._saying is None and self._coming and self._coming[0].is_cut:
            self._saying = self._coming.popleft()
        if saying := self._saying:
            got_ms = saying.got / _BYTES_PER_MS
            saying.heard_ms = max(0.0, min(got_ms - unplayed_ms, float(saying.reply.audio_ms)))
            saying.compare(tally)
            self._last, self._saying = saying, None
        while self._coming and self._coming[0].is_cut:
            self._coming.popleft()

    def write_off(self, before: float, tally: Tally) -> None:
        """Counts as lost what was sent whole before this moment and has not arrived, once."""
        for saying in (self._saying, *self._coming):
            if saying and saying.is_sent and saying.sent_at[-1] < before and not saying.is_cut:
                tally.frames_lost += (saying.due_bytes - saying.got) // FRAME_BYTES
                saying.got = saying.due_bytes
        self._coming = deque(saying for saying in self._coming if not saying.is_whole)

    def _current(self) -> Saying | None:
        """What arrives next is of this: the next one that was announced once the one before is whole."""
        if self._coming and (self._saying is None or self._saying.is_whole):
            self._last, self._saying = self._saying or self._last, self._coming.popleft()
        return self._saying

    def _got(self, saying: Saying, count: int, at: float, tally: Tally) -> None:
        if not saying.got:
            self._began(saying, at, tally)
        saying.got += count
        begins, dated = saying.reply.begins, saying.dated
        while dated < len(saying.sent_at) and begins[dated] < saying.got:
            tally.down.add(at - saying.sent_at[dated])
            dated += 1
        saying.dated = dated

    def _began(self, saying: Saying, at: float, tally: Tally) -> None:
        """The first of a reply. What should have been cleared is heard before it, all that is left."""
        if saying.asked_at is not None:
            tally.both.add(at - saying.asked_at)
        if self._is_uncleared and not saying.is_cut:
            tally.stale_ms += max(0.0, self.free_at - at) * 1000
            self._is_uncleared = False

    def _take(self, frame: bytes, at: float, tally: Tally) -> None:
        """A frame that may be out of its place."""
        saying = self._current()
        if saying is None:
            self._take_unexpected(frame, tally)
        elif saying.reply.ulaw.startswith(frame, saying.got):
            self._got(saying, FRAME_BYTES, at, tally)
        elif (place := saying.reply.places.get(frame)) is not None:
            skipped = place - saying.got // FRAME_BYTES
            if skipped < 0:
                tally.frames_doubled += 1
            else:
                tally.frames_lost += skipped
                self._got(saying, (skipped + 1) * FRAME_BYTES, at, tally)
        elif self._coming and frame in self._coming[0].reply.places:
            tally.frames_lost += max(0, saying.due_bytes - saying.got) // FRAME_BYTES
            saying.got = len(saying.reply.ulaw)
            self._take(frame, at, tally)
        elif self._last and frame in self._last.reply.places:
            self._take_unexpected(frame, tally)
        elif saying.is_whole:
            tally.frames_damaged += 1
        else:
            if not is_close(frame, saying.reply.ulaw[saying.got : saying.got + FRAME_BYTES]):
                tally.frames_damaged += 1
            self._got(saying, FRAME_BYTES, at, tally)

    def _take_unexpected(self, frame: bytes, tally: Tally) -> None:
        """Of a reply that is over this is stale where it was cleared, and doubled where it was heard."""
        if self._last is None or frame not in self._last.reply.places:
            tally.frames_damaged += 1
        elif self._last.heard_ms is None:
            tally.frames_doubled += 1
        else:
            tally.stale_ms += FRAME_MS
