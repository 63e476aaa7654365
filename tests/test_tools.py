"""A tool always answers the model: with its result as text or JSON, or with what went wrong."""

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from agents.agent import RealtimeAgent
from agents.errors import ConfigError, ToolError
from agents.events import Closed
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Say
from agents.session import RealtimeSession
from agents.tools import FunctionTool, ToolContext, hang_up, tool
from agents.tools.answer import MAX_OUTPUT_CHARS, Answer, answer
from agents.tools.built_in import BUILT_IN
from channels.memory import MemoryChannel


@dataclass
class Table:
    seats: int
    window: bool


class Guest(BaseModel):
    name: str
    table: int


def session_with(context: object = None, channel: MemoryChannel | None = None) -> RealtimeSession:
    return RealtimeSession(RealtimeAgent(name="host", model=ScriptedModel([])), context=context, channel=channel)


def call(called: FunctionTool, arguments: str = "{}", context: object = None) -> str:
    return asyncio.run(answer(called, arguments, ToolContext(session_with(context), "call-1"))).text


def returning(result: object) -> FunctionTool:
    async def answered() -> object:
        return result

    return tool(answered)


# ---- the schema ----


def test_the_schema_comes_from_name_docstring_and_type_hints() -> None:
    @tool
    def book(date: str, guests: int = 2) -> None:
        """Books a table.

        This paragraph is for programmers.
        """

    assert book.name == "book"
    assert book.schema.description == "Books a table."
    assert book.schema.parameters == {
        "type": "object",
        "properties": {
            "date": {"title": "Date", "type": "string"},
            "guests": {"default": 2, "title": "Guests", "type": "integer"},
        },
        "required": ["date"],
        "additionalProperties": False,
    }


def test_a_parameter_can_be_described() -> None:
    @tool
    def book(date: Annotated[str, Field(description="As YYYY-MM-DD.")]) -> None: ...

    assert book.schema.parameters["properties"]["date"]["description"] == "As YYYY-MM-DD."


def test_name_description_and_time_can_be_given() -> None:
    @tool(name="reserve", description="Reserves.", timeout_s=3)
    def book() -> None:
        """Books a table."""

    assert (book.name, book.schema.description, book.rules.timeout_s) == ("reserve", "Reserves.", 3)


def test_the_context_parameter_is_hidden_from_the_model() -> None:
    @tool
    def book(date: str, call: ToolContext) -> None: ...

    assert list(book.schema.parameters["properties"]) == ["date"]


def test_a_function_without_docstring_has_an_empty_description() -> None:
    @tool
    def book() -> None: ...

    assert book.schema.description == ""


