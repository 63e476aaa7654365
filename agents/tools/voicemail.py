"""The tool that leaves a message on an answering machine, and ends the call."""

import asyncio
from typing import TYPE_CHECKING, Final

from agents.templates import render
from agents.tools.contract import DEFAULT_TIMEOUT_S, ToolContext, ToolRules
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


def leave_voicemail_tool(message: str) -> FunctionTool:
    """`message` is said word for word, with {{ variables }}; once per call, whoever else has one left."""

    @tool(rules=ToolRules(timeout_s=GREETING_S + DEFAULT_TIMEOUT_S))
    async def leave_voicemail(call: ToolContext) -> str:
        """Leave our message on the answering machine that took the call, then end the call. Call it at once when you
        hear a machine's greeting, and say nothing.
        """
        session = call.session
        said = render(message, session.agent.variables_for(call.context))
        await _wait_silent(session)
        session.say_last(said, "agent", timeout_s=MESSAGE_S)
        return "The message is being left; then the call is over."

    return leave_voicemail


async def _wait_silent(session: "RealtimeSession") -> None:
    """Waits until the machine has said its greeting, for at most GREETING_S."""
    looks = silent_looks = 0
    while looks * LOOK_S < GREETING_S and silent_looks * LOOK_S < SILENT_S:
        await asyncio.sleep(LOOK_S)
        looks += 1
        silent_looks = 0 if session.is_caller_speaking else silent_looks + 1
