"""What an agent may do beside talking: Python functions, HTTP requests, MCP servers, and control of the call."""

from agents.tools.contract import AgentTool, BackgroundResult, Filler, ToolContext, Toolkit, ToolRules
from agents.tools.function import FunctionTool, tool
from agents.tools.hang_up import hang_up

__all__ = [
    "AgentTool",
    "BackgroundResult",
    "Filler",
    "FunctionTool",
    "ToolContext",
    "ToolRules",
    "Toolkit",
    "hang_up",
    "tool",
]
