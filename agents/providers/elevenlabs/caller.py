"""The caller's turns in an ElevenLabs conversation, which tells of them late and in few words. Pure."""

import itertools
from typing import Final

from agents.events import (
    AudioInputCommitted,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
)

Events = list[ServerEvent]

VOICE_SCORE: Final = 0.5
"""From this score on, `vad_score` tells of a voice."""

QUIET_MS: Final = 500
"""The voice is over when so much audio had none: as long as the platform itself waits, about."""

WORDLESS_MS: Final = 3000
"""Words that did not come so long after the voice do not come: it was a noise."""

VOICE_MAX_MS: Final = 20_000
"""A voice of which nothing more was heard for so long is over. Without `vad_score` only the words tell of its end."""


class CallerSide:
    """What the caller does, as events. Time is the audio that was sent, in milliseconds.

    A turn begins when the platform says that the agent was interrupted, or tells of a voice while the agent is silent,
    or when its words come. A voice over the agent's that does not interrupt it has no `SpeechStarted`, which would
    silence the line: only its words are told. `has_transcripts` False keeps those back as well.
    """

    def __init__(self, name: str, bytes_per_ms: int, *, has_transcripts: bool) -> None:
        self._name = name
        self._bytes_per_ms = bytes_per_ms
        self._has_transcripts = has_transcripts
        self._numbers = itertools.count(1)
        self._bytes = 0
        self._turn: str | None = None
        self._is_voice = False
        self._voice_ms = 0
        self._wordless: str | None = None

    @property
    def sent_ms(self) -> int:
        return self._bytes // self._bytes_per_ms

    def sent(self, size: int) -> None:
        """So many bytes of the caller's audio went out."""
        self._bytes += size

    def interrupts(self) -> Events:
        """The platform stopped the agent for the caller's voice."""
        return self._voice_heard()

    def voice(self, *, is_agent_on: bool) -> Events:
        """There are signs of a voice."""
        if self._turn is None and is_agent_on:
            return []
        return self._voice_heard()

    def passed(self) -> Events:
        """There are none, or none were told of: is a voice over, or a noise known to be none?"""
        quiet_ms = self.sent_ms - self._voice_ms
        if self._turn is None or quiet_ms < (VOICE_MAX_MS if self._is_voice else WORDLESS_MS):
            return []
        return [*self._stopped(), *self._words("")]

    def quiet(self) -> Events:
        """`vad_score` tells of no voice."""
        if self._is_voice and self.sent_ms - self._voice_ms >= QUIET_MS:
            return self._stopped()
        return self.passed()

    def said(self, text: str, *, is_agent_on: bool) -> Events:
        """The words of a turn, which are all of it."""
        if self._turn is None and self._wordless is not None:
            item_id, self._wordless = self._wordless, None
            return self._transcript(item_id, text)
        events: Events = []
        if self._turn is None:
            events += [] if is_agent_on else self._voice_heard()
            self._turn = self._turn or self._new()
        return [*events, *self._stopped(), *self._words(text)]

    def answered(self) -> Events:
        """The agent begins to speak: what the caller was saying is over. Its words may still come."""
        self._wordless = None
        if self._turn is None:
            return []
        self._wordless = self._turn
        events = [*self._stopped(), AudioInputCommitted(self._turn)]
        self._turn = None
        return events

    def _voice_heard(self) -> Events:
        self._voice_ms = self.sent_ms
        if self._is_voice:
            return []
        self._is_voice = True
        self._turn = self._turn or self._new()
        return [SpeechStarted(self._turn, self.sent_ms)]

    def _stopped(self) -> Events:
        if self._turn is None or not self._is_voice:
            return []
        self._is_voice = False
        return [SpeechStopped(self._turn, self.sent_ms)]

    def _words(self, text: str) -> Events:
        if self._turn is None:
            return []
        item_id, self._turn = self._turn, None
        return [AudioInputCommitted(item_id), *self._transcript(item_id, text)]

    def _transcript(self, item_id: str, text: str) -> Events:
        return [TranscriptInput(item_id, text)] if self._has_transcripts else []

    def _new(self) -> str:
        return f"{self._name}-caller-{next(self._numbers)}"
