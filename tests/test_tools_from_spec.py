"""What an operator writes of tools is what an agent has; what cannot be meant is found before any call."""

import asyncio
import wave
from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.assemble import make_agent
from agents.errors import ConfigError
from agents.loader import check_agents
from agents.schema import AgentSpec
from agents.tools.contract import AgentTool, Filler, ToolRules
from agents.tools.faults import missing_variables
from agents.tools.from_spec import toolkits_of, tools_of
from agents.tools.function import tool
from agents.tools.hang_up import hang_up
from agents.tools.http import HttpTools
from agents.tools.mcp import McpServer
from gateway.configuration import check_configuration

GOOD = "model: scripted/hello.steps\n"
HTTP = "http_tools:\n  - name: book\n    description: Books.\n    url: https://crm.example.com/v1\n"


def lookup(name: str) -> str:
    """Finds a customer."""
    return name


@tool(rules=ToolRules(timeout_s=40, background=True, interruptible=True))
def report() -> str:
    """Writes a report."""
    return "done"


def spec_of(**fields: Any) -> AgentSpec:
    """As a file would say it."""
    return AgentSpec.model_validate_json(orjson.dumps({"model": "local/script", **fields}))


def rules(**more: Any) -> dict[str, ToolRules]:
    """The rules of each tool of a file that has lookup, report and hang_up."""
    names = ("hang_up", f"{__name__}.lookup", f"{__name__}.report")
    return {each.schema.name: each.rules for each in tools_of(spec_of(tools=names, **more), Path("config"))}


# ---- rules ----


def test_a_file_without_rules_leaves_each_tool_its_own() -> None:
    assert rules() == {"hang_up": hang_up.rules, "lookup": ToolRules(), "report": report.rules}


def test_tool_timeout_s_is_for_functions_and_not_for_built_in_tools() -> None:
    found = rules(tool_timeout_s=5)

    assert found["hang_up"] == hang_up.rules
    assert found["lookup"] == ToolRules(timeout_s=5)
    assert found["report"] == ToolRules(timeout_s=5, background=True, interruptible=True)


def test_a_rule_that_the_file_gives_wins_and_the_others_stay_the_tools_own() -> None:
    found = rules(
        tool_timeout_s=5,
        tool_rules=[
            {"tool": "report", "timeout_s": 90, "background": False},
            {"tool": "lookup", "needs_approval": True, "filler": {"after_ms": 800, "play": "sounds/typing.wav"}},
            {"tool": "hang_up", "filler": {"say": "One moment."}},
        ],
    )

    assert found["report"] == ToolRules(timeout_s=90, background=False, interruptible=True)
    filler = Filler(after_ms=800, play=Path("config/sounds/typing.wav"))
    assert found["lookup"] == ToolRules(timeout_s=5, needs_approval=True, filler=filler)
    assert found["hang_up"] == ToolRules(timeout_s=hang_up.rules.timeout_s, filler=Filler(say="One moment."))


def test_http_tools_and_mcp_servers_become_toolkits_with_the_files_rules() -> None:
    spec = spec_of(
        tool_timeout_s=6,
        http_tools=[
            {"name": "book", "description": "Books.", "url": "https://a.example"},
            {"name": "find", "description": "Finds.", "url": "https://a.example"},
        ],
        mcp_servers=[{"name": "clock", "command": "mcp-server-time", "tools": ["get_time"]}],
        tool_rules=[{"tool": "find", "timeout_s": 9}, {"tool": "get_time", "background": True}],
    )

    http, clock = toolkits_of(spec, Path(), {})

    assert isinstance(http, HttpTools)
    assert {each.schema.name: each.rules for each in asyncio.run(http.tools())} == {
        "book": ToolRules(timeout_s=6),
        "find": ToolRules(timeout_s=9),
    }
    assert isinstance(clock, McpServer)
    assert clock.name == "clock"
    assert clock.rules_for("get_time") == ToolRules(timeout_s=6, background=True)
    assert clock.rules_for("other") == ToolRules(timeout_s=6)


