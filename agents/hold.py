"""A caller on hold: they hear music, the model does not hear them, until somebody takes them back."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from agents.realtime import AudioFormat
from agents.recordings import melody, recording
from agents.speaking import Spawn, Speaking
from agents.waiting import set_within

REMIND_AFTER_S: Final = 120.0
"""After so long on hold the model is told of it, and the caller heard again: nobody else might remember them."""

AHEAD_S: Final = 0.2
"""How long before its end the music is begun again, so that no gap is heard."""

_REMINDER: Final = "The caller has been on hold for {:g} seconds and is on the line again. Say how things stand."


class Hold:
    """The hold of one conversation. It also ends when the agent speaks: whoever plays its voice calls `end` first."""

    def __init__(
        self,
        speaking: Speaking,
        spawn: Spawn,
        audio_format: AudioFormat,
        remind: Callable[[str], Awaitable[None]],
    ) -> None:
        """`remind` tells the model something, and asks it to speak."""
        self._speaking = speaking
        self._spawn = spawn
        self._format = audio_format
        self._remind = remind
        self._over: asyncio.Event | None = None

    @property
    def is_on(self) -> bool:
        return self._over is not None

    async def begin(self, music: Path | None, remind_after_s: float | None = REMIND_AFTER_S) -> None:
        """Puts the caller on hold, with a WAV file or a quiet melody; does nothing when they are.

        None reminds nobody: then who began it ends it. Raises ConfigError for a file that cannot be played.
        """
        pcm = recording(music, self._format) if music else melody(self._format)
        if self._over is None:
            self._over = over = asyncio.Event()
            self._spawn(lambda: self._play(pcm, over, remind_after_s), "hold")

    async def end(self) -> None:
        """Takes the caller back; the music is silent when this returns. Does nothing when they are not on hold."""
        if self._over is not None:
            self._over.set()
            self._over = None
            await self._speaking.stop_recordings()

    async def _play(self, pcm: bytes, over: asyncio.Event, remind_after_s: float | None) -> None:
        """Plays the music again and again, unless the agent is saying something, until the hold is over."""
        length_s = len(pcm) / self._format.bytes_per_ms / 1000
        try:
            async with asyncio.timeout(remind_after_s):
                while not over.is_set():
                    is_playing = await self._speaking.play_recording(pcm)
                    await set_within(over, length_s - AHEAD_S if is_playing else AHEAD_S)
        except TimeoutError:
            if over is self._over:
                await self.end()
                await self._remind(_REMINDER.format(remind_after_s or 0))
