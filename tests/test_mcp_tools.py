"""Servers that speak the Model Context Protocol lend an agent their tools, over standard streams and over HTTP."""

import asyncio
import gzip
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import orjson
import pytest
import uvicorn
from mcp.server import MCPServer
from mcp_types import CallToolResult, TextContent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents import McpServer, RealtimeAgent, RealtimeSession, ToolContext
from agents.errors import ConfigError, ToolError
from agents.events import ResponseCreated, ResponseDone, Tool, ToolCall, ToolResult
from agents.providers.scripted import ScriptedModel
from agents.tools.answer import MAX_OUTPUT_CHARS
from agents.tools.contract import AgentTool, ToolRules
from agents.tools.function import tool
from agents.tools.mcp import McpTool
from agents.tools.mcp_answer import told
from agents.tools.mcp_connection import pause_s
from agents.tools.mcp_program import MAX_MESSAGE_BYTES
from agents.tools.mcp_schema import MAX_CHARS, MAX_NODES, model_name, parameters
from agents.tools.toolbox import all_tools, enter_toolkits, tool_named
from channels.carrier.virtual_time import run_virtual
from channels.memory import MemoryChannel
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.settings import read_settings
from tests.scene import DrivenModel
from tests.service import free_port

FAKE = str(Path(__file__).with_name("fake_mcp.py"))


def fake(*behaviour: str, **more: Any) -> McpServer:
    return McpServer("fake", command=sys.executable, args=[FAKE, *behaviour], **more)


def clock(**more: Any) -> McpServer:
    """A server that nobody here wrote: mcp-server-time, from PyPI."""
    return McpServer("clock", command="mcp-server-time", args=["--local-timezone", "Europe/Paris"], **more)


def context() -> ToolContext:
    return ToolContext(RealtimeSession(RealtimeAgent(name="desk", model=ScriptedModel([]))), "call-1")


def with_server(server: McpServer, use: Callable[[McpServer], Awaitable[Any]]) -> Any:
    """What comes of using a server while it is entered. Afterwards no task is left."""

    async def main() -> Any:
        async with server:
            result = await use(server)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    return asyncio.run(main())


# ---- a server that nobody here wrote ----


def test_a_server_from_pypi_is_asked_for_the_time_in_a_whole_session() -> None:
    async def main() -> tuple[DrivenModel, list[Tool]]:
        model, channel = DrivenModel(), MemoryChannel()
        agent = RealtimeAgent(name="desk", model=model, toolkits=(clock(),))
        session = RealtimeSession(agent, channel=channel)
        async with session:
            config = (await agent.session_config(None)).tools
            assert [each.name for each in config] == ["get_current_time", "convert_time"]
            answered = asyncio.Event()
            told: list[Tool] = []

            def hear(event: Tool) -> None:
                told.append(event)
                if event.output is not None:
                    answered.set()

            session.on("tool", hear)
            arguments = '{"timezone": "Asia/Tokyo"}'
            model.say(ResponseCreated("r1"), ToolCall("r1", "call-1", "get_current_time", arguments))
            model.say(ResponseDone("r1", "completed"))
            async with asyncio.timeout(20):
                await answered.wait()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return model, told

    model, told = asyncio.run(main())

    [result] = [event for event in model.sent if isinstance(event, ToolResult)]
    answer = orjson.loads(result.output)
    assert (result.call_id, answer["timezone"]) == ("call-1", "Asia/Tokyo")
    assert abs(datetime.fromisoformat(answer["datetime"]).timestamp() - datetime.now().timestamp()) < 60
    assert [event.output is None for event in told] == [True, False]


def test_a_tool_of_a_server_is_told_to_models_without_what_they_refuse() -> None:
    async def use(server: McpServer) -> list[str]:
        tools = await server.tools()
        for each in tools:
            assert each.schema.parameters["type"] == "object"
            assert not {"$schema", "$defs", "title"} & each.schema.parameters.keys()
        assert tools[0].schema.parameters["required"] == ["timezone"]
        return [each.schema.description for each in tools]

    assert with_server(clock(), use) == ["Get current time in a specific timezone", "Convert time between timezones"]


