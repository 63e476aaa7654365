"""Runs the tools that a model calls: each call once, side by side, an answer for each."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from agents.events import ToolCall
from agents.tools import ToolContext

if TYPE_CHECKING:
    from agents.session import RealtimeSession

log = logging.getLogger(__name__)


class ToolCalls:
    """The tool calls of one conversation. They run in the conversation's task group, and end with it."""

    def __init__(self, session: "RealtimeSession", answer: Callable[[ToolCall, str], Awaitable[None]]) -> None:
        """`answer` is awaited with each call's output, in the order in which the calls end."""
        self._session = session
        self._answer = answer
        self._tools = {tool.name: tool for tool in session.agent.tools}
        self._seen: set[str] = set()
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self, call: ToolCall, tasks: asyncio.TaskGroup) -> bool:
        """Begins a call; False for one whose id has run before."""
        if call.call_id in self._seen:
            log.warning("the model repeated a call of %s; it runs once", call.name)
            return False
        self._seen.add(call.call_id)
        self._running[call.call_id] = tasks.create_task(self._run(call), name=f"tool {call.name}")
        return True

    def cancel(self, call_id: str) -> bool:
        """Stops a call, which then gets no answer; False when it does not run."""
        task = self._running.pop(call_id, None)
        return task is not None and task.cancel()

    async def _run(self, call: ToolCall) -> None:
        tool = self._tools.get(call.name)
        if tool:
            output = await tool.call(call.arguments, ToolContext(self._session, call.call_id, call.response_id))
        else:
            output = f"Error: there is no tool named {call.name[:80]!r}."
        self._running.pop(call.call_id, None)
        await self._answer(call, output)
