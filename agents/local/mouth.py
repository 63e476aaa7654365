"""What a mouth is: it speaks for one call, one stretch of speech after the other."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from agents.realtime import AudioFormat, Voice


class Listener(Protocol):
    """Who is told what a mouth says while it says it."""

    async def words(self, sentence: str, duration_ms: int | None) -> None:
        """This sentence comes next. `duration_ms` is how long it is, where that is known before it sounds."""

    async def sound(self, audio: bytes) -> None:
        """A piece of the voice, of any length, in the format that was asked for. Waits for the reader of it."""


class Utterance(Protocol):
    """One stretch of speech being spoken. Both methods raise ProviderError when the mouth fails."""

    async def say(self, sentence: str) -> None:
        """Speaks a sentence: its words, then its sound go to the listener, that perhaps after this returns."""

    async def end(self) -> None:
        """Says that no sentence follows, and waits until all sound went to the listener: a limited time."""


class Mouth(Protocol):
    def utter(self, voice: Voice, audio_format: AudioFormat, to: Listener) -> AbstractAsyncContextManager[Utterance]:
        """Speaks to a listener. Left before its end, it falls silent; the next one waits until it has."""

    async def run(self) -> None:
        """Whatever speaking needs beside: until it is cancelled."""
