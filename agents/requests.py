"""What a program, or a part of the conversation in its place, asks of a conversation: words, stopping, waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal
from uuid import uuid4

from agents.emitter import Emitter
from agents.events import ClientEvent, EndReason, ItemCreate
from agents.goodbye import Goodbye
from agents.history import CallHistory
from agents.speaking import Spawn, Speaking, tell_changed
from agents.update_history import HistoryUpdates, NewHistory


class Requests:
    """Those of one conversation. Nothing is sent or started once it is over."""

    def __init__(
        self,
        speaking: Speaking,
        history: CallHistory,
        emitter: Emitter,
        goodbye: Goodbye,
        *,
        send: Callable[[ClientEvent], Awaitable[None]],
        spawn: Spawn,
        is_over: Callable[[], bool],
        end: Callable[[EndReason], None],
    ) -> None:
        self._speaking = speaking
        self._history = history
        self._history_updates = HistoryUpdates(history, send, emitter)
        self._emitter = emitter
        self._goodbye = goodbye
        self._send = send
        self._spawn = spawn
        self._is_over = is_over
        self._end = end

    # ---- words ----

    async def add_message(self, text: str) -> None:
        """Adds a message of the caller's, as text. Asks for no response."""
        await self._add("user", text)

    async def add_note(self, text: str) -> None:
        """Adds something that the model is to know and nobody said. Asks for no response."""
        await self._add("system", text)

    async def ask(self, text: str) -> None:
        """Adds a message of the caller's, for the model to answer."""
        await self.add_message(text)
        await self.respond()

    async def remind(self, text: str) -> None:
        """Tells the model something that nobody said, for it to speak of."""
        await self.add_note(text)
        await self.respond()

    async def respond(self) -> None:
        """Asks for a response, as soon as none is under way."""
        if not self._is_over():
            await self._speaking.request()

    async def say(self, text: str) -> None:
        """Has a text said word for word, after what is being said."""
        if not self._is_over():
            await self._speaking.request(say=text)

    async def update_history(self, wanted: NewHistory) -> None:
        """Makes the history what is wanted, as `history_change` says."""
        if not self._is_over():
            await self._history_updates.make(wanted)

    async def _add(self, role: Literal["user", "system"], text: str) -> None:
        if self._is_over():
            return
        item_id = f"msg_{uuid4().hex[:24]}"
        await self._send(ItemCreate(role, text, item_id))
        tell_changed(self._emitter, self._history.add(item_id, role, text))

    # ---- stopping ----

    async def interrupt(self) -> None:
        """Stops the agent, and returns when the model knows what was heard. Does nothing when the agent is silent.

        Who is cancelled while waiting for it has stopped the agent all the same.
        """
        if stopping := self._spawn(self._stop, "interrupt"):
            await asyncio.wait({stopping})

    async def _stop(self) -> None:
        if truncating := await self._speaking.stop(cancel=True):
            await asyncio.wait({truncating})

    # ---- waiting ----

    async def wait_played(self, timeout_s: float) -> bool:
        """Waits, at most so long, until the agent has no more to say and the caller heard it all.

        False when the caller interrupted meanwhile.
        """
        return await self._speaking.wait_played(timeout_s)

    async def wait_goodbye(self, response_id: str | None, timeout_s: float) -> bool:
        """Waits until the caller heard the agent out and has nothing to add, as `Goodbye.wait` says."""
        return await self._goodbye.wait(response_id, timeout_s)

    def end_when_played(self, reason: EndReason, timeout_s: float, last_words: str | None = None) -> None:
        """Ends the conversation when `wait_played` would return; `last_words` are said first, in place of all else.

        What nobody has asked for until now is not said any more.
        """
        self._speaking.only_what_was_asked()

        async def wait() -> None:
            if last_words is not None:
                await self._speaking.say_last(last_words)
            await self.wait_played(timeout_s)
            self._end(reason)

        self._spawn(wait, "closing")
