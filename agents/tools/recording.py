"""The tools that record the call, and that stop for as long as nobody should be recorded."""

from agents.tools.contract import ToolContext
from agents.tools.function import tool


@tool
async def start_recording(call: ToolContext) -> str:
    """Record the call from now on, or go on after a pause. Tell the caller first, and ask whether they agree."""
    await call.control.start_recording()
    return "The call is being recorded."


@tool
async def pause_recording(call: ToolContext) -> str:
    """Stop recording for a while, such as while the caller says or types something secret."""
    await call.control.pause_recording()
    return "Nothing is recorded until start_recording."
