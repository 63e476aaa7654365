"""The tools that put the caller on hold and take them back."""

from pathlib import Path

from agents.tools.contract import BackgroundResult, ToolContext
from agents.tools.function import FunctionTool, tool
from agents.tools.hang_up import GOODBYE_TIMEOUT_S


def hold_tool(music: Path | None = None) -> FunctionTool:
    """`music` is a WAV file; None is a quiet melody."""

    @tool(timeout_s=GOODBYE_TIMEOUT_S)
    async def hold(call: ToolContext) -> BackgroundResult:
        """Put the caller on hold while you wait for something: they hear music, and you do not hear them. Tell them
        first. It ends when you speak again, or by resume.
        """
        await call.session.wait_played(GOODBYE_TIMEOUT_S)
        await call.session.hold(music)
        return BackgroundResult("The caller is on hold.")

    return hold


@tool
async def resume(call: ToolContext) -> str:
    """Take the caller back who is on hold."""
    await call.session.resume()
    return "The caller hears you again, and you hear them."
