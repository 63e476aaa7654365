"""Whom an agent may reach: the names that its model may use, and nothing else."""

from collections.abc import Sequence

from agents.call_control import Destination
from agents.errors import ConfigError, ToolError
from agents.schema import AgentSpec


def destinations_of(spec: AgentSpec) -> tuple[Destination, ...]:
    """Those of an agent's file."""
    return tuple(Destination(name=name, address=address) for name, address in spec.destinations.items())


def names_of(destinations: Sequence[Destination], tool: str) -> list[str]:
    """What the model may say. Raises ConfigError when there is nobody to reach."""
    if not destinations:
        raise ConfigError(f"{tool} has nobody to reach: there should be destinations")
    return [destination.name for destination in destinations]


def find(name: str, destinations: Sequence[Destination]) -> Destination:
    """The one that the model names. Raises ToolError with all names for another."""
    for destination in destinations:
        if destination.name == name:
            return destination
    known = ", ".join(destination.name for destination in destinations)
    raise ToolError(f"there is no destination {name[:80]!r}; there is {known}")
