"""What is wrong with the guardrails of a valid file: those that could never look at anything, and those not there."""

from collections.abc import Iterator

from agents.allowed import did_you_mean
from agents.guardrails.own_function import FunctionNotFound, find_check
from agents.handoffs import handoff_tool_name
from agents.providers import Fault
from agents.schema import AgentSpec
from agents.tools.faults import tool_names
from agents.yaml_document import shortened


def guardrail_faults(spec: AgentSpec) -> Iterator[Fault]:
    """Imports the functions that guardrails name: the code of their modules runs."""
    tools = tool_names(spec)
    known = None if tools is None else sorted(tools | {handoff_tool_name(agent) for agent in spec.handoffs})
    seen: set[str] = set()
    for i, guardrail in enumerate(spec.guardrails):
        if guardrail.name in seen:
            yield Fault(("guardrails", i, "name"), guardrail.name, "each guardrail's name may stand once; rename one")
        seen.add(guardrail.name)
        if "input" in guardrail.stages and spec.transcription is None:
            right = "what callers say is not written down: remove input, or transcription: null"
            yield Fault(("guardrails", i, "stages"), "input", right)
        for j, tool in enumerate(guardrail.tools or ()):
            if known is not None and tool not in known:
                right = did_you_mean(tool, known) or "the agent has no tools"
                yield Fault(("guardrails", i, "tools", j), f"the unknown tool {shortened(tool)}", right)
        if guardrail.function is not None:
            try:
                find_check(guardrail.function)
            except FunctionNotFound as error:
                yield Fault(("guardrails", i, "function"), error.found, error.right)
