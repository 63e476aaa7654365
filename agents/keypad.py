"""The caller's keys: what they stop, what they enter, and what the model must not hear of them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from agents.digits import DigitRules, Digits, told_to_model
from agents.events import DigitsEntered, Dtmf, SessionEvent

KEY_TONE_S: Final = 1.0
"""How long after the last key of a secret its tone may still sound: the model hears silence."""

LOOK_S: Final = 0.25
"""How often it is looked whether somebody who waits for an entry should wait on."""


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
        self._next_rules: DigitRules | None = None
        self._collecting: asyncio.Future[DigitsEntered] | None = None

    def use(self, rules: DigitRules, stop: Callable[[], Awaitable[object]] | None) -> None:
        """Other rules hold from here on, but for an entry that is begun or that somebody waits for: from its end on.

        Until then it is a secret by either rules.
        """
        self._stop = stop
        self._next_rules = rules
        self._rules = replace(self._rules, sensitive=self._rules.sensitive or rules.sensitive)
        self._change_rules()

    def _change_rules(self) -> None:
        """Lets other rules hold, if there are any and no entry is begun or waited for."""
        if self._next_rules and not (self.is_typing or self._collecting):
            self._rules, self._next_rules = self._next_rules, None
            self._digits.use(self._rules)

    @property
    def is_secret(self) -> bool:
        """True while a secret is typed, and until its last tone has died away: the model must not hear the caller."""
        return self._now() < self._tone_until or (self._rules.sensitive and self._digits.is_collecting)

    async def press(self, digit: str) -> None:
        """The caller presses a key. Raises ChannelError when that stops the agent and the line breaks."""
        now = self._now()
        entry = self._digits.press(digit, now)
        if self._rules.sensitive:
            self._tone_until = now + KEY_TONE_S
        self._tell(Dtmf(digit, sensitive=self._rules.sensitive))
        if self._stop:
            await self._stop()
        if entry is not None:
            await self._entered(entry)

    @property
    def is_typing(self) -> bool:
        """True while an entry is begun and not complete."""
        return self._digits.is_collecting

    async def collect(
        self, first_key_s: float, typing_s: float, is_asking: Callable[[], bool], is_called_off: Callable[[], bool]
    ) -> DigitsEntered | None:
        """Waits for the next entry, which nobody else is then asked about; observers are told of it.

        At most `first_key_s` for its first key, once the agent is not asking for it any more, which it may do for as
        long; and `typing_s` from there on. People type while they are being asked: that counts. None when the time ran
        out, or when it was called off before the first key. One who is waiting already gets None.
        """
        if self._collecting and not self._collecting.done():
            self._collecting.cancel()
        self._collecting = None
        self._change_rules()
        entry = self._collecting = asyncio.get_running_loop().create_future()
        may_be_asked = True
        asked_until = until = self._now() + first_key_s
        try:
            while not entry.done():
                if may_be_asked and not self.is_typing:
                    may_be_asked = is_asking() and self._now() < asked_until
                    until = self._now() + first_key_s
                if self.is_typing and until < self._now() + typing_s:
                    until, typing_s = self._now() + typing_s, 0.0
                if self._now() >= until or (is_called_off() and not self.is_typing):
                    return None
                await asyncio.wait({entry}, timeout=LOOK_S)
            return None if entry.cancelled() else entry.result()
        finally:
            if self._collecting is entry:
                self._collecting = None
                self._change_rules()

    async def look(self) -> None:
        """Completes an entry that no further key has followed in time."""
        if (entry := self._digits.due(self._now())) is not None:
            await self._entered(entry)

    async def _entered(self, entry: str) -> None:
        rules = self._rules
        entered = DigitsEntered(entry, sensitive=rules.sensitive)
        self._tell(entered)
        if self._collecting and not self._collecting.done():
            self._collecting.set_result(entered)
            return
        self._change_rules()
        if rules.to_model:
            await self._ask(told_to_model(entry, rules))
