"""The caller's turns, of fragments of a transcript that has no turns in it. Pure: time is the model's output.

The model hears the caller while it speaks and decides by itself whether to stop: a voice beside its own is told of as
speech only once the model has given way to it, for who is told of speech stops the agent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agents.events import (
    AudioInputCommitted,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)
from agents.providers.openai_live.replies import LiveReplies, spaced

GAP_MS: Final = 1_000
"""No words for so long end a turn. Within one they come a few hundred milliseconds apart, up to 800 at a pause."""

YIELDED_MS: Final = 300
"""Silence of the model while words of the caller come: it has given way. Between its own words are shorter ones."""

OVERLAP_MS: Final = 300
"""So long it spoke on beside the caller when it was interrupted; by less, it was at its end."""


@dataclass(slots=True)
class _Turn:
    """`is_told` from when its SpeechStarted was said; `is_over` once its AudioInputCommitted was."""

    item_id: str
    start_ms: int
    end_ms: int
    heard_at_ms: int
    text: str = ""
    is_told: bool = False
    is_over: bool = False


class LiveTurns:
    """`replies` are what the model says beside it. Ids begin with `prefix`; without `writes` words are kept back.

    What gives events must be taken to its end.
    """

    def __init__(self, replies: LiveReplies, prefix: str, *, writes: bool) -> None:
        self._replies = replies
        self._prefix = prefix
        self._writes = writes
        self._count = 0
        self._turn: _Turn | None = None

    def wrote(self, text: str, start_ms: int | None, end_ms: int | None) -> Iterator[ServerEvent]:
        """Words of the caller's, said between these places of the conversation; unknown ones were said just now."""
        now_ms = self._replies.now_ms
        start_ms = now_ms if start_ms is None else start_ms
        end_ms = max(start_ms, now_ms if end_ms is None else end_ms)
        if self._turn and self._is_another(self._turn, start_ms):
            yield from self.end()
        if (turn := self._turn) is None:
            self._count += 1
            turn = self._turn = _Turn(f"{self._prefix}_u{self._count}", start_ms, end_ms, now_ms)
            if not self._replies.is_open:
                yield self._told(turn)
        text = spaced(turn.text, text)
        turn.text += text
        turn.end_ms, turn.heard_at_ms = max(turn.end_ms, end_ms), now_ms
        if self._writes:
            yield TranscriptInputDelta(turn.item_id, text)

    def agent_begins(self) -> Iterator[ServerEvent]:
        """The model begins to sound: a turn that waited for that is over. Its last words may still come."""
        if self._turn and self._turn.is_told:
            yield from self._over(self._turn)

    def time_passed(self) -> Iterator[ServerEvent]:
        """To be called after each window of the output."""
        if (turn := self._turn) is None:
            return
        if not turn.is_told and self._replies.quiet_ms >= YIELDED_MS:
            yield from self._given_way(turn)
        if self._replies.now_ms - turn.heard_at_ms >= GAP_MS:
            yield from self.end()

    def end(self) -> Iterator[ServerEvent]:
        """Ends the turn under way, if there is one: no more words of it come."""
        if turn := self._turn:
            self._turn = None
            yield from self._over(turn)
            if self._writes:
                yield TranscriptInput(turn.item_id, turn.text.strip())

    def _is_another(self, turn: _Turn, start_ms: int) -> bool:
        """Whether words from here on belong to another turn: after a gap, or into what the model then answers."""
        since_ms = self._replies.sounds_since_ms
        is_beside_the_answer = turn.is_over and since_ms is not None and start_ms >= since_ms
        return is_beside_the_answer or start_ms - turn.end_ms >= GAP_MS

    def _given_way(self, turn: _Turn) -> Iterator[ServerEvent]:
        """The model is silent while the caller speaks: it was interrupted, or had come to its end."""
        if self._replies.loud_until_ms - turn.start_ms >= OVERLAP_MS:
            yield self._told(turn)
            yield from self._replies.interrupted()
        else:
            yield from self._replies.end("completed")
            yield self._told(turn)

    def _told(self, turn: _Turn) -> ServerEvent:
        turn.is_told = True
        return SpeechStarted(turn.item_id, turn.start_ms)

    def _over(self, turn: _Turn) -> Iterator[ServerEvent]:
        if not turn.is_over:
            turn.is_over = True
            if turn.is_told:
                yield SpeechStopped(turn.item_id, turn.end_ms)
            yield AudioInputCommitted(turn.item_id)