def no_hint(date) -> None: ...  # type: ignore[no-untyped-def]
def any_number(*dates: str) -> None: ...
def any_names(**dates: str) -> None: ...
def by_position(date: str, /) -> None: ...
def no_schema(lock: threading.Lock) -> None: ...
def no_json(callback: Callable[[int], int]) -> None: ...
def unknown_hint(date: "NoSuchType") -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "word"),
    [
        (no_hint, "date"),
        (any_number, "dates"),
        (any_names, "dates"),
        (by_position, "date"),
        (no_schema, "no_schema"),
        (no_json, "no_json"),
        (unknown_hint, "NoSuchType"),
        (partial(no_schema), "tool"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused_with_its_reason(
    function: Callable[..., object], word: str
) -> None:
    with pytest.raises(ConfigError, match=word):
        tool(function)


@pytest.mark.parametrize("name", ["_date", "schema", "copy", "json", "model_config", "model_fields", "self"])
def test_a_parameter_may_have_any_name(name: str) -> None:
    namespace: dict[str, Callable[..., object]] = {}
    exec(f"def echo({name}: str) -> str: return {name}", namespace)
    echo = tool(namespace["echo"])

    assert list(echo.schema.parameters["properties"]) == [name]
    assert call(echo, json.dumps({name: "kept"})) == "kept"
    assert call(echo, "{}").startswith(f"Error: the arguments do not fit the tool: {name}: ")


# ---- calling ----


def test_a_known_tool_gets_parsed_arguments_and_the_session_context() -> None:
    @tool
    async def book(date: str, guests: int, call: ToolContext) -> str:
        return f"{date} {guests + 1} {call.context} {call.call_id}"

    assert call(book, '{"date": "monday", "guests": 2}', "table 7") == "monday 3 table 7 call-1"


def test_defaults_fill_in_what_the_model_leaves_out() -> None:
    @tool
    def book(date: str = "today") -> str:
        return date

    assert call(book, "") == "today"


def test_nested_arguments_arrive_as_what_the_hints_say() -> None:
    @tool
    def seat(guest: Guest, tables: list[Table]) -> str:
        return f"{type(guest).__name__} {type(tables[0]).__name__} {tables[0].seats}"

    arguments = '{"guest": {"name": "Ann", "table": 1}, "tables": [{"seats": 4, "window": true}]}'

    assert call(seat, arguments) == "Guest Table 4"


def test_a_sync_function_runs_in_a_thread() -> None:
    @tool
    def where() -> str:
        return threading.current_thread().name

    assert call(where) != threading.main_thread().name


def test_what_a_sync_function_gives_is_awaited_when_it_can_be() -> None:
    async def later() -> str:
        return "later"

    @tool
    def book() -> object:
        return later()

    assert call(book) == "later"


def test_two_calls_run_concurrently() -> None:
    async def main() -> None:
        first, second = asyncio.Event(), asyncio.Event()

        @tool
        async def meet(mine: bool) -> str:
            (first if mine else second).set()
            await (second if mine else first).wait()
            return "met"

        context = ToolContext(session_with(), "call-1")
        mine, yours = await asyncio.gather(
            answer(meet, '{"mine": true}', context), answer(meet, '{"mine": false}', context)
        )

        assert mine == yours == Answer("met")

    asyncio.run(asyncio.wait_for(main(), 5))


# ---- results ----


@pytest.mark.parametrize("text", ["", "Booked.", '{"already": "json"}', "[object]", "Bücher für Ann"])
def test_a_text_stays_unchanged(text: str) -> None:
    assert call(returning(text)) == text


@pytest.mark.parametrize(
    ("result", "output"),
    [
        ({"seats": 4, "free": True}, '{"seats":4,"free":true}'),
        (["monday", 2], '["monday",2]'),
        (Table(4, True), '{"seats":4,"window":true}'),
        (Guest(name="Ann", table=7), '{"name":"Ann","table":7}'),
        ([Table(2, False)], '[{"seats":2,"window":false}]'),
        (7, "7"),
        (False, "false"),
        (None, "null"),
    ],
)
def test_other_results_are_sent_as_json_and_none_as_null(result: object, output: str) -> None:
    assert call(returning(result)) == output


def test_a_result_that_is_not_json_is_sent_as_its_text(caplog: pytest.LogCaptureFixture) -> None:
    class Oracle:
        def __str__(self) -> str:
            return "an oracle"

    assert call(returning(Oracle())) == "an oracle"
    assert "Oracle" in caplog.text


def test_a_very_long_result_is_cut_and_says_so() -> None:
    output = call(returning("x" * (MAX_OUTPUT_CHARS + 1)))

    assert output == "x" * MAX_OUTPUT_CHARS + " (cut)"
    assert call(returning("x" * MAX_OUTPUT_CHARS)) == "x" * MAX_OUTPUT_CHARS


# ---- what goes wrong ----


@tool
def pay(amount: Annotated[int, Field(gt=0)]) -> str:
    return f"paid {amount}"


@pytest.mark.parametrize(
    "arguments",
    [
        "not json",
        "[]",
        "null",
        '"text"',
        "{}",
        '{"amount": "many"}',
        '{"amount": 0}',
        '{"amount": 1, "tip": 2}',
        "{",
        "\x00",
    ],
)
def test_arguments_that_do_not_fit_are_an_error_output(arguments: str) -> None:
    assert call(pay, arguments).startswith("Error: the arguments do not fit the tool: ")


def test_an_error_output_names_the_argument_that_is_wrong() -> None:
    assert "amount: Input should be greater than 0" in call(pay, '{"amount": -1}')


def test_a_tool_error_is_told_to_the_model() -> None:
    @tool
    def book() -> None:
        raise ToolError("that day is fully booked")

    assert call(book) == "Error: that day is fully booked"


def test_any_other_exception_is_logged_and_hidden_from_the_model(caplog: pytest.LogCaptureFixture) -> None:
    @tool
    async def book() -> None:
        raise RuntimeError("password is swordfish")

    assert call(book) == "Error: the tool failed."
    assert "swordfish" in caplog.text


def test_a_validation_error_inside_the_function_does_not_blame_the_arguments(caplog: pytest.LogCaptureFixture) -> None:
    @tool
    async def look_up() -> Guest:
        return TypeAdapter(Guest).validate_python({"name": "from a broken database"})

    assert call(look_up) == "Error: the tool failed."
    assert "look_up" in caplog.text


@pytest.mark.parametrize("is_async", [True, False])
def test_a_tool_that_takes_too_long_yields_a_timeout_output(is_async: bool) -> None:
    release = threading.Event()

    @tool(timeout_s=0.01)
    async def hang() -> None:
        await asyncio.Event().wait()

    @tool(timeout_s=0.01)
    def block() -> None:
        release.wait(5)

    async def main() -> None:
        answered = await answer(hang if is_async else block, "{}", ToolContext(session_with(), "call-1"))
        release.set()

        assert answered == Answer("Error: the tool took longer than 0.01 seconds.", failure="timeout")

    asyncio.run(main())


def test_cancelling_a_call_cancels_its_function() -> None:
    async def main() -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        @tool
        async def hang() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        running = asyncio.ensure_future(answer(hang, "{}", ToolContext(session_with(), "call-1")))
        await began.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        assert ended.is_set()

    asyncio.run(main())


# ---- the built-in tool ----


def test_hang_up_can_be_named_in_yaml_and_takes_no_arguments() -> None:
    assert "hang_up" in BUILT_IN
    assert hang_up.schema.parameters["properties"] == {}
    assert "goodbye" in hang_up.schema.description


def test_hang_up_waits_until_the_caller_has_heard_the_goodbye() -> None:
    async def main() -> None:
        channel = MemoryChannel()
        host = RealtimeAgent(name="host", model=ScriptedModel([Say("Goodbye.", 1000)]))
        async with RealtimeSession(host, channel=channel) as session:
            await turns_of_the_loop(100)
            hanging_up = asyncio.ensure_future(answer(hang_up, "{}", ToolContext(session, "call-1")))
            await turns_of_the_loop()
            channel.play(999)
            await turns_of_the_loop()
            assert not hanging_up.done()

            channel.play_all()

            assert (await hanging_up).text == "The call is over."
            assert await session.wait_closed() == Closed("agent")

    asyncio.run(asyncio.wait_for(main(), 5))


def test_hang_up_is_called_off_when_the_caller_interrupts_the_goodbye() -> None:
    async def main() -> None:
        channel = MemoryChannel()
        host = RealtimeAgent(name="host", model=ScriptedModel([Say("Goodbye.", 1000)]))
        async with RealtimeSession(host, channel=channel) as session:
            await turns_of_the_loop(100)
            hanging_up = asyncio.ensure_future(answer(hang_up, "{}", ToolContext(session, "call-1")))
            await turns_of_the_loop()

            assert channel.is_playing
            await session.interrupt()

            assert (await hanging_up).text == "The caller spoke before the goodbye was over: the call goes on."
            assert not channel.is_closed

    asyncio.run(asyncio.wait_for(main(), 5))


async def turns_of_the_loop(count: int = 10) -> None:
    """Lets what can run now, run."""
    for _ in range(count):
        await asyncio.sleep(0)


# ---- tools that misbehave ----


@pytest.mark.parametrize("is_async", [False, True])
def test_a_tool_that_wants_to_end_the_process_only_fails(is_async: bool) -> None:
    @tool
    def leave() -> None:
        sys.exit(1)

    @tool
    async def leave_later() -> None:
        sys.exit(1)

    assert call(leave_later if is_async else leave) == "Error: the tool failed."


def test_a_tool_that_waited_for_something_cancelled_is_answered() -> None:
    @tool
    async def wait() -> None:
        cancelled = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        await cancelled

    assert call(wait) == "Error: the tool failed."


def test_a_tool_that_is_cancelled_itself_is_not_answered() -> None:
    @tool
    async def forever() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        running = asyncio.create_task(answer(forever, "{}", ToolContext(session_with(), "call-1")))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
