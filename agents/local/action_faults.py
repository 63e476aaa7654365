"""What of a script's actions would fail in every call: tools that are not there, arguments that do not fit them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from agents.allowed import FieldPath, either
from agents.errors import ConfigError
from agents.handoffs import handoff_tool_name
from agents.providers import Fault
from agents.schema import CALL_VARIABLES, SAMPLE_CALL, AgentSpec
from agents.script_spec import ActionSpec, ScriptSpec
from agents.templates import filled, undeclared
from agents.tools.built_in import BUILT_IN
from agents.tools.contract import ToolRules
from agents.tools.from_spec import mcp_tool_names, rules_of
from agents.tools.http_request import arguments_model
from agents.tools.named import find_tool
from agents.yaml_document import shortened

RESULT = "result"
"""The variable that is a tool's answer, in what is said of it."""


@dataclass(frozen=True, slots=True)
class _Tool:
    """What the file tells of a tool. `arguments` checks them, None where only its server knows how."""

    arguments: type[BaseModel] | None = None
    choices: Mapping[str, Sequence[object]] | None = None
    is_in_background: bool = False


def action_faults(spec: AgentSpec, script: ScriptSpec, folder: Path) -> Iterator[Fault]:
    """Imports the functions that the file names, as the check of tools does, which tells of those that are not there.

    What an MCP server has beside the tools that the file lists of it is known only in a call.
    """
    tools, are_all = _tools(spec, folder)
    for path, step in script.actions():
        place: FieldPath = ("script", *path)
        tool = tools.get(step.action or "")
        if tool:
            yield from _argument_faults(tool, step, place, {**spec.variables, **SAMPLE_CALL})
        elif are_all:
            yield Fault((*place, "action"), str(step.action), _cure(str(step.action), tools))
        if step.result:
            yield from _result_faults(tool, step.result, (*place, "result"), CALL_VARIABLES | spec.variables.keys())


def _cure(action: str, tools: Mapping[str, _Tool]) -> str:
    if action in BUILT_IN:
        return f"the script does it with a tool: add it as tools: [{action}]"
    known = f"there is {either(sorted(tools), 'and')}" if tools else "this agent has none"
    return f"must be a tool, by the name that models know it by; {known}"


def _tools(spec: AgentSpec, folder: Path) -> tuple[dict[str, _Tool], bool]:
    """The agent's tools by the names that they are called by, and whether these are all."""
    are_all = all(server.tools is not None for server in spec.mcp_servers)
    tools = {handoff_tool_name(name): _Tool() for name in spec.handoffs}
    own = ToolRules()
    for name in mcp_tool_names(spec):
        tools[name] = _Tool(is_in_background=rules_of(spec, name, own, folder).background)
    for http in spec.http_tools:
        tools[http.name] = _Tool(arguments_model(http), None, rules_of(spec, http.name, own, folder).background)
    for name in spec.tools:
        try:
            tool = BUILT_IN[name](spec, folder) if name in BUILT_IN else find_tool(name)
        except ConfigError:
            are_all = False
            continue
        properties: Mapping[str, Any] = tool.schema.parameters.get("properties", {})
        choices = {each: schema["enum"] for each, schema in properties.items() if "enum" in schema}
        in_background = rules_of(spec, tool.name, tool.rules, folder).background
        tools[tool.name] = _Tool(tool.arguments, choices, in_background)
    return tools, are_all


def _argument_faults(tool: _Tool, step: ActionSpec, place: FieldPath, variables: Mapping[str, str]) -> Iterator[Fault]:
    path: FieldPath = (*place, "arguments")
    try:
        given = filled(step.arguments, variables)
    except Exception:  # of templates, whose filters may raise anything: the check of templates tells
        return
    for name, value in given.items() if isinstance(given, dict) else ():
        choices = (tool.choices or {}).get(name)
        if choices is not None and value not in choices:
            yield Fault((*path, name), shortened(str(value)), f"{step.action} takes {either(choices)}")
    try:
        if tool.arguments:
            tool.arguments.model_validate_json(json.dumps(given))
    except ValidationError as error:
        for each in error.errors():
            found = "nothing" if each["type"] == "missing" else shortened(str(each["input"]))
            yield Fault((*path, *each["loc"]), found, f"does not fit {step.action}: {each['msg']}")


def _result_faults(tool: _Tool | None, text: str, path: FieldPath, variables: frozenset[str]) -> Iterator[Fault]:
    if tool and tool.is_in_background:
        right = "a script says nothing of what comes later: remove it, or the tool's background: true"
        yield Fault(path, "words for a tool that answers in the background", right)
    try:
        unknown = sorted(undeclared(text) - variables - {RESULT})
    except ValueError as error:
        yield Fault(path, f"a {error}", "a variable is written {{ name }}, the tool's answer {{ result }}")
        return
    for name in unknown:
        right = f"the tool's answer is {{{{ {RESULT} }}}}; other variables are {either(sorted(variables), 'and')}"
        yield Fault(path, f"the unknown variable {{{{ {name} }}}}", right)
