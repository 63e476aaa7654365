"""All that an agent may call: its own tools, and those of its toolkits."""

import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from agents.errors import ConfigError, ToolError
from agents.tools.contract import AgentTool

if TYPE_CHECKING:
    from agents.agent import RealtimeAgent

log = logging.getLogger(__name__)


async def enter_toolkits(agent: "RealtimeAgent", stack: AsyncExitStack) -> None:
    """Keeps the agent's toolkits for as long as the stack is open."""
    for toolkit in agent.toolkits:
        await stack.enter_async_context(toolkit)


async def all_tools(agent: "RealtimeAgent") -> tuple[AgentTool, ...]:
    """The agent's tools, its handoffs, and after them those of its toolkits, which must have been entered.

    A toolkit whose tools cannot be had is left out, with a warning: the agent talks without them. Raises ConfigError
    for two tools of one name, saying whose they are.
    """
    tools = [*agent.tools, *agent.handoffs]
    owners = {tool.schema.name: [f"agent {agent.name}"] for tool in tools}
    owners |= {handoff.tool_name: [f"agent {agent.name}, a handoff"] for handoff in agent.handoffs}
    for toolkit in agent.toolkits:
        try:
            more = await toolkit.tools()
        except ToolError as error:
            log.warning("agent %s talks without the tools of %s: %s", agent.name, toolkit.name, error)
            continue
        tools += more
        for tool in more:
            owners.setdefault(tool.schema.name, []).append(toolkit.name)
    clashes = [f"{name} (of {' and '.join(whose)})" for name, whose in sorted(owners.items()) if len(whose) > 1]
    if clashes:
        raise ConfigError(f"agent {agent.name}: two tools of one name: {', '.join(clashes)}; leave one of them out")
    return tuple(tools)
