"""What is wrong with the tools of a valid file: names that lead nowhere or clash, templates, files, rules."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agents.allowed import FieldPath, did_you_mean, either
from agents.errors import ConfigError
from agents.handoffs import handoff_tool_name
from agents.providers import Fault
from agents.realtime import PCM, PCMU
from agents.recordings import recording
from agents.schema import CALL_VARIABLES, SAMPLE_CALL, AgentSpec
from agents.templates import undeclared
from agents.tools.built_in import BUILT_IN
from agents.tools.from_spec import mcp_tool_names
from agents.tools.header_secrets import ENVIRONMENT, missing_of, named_in
from agents.tools.http_request import DIGITS, SENDS_PARAMETERS, request_of, templates
from agents.tools.mcp_schema import model_name
from agents.tools.named import ToolNotFound, find_tool
from agents.tools.spec import VARIABLE, HttpToolSpec
from agents.yaml_document import shortened

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What HTTP takes for a header's name."""

Named = tuple[FieldPath, str, str]
"""Where a tool stands in the file, what it is called there, and what a model knows it as."""


def tool_faults(spec: AgentSpec, folder: Path) -> Iterator[Fault]:
    """Imports the functions that the file names: the code of their modules runs."""
    named: list[Named] = []
    for i, name in enumerate(spec.tools):
        try:
            known_as = BUILT_IN[name](spec, folder).name if name in BUILT_IN else find_tool(name).name
            named.append((("tools", i), name, known_as))
        except ToolNotFound as error:
            yield Fault(("tools", i), error.found, error.right)
            named.append((("tools", i), name, name.rpartition(".")[2]))
        except ConfigError as error:
            yield Fault(("tools", i), shortened(name), str(error))
            named.append((("tools", i), name, name))
    named += [(("http_tools", i, "name"), tool.name, tool.name) for i, tool in enumerate(spec.http_tools)]
    for i, server in enumerate(spec.mcp_servers):
        named += [(("mcp_servers", i, "tools", j), tool, model_name(tool)) for j, tool in enumerate(server.tools or ())]
    yield from _clashes(named, spec)
    yield from _rule_faults(spec, {known_as for _, _, known_as in named}, folder)
    if spec.transfer.hold_music:
        yield from _sound_faults(("transfer", "hold_music"), spec.transfer.hold_music, spec, folder)
    if spec.http_tools and DIGITS in spec.variables:
        right = "in http_tools this is what the caller typed; choose another name"
        yield Fault(("variables", DIGITS), DIGITS, right)
    for i, tool in enumerate(spec.http_tools):
        for fault in _http_faults(tool, spec):
            yield Fault(("http_tools", i, *fault.path), fault.found, fault.right)
    yield from _mcp_faults(spec)