def test_what_a_server_refuses_is_told_to_the_model() -> None:
    async def use(server: McpServer) -> str:
        [now] = await server.tools()
        with pytest.raises(ToolError) as refused:
            await now.run('{"timezone": "Nowhere"}', context())
        return str(refused.value)

    assert "No time zone found with key Nowhere" in with_server(clock(tools=["get_current_time"]), use)


# ---- over HTTP ----


@asynccontextmanager
async def over_http(port: int) -> AsyncIterator[str]:
    """A server made with the `mcp` package, on loopback. Gives its address."""
    shop = MCPServer("shop")

    @shop.tool()
    def price(name: str) -> str:
        """The price of something."""
        return f"{name} is two euros"

    async with served(shop.streamable_http_app(), port) as url:
        yield url


@asynccontextmanager
async def served(app: Starlette, port: int) -> AsyncIterator[str]:
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.should_exit = True
        await serving


def test_a_server_at_an_address_is_used_over_streamable_http() -> None:
    async def main() -> tuple[str, object]:
        async with over_http(free_port()) as url, McpServer("shop", url=url, headers={"X-Key": "k"}) as shop:
            [price] = await shop.tools()
            return price.schema.description, await price.run('{"name": "bread"}', context())

    assert asyncio.run(main()) == ("The price of something.", {"result": "bread is two euros"})


def test_a_server_that_comes_back_at_its_address_is_used_again() -> None:
    async def main() -> object:
        port = free_port()
        shop = McpServer("shop", url=f"http://127.0.0.1:{port}/mcp")
        async with AsyncExitStack() as stack:
            async with over_http(port):
                await stack.enter_async_context(shop)
                [price] = await shop.tools()
            with pytest.raises(ToolError, match="broke off"):
                await price.run('{"name": "milk"}', context())
            async with over_http(port):
                return await price.run('{"name": "bread"}', context())

    assert asyncio.run(main()) == {"result": "bread is two euros"}


# ---- a server's life ----


def test_sessions_share_one_process_and_the_last_to_leave_ends_it() -> None:
    async def main() -> tuple[list[object], int]:
        server = fake()
        async with server:
            async with server:
                pids = [await server.call("pid", {})]
            pids.append(await server.call("pid", {}))
        with pytest.raises(ToolError, match="not there"):
            await server.call("pid", {})
        async with server:
            other = await server.call("pid", {})
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert other not in pids
        return pids, int(str(pids[0]))

    pids, pid = asyncio.run(main())

    assert pids[0] == pids[1]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_may_be_entered_in_one_task_and_left_in_another() -> None:
    async def main() -> object:
        server = fake()
        async with asyncio.TaskGroup() as tasks:
            await tasks.create_task(server.__aenter__())
        answer = await server.call("echo", {"a": 1})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.__aexit__(None, None, None))
        return answer

    assert asyncio.run(main()) == '{"a": 1}'


def test_a_call_in_which_the_server_dies_fails_and_the_next_one_finds_it_started_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def use(server: McpServer) -> tuple[str, object, int]:
        with pytest.raises(ToolError) as died:
            await server.call("die", {})
        known = await server.tools()
        return str(died.value), await server.call("echo", {}), len(known)

    died, echoed, known = with_server(fake(headers=None, env={"TOKEN": "tok_0123456789"}), use)

    assert died == "the tool's server broke off; nobody knows whether it was done"
    assert (echoed, known) == ("{}", 9)
    assert "MCP server fake: it ended" in caplog.text
    assert "out of memory, token …" in caplog.text


def test_a_server_that_died_between_two_calls_is_started_again_and_nobody_notices() -> None:
    async def use(server: McpServer) -> list[object]:
        words = await server.call("die_quietly", {})
        connection = server._connection
        assert connection is not None
        async with asyncio.timeout(20):
            while connection._client is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return [words, await server.call("echo", {})]

    assert with_server(fake(), use) == ["last words", "{}"]


def test_a_server_that_dies_again_and_again_is_given_pauses_that_grow() -> None:
    async def use(server: McpServer) -> str:
        for _ in range(2):
            with pytest.raises(ToolError, match="broke off"):
                await server.call("die", {})
        with pytest.raises(ToolError) as refused:
            await server.call("echo", {})
        return str(refused.value)

    assert with_server(fake(), use) == "the tool's server is not there: it ended"
    assert [pause_s(failures) for failures in (0, 1, 2, 3, 6, 100)] == [0, 0, 1, 2, 30, 30]


