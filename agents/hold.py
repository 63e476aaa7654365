"""A caller on hold: they hear music, the model does not hear them, until somebody takes them back."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import Path
from typing import Final

from agents.realtime import AudioFormat
from agents.recordings import melody, recording
from agents.speaking import Spawn, Speaking
from agents.waiting import set_within

REMIND_AFTER_S: Final = 120.0
"""Each time so long on hold has passed, the model is told of it: nobody else might remember the caller."""

AHEAD_S: Final = 0.2
"""How long before its end the music is begun again, so that no gap is heard."""

LOOK_S: Final = 0.1
"""How often it is looked whether it is to be begun again: sooner than the above, and than a caller wonders."""

_REMINDER: Final = (
    "The caller is still on hold, and hears music until you speak: for {:g} seconds by now. Say how things stand."
)


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
        self._now = asyncio.get_running_loop().time
        self._speaking = speaking
        self._spawn = spawn
        self._format = audio_format
        self._remind = remind
        self._over: asyncio.Event | None = None
        self._pcm = b""
        self._reminder_at = inf

    @property
    def is_on(self) -> bool:
        return self._over is not None

    async def begin(self, music: Path | None, remind_after_s: float | None = REMIND_AFTER_S) -> None:
        """Puts the caller on hold, with a WAV file or a quiet melody.

        None reminds nobody: then who began it ends it. When they are on hold already, a file takes the place of what
        they hear, and None turns the reminder off. Raises ConfigError for a file that cannot be played.
        """
        pcm = await asyncio.to_thread(recording, music, self._format) if music else melody(self._format)
        if self._over is None:
            self._over = over = asyncio.Event()
            self._pcm = pcm
            self._reminder_at = inf if remind_after_s is None else self._now() + remind_after_s
            self._speaking.is_on_hold = True
            self._spawn(lambda: self._play(over, remind_after_s or 0), "hold")
            return
        if remind_after_s is None:
            self._reminder_at = inf
        if music and pcm is not self._pcm:
            self._pcm = pcm
            await self._speaking.stop_recordings()

    async def end(self) -> None:
        """Takes the caller back; the music is silent when this returns. Does nothing when they are not on hold."""
        if self._over is not None:
            self._over.set()
            self._over = None
            self._speaking.is_on_hold = False
            await self._speaking.stop_recordings()

    async def _play(self, over: asyncio.Event, remind_after_s: float) -> None:
        """Plays the music again and again, unless the agent is saying something, until the hold is over.

        Others may silence the line: what is no longer there is begun again.
        """
        ends_at, reminded = -inf, 0
        while not over.is_set():
            now = self._now()
            if now >= self._reminder_at:
                self._reminder_at += remind_after_s
                reminded += 1
                await self._remind(_REMINDER.format(reminded * remind_after_s))
                continue
            if not self._speaking.is_recording_heard:
                ends_at = now
            pcm = self._pcm
            if ends_at - now <= AHEAD_S and await self._speaking.play_recording(pcm):
                ends_at += len(pcm) / self._format.bytes_per_ms / 1000
            await set_within(over, min(LOOK_S, self._reminder_at - now))
