"""Gives the model what its tool calls came to, and has it speak of that once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from agents.events import ClientEvent, Error, SessionEvent, Tool, ToolCall, ToolResult
from agents.floor import Floor
from agents.speaking import Speaking
from agents.tools.answer import Answer
from agents.tools.contract import ToolRules

BEGUN: Final = "The tool has begun. Its result will follow when it is there; the conversation goes on meanwhile."
"""What a model reads at once of a call in the background."""


class Results:
    """The answers of one conversation's calls."""

    def __init__(
        self,
        speaking: Speaking,
        floor: Floor,
        *,
        send: Callable[[ClientEvent], Awaitable[None]],
        add: Callable[[str], Awaitable[None]],
        tell: Callable[[SessionEvent], object],
        is_over: Callable[[], bool],
        answered: Callable[[], object],
    ) -> None:
        """`add` has the model, and the history, know something that the caller did not say; `tell` is for observers.

        `is_over` says when nothing is to be sent any more. `answered` is told when the caller begins to wait for the
        model to speak of a result.
        """
        self._speaking = speaking
        self._floor = floor
        self._send = send
        self._add = add
        self._tell = tell
        self.is_over = is_over
        self._answered = answered
        self._telling = asyncio.Lock()
        self.may_respond = True
        """False when the model is not to speak of any result any more."""

    async def give(self, call: ToolCall, answer: Answer) -> None:
        """Answers a call."""
        await self._give(call, answer)
        if not self.is_over():
            self._tell(Tool(call.call_id, call.name, call.arguments, answer.text, answer.failure))

    async def begun(self, call: ToolCall) -> None:
        """Answers a call that goes on in the background."""
        await self._give(call, Answer(BEGUN))

    async def give_later(self, call: ToolCall, answer: Answer) -> None:
        """Tells the model what a call in the background came to, once nobody speaks and nothing is owed."""
        if self.is_over():
            return
        self._tell(Tool(call.call_id, call.name, call.arguments, answer.text, answer.failure))
        is_wanted, turns = self._is_to_be_spoken_of(answer), self._speaking.turns
        async with self._telling:
            await self._floor.wait_free(despite_recordings=True)
            await self._add(f"The tool {call.name}, called with {call.arguments}, has answered: {answer.text}")
            is_answered = answer.failure == "stopped" and self._speaking.turns != turns
            if is_wanted and self.may_respond and not is_answered:
                await self._speaking.request_after_tools()

    async def give_none(self, call: ToolCall, rules: ToolRules) -> None:
        """The call took too long, and observers are to know of that instead of the model."""
        if self.is_over():
            return
        message = f"the tool {call.name[:80]} took longer than {rules.timeout_s:g} s; the model is not told"
        self._tell(Error("tool_timeout", message))
        self._tell(Tool(call.call_id, call.name, call.arguments, failure="timeout"))
        await self._speaking.tool_answered(call.call_id, respond=False)

    async def _give(self, call: ToolCall, answer: Answer) -> None:
        if self.is_over():
            return
        await self._send(ToolResult(call.call_id, answer.text, has_failed=answer.failure is not None))
        respond = self._is_to_be_spoken_of(answer) and self.may_respond
        if respond and not self._floor.is_callers:
            self._answered()
        await self._speaking.tool_answered(call.call_id, respond=respond)

    def _is_to_be_spoken_of(self, answer: Answer) -> bool:
        """Whether the model is asked to; while the floor is the caller's, only if it does not answer them by itself."""
        return answer.is_to_be_spoken_of or (answer.failure == "stopped" and self._floor.is_callers)
