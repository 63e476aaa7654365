"""Handing a conversation over to another agent: the tool that a model does it by."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from agents.errors import ToolError
from agents.realtime import ToolSchema
from agents.tools.contract import ToolContext, ToolRules

if TYPE_CHECKING:
    from agents.agent import RealtimeAgent

HANDOFF_S: Final = 30.0
"""Longest that a handoff may take: the end of what is being said, its words, a connection, and what that missed."""

MAX_REASON_CHARS: Final = 500
"""Longest reason that the next agent is told: a few sentences."""

MAX_NAME_CHARS: Final = 64
"""Longest name of a tool that every provider takes."""

_RULES: Final = ToolRules(timeout_s=HANDOFF_S)

_PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "description": "What the caller wants, in a few words, for whoever takes over."}
    },
    "additionalProperties": False,
}


def handoff_tool_name(agent: str) -> str:
    """What the tool is called that hands the caller over to the agent of that name."""
    return f"transfer_to_{re.sub(r'[^a-zA-Z0-9_]', '_', agent)}"[:MAX_NAME_CHARS]


@dataclass(frozen=True, slots=True)
class Handoff:
    """Another agent whom the model may hand the conversation over to: a tool, `transfer_to_<name>`.

    `agent` is it, or gives it: agents may name each other. `description` tells the model when; without it, the agent's
    own.
    """

    name: str
    agent: "RealtimeAgent | Callable[[], RealtimeAgent]"
    description: str = ""

    @property
    def target(self) -> "RealtimeAgent":
        return self.agent() if callable(self.agent) else self.agent

    @property
    def tool_name(self) -> str:
        return handoff_tool_name(self.name)

    @property
    def schema(self) -> ToolSchema:
        when = self.description or self.target.description
        description = f"Hand the caller over to {self.name}, who goes on with the conversation. {when}".strip()
        return ToolSchema(name=self.tool_name, description=description, parameters=_PARAMETERS)

    @property
    def rules(self) -> ToolRules:
        return _RULES

    async def run(self, arguments: str, context: ToolContext) -> object:
        """Hands over. Raises ToolError when the caller stays with the present agent."""
        return await context.session.hand_over(self, context, _reason(arguments))


def _reason(arguments: str) -> str:
    try:
        given = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        raise ToolError("the arguments do not fit the tool: they should be a JSON object") from None
    match given:
        case {"reason": str(reason)}:
            return reason[:MAX_REASON_CHARS].strip()
        case _:
            return ""


def reachable(names: Iterable[str], handoffs: Callable[[str], Iterable[str]]) -> list[str]:
    """These agents, and all that they may hand over to, directly or by way of others, each once."""
    found = list(dict.fromkeys(names))
    for name in found:
        found += [other for other in dict.fromkeys(handoffs(name)) if other not in found]
    return found


def reachable_agents(agent: "RealtimeAgent") -> "tuple[RealtimeAgent, ...]":
    """The agent, and all that it may hand over to, directly or by way of others, each once by its name."""
    found = {agent.name: agent}

    def handoffs(name: str) -> Iterable[str]:
        targets = [handoff.target for handoff in found[name].handoffs]
        found.update({target.name: target for target in targets if target.name not in found})
        return [target.name for target in targets]

    return tuple(found[name] for name in reachable([agent.name], handoffs))
