"""The agent's first message, which it says when it is ready and which is to be heard when the session asks for it."""

from typing import Final

from agents.errors import ProviderError
from agents.events import AudioInputCommitted, AudioOutputDelta, RawEvent, ServerEvent, SessionCreated, SessionError
from agents.providers.socket import Answer

Said = list[ServerEvent | Answer | ProviderError]

MAX_HELD_MS: Final = 60_000
"""More than this of the greeting is not held: it is then told as what it is, said by the agent of its own accord.

So it is when the caller speaks before it was asked for.
"""


class Greeting:
    """Holds back what the agent says until its first message is asked for. `text` None: there is none to hold."""

    def __init__(self, text: str | None, bytes_per_ms: int) -> None:
        self._text = text
        self._max_bytes = MAX_HELD_MS * bytes_per_ms
        self._is_holding = text is not None
        self._held: list[ServerEvent] = []
        self._size = 0

    def is_asked_for(self, say: str | None) -> bool:
        """Whether these are the words of the first message, which were not asked for before."""
        is_it = say is not None and say == self._text
        if is_it:
            self._text = None
        return is_it

    @property
    def has_begun(self) -> bool:
        """Whether any of it came."""
        return bool(self._held) or not self._is_holding

    def hold(self, said: Said) -> Said:
        """What is to be told now of what the agent's side said."""
        if not self._is_holding:
            return said
        now: Said = []
        for each in said:
            if isinstance(each, Answer | ProviderError | RawEvent | SessionCreated | SessionError):
                now.append(each)
            else:
                self._held.append(each)
                self._size += len(each.pcm) if isinstance(each, AudioOutputDelta) else 0
        has_caller_spoken = any(isinstance(each, AudioInputCommitted) for each in said)
        return [*now, *self.let_go()] if has_caller_spoken or self._size > self._max_bytes else now

    def let_go(self) -> list[ServerEvent]:
        """All that was held; nothing more is."""
        self._is_holding = False
        held, self._held = self._held, []
        return held
