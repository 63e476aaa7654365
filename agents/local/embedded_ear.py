"""The embedded ear: hears turns by voice activity, and has each understood when it is over."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from agents.audio import PCM_BYTES_PER_MS
from agents.errors import ProviderError
from agents.events import AudioInputCommitted, SessionError, SpeechStarted, SpeechStopped, TranscriptInput
from agents.local.ear import NotHeard, Tell
from agents.local.listening import Listener, Turn
from agents.local.speech import Speech
from agents.local.turns import TurnSettings, TurnStarted
from agents.local.vad import RATE_HZ, voice_activity
from agents.realtime import SessionConfig

MAX_UNHEARD_TURNS: Final = 8
"""Turns of one caller that wait to be understood; nobody says as many in the time that understanding one may take."""

_SLICE_BYTES: Final = 200 * PCM_BYTES_PER_MS
"""Audio that is listened to before other calls get their turn: under a millisecond of CPU."""


@dataclass(frozen=True, slots=True)
class _UnheardTurn:
    item_id: str
    pcm16k: bytes


class EmbeddedEar:
    """An Ear within this machine, of PCM. What it hears of turns is told before `hear` returns."""

    def __init__(self, listener: Listener, speech: Speech, tell: Tell) -> None:
        self._listener = listener
        self._speech = speech
        self._tell = tell
        self._turn_item = ""
        self._unheard: asyncio.Queue[_UnheardTurn] = asyncio.Queue(MAX_UNHEARD_TURNS)

    @property
    def is_speaking(self) -> bool:
        return self._listener.is_speaking

    @property
    def settings(self) -> TurnSettings:
        return self._listener.settings

    @settings.setter
    def settings(self, settings: TurnSettings) -> None:
        self._listener.settings = settings

    async def hear(self, audio: bytes) -> None:
        self._hear(audio[:_SLICE_BYTES])
        for start in range(_SLICE_BYTES, len(audio), _SLICE_BYTES):
            await asyncio.sleep(0)
            self._hear(audio[start : start + _SLICE_BYTES])

    def _hear(self, pcm: bytes) -> None:
        for happened in self._listener.hear(pcm):
            match happened:
                case TurnStarted(at_ms):
                    self._turn_item = _new_item()
                    self._tell(SpeechStarted(self._turn_item, at_ms))
                case Turn(at_ms):
                    self._tell(SpeechStopped(self._turn_item, at_ms))
                    self._queue(happened)

    async def commit(self) -> str | None:
        was_speaking = self._listener.is_speaking
        turn = self._listener.commit()
        if turn is None:
            return None
        if was_speaking:
            self._tell(SpeechStopped(self._turn_item, turn.at_ms))
        else:
            self._turn_item = _new_item()
        self._queue(turn)
        return self._turn_item

    def clear(self) -> None:
        self._listener.clear()

    def _queue(self, turn: Turn) -> None:
        self._tell(AudioInputCommitted(self._turn_item))
        try:
            self._unheard.put_nowait(_UnheardTurn(self._turn_item, turn.pcm16k))
        except asyncio.QueueFull:
            message = f"{MAX_UNHEARD_TURNS} turns wait to be understood; this one is dropped"
            self._tell(SessionError("busy", message, retryable=True))
            self._tell(TranscriptInput(self._turn_item, ""))

    async def run(self) -> None:
        while True:
            turn = await self._unheard.get()
            try:
                text = await self._speech.transcribe(turn.pcm16k, RATE_HZ)
            except ProviderError as error:
                self._tell(NotHeard(turn.item_id, error))
            else:
                self._tell(TranscriptInput(turn.item_id, text))


def _new_item() -> str:
    return f"item_{uuid4().hex}"


@asynccontextmanager
async def embedded_ear(config: SessionConfig, speech: Speech) -> AsyncIterator[Callable[[Tell], EmbeddedEar]]:
    """What makes the ear of one call, for its length."""
    async with voice_activity() as vad:
        listener = Listener(vad, TurnSettings.of(config.turn_detection))
        yield lambda tell: EmbeddedEar(listener, speech, tell)
