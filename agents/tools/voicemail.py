"""The tool that leaves a message on an answering machine, and ends the call."""

import asyncio
from typing import TYPE_CHECKING, Final

from agents.errors import ToolError
from agents.templates import render
from agents.tools.contract import ToolContext, ToolRules
from agents.tools.function import FunctionTool, tool

if TYPE_CHECKING:
    from agents.session import RealtimeSession

LOOK_S: Final = 0.25

SILENT_S: Final = 1.5
"""So long nobody speaks once a machine has beeped; its greeting has no such pause."""

GREETING_S: Final = 60.0
"""Longest that a machine greets before its beep."""

MESSAGE_S: Final = 90.0
"""Longest message that is heard to its end; machines take some two minutes."""


def leave_voicemail_tool(message: str | None) -> FunctionTool:
    """`message` is said word for word, with {{ variables }}. Without one there is nothing to leave."""

    @tool(rules=ToolRules(timeout_s=GREETING_S + MESSAGE_S))
    async def leave_voicemail(call: ToolContext) -> str:
        """Leave our message on the answering machine that took the call, then end the call. Call it at once when you
        hear a machine's greeting, and say nothing.
        """
        if message is None:
            raise ToolError("there is no message to leave; say what is to be said, then hang up")
        session = call.session
        await _wait_silent(session)
        await session.mute()
        await session.say(render(message, session.agent.variables_for(call.context)))
        await session.wait_played(MESSAGE_S)
        await session.close("agent")
        return "The message was left."

    return leave_voicemail


async def _wait_silent(session: "RealtimeSession") -> None:
    """Waits until the machine has said its greeting, for at most GREETING_S."""
    looks = silent_looks = 0
    while looks * LOOK_S < GREETING_S and silent_looks * LOOK_S < SILENT_S:
        await asyncio.sleep(LOOK_S)
        looks += 1
        silent_looks = 0 if session.is_caller_speaking else silent_looks + 1
