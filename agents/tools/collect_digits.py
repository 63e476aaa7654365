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
    was_recording = is_secret and session.is_on_telephone and await _paused_recording(call)
    try:
        entry = await session.collect_digits(FIRST_KEY_S, TYPING_S)
        is_secret = session.are_digits_secret  # a handoff may have changed what the agent's keys are
    finally:
        loss = await _go_on_recording(call) if was_recording else ""
    if entry is None:
        raise ToolError(f"the caller typed nothing; they may have said something instead{loss}")
    if is_secret:
        return f"The caller typed {len(entry)} digits. You are not told which; tools that need them have them.{loss}"
    return f"The caller typed {entry}."


async def _paused_recording(call: ToolContext) -> bool:
    """Whether there was a recording to pause. Raises ToolError when one may go on, which no secret is to be in."""
    try:
        return await call.control.pause_recording()
    except ToolError as error:
        raise ToolError(
            "this call may be being recorded, and that cannot be paused at the moment: ask the caller to type nothing, "
            f"and to say no number, and try again later ({error})"
        ) from error


async def _go_on_recording(call: ToolContext) -> str:
    """Nothing, or what the model is told beside the entry, which counts all the same."""
    try:
        await call.control.start_recording()
    except ToolError as error:
        return f" But the recording does not go on: {error}"
    return ""