def missing_variables(spec: AgentSpec, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """The fields of a file without faults that want a variable which the environment lacks, and that variable."""
    wanted = [(f"http_tools[{i}].headers", named_in(tool.headers.values())) for i, tool in enumerate(spec.http_tools)]
    for i, server in enumerate(spec.mcp_servers):
        wanted += [(f"mcp_servers[{i}].headers", named_in(server.headers.values()))]
        wanted += [(f"mcp_servers[{i}].env", list(server.env))]
    return [(field, name) for field, names in wanted for name in missing_of(names, environment)]


def tool_names(spec: AgentSpec) -> set[str] | None:
    """The names by which a model knows the file's tools. None where they are known in a call alone, or never."""
    if any(server.tools is None for server in spec.mcp_servers):
        return None
    try:
        own = {name if name in BUILT_IN else find_tool(name).name for name in spec.tools}
    except ConfigError:
        return None
    return own | {tool.name for tool in spec.http_tools} | set(mcp_tool_names(spec))


def _clashes(named: list[Named], spec: AgentSpec) -> Iterator[Fault]:
    first = {handoff_tool_name(agent): f"the handoff to {agent}" for agent in spec.handoffs}
    for path, name, known_as in named:
        if known_as in first:
            right = f"the model would know it and {first[known_as]} both as {known_as}; rename one"
            yield Fault(path, shortened(name), right)
        first.setdefault(known_as, name)
    servers: set[str] = set()
    for i, server in enumerate(spec.mcp_servers):
        if server.name in servers:
            yield Fault(("mcp_servers", i, "name"), shortened(server.name), "each name may stand once; rename one")
        servers.add(server.name)


def _rule_faults(spec: AgentSpec, known: set[str], folder: Path) -> Iterator[Fault]:
    ruled: set[str] = set()
    for i, rules in enumerate(spec.tool_rules):
        path = ("tool_rules", i)
        if rules.tool not in known:
            right = did_you_mean(rules.tool, sorted(known)) or "this agent has no tools"
            if any(server.tools is None for server in spec.mcp_servers):
                right += "; of an MCP server, name it in mcp_servers[].tools as well"
            yield Fault((*path, "tool"), shortened(rules.tool), right)
        elif rules.tool in ruled:
            yield Fault((*path, "tool"), shortened(rules.tool), "each tool may be ruled once; put its rules together")
        ruled.add(rules.tool)
        if rules.interruptible and rules.tool in BUILT_IN and rules.tool in spec.tools:
            right = f"not for {rules.tool}, which knows by itself what a caller who interrupts wants; remove it"
            yield Fault((*path, "interruptible"), "true", right)
        if rules.filler and rules.filler.play:
            yield from _sound_faults((*path, "filler", "play"), rules.filler.play, spec, folder)


def _sound_faults(path: FieldPath, name: str, spec: AgentSpec, folder: Path) -> Iterator[Fault]:
    """A sound that callers are to hear is read here, once: in a call it would be missed too late."""
    if not (folder / name).is_file():
        yield Fault(path, shortened(name), f"must be a file; its path starts in {folder}")
        return
    try:
        recording(folder / name, PCMU if spec.audio == "passthrough" else PCM)
    except ConfigError as error:
        yield Fault(path, shortened(name), str(error))


# ---- HTTP tools ----


def _http_faults(tool: HttpToolSpec, spec: AgentSpec) -> Iterator[Fault]:
    variables = CALL_VARIABLES | spec.variables.keys() | {DIGITS}
    parameters = {parameter.name for parameter in tool.parameters}
    for i, parameter in enumerate(tool.parameters):
        if parameter.name in variables or parameter.name == ENVIRONMENT:
            right = f"{parameter.name} is a variable, which the model must not set; choose another name"
            yield Fault(("parameters", i, "name"), shortened(parameter.name), right)
    for name in tool.headers:
        if not _HEADER.fullmatch(name):
            yield Fault(("headers", name), shortened(name), "a header's name is letters, digits and -")
    yield from _url_faults(tool)
    broken = list(_template_faults(tool, variables, parameters))
    yield from broken
    if broken:
        return
    if why := _why_it_breaks(tool, spec):
        yield Fault((), f"a template that breaks: {why}", "must hold in every call")
    used = {name for _, text in templates(tool) for name in undeclared(text)}
    idle = [] if tool.body is None and tool.method in SENDS_PARAMETERS else sorted(parameters - used)
    if idle:
        right = "put each into url, query or body, as {{ name }}"
        yield Fault(("parameters",), f"{either(idle, 'and')}, used nowhere", right)


def _template_faults(tool: HttpToolSpec, variables: frozenset[str], parameters: set[str]) -> Iterator[Fault]:
    for path, text in templates(tool):
        try:
            wanted = undeclared(text)
            names = named_in([text]) if ENVIRONMENT in wanted and path[0] == "headers" else []
        except ValueError as error:
            yield Fault(path, f"a {error}", "a variable is written {{ name }}, one of the environment {{ env.NAME }}")
            continue
        for name in sorted(wanted - variables - parameters):
            if name != ENVIRONMENT:
                right = f"add {name} to parameters or variables; {did_you_mean(name, sorted(variables | parameters))}"
                yield Fault(path, f"the unknown variable {{{{ {name} }}}}", right)
            elif path[0] != "headers":
                yield Fault(path, "{{ env }}", "the environment is for headers, where nobody else reads it")
        if wrong := [name for name in names if not re.fullmatch(VARIABLE, name)]:
            yield Fault(path, f"env.{wrong[0]}", "an environment variable is upper-case words joined by _")


def _why_it_breaks(tool: HttpToolSpec, spec: AgentSpec) -> str | None:
    """Why no request can be made of templates that are sound; None when one can."""
    samples = {"string": "abc", "integer": 1, "number": 1.5, "boolean": True}
    given = {each.name: each.choices[0] if each.choices else samples[each.type] for each in tool.parameters}
    environment = dict.fromkeys(named_in(tool.headers.values()), "abc")
    try:
        request_of(tool, given, {**spec.variables, **SAMPLE_CALL, DIGITS: "1234"}, environment)
    except Exception as error:  # a template's filters may raise anything, as a stranger's code
        return str(error.__cause__ or error) or type(error).__name__
    return None


def _url_faults(tool: HttpToolSpec) -> Iterator[Fault]:
    host = re.split(r"[/?#]", tool.url.partition("://")[2], maxsplit=1)[0]
    if "{" in host or "}" in host:
        right = "the host cannot be a template: the model must not choose who is asked"
        yield Fault(("url",), shortened(tool.url), right)
        return
    if "@" in host:
        yield Fault(("url",), "a password", "secrets go into headers, as {{ env.NAME }}")
    elif not _is_host(host):
        yield Fault(("url",), shortened(tool.url), "must be https://host/path")
    optional = {parameter.name for parameter in tool.parameters if not parameter.required}
    try:
        wanted = sorted(undeclared(tool.url) & optional)
    except ValueError:
        return  # which is said of all templates
    if wanted:
        yield Fault(("url",), f"{either(wanted, 'and')}, not required", "let it be required, or put it into query")


def _is_host(host: str) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        return bool(parts.hostname) and parts.port != 0 and not re.search(r"[\s\\]", host)
    except ValueError:
        return False


def _mcp_faults(spec: AgentSpec) -> Iterator[Fault]:
    for i, server in enumerate(spec.mcp_servers):
        for name, text in server.headers.items():
            path = ("mcp_servers", i, "headers", name)
            try:
                strange = sorted(undeclared(text) - {ENVIRONMENT})
                named_in([text])
            except ValueError as error:
                yield Fault(path, f"a {error}", "an environment variable is written {{ env.NAME }}")
                continue
            if strange:
                right = "these headers are sent before there is a call: they may name {{ env.NAME }} alone"
                yield Fault(path, f"the variable {{{{ {strange[0]} }}}}", right)
