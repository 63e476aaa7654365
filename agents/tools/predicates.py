"""Asks what a tool's rules leave to functions: whether it is enabled, whether a call needs approval."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, ParamSpec

from agents.errors import ToolError
from agents.tools.contract import AgentTool, ToolContext

P = ParamSpec("P")

log = logging.getLogger(__name__)

PREDICATE_TIMEOUT_S: Final = 3.0
"""Longest that such a function may take: a call that is being set up waits for it."""


async def enabled(tools: Iterable[AgentTool], context: object) -> tuple[AgentTool, ...]:
    """Those of the tools that a session with this context has."""
    asked = [(tool, await is_enabled(tool, context)) for tool in tools]
    return tuple(tool for tool, has_it in asked if has_it)


async def is_enabled(tool: AgentTool, context: object) -> bool:
    """Whether a session with this context has the tool. One whose function raises, or takes too long, is disabled."""
    try:
        return await _ask(tool.rules.is_enabled, context)
    except Exception:
        log.exception("is_enabled of tool %s raised: the tool is disabled", tool.schema.name)
        return False


async def needs_approval(tool: AgentTool, context: ToolContext, arguments: str) -> bool:
    """Whether this call waits to be approved. Raises what the function raises: the call must not run then."""
    try:
        return await _ask(tool.rules.needs_approval, context, arguments)
    except TimeoutError as error:
        raise ToolError("nobody could say whether the call may be made.") from error


async def _ask(question: bool | Callable[P, bool | Awaitable[bool]], *args: P.args, **kwargs: P.kwargs) -> bool:
    if isinstance(question, bool):
        return question
    async with asyncio.timeout(PREDICATE_TIMEOUT_S):
        given = question(*args, **kwargs)
        return bool(await given if inspect.isawaitable(given) else given)
