"""Whose turn it is to speak: what waits for a free line, and what the model will answer by itself, is told here."""

import asyncio
from typing import Final

from agents.events import ServerEvent, SpeechStarted, SpeechStopped
from agents.idle import VOICE_HOLD_S
from agents.speaking import Spawn, Speaking
from agents.waiting import set_within

ANSWER_S: Final = 2.0
"""How long after the caller's voice the model may begin to answer it by itself: then it will not."""

LOOK_S: Final = 0.25
"""How often it is looked whether the line is free, where nothing tells of it."""

PLAYED_S: Final = 60.0
"""Longest that one look may take."""


class _Voice:
    """One stretch of the caller's voice, and the answer to it that may come."""

    def __init__(self) -> None:
        self.has_stopped = asyncio.Event()
        self.is_over = asyncio.Event()


class Floor:
    """The caller has it from the first sound of their voice until a response begins after it, or none came in time.

    Meanwhile `Speaking` asks for no answer to a tool's result: the model gives one answer, to the caller and to it.
    """

    def __init__(self, speaking: Speaking, spawn: Spawn) -> None:
        self._speaking = speaking
        self._spawn = spawn
        self._voice: _Voice | None = None

    @property
    def is_callers(self) -> bool:
        return self._voice is not None

    def hear(self, event: ServerEvent) -> None:
        """Takes what the model hears of the caller's voice."""
        match event:
            case SpeechStarted():
                self._began()
            case SpeechStopped() if self._voice:
                self._voice.has_stopped.set()

    def _began(self) -> None:
        if self._voice:
            self._voice.has_stopped.set()
            self._voice.is_over.set()
        self._voice = voice = _Voice()
        self._speaking.callers_turn_began()
        self._spawn(lambda: self._follow(voice), "floor")

    async def response_began(self) -> None:
        """The agent takes it, unless the caller is in mid-speech."""
        if self._voice and self._voice.has_stopped.is_set():
            await self._end(self._voice)

    async def wait_free(self, *, despite_recordings: bool = False) -> None:
        """Waits until nobody speaks and nothing is owed, or the line is over.

        `despite_recordings` counts a line as free on which only a recording sounds, such as music for a caller on hold.
        """
        while not self._speaking.is_over:
            if self._voice:
                await self._voice.is_over.wait()
                continue
            is_sounding = self._speaking.is_voice_heard if despite_recordings else self._speaking.is_heard
            if self._speaking.is_settled and not is_sounding:
                return
            if not await self._speaking.wait_played(PLAYED_S, recordings=not despite_recordings):
                continue  # somebody was interrupted, which changes whose turn it is
            if self._speaking.is_heard:
                await asyncio.sleep(LOOK_S)

    async def _follow(self, voice: _Voice) -> None:
        """Takes it from a caller whose voice never ends, or is not answered."""
        await set_within(voice.has_stopped, VOICE_HOLD_S)
        await set_within(voice.is_over, ANSWER_S)
        if voice is self._voice:
            await self._end(voice)

    async def _end(self, voice: _Voice) -> None:
        self._voice = None
        voice.is_over.set()
        await self._speaking.callers_turn_ended()
