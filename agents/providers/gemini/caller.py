"""The caller's side of a conversation with Gemini Live: turns with a beginning, an end and words. Pure.

The wire has no turns: it tells of voices on some models only, of words in pieces, of interruptions always.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agents.events import (
    AudioInputCommitted,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)
from agents.heard_text import MAX_TEXT_CHARS


@dataclass(slots=True)
class _Turn:
    """`is_over`: the caller's turn has ended; `is_written`: its words are known, or will not be."""

    item_id: str
    text: str = ""
    is_speaking: bool = False
    is_over: bool = False
    is_written: bool = False


class Caller:
    """`transcribes`: the caller's words are written down. `is_manual`: we say when turns begin and end.

    `sent_ms` is how much of the caller's audio the model was sent. What gives events must be taken to its end.
    """

    def __init__(self, prefix: str, *, transcribes: bool, is_manual: bool) -> None:
        self._prefix = prefix
        self._transcribes = transcribes
        self._is_manual = is_manual
        self._count = 0
        self._turn: _Turn | None = None
        self.sent_ms = 0
        self.is_waiting = False

    def sounded(self, is_active: bool, at_ms: int | None = None) -> Iterator[ServerEvent]:
        """The server tells of the caller's voice. Where we say when turns are it only repeats us."""
        if not self._is_manual:
            yield from self.began(at_ms) if is_active else self.ended(at_ms)

    def began(self, at_ms: int | None = None) -> Iterator[ServerEvent]:
        """The caller's voice is there: told once for each turn."""
        turn = self._turn
        if turn and turn.is_speaking:
            return
        if turn is None or turn.is_over or turn.is_written:
            yield from self.written()
            turn = self._open()
        turn.is_speaking = True
        yield SpeechStarted(turn.item_id, self.sent_ms if at_ms is None else at_ms)

    def ended(self, at_ms: int | None = None) -> Iterator[ServerEvent]:
        """The caller's voice has ceased."""
        turn = self._turn
        if turn and turn.is_speaking:
            turn.is_speaking, turn.is_over = False, True
            yield SpeechStopped(turn.item_id, self.sent_ms if at_ms is None else at_ms)
            yield AudioInputCommitted(turn.item_id)

    def committed(self) -> Iterator[ServerEvent]:
        """We said that the caller's turn is over."""
        turn = self._turn
        if turn is None or turn.is_over or turn.is_written:
            yield from self.written()
            turn = self._open()
        if turn.is_speaking:
            yield from self.ended()
        else:
            turn.is_over = True
            yield AudioInputCommitted(turn.item_id)

    def heard(self, text: str, *, is_final: bool, may_begin: bool) -> Iterator[ServerEvent]:
        """Words of the caller. Where they may not begin a turn they wait for what does: the model is speaking."""
        turn = self._turn
        if turn is None or turn.is_written:
            if not text:
                return
            if may_begin and not self._is_manual:
                yield from self.began()
            else:
                self._open()
            turn = self._turn
        if turn is None:
            return
        turn.text = (turn.text + text)[:MAX_TEXT_CHARS]
        if text and self._transcribes:
            yield TranscriptInputDelta(turn.item_id, text)
        if is_final:
            yield from self.ended()
            yield from self.written()

    def taken_up(self) -> Iterator[ServerEvent]:
        """The model answers: the turn is over. Words of it may still come."""
        yield from self.ended()
        if self._turn:
            self._turn.is_over = True
        self.is_waiting = False

    def answered(self) -> Iterator[ServerEvent]:
        """The answer is there, so the words of the turn are as well."""
        if self._turn and self._turn.is_over:
            yield from self.written()

    def written(self) -> Iterator[ServerEvent]:
        """No more words of this turn come."""
        turn = self._turn
        if turn and not turn.is_written:
            turn.is_written = True
            if self._transcribes:
                yield TranscriptInput(turn.item_id, turn.text.strip())

    def _open(self) -> _Turn:
        self._count += 1
        self._turn = _Turn(f"{self._prefix}-u{self._count}")
        self.is_waiting = True
        return self._turn
