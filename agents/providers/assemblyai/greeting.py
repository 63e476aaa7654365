"""The greeting, which the agent says as soon as it is there and which is to be heard when the session asks for it."""

from collections.abc import Iterable
from typing import Final

from agents.events import (
    AudioInputCommitted,
    AudioOutputDelta,
    RawEvent,
    ResponseCreated,
    ServerEvent,
    SpeechStarted,
)

MAX_HELD_MS: Final = 60_000
"""More than this of the greeting is not held: it is then told as what it is, said by the agent of its own accord.

So it is when the caller speaks before it was asked for, or something else is asked for first.
"""

MAX_HELD_GREETING: Final = 6_000
"""Nor are more events: a minute of audio in pieces of 20 ms, with a word to each."""


class Greeting:
    """Holds back what the agent says until its greeting is asked for. `text` None: there is none to hold."""

    def __init__(self, text: str | None, bytes_per_ms: int) -> None:
        self._text = text
        self._max_bytes = MAX_HELD_MS * bytes_per_ms
        self._is_holding = text is not None
        self._held: list[ServerEvent] = []
        self._size = 0
        self.has_begun = False
        """Whether the agent has begun to say anything."""

    @property
    def is_due(self) -> bool:
        """Whether something was held and is to be told now."""
        return bool(self._held) and not self._is_holding

    def is_asked_for(self, say: str | None) -> bool:
        """Whether these are the words of the greeting, which were not asked for before."""
        is_it = say is not None and say == self._text
        if is_it:
            self._text = None
        return is_it

    def let_go(self) -> None:
        """Nothing is held from here on, and what was is due."""
        self._is_holding = False

    def told(self, said: Iterable[ServerEvent] = ()) -> list[ServerEvent]:
        """What is to be told now, of what was held and of what was said since by the agent and the caller."""
        at_once: list[ServerEvent] = []
        for each in said:
            self.has_begun |= isinstance(each, ResponseCreated)
            if isinstance(each, SpeechStarted | AudioInputCommitted):
                self.let_go()
            if self._is_holding and isinstance(each, RawEvent):
                at_once.append(each)
            else:
                self._held.append(each)
                self._size += len(each.pcm) if isinstance(each, AudioOutputDelta) else 0
        if self._size > self._max_bytes or len(self._held) > MAX_HELD_GREETING:
            self.let_go()
        if self._is_holding:
            return at_once
        held, self._held, self._size = self._held, [], 0
        return held
