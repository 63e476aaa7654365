"""How an ElevenLabs agent is asked to speak: by messages, which it always answers."""

from collections import deque
from typing import Final

from agents.events import ResponseCreate, ServerEvent, SessionError
from agents.providers.elevenlabs.agent import AgentSide
from agents.providers.wire_json import write
from agents.replies import BUSY

Asked = tuple[tuple[str, ...], list[ServerEvent]]

MAX_TOLD: Final = 8
"""Messages of ours that may still come back as something that the caller said."""


class Asking:
    """The requests of one conversation, and the messages of the caller's that wait for one.

    The platform answers `user_message` at once. So a message that the caller wrote waits for the request to answer it,
    and goes as a `contextual_update` when none comes. It answers tools' results and the caller's turns by itself: a
    request for that needs no message. For words of ours, and for a request out of nothing, a message says whose it is.
    """

    def __init__(self) -> None:
        self._written: list[str] = []
        self._told: deque[str] = deque(maxlen=MAX_TOLD)

    @property
    def waiting(self) -> int:
        """How many messages of the caller's wait for a request."""
        return len(self._written)

    def write(self, text: str) -> None:
        """The caller wrote something, which is to be answered when that is asked for."""
        self._written.append(text)

    def unasked(self) -> list[str]:
        """What lets the agent know what the caller wrote, without an answer to it."""
        texts, self._written = self._written, []
        return [context(f"The caller wrote: {text}") for text in texts]

    def is_echo(self, text: str) -> bool:
        """Whether the caller's words are a message of ours that comes back: true once for each."""
        if text not in self._told:
            return False
        self._told.remove(text)
        return True

    def ask(self, create: ResponseCreate, agent: AgentSide) -> Asked:
        """The messages that ask for a response, and what can be told of it at once."""
        wish = _wish(create)
        if agent.is_replying and wish is not None:
            return (), [SessionError(BUSY, "the agent speaks already", benign=True, event_id=create.event_id)]
        texts, self._written = self._written, []
        if wish is not None:
            texts.append(_aside(wish))
        was_answered = agent.take_ahead()
        if agent.is_replying and not texts:  # of its own accord, when this was on its way: that is the answer
            return (), []
        if was_answered and not texts:
            return (), agent.empty()
        if not (texts or agent.answers_by_itself):
            texts.append(_aside("It is your turn to speak: go on."))
        if not agent.is_replying:
            agent.ask()
        return ((self._message("\n\n".join(texts)),) if texts else ()), []

    def _message(self, text: str) -> str:
        self._told.append(text.strip())
        return write({"type": "user_message", "text": text})


def context(text: str) -> str:
    """A message for the agent to know, which it does not answer."""
    return write({"type": "contextual_update", "text": text})


def _wish(create: ResponseCreate) -> str | None:
    """What the agent is asked to do; None when it is only to answer."""
    wishes = [create.instructions] if create.instructions else []
    if create.say is not None:
        wishes.append(f"Say exactly the following words, all of them and no others:\n{create.say}")
    return "\n\n".join(wishes) or None


def _aside(text: str) -> str:
    return f"[From the system, not from the caller: {text}]"