def test_an_agent_of_a_file_has_its_tools_and_toolkits() -> None:
    spec = spec_of(
        tools=("hang_up",), http_tools=[{"name": "book", "description": "Books.", "url": "https://a.example"}]
    ).model_copy(update={"model": "openai/gpt-realtime-2.1"})

    agent = make_agent("desk", spec, Path(), {"OPENAI_API_KEY": "test-key"})

    assert agent.tools == (hang_up,)
    assert [toolkit.name for toolkit in agent.toolkits] == ["http_tools"]
    assert all(isinstance(each, AgentTool) for each in agent.tools)


def test_secrets_come_from_the_environment_and_one_that_is_missing_is_refused() -> None:
    spec = spec_of(
        mcp_servers=[
            {
                "name": "tools",
                "url": "https://a.example/mcp",
                "headers": {"Authorization": "Bearer {{ env.TOOLS_TOKEN }}"},
            },
            {"name": "calendar", "command": "calendar", "env": ["CALENDAR_TOKEN"]},
        ]
    )

    assert len(toolkits_of(spec, Path(), {"TOOLS_TOKEN": "t", "CALENDAR_TOKEN": "c"})) == 2
    with pytest.raises(ConfigError, match="no TOOLS_TOKEN"):
        toolkits_of(spec, Path(), {"CALENDAR_TOKEN": "c"})
    assert missing_variables(spec, {}) == [
        ("mcp_servers[0].headers", "TOOLS_TOKEN"),
        ("mcp_servers[1].env", "CALENDAR_TOKEN"),
    ]


# ---- the check ----


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "agents").mkdir()
    (tmp_path / "hello.steps").write_text("- say: Hello.\n")
    return tmp_path


def found(folder: Path, text: str) -> list[tuple[int | None, str, str, str]]:
    """The problems of one file: line, field, what was found, what would be right."""
    (folder / "agents" / "one.yaml").write_text(GOOD + text)
    return [(each.line, each.field, each.found, each.right) for each in check_agents(folder)[1]]


def one(folder: Path, text: str) -> tuple[int | None, str, str, str]:
    [problem] = found(folder, text)
    return problem