def test_cancelling_a_call_cancels_it_at_the_server_which_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "agents.tools.mcp_transport")

    async def use(server: McpServer) -> object:
        async with asyncio.TaskGroup() as tasks:
            hanging = tasks.create_task(server.call("hang", {}))
            await server.call("echo", {})  # answered while the other hangs
            hanging.cancel()
        answer = await server.call("echo", {"still": "there"})
        async with asyncio.timeout(20):
            while "cancelled" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return answer

    assert with_server(fake(), use) == '{"still": "there"}'
    assert "fake: cancelled: caller cancelled" in caplog.text


def test_a_server_that_does_not_shake_hands_is_given_up_and_leaves_no_process() -> None:
    async def main() -> str:
        server = fake("mute")
        async with server:
            with pytest.raises(ToolError) as refused:
                await server.tools()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return str(refused.value)

    assert run_virtual(main()) == "it did not answer in time"


def test_who_is_cancelled_while_a_server_starts_has_not_entered_it() -> None:
    async def main() -> None:
        server = fake("mute")
        entering = asyncio.create_task(server.__aenter__())
        await asyncio.sleep(0.01)
        entering.cancel()
        await asyncio.wait({entering})
        assert entering.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_an_agent_talks_without_the_tools_of_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    @tool
    def hours() -> str:
        return "nine to five"

    async def main() -> tuple[str, ...]:
        missing = McpServer("missing", command="no-such-program")
        agent = RealtimeAgent(name="desk", model=DrivenModel(), tools=(hours,), toolkits=(missing,))
        async with RealtimeSession(agent, channel=MemoryChannel()):
            return tuple(each.schema.name for each in await all_tools(agent))

    assert asyncio.run(main()) == ("hours",)
    assert "MCP server missing: there is no program no-such-program" in caplog.text
    assert "agent desk talks without the tools of missing" in caplog.text


def test_a_program_sees_of_our_environment_only_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")

    async def use(server: McpServer) -> object:
        return await server.call("environment", {})

    names = str(with_server(fake(env={"CALENDAR_TOKEN": "t"}), use)).split()

    assert "CALENDAR_TOKEN" in names
    assert "OPENAI_API_KEY" not in names


# ---- lists of tools ----


def test_all_pages_of_a_list_are_read_and_the_list_is_filtered_by_name(caplog: pytest.LogCaptureFixture) -> None:
    async def use(server: McpServer) -> list[str]:
        await server.tools()
        return [each.schema.name for each in await server.tools()]

    assert len(with_server(fake(), use)) == 9
    assert with_server(fake(tools=["grow", "ecko"]), use) == ["grow"]
    known = "echo, pid, environment, die, die_quietly, fail, hang, picture, grow"
    assert caplog.text.count(f"MCP server fake has no tool named ecko; it has {known}") == 1


async def until_it_has(server: McpServer, count: int) -> list[str]:
    """The names of its tools, once it has so many."""
    async with asyncio.timeout(20):
        while len(known := await server.tools()) < count:
            await server.call("echo", {})
    return [each.schema.name for each in known]


def test_a_change_of_the_list_is_honoured_once_it_is_known() -> None:
    async def use(server: McpServer) -> list[str]:
        before = await server.tools()
        await server.call("grow", {})
        return (await until_it_has(server, len(before) + 1))[len(before) :]

    assert with_server(fake(), use) == ["new_one"]


def test_nobody_waits_for_a_list_that_has_changed_and_does_not_come() -> None:
    async def main() -> tuple[int, bool]:
        async with fake("stalls") as server:
            before = await server.tools()
            await server.call("grow", {})
            await server.call("echo", {})
            began = asyncio.get_running_loop().time()
            known = await server.tools()
            waited_s = asyncio.get_running_loop().time() - began
            return len(known) - len(before), waited_s < 1

    assert asyncio.run(main()) == (0, True)


