"""Whether the agent had the last word: the caller heard the goodbye and has nothing to add."""

import asyncio
from math import inf

from agents.idle import VOICE_HOLD_S, WORDS_S
from agents.speaking import Speaking
from agents.watch import CHECK_S


class Goodbye:
    """Follows the caller's voice through one conversation, for whoever is about to end it."""

    def __init__(self, speaking: Speaking) -> None:
        self._now = asyncio.get_running_loop().time
        self._speaking = speaking
        self._is_voice_active = False
        self._voice_stopped_at = -inf

    def voice_started(self) -> None:
        self._is_voice_active = True

    def voice_stopped(self) -> None:
        self._is_voice_active = False
        self._voice_stopped_at = self._now()

    def response_began(self) -> None:
        """The agent begins to answer what was said so far: no words of it are waited for any more."""
        self._voice_stopped_at = -inf

    async def wait(self, response_id: str | None, timeout_s: float) -> bool:
        """Waits until the caller heard the agent out and is not speaking, or the call is over.

        At most `timeout_s` for the agent, then `VOICE_HOLD_S` for a voice and the words of it, which may come up to
        `WORDS_S` after it. False when the caller interrupted, also before this began if that stopped the response that
        is named, or when something that was said meanwhile is to be answered.
        """
        turns = self._speaking.turns
        if response_id is not None and self._speaking.is_silenced(response_id):
            return False
        hold_until = inf
        while await self._speaking.wait_played(timeout_s) and self._speaking.turns == turns:
            now = self._now()
            hold_until = min(hold_until, now + VOICE_HOLD_S)
            if now >= hold_until or self._speaking.is_over or not self._may_be_speaking(now):
                return True
            await asyncio.sleep(CHECK_S)
        return False

    def _may_be_speaking(self, now: float) -> bool:
        return self._is_voice_active or now - self._voice_stopped_at < WORDS_S
