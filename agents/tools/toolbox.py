"""All that an agent may call: its own tools, and those of its toolkits."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from agents.errors import ConfigError, ToolError
from agents.tools.contract import AgentTool, Toolkit

if TYPE_CHECKING:
    from agents.agent import RealtimeAgent

log = logging.getLogger(__name__)


async def enter_toolkits(agent: "RealtimeAgent", stack: AsyncExitStack) -> None:
    """Keeps the agent's toolkits for as long as the stack is open, as `enter_all_toolkits` does."""
    await enter_all_toolkits([agent], stack)


async def enter_all_toolkits(agents: "Sequence[RealtimeAgent]", stack: AsyncExitStack) -> None:
    """Keeps the toolkits of all these agents for as long as the stack is open; they are entered side by side.

    Raises what entering them does, and for an agent with a toolkit that nobody had entered before, ConfigError for two
    tools of one name, saying whose they are.
    """
    new = [agent for agent in agents if not all(toolkit.is_entered for toolkit in agent.toolkits)]
    try:
        async with asyncio.TaskGroup() as tasks:
            for agent in agents:
                for toolkit in agent.toolkits:
                    tasks.create_task(stack.enter_async_context(toolkit), name=f"entering {toolkit.name}")
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    for agent in new:
        await _refuse_clashes(agent)


async def all_tools(agent: "RealtimeAgent") -> tuple[AgentTool, ...]:
    """The agent's tools, its handoffs, and after them those of its toolkits, which must have been entered.

    A toolkit whose tools cannot be had is left out, with a warning: the agent talks without them. So is a tool of a
    toolkit, if there is one of its name before it: servers may come to have others than they had at their start.
    """
    tools: dict[str, AgentTool] = {tool.schema.name: tool for tool in (*agent.tools, *agent.handoffs)}
    for toolkit in agent.toolkits:
        for tool in await _tools_of(toolkit, agent):
            name = tool.schema.name
            if name in tools:
                log.warning("agent %s has two tools named %s: that of %s is left out", agent.name, name, toolkit.name)
            tools.setdefault(name, tool)
    return tuple(tools.values())


async def tool_named(agent: "RealtimeAgent", name: str) -> AgentTool | None:
    """That of `all_tools` which has the name. No toolkit is asked for what is the agent's own."""
    own: Sequence[AgentTool] = (*agent.tools, *agent.handoffs)
    if found := _named(name, own):
        return found
    for toolkit in agent.toolkits:
        if found := _named(name, await _tools_of(toolkit, agent)):
            return found
    return None


def _named(name: str, tools: Sequence[AgentTool]) -> AgentTool | None:
    return next((tool for tool in tools if tool.schema.name == name), None)


async def _tools_of(toolkit: Toolkit, agent: "RealtimeAgent") -> Sequence[AgentTool]:
    try:
        return await toolkit.tools()
    except ToolError as error:
        log.warning("agent %s talks without the tools of %s: %s", agent.name, toolkit.name, error)
        return ()


async def _refuse_clashes(agent: "RealtimeAgent") -> None:
    owners = {tool.schema.name: [f"agent {agent.name}"] for tool in agent.tools}
    owners |= {handoff.tool_name: [f"agent {agent.name}, a handoff"] for handoff in agent.handoffs}
    for toolkit in agent.toolkits:
        for tool in await _tools_of(toolkit, agent):
            owners.setdefault(tool.schema.name, []).append(toolkit.name)
    clashes = [f"{name} (of {' and '.join(whose)})" for name, whose in sorted(owners.items()) if len(whose) > 1]
    if clashes:
        raise ConfigError(f"agent {agent.name}: two tools of one name: {', '.join(clashes)}; leave one of them out")
