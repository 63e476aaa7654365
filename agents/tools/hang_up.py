"""The tool that ends the call, once the caller has heard the goodbye.

The model is not asked to speak of what came of it: when the call goes on, it is the caller who is to be answered, if
they said anything.
"""

from typing import Final

from agents.idle import VOICE_HOLD_S
from agents.tools.contract import DEFAULT_TIMEOUT_S, BackgroundResult, CalledOff, ToolContext
from agents.tools.function import tool

GOODBYE_TIMEOUT_S: Final = 45.0
"""Longest goodbye that is heard to its end."""


@tool(timeout_s=GOODBYE_TIMEOUT_S + VOICE_HOLD_S + DEFAULT_TIMEOUT_S)
async def hang_up(call: ToolContext) -> BackgroundResult:
    """End the call. Say goodbye first: the call ends when the caller has heard everything said so far."""
    if await call.session.wait_goodbye(call.response_id, GOODBYE_TIMEOUT_S):
        await call.session.close("agent")
        return BackgroundResult("The call is over.")
    return CalledOff("The caller spoke before the goodbye was over: the call goes on.")