def test_a_tool_that_a_server_comes_to_have_is_left_out_if_the_agent_has_one_of_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @tool
    def new_one() -> str:
        return "the agent's own"

    async def main() -> tuple[int, AgentTool | None, object]:
        server = fake()
        agent = RealtimeAgent(name="desk", model=DrivenModel(), tools=(new_one,), toolkits=(server,))
        async with server:
            await server.call("grow", {})
            names = await until_it_has(server, 10)
            async with RealtimeSession(agent, channel=MemoryChannel()):
                tools = await all_tools(agent)
            assert names.count("new_one") == 1
            echo = await tool_named(agent, "echo")
            assert echo is not None
            return [each.schema.name for each in tools].count("new_one"), await tool_named(agent, "new_one"), echo.rules

    assert asyncio.run(main()) == (1, new_one, ToolRules())
    assert "agent desk has two tools named new_one: that of fake is left out" in caplog.text


class Unasked(McpServer):
    """A server whose tools nobody should ask for."""

    async def tools(self) -> tuple[McpTool, ...]:
        raise AssertionError("it was asked")


def test_no_server_is_asked_for_what_is_the_agents_own() -> None:
    @tool
    def own() -> str:
        return "own"

    agent = RealtimeAgent(name="desk", model=DrivenModel(), tools=(own,), toolkits=(Unasked("u", command="u"),))

    assert asyncio.run(tool_named(agent, "own")) is own


def test_each_tool_of_a_server_has_its_rules() -> None:
    own, usual = ToolRules(timeout_s=3), ToolRules(timeout_s=7)

    async def use(server: McpServer) -> dict[str, ToolRules]:
        return {each.schema.name: each.rules for each in await server.tools()}

    rules = with_server(fake(rules={"echo": own}, default_rules=usual, tools=["echo", "fail"]), use)

    assert rules == {"echo": own, "fail": usual}


def test_duplicate_tool_names_raise_before_connecting_and_list_the_names_and_whose_they_are() -> None:
    @tool
    def echo() -> str:
        return "echo"

    async def main() -> str:
        model = DrivenModel()
        agent = RealtimeAgent(name="desk", model=model, tools=(echo,), toolkits=(fake(), clock()))
        session = RealtimeSession(agent, channel=MemoryChannel())
        with pytest.raises(ConfigError) as refused:
            await session.connect()
        assert model.sent == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return str(refused.value)

    assert (
        asyncio.run(main()) == "agent desk: two tools of one name: echo (of agent desk and fake); leave one of them out"
    )


def test_the_service_does_not_start_with_two_tools_of_one_name() -> None:
    @tool
    def echo() -> str:
        return "echo"

    async def main() -> None:
        agent = RealtimeAgent(name="desk", model=DrivenModel(), tools=(echo,), toolkits=(fake(),))
        settings, numbers = read_settings({"TWILIO_AUTH_TOKEN": "t" * 32}), Numbers("desk", {})
        app = make_app(settings, {"desk": agent}, numbers, Calls({"desk": agent}, 1))
        with pytest.raises(ConfigError, match="two tools of one name: echo"):
            async with app.router.lifespan_context(app):
                pass
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_the_service_keeps_servers_from_its_start_so_that_no_call_starts_one() -> None:
    async def main() -> list[object]:
        server = fake()
        agent = RealtimeAgent(name="desk", model=DrivenModel(), toolkits=(server,))
        settings, numbers = read_settings({"TWILIO_AUTH_TOKEN": "t" * 32}), Numbers("desk", {})
        app = make_app(settings, {"desk": agent}, numbers, Calls({"desk": agent}, 1))
        async with app.router.lifespan_context(app):
            pids = [await server.call("pid", {})]
            async with RealtimeSession(agent, channel=MemoryChannel()):
                pids.append(await server.call("pid", {}))
            return [*pids, await server.call("pid", {})]

    assert len(set(asyncio.run(main()))) == 1


class Slow:
    """A toolkit that takes its time to start."""

    name = "slow"
    is_entered = False

    async def tools(self) -> tuple[AgentTool, ...]:
        return ()

    async def __aenter__(self) -> Self:
        await asyncio.sleep(20)
        return self

    async def __aexit__(self, *_: object) -> None: ...


class Broken(Slow):
    async def __aenter__(self) -> Self:
        raise ToolError("it is broken")


