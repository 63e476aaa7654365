"""The embedded mouth: speaks sentence by sentence, each synthesised whole before it is heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agents.audio import PCM_BYTES_PER_MS
from agents.local.mouth import Listener, Utterance
from agents.local.speech import Speech
from agents.realtime import AudioFormat, Voice


class EmbeddedMouth:
    """A Mouth within this machine. It gives PCM."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech

    @asynccontextmanager
    async def utter(self, voice: Voice, audio_format: AudioFormat, to: Listener) -> AsyncIterator[Utterance]:
        yield _Utterance(self._speech, voice.speed or 1.0, to)

    async def run(self) -> None:
        await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class _Utterance:
    speech: Speech
    speed: float
    to: Listener

    async def say(self, sentence: str) -> None:
        pcm = await self.speech.synthesize(sentence, self.speed)
        await self.to.words(sentence, len(pcm) // PCM_BYTES_PER_MS)
        await self.to.sound(pcm)

    async def end(self) -> None:
        """All was heard when `say` returned."""
