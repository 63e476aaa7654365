"""The caller's keys: what they stop, what they enter, and what the model must not hear of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from agents.digits import DigitRules, Digits, told_to_model
from agents.events import DigitsEntered, Dtmf, SessionEvent

KEY_TONE_S: Final = 1.0
"""How long after the last key of a secret its tone may still sound: the model hears silence."""


class Keypad:
    """The keys of one conversation. `stop` silences the agent; `ask` tells the model of an entry, for it to answer."""

    def __init__(
        self,
        rules: DigitRules,
        tell: Callable[[SessionEvent], object],
        ask: Callable[[str], Awaitable[None]],
        stop: Callable[[], Awaitable[object]] | None,
    ) -> None:
        self._rules = rules
        self._tell = tell
        self._ask = ask
        self._stop = stop
        self._now = asyncio.get_running_loop().time
        self._digits = Digits(rules)
        self._tone_until = 0.0

    @property
    def is_secret(self) -> bool:
        """True while a secret is typed, and until its last tone has died away: the model must not hear the caller."""
        return self._rules.sensitive and (self._digits.is_collecting or self._now() < self._tone_until)

    async def press(self, digit: str) -> None:
        """The caller presses a key. Raises ChannelError when that stops the agent and the line breaks."""
        now = self._now()
        entry = self._digits.press(digit, now)
        self._tone_until = now + KEY_TONE_S
        self._tell(Dtmf(digit, sensitive=self._rules.sensitive))
        if self._stop:
            await self._stop()
        if entry is not None:
            await self._entered(entry)

    async def look(self) -> None:
        """Completes an entry that no further key has followed in time."""
        if (entry := self._digits.due(self._now())) is not None:
            await self._entered(entry)

    async def _entered(self, entry: str) -> None:
        self._tell(DigitsEntered(entry, sensitive=self._rules.sensitive))
        if self._rules.to_model:
            await self._ask(told_to_model(entry, self._rules))