def test_the_service_starts_all_servers_side_by_side() -> None:
    async def main() -> float:
        one = RealtimeAgent(name="one", model=DrivenModel(), toolkits=(Slow(), Slow()))
        two = RealtimeAgent(name="two", model=DrivenModel(), toolkits=(Slow(),))
        settings, numbers = read_settings({"TWILIO_AUTH_TOKEN": "t" * 32}), Numbers("one", {})
        agents = {"one": one, "two": two}
        app = make_app(settings, agents, numbers, Calls(agents, 1))
        began = asyncio.get_running_loop().time()
        async with app.router.lifespan_context(app):
            return asyncio.get_running_loop().time() - began

    assert run_virtual(main()) == pytest.approx(20, abs=1)


def test_what_entering_one_toolkit_raises_is_raised_and_the_others_are_not_waited_for() -> None:
    async def main() -> float:
        began = asyncio.get_running_loop().time()
        agent = RealtimeAgent(name="one", model=DrivenModel(), toolkits=(Slow(), Broken()))
        with pytest.raises(ToolError, match="it is broken"):
            async with AsyncExitStack() as stack:
                await enter_toolkits(agent, stack)
        return asyncio.get_running_loop().time() - began

    assert run_virtual(main()) < 20


# ---- answers ----


def test_a_program_that_says_too_much_at_once_is_dropped_and_started_again(caplog: pytest.LogCaptureFixture) -> None:
    async def use(server: McpServer) -> tuple[int, str, object]:
        answer = await server.call("speak", {"chars": MAX_MESSAGE_BYTES // 2})
        with pytest.raises(ToolError) as dropped:
            await server.call("speak", {"chars": MAX_MESSAGE_BYTES})
        return len(str(answer)), str(dropped.value), await server.call("echo", {})

    told, dropped, echoed = with_server(fake(), use)

    assert told == MAX_OUTPUT_CHARS + 1
    assert dropped == "the tool's server broke off; nobody knows whether it was done"
    assert echoed == "{}"
    assert f"a message was longer than {MAX_MESSAGE_BYTES} bytes" in caplog.text


@pytest.mark.parametrize("is_compressed", [False, True])
def test_no_more_than_a_limit_is_read_of_an_answer_over_http(is_compressed: bool) -> None:
    async def shop(request: Request) -> Response:
        message = await request.json()
        if "id" not in message:
            return Response(status_code=202)
        words = "y" * (100 if is_compressed else MAX_MESSAGE_BYTES)
        results: dict[str, Any] = {
            "initialize": {
                "protocolVersion": message.get("params", {}).get("protocolVersion"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "shop", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "speak", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [{"type": "text", "text": words}]},
        }
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if message["method"] not in results:
            return JSONResponse({**answer, "error": {"code": -32601, "message": "no such method"}})
        body = orjson.dumps({**answer, "result": results[message["method"]]})
        headers = {"Content-Type": "application/json"}
        if is_compressed and message["method"] == "tools/call":
            return Response(gzip.compress(body), headers={**headers, "Content-Encoding": "gzip"})
        return Response(body, headers=headers)

    async def main() -> str:
        async with (
            served(Starlette(routes=[Route("/mcp", shop, methods=["POST"])]), free_port()) as url,
            McpServer("shop", url=url) as server,
        ):
            with pytest.raises(ToolError) as refused:
                await server.call("speak", {})
            return str(refused.value)

    assert "the answer is compressed, or longer than 1048576 bytes" in asyncio.run(main())


def test_what_is_no_text_is_named_and_texts_are_joined() -> None:
    async def use(server: McpServer) -> object:
        return await server.call("picture", {})

    assert with_server(fake(), use) == "a picture\n[image]\n[resource file:///a.txt]\na page"


def test_structured_content_is_preferred_and_a_failure_is_an_error() -> None:
    text = TextContent(type="text", text="no such slot")

    assert told(CallToolResult(content=[text], structured_content={"slot": None})) == {"slot": None}
    with pytest.raises(ToolError, match="no such slot"):
        told(CallToolResult(content=[text], is_error=True))
    with pytest.raises(ToolError, match="it failed"):
        told(CallToolResult(content=[], is_error=True))


@pytest.mark.parametrize(("arguments", "words"), [("{", "not JSON"), ("[1]", "JSON object")])
def test_arguments_that_are_no_json_object_are_not_sent(arguments: str, words: str) -> None:
    async def use(server: McpServer) -> str:
        [echo] = await server.tools()
        with pytest.raises(ToolError) as refused:
            await echo.run(arguments, context())
        return str(refused.value)

    assert words in with_server(fake(tools=["echo"]), use)


# ---- schemas and names ----


@pytest.mark.parametrize(
    ("name", "known_as"),
    [
        ("get_time", "get_time"),
        ("Get-Time2", "Get-Time2"),
        ("files/read.text", "files_read_text"),
        ("2nd", "_2nd"),
        ("-x", "_-x"),
        ("größe", "gr__e"),
        ("", "_"),
        ("a" * 70, "a" * 64),
    ],
)
def test_names_are_made_fit_for_every_provider(name: str, known_as: str) -> None:
    assert model_name(name) == known_as


def test_references_of_a_schema_are_written_out_and_what_models_are_not_told_is_left_out() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Arguments",
        "type": "object",
        "properties": {
            "title": {"type": "string", "title": "Title"},
            "who": {"$ref": "#/$defs/Who", "description": "Whom."},
            "others": {"type": "array", "items": {"$ref": "#/$defs/Who"}},
            "lost": {"$ref": "#/$defs/Nobody"},
        },
        "required": ["title"],
        "$defs": {"Who": {"title": "Who", "type": "object", "properties": {"name": {"enum": ["title", "$ref"]}}}},
    }

    who = {"type": "object", "properties": {"name": {"enum": ["title", "$ref"]}}}
    assert parameters(schema) == {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "who": {**who, "description": "Whom."},
            "others": {"type": "array", "items": who},
            "lost": {"type": "object"},
        },
        "required": ["title"],
    }


def test_a_schema_that_refers_to_itself_ends_as_an_object() -> None:
    schema = {"$defs": {"Tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/Tree"}}}}}

    told = parameters({**schema, "type": "object", "properties": {"tree": {"$ref": "#/$defs/Tree"}}})

    assert len(orjson.dumps(told)) < 1000
    assert told["properties"]["tree"]["properties"]["child"]["type"] == "object"


