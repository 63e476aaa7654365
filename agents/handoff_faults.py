"""What is wrong with the handoffs of valid files: agents that are not there, and callers who could not be heard."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from agents.allowed import did_you_mean
from agents.handoffs import handoff_tool_name
from agents.providers import Fault
from agents.schema import AgentSpec

MAX_HANDOFF_TARGETS: Final = 20
"""Agents that one may hand over to: a model that is told of more chooses badly."""


def handoff_faults(
    name: str, spec: AgentSpec, specs: Mapping[str, AgentSpec], names: Collection[str]
) -> Iterator[Fault]:
    """`specs` has the agents whose files are valid, `names` all that have a file."""
    if len(spec.handoffs) > MAX_HANDOFF_TARGETS:
        found = f"{len(spec.handoffs)} agents"
        yield Fault(("handoffs",), found, f"at most {MAX_HANDOFF_TARGETS}; let others hand over to the rest")
    known_as: dict[str, str] = {}
    for i, other in enumerate(spec.handoffs):
        path = ("handoffs", i)
        target, tool = specs.get(other), handoff_tool_name(other)
        if other not in names:
            right = f"must be the name of an agent of this folder; {did_you_mean(other, sorted(names))}"
            yield Fault(path, other, right)
        elif other == name:
            yield Fault(path, other, "an agent cannot hand over to itself; remove it")
        elif tool in known_as:
            yield Fault(path, other, f"the model would know it and {known_as[tool]} both as {tool}; remove one")
        elif target is not None and target.audio != spec.audio:
            right = f"its audio is {target.audio}, and the call goes on in {spec.audio}: let both be the same"
            yield Fault(path, other, right)
        known_as.setdefault(tool, other)
