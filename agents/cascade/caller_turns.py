"""The caller's turns as a streaming recogniser tells of them, brought into one order. Pure."""

from typing import Final
from uuid import uuid4

from agents.events import (
    AudioInputCommitted,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)

MIN_TURN_MS: Final = 96
"""Audio that may be a turn. A shorter piece that is committed holds no word."""

MAX_KEPT_CHARS: Final = 20_000
"""Longest turn, in letters: some twenty minutes of speech. Its beginning is dropped."""

TurnEvent = SpeechStarted | TranscriptInputDelta | SpeechStopped | AudioInputCommitted | TranscriptInput


class CallerTurns:
    """One caller's turns. Recognisers tell of a start twice, of an end without a start, of words that change: this
    gives each turn one start, one end and one text, and between them only words that were there to stay.

    With manual turns only `commit` ends one, and nothing begins one: what a recogniser ended by itself belongs to the
    turn that is committed next.
    """

    def __init__(self, *, is_manual: bool) -> None:
        self._is_manual = is_manual
        self._kept = ""
        self._open: str | None = None
        self._awaited: str | None = None
        self._shown = ""
        self._new_ms = 0.0

    @property
    def is_open(self) -> bool:
        """True while the caller is in the middle of a turn."""
        return self._open is not None

    @property
    def is_awaited(self) -> bool:
        """True while a turn that was committed waits for its text."""
        return self._awaited is not None

    def heard(self, audio_ms: float) -> None:
        """So much audio more went to the recogniser."""
        self._new_ms += audio_ms

    def started(self, at_ms: int) -> tuple[TurnEvent, ...]:
        """The caller began to speak; nothing new while a turn is open, or while the text of one is awaited."""
        if self._open or self._awaited or self._is_manual:
            return ()
        self._open = f"item_{uuid4().hex}"
        self._shown = ""
        return (SpeechStarted(self._open, at_ms),)

    def written(self, text: str, at_ms: int, *, is_sure: bool = False) -> tuple[TurnEvent, ...]:
        """All words of the turn so far; of those that are not sure the last may still change."""
        if not text:
            return ()
        begun = self.started(at_ms)
        item_id = self._open or self._awaited
        sure = text if is_sure else text[: text.rfind(" ") + 1].rstrip()
        if not item_id or not sure.startswith(self._shown) or sure == self._shown:
            return begun
        more, self._shown = sure[len(self._shown) :], sure
        return (*begun, TranscriptInputDelta(item_id, more))

    def ended(self, text: str, at_ms: int) -> tuple[TurnEvent, ...]:
        """The turn is over, and this is what was said. An end of nothing is nothing."""
        text = text.strip()
        if self._awaited:
            item_id, self._awaited = self._awaited, None
            text, self._kept = f"{self._kept} {text}".strip(), ""
            return (TranscriptInput(item_id, text),)
        if self._is_manual:
            self._kept = f"{self._kept} {text}".strip()[-MAX_KEPT_CHARS:]
            return ()
        begun = self.started(at_ms) if text else ()
        if self._open is None:
            return ()
        item_id, self._open, self._new_ms = self._open, None, 0.0
        over = SpeechStopped(item_id, at_ms), AudioInputCommitted(item_id), TranscriptInput(item_id, text)
        return (*begun, *over)

    def commit(self, at_ms: int) -> tuple[TurnEvent, ...]:
        """The turn is over because we say so; its text is awaited. Nothing when nothing was heard since the last."""
        if self._awaited or self._new_ms < MIN_TURN_MS:
            return ()
        stopped = (SpeechStopped(self._open, at_ms),) if self._open else ()
        if self._open is None:
            self._shown = ""
        self._awaited = self._open or f"item_{uuid4().hex}"
        self._open, self._new_ms = None, 0.0
        return (*stopped, AudioInputCommitted(self._awaited))