def test_a_schema_that_grows_without_bound_is_told_as_an_object() -> None:
    doubling = {f"T{i}": {"type": "array", "items": [{"$ref": f"#/$defs/T{i + 1}"}] * 4} for i in range(12)}

    assert parameters({"properties": {"a": {"$ref": "#/$defs/T0"}}, "$defs": doubling}) == {
        "type": "object",
        "properties": {},
    }


def test_a_schema_with_too_many_words_is_told_as_an_object() -> None:
    many = {"properties": {"a": {"enum": list(range(MAX_NODES))}}}
    long = {"properties": {"a": {"description": "y" * MAX_CHARS}}}
    long_choice = {"properties": {"a": {"enum": ["y" * MAX_CHARS]}}}

    assert [parameters(each)["properties"] for each in (many, long, long_choice)] == [{}, {}, {}]


def test_a_schema_that_is_nested_as_none_is_told_as_an_object() -> None:
    lists: Any = {"$ref": "#/properties/a"}
    choice: Any = "x"
    for _ in range(150):
        lists, choice = [lists], [choice]

    assert parameters({"properties": {"a": {"anyOf": lists}}})["properties"] == {}
    assert parameters({"properties": {"a": {"enum": choice}}})["properties"] == {}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"properties": None}, {}),
        ({"properties": ["a"]}, {}),
        ({"properties": {"a": 3, "b": True}}, {"a": {}, "b": True}),
        ({"properties": {"a": {"properties": None, "required": "x"}}}, {"a": {}}),
    ],
)
def test_what_has_another_shape_than_its_keyword_is_not_told(wrong: dict[str, Any], told: dict[str, Any]) -> None:
    assert parameters({**wrong, "required": "x"}) == {"type": "object", "properties": told}


def test_a_schema_without_properties_has_none() -> None:
    assert parameters({}) == parameters({"type": "string"}) == {"type": "object", "properties": {}}


@pytest.mark.parametrize("more", [{}, {"command": "a", "url": "http://a"}])
def test_a_server_is_a_program_or_an_address(more: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="give command or url"):
        McpServer("both", **more)  # type: ignore[arg-type]


def test_a_repr_shows_no_secret() -> None:
    assert "t0ken" not in repr(McpServer("a", url="http://a?t0ken", headers={"A": "t0ken"}))
