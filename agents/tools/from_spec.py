"""Makes the tools that an agent's file asks for, with the rules that it gives them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.schema import AgentSpec
from agents.templates import render
from agents.tools.built_in import BUILT_IN
from agents.tools.contract import AgentTool, Filler, Toolkit, ToolRules
from agents.tools.function import FunctionTool
from agents.tools.header_secrets import ENVIRONMENT, named_in, secrets_of
from agents.tools.http import HttpTools
from agents.tools.mcp import McpServer
from agents.tools.mcp_schema import model_name
from agents.tools.named import find_tool
from agents.tools.spec import FillerSpec, McpServerSpec


def tools_of(spec: AgentSpec, folder: Path) -> tuple[AgentTool, ...]:
    """The built-in tools and functions of a file. `folder` is where its paths start.

    A rule that the file does not give stays the tool's own; `tool_timeout_s` is for functions. Raises ConfigError for
    what the check would have found.
    """
    return tuple(_tool(name, spec, folder) for name in spec.tools)


def toolkits_of(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> tuple[Toolkit, ...]:
    """The HTTP tools of a file, and its MCP servers. Raises ConfigError for variables that the environment lacks."""
    usual = ToolRules(timeout_s=spec.tool_timeout_s)
    names = [tool.name for tool in spec.http_tools] + mcp_tool_names(spec)
    rules = {name: rules_of(spec, name, usual, folder) for name in names}
    toolkits: list[Toolkit] = [_mcp_server(server, environment, rules, usual) for server in spec.mcp_servers]
    if spec.http_tools:
        toolkits.insert(0, HttpTools(spec.http_tools, environment, rules, spec.variables))
    return tuple(toolkits)


def mcp_tool_names(spec: AgentSpec) -> list[str]:
    """The names, for a model, of those tools of MCP servers that the file lists."""
    return [model_name(tool) for server in spec.mcp_servers for tool in server.tools or ()]


def rules_of(spec: AgentSpec, name: str, own: ToolRules, folder: Path) -> ToolRules:
    """The tool's own rules, and over them those that the file gives it."""
    for given in spec.tool_rules:
        if given.tool == name:
            said: dict[str, Any] = {rule: getattr(given, rule) for rule in given.model_fields_set - {"tool"}}
            if "filler" in said:
                said["filler"] = given.filler and _filler(given.filler, folder)
            return replace(own, **{rule: value for rule, value in said.items() if (rule, value) != ("timeout_s", None)})
    return own


def _filler(given: FillerSpec, folder: Path) -> Filler:
    return Filler(after_ms=given.after_ms, say=given.say, play=folder / given.play if given.play else None)


def _tool(name: str, spec: AgentSpec, folder: Path) -> FunctionTool:
    if name in BUILT_IN:
        tool = BUILT_IN[name](spec, folder)
    else:
        tool = find_tool(name)
        if "tool_timeout_s" in spec.model_fields_set:
            tool = replace(tool, rules=replace(tool.rules, timeout_s=spec.tool_timeout_s))
    rules = rules_of(spec, tool.name, tool.rules, folder)
    return tool if rules == tool.rules else replace(tool, rules=rules)


def _mcp_server(
    given: McpServerSpec, environment: Mapping[str, str], rules: Mapping[str, ToolRules], usual: ToolRules
) -> McpServer:
    secrets = {ENVIRONMENT: secrets_of(named_in(given.headers.values()), environment)}
    return McpServer(
        given.name,
        command=given.command,
        args=given.args,
        env=secrets_of(given.env, environment),
        url=given.url,
        headers={name: render(text, secrets) for name, text in given.headers.items()},
        tools=given.tools,
        rules=rules,
        default_rules=usual,
    )
