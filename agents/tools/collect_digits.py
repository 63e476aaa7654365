"""The tool that waits for what the caller types."""

from typing import Final

from agents.errors import ToolError
from agents.tools.contract import ToolContext, ToolRules
from agents.tools.function import tool
from agents.tools.hang_up import GOODBYE_TIMEOUT_S

FIRST_KEY_S: Final = 30.0
"""Longest wait for the first key: time to find a card or a letter."""

TYPING_S: Final = 90.0
"""Longest that an entry takes: a card's number, read and typed key by key."""


@tool(rules=ToolRules(timeout_s=GOODBYE_TIMEOUT_S + FIRST_KEY_S + TYPING_S))
async def collect_digits(call: ToolContext) -> str:
    """Wait for digits that the caller types on the telephone. Ask for them first, and say which key ends them."""
    session = call.session
    is_secret = session.agent.keys.sensitive
    was_recording = is_secret and session.is_on_telephone and call.control.is_recording
    if was_recording:
        await call.control.pause_recording()
    try:
        entry = await session.collect_digits(FIRST_KEY_S, TYPING_S)
    finally:
        if was_recording:
            await call.control.start_recording()
    if entry is None:
        raise ToolError("the caller typed nothing; they may have said something instead")
    if is_secret:
        return f"The caller typed {len(entry)} digits. You are not told which; tools that need them have them."
    return f"The caller typed {entry}."