def test_a_file_with_every_kind_of_tool_has_no_problems(folder: Path) -> None:
    with wave.open(str(folder / "typing.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    text = (
        f"tools: [hang_up, {__name__}.lookup]\n"
        "tool_rules:\n"
        "  - {tool: lookup, filler: {play: typing.wav}}\n"
        "  - {tool: book, needs_approval: true}\n"
        "  - {tool: get_time, background: true}\n"
        "variables: {shop: Quill}\n" + HTTP + "    method: POST\n"
        "    parameters: [{name: slot}, {name: note, required: false}]\n"
        '    query: {shop: "{{ shop }}", caller: "{{ caller }}"}\n'
        '    headers: {Authorization: "Bearer {{ env.CRM_TOKEN }}"}\n'
        '    body: {slot: "{{ slot }}", notes: ["{{ note }}"]}\n'
        "mcp_servers:\n"
        "  - {name: clock, command: mcp-server-time, tools: [get/time]}\n"
        '  - {name: more, url: "https://a.example/mcp", headers: {A: "{{ env.MORE_TOKEN }}"}}\n'
    )

    assert found(folder, text) == []


def test_a_rule_for_an_unknown_tool_is_a_problem(folder: Path) -> None:
    problem = one(folder, "tools: [hang_up]\ntool_rules:\n  - tool: hangup\n")
    nameless = one(folder, "mcp_servers: [{name: clock, command: c}]\ntool_rules: [{tool: get_time}]\n")
    none = one(folder, "tool_rules: [{tool: get_time}]\n")

    assert problem == (4, "tool_rules[0].tool", "'hangup'", "did you mean hang_up?")
    assert nameless[3] == "this agent has no tools; of an MCP server, name it in mcp_servers[].tools as well"
    assert none[3] == "this agent has no tools"


def test_a_tool_that_is_ruled_twice_is_a_problem(folder: Path) -> None:
    problem = one(folder, "tools: [hang_up]\ntool_rules:\n  - tool: hang_up\n  - tool: hang_up\n    background: true\n")

    assert problem == (5, "tool_rules[1].tool", "'hang_up'", "each tool may be ruled once; put its rules together")


def test_a_built_in_tool_that_is_to_be_interruptible_is_a_problem(folder: Path) -> None:
    problem = one(folder, "tools: [hang_up]\ntool_rules:\n  - tool: hang_up\n    interruptible: true\n")

    right = "not for hang_up, which knows by itself what a caller who interrupts wants; remove it"
    assert problem == (5, "tool_rules[0].interruptible", "true", right)


def test_a_filler_that_is_not_there_or_wants_an_unknown_variable_is_a_problem(folder: Path) -> None:
    file = one(folder, "tools: [hang_up]\ntool_rules:\n  - tool: hang_up\n    filler: {play: no.wav}\n")
    words = one(folder, 'tools: [hang_up]\ntool_rules:\n  - tool: hang_up\n    filler: {say: "{{ nobody }}"}\n')

    assert file == (5, "tool_rules[0].filler.play", "'no.wav'", f"must be a file; its path starts in {folder}")
    assert words[1:3] == ("tool_rules[0].filler.say", "the unknown variable {{ nobody }}")


def test_names_that_clash_among_tools_http_tools_servers_and_handoffs_are_problems(folder: Path) -> None:
    (folder / "agents" / "billing.yaml").write_text(GOOD)
    text = (
        f"tools: [{__name__}.lookup]\n"
        "handoffs: [billing]\n"
        "http_tools:\n"
        "  - {name: lookup, description: Finds., url: 'https://a.example'}\n"
        "  - {name: transfer_to_billing, description: Bills., url: 'https://a.example'}\n"
        "mcp_servers:\n"
        "  - {name: clock, command: c, tools: [lookup, time]}\n"
        "  - {name: clock, command: c, tools: [time]}\n"
    )

    def both(other: str, name: str) -> str:
        return f"the model would know it and {other} both as {name}; rename one"

    assert [problem[1:] for problem in found(folder, text)] == [
        ("http_tools[0].name", "'lookup'", both(f"{__name__}.lookup", "lookup")),
        ("http_tools[1].name", "'transfer_to_billing'", both("the handoff to billing", "transfer_to_billing")),
        ("mcp_servers[0].tools[0]", "'lookup'", both(f"{__name__}.lookup", "lookup")),
        ("mcp_servers[1].tools[0]", "'time'", both("time", "time")),
        ("mcp_servers[1].name", "'clock'", "each name may stand once; rename one"),
    ]


@pytest.mark.parametrize(
    ("lines", "field", "found_", "right"),
    [
        (
            '    query: {a: "{{ slott }}"}\n    parameters: [{name: slot}]\n',
            "query.a",
            "{{ slott }}",
            "did you mean slot?",
        ),
        ('    body: {a: [{b: "{{ nobody }}"}]}\n    method: POST\n', "body.a[0].b", "{{ nobody }}", "add nobody"),
        ('    query: {a: "{{ slot"}\n', "query.a", "a broken template", "{{ name }}"),
        ('    query: {a: "{{ env.CRM_TOKEN }}"}\n', "query.a", "{{ env }}", "headers"),
        ('    headers: {A: "{{ env }}"}\n', "headers.A", "env.NAME", "{{ env.NAME }}"),
        ('    headers: {A: "{{ env.get }}"}\n', "headers.A", "env.get", "upper-case"),
        ('    headers: {"A b": x}\n', "headers.A b", "'A b'", "letters"),
        ('    query: {a: "{{ caller | nofilter }}"}\n', "query.a", "nofilter", "{{ name }}"),
        ('    query: {a: "{{ caller.x.y }}"}\n', "", "has no attribute", "every call"),
        ("    parameters: [{name: slot}]\n", "parameters", "slot, used nowhere", "{{ name }}"),
        (
            '    parameters: [{name: caller}]\n    query: {a: "{{ caller }}"}\n',
            "parameters[0].name",
            "'caller'",
            "variable",
        ),
        ("    parameters: [{name: env}]\n    method: POST\n", "parameters[0].name", "'env'", "variable"),
    ],
)
def test_what_is_wrong_with_an_http_tool_is_told_at_its_field(
    folder: Path, lines: str, field: str, found_: str, right: str
) -> None:
    problem = one(folder, HTTP + lines)

    assert problem[1] == f"http_tools[0].{field}".removesuffix(".")
    assert found_ in problem[2]
    assert right in problem[3]


@pytest.mark.parametrize(
    ("url", "found_", "right"),
    [
        ("https://{{ slot }}/v1", "{{ slot }}", "the host cannot be a template"),
        ("https://crm.{{ slot }}", "{{ slot }}", "the host cannot be a template"),
        ("https://crm.example.com{{ slot }}", "{{ slot }}", "the host cannot be a template"),
        ("https://crm.example.com:{{ slot }}/", "{{ slot }}", "the host cannot be a template"),
        ("https://me:secret@crm.example.com/{{ slot }}", "a password", "secrets go into headers"),
        ("https:///{{ slot }}", "https:///", "must be https://host/path"),
        ("https://crm.example.com:99999/{{ slot }}", "99999", "must be https://host/path"),
    ],
)
def test_the_host_of_a_url_is_the_operators_own(folder: Path, url: str, found_: str, right: str) -> None:
    text = f"http_tools:\n  - name: book\n    description: B.\n    url: '{url}'\n    parameters: [{{name: slot}}]\n"

    problem = one(folder, text)

    assert problem[:2] == (5, "http_tools[0].url")
    assert found_ in problem[2]
    assert right in problem[3]
    assert "secret" not in problem[2]


def test_a_parameter_in_the_url_must_be_required(folder: Path) -> None:
    text = HTTP.replace("/v1", "/{{ slot }}") + "    parameters: [{name: slot, required: false}]\n"

    assert one(folder, text)[1:] == (
        "http_tools[0].url",
        "slot, not required",
        "let it be required, or put it into query",
    )


def test_the_headers_of_an_mcp_server_know_the_environment_and_no_call(folder: Path) -> None:
    text = "mcp_servers:\n  - name: a\n    url: https://a.example/mcp\n    headers:\n      B: "

    caller = one(folder, text + '"{{ caller }}"\n')
    broken = one(folder, text + '"{{ env. }}"\n')

    assert caller[:3] == (6, "mcp_servers[0].headers.B", "the variable {{ caller }}")
    assert broken[2].startswith("a broken template")


def test_a_variable_that_the_environment_lacks_is_a_problem_only_of_an_agent_that_answers(folder: Path) -> None:
    text = HTTP + '    headers: {Authorization: "Bearer {{ env.CRM_TOKEN }}"}\n'
    for name in ("one", "two"):
        (folder / "agents" / f"{name}.yaml").write_text(GOOD + text)
    (folder / "numbers.yaml").write_text("default: one\n")

    _, [missing] = check_configuration(folder, {})
    ready, none = check_configuration(folder, {"CRM_TOKEN": "t"})

    assert (missing.file.name, missing.field, missing.found) == (
        "one.yaml",
        "http_tools[0].headers",
        "no CRM_TOKEN in the environment",
    )
    assert ready
    assert none == []


def test_a_get_with_a_body_is_a_problem(folder: Path) -> None:
    assert "query" in one(folder, HTTP + "    body: {a: b}\n")[3]
