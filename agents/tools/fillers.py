"""What the caller hears when a tool takes its time and the agent is silent."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from agents.errors import ConfigError
from agents.floor import Floor
from agents.realtime import AudioFormat
from agents.recordings import recording
from agents.speaking import Speaking
from agents.templates import render
from agents.tools.contract import Filler
from agents.waiting import set_within

log = logging.getLogger(__name__)

FILLER_S: Final = 120.0
"""Longest that a filler may sound: as long as a recording can be."""

LOOK_S: Final = 0.25
"""How often it is looked whether the line is back."""


class Fillers:
    """The fillers of one conversation, one at a time: for the next one, silence is counted from the end of the last."""

    def __init__(self, speaking: Speaking, floor: Floor, audio_format: AudioFormat) -> None:
        self._speaking = speaking
        self._floor = floor
        self._format = audio_format
        self._one = asyncio.Lock()

    async def fill(self, filler: Filler, variables: Mapping[str, str], over: asyncio.Event) -> None:
        """Sounds once, unless the call is over before. It is not to be cancelled while the conversation goes on.

        Nobody waits on a line that is elsewhere: silence is counted from when it is back.
        """
        try:
            words = render(filler.say, variables) if filler.say else None
            pcm = await asyncio.to_thread(recording, filler.play, self._format) if filler.play else None
        except ConfigError as error:
            log.warning("a filler cannot be heard: %s", error)
            return
        while not await set_within(over, filler.after_ms / 1000):
            if self._speaking.is_away:
                await self._wait_back(over)
                continue
            was_silent = not self._one.locked()
            async with self._one:
                if was_silent:
                    await self._floor.wait_free()
                if was_silent and not self._speaking.is_away:
                    if not over.is_set():
                        await self._sound(words, pcm)
                    return

    async def _wait_back(self, over: asyncio.Event) -> None:
        while self._speaking.is_away and not await set_within(over, LOOK_S):
            pass

    async def _sound(self, words: str | None, pcm: bytes | None) -> None:
        if words:
            await self._speaking.request(say=words)
        elif pcm:
            await self._speaking.play_recording(pcm)
        await self._speaking.wait_played(FILLER_S, recordings=True)
