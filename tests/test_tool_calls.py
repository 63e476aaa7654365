"""The calls of one conversation: each runs once, beside the others, and one response follows what they came to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import permutations
from typing import Any

import pytest

from agents import (
    BackgroundResult,
    RealtimeAgent,
    ToolContext,
    ToolError,
    ToolRules,
    Transcription,
    TurnDetection,
    hang_up,
    tool,
)
from agents.barge_in import BargeInRules
from agents.events import (
    Closed,
    Error,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    Tool,
    ToolCall,
    ToolCancelled,
    ToolResult,
)
from agents.floor import ANSWER_S
from agents.idle import VOICE_HOLD_S
from agents.realtime import SessionConfig
from agents.speaking import RESULT_KNOWN_S
from agents.tools import FunctionTool
from agents.tools.answer import STOPPING_S
from agents.tools.calls import MAX_AT_ONCE
from tests.scene import Scene, play, reply, voice
from tests.tool_scene import called, told

WEIGHED = BargeInRules(min_words=2)
NOT_INTERRUPTED = SessionConfig(turn_detection=TurnDetection(interrupt_response=False))
WRITES = SessionConfig(transcription=Transcription())


def after(name: str, ms: int, result: object = "found", rules: ToolRules | None = None) -> FunctionTool:
    """A tool that takes so long, and then gives this or raises it."""

    @tool(name=name, rules=rules)
    async def work() -> object:
        await asyncio.sleep(ms / 1000)
        if isinstance(result, BaseException):
            raise result
        return result

    return work


def outputs(call: Scene) -> dict[str, str]:
    return {event.call_id: event.output for event in call.sent(ToolResult) if isinstance(event, ToolResult)}


def asked(call: Scene) -> int:
    return len(call.sent(ResponseCreate))


# ---- one response after the last result ----


@pytest.mark.parametrize("order", list(permutations((200, 400, 600))))
def test_exactly_one_response_is_asked_for_when_the_last_outstanding_call_is_answered(order: tuple[int, ...]) -> None:
    async def scene() -> None:
        tools = tuple(after(f"c{n}", ms) for n, ms in enumerate(order))
        async with Scene(tools=tools) as call:
            await call.says(*called("c0", "c1", "c2"))
            await call.passes(580)
            before_the_last = (len(outputs(call)), asked(call))
            await call.passes(40)
            await call.replies("r2", 100)
            await call.passes(1000)

            assert (before_the_last, len(outputs(call)), asked(call)) == ((2, 0), 3, 1)

    play(scene)


@pytest.mark.parametrize("order", list(permutations(("error", "fine", "cancelled", "quiet"))))
def test_one_response_follows_an_error_a_result_a_cancelled_call_and_a_background_result_in_any_order(
    order: tuple[str, ...],
) -> None:
    at_ms = {name: 200 * (1 + n) for n, name in enumerate(order)}
    tools = (
        after("error", at_ms["error"], ToolError("no such day")),
        after("fine", at_ms["fine"]),
        after("cancelled", 60_000, rules=ToolRules(timeout_s=70)),
        after("quiet", at_ms["quiet"], BackgroundResult("noted")),
    )

    async def scene() -> None:
        async with Scene(tools=tools) as call:
            await call.says(*called("error", "fine", "cancelled", "quiet"))
            await call.passes(at_ms["cancelled"])
            await call.says(ToolCancelled("cancelled"))
            await call.passes(820 - at_ms["cancelled"])
            await call.replies("r2", 100)
            await call.passes(1000)

            assert outputs(call) == {"error": "Error: no such day", "fine": "found", "quiet": "noted"}
            assert asked(call) == 1

    play(scene)


def test_no_response_is_asked_for_while_one_is_active_and_one_when_it_is_done() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 100), after("c2", 200))) as call:
            await call.says(ResponseCreated("r1"), ToolCall("r1", "c1", "c1", "{}"), ToolCall("r1", "c2", "c2", "{}"))
            await call.passes(1000)
            while_active = asked(call)
            await call.says(ResponseDone("r1", "completed"))

            assert (len(outputs(call)), while_active, asked(call)) == (2, 0, 1)

    play(scene)


def test_a_result_that_comes_during_another_response_is_answered_after_it() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 1000),)) as call:
            await call.says(*called("c1"))
            await call.says(*reply("r2", voice(3000), done=False))
            await call.passes(1500)
            while_active = asked(call)
            await call.says(ResponseDone("r2", "completed"))

            assert (outputs(call), while_active, asked(call)) == ({"c1": "found"}, 0, 1)

    play(scene)


def test_a_background_result_is_sent_and_no_response_is_asked_for() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 100, BackgroundResult({"noted": True})),)) as call:
            await call.says(*called("c1"))
            await call.passes(5000)

            assert (outputs(call), asked(call)) == ({"c1": '{"noted":true}'}, 0)

    play(scene)


# ---- a caller who speaks meanwhile ----


def test_a_result_that_comes_while_the_caller_speaks_is_answered_together_with_what_they_say() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 1000),)) as call:
            await call.says(*called("c1"))
            await call.begins_to_speak()
            await call.passes(2000)
            while_speaking = (outputs(call), asked(call))
            await call.stops_speaking()
            await call.passes(300)
            await call.replies("r2", 500)
            await call.passes(5000)

            assert while_speaking == ({"c1": "found"}, 0)
            assert asked(call) == 0

    play(scene)


def test_a_response_that_began_before_it_can_know_of_the_result_is_followed_by_another() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 1000),)) as call:
            await call.says(*called("c1"))
            await call.begins_to_speak()
            await call.passes(900)
            await call.stops_speaking()
            await call.passes(1000 * RESULT_KNOWN_S)
            await call.replies("r2", 500)
            await call.passes(5000)

            assert (outputs(call), asked(call)) == ({"c1": "found"}, 1)

    play(scene)


def test_a_result_that_comes_while_the_caller_speaks_merges_with_the_answer_that_we_ask_for() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 1000),), barge_in=WEIGHED, config=WRITES) as call:
            await call.says(*called("c1"))
            await call.begins_to_speak()
            await call.passes(2000)
            while_speaking = asked(call)
            await call.stops_speaking(text="Are you still there?")
            await call.replies("r2", 500)
            await call.passes(5000)

            assert (outputs(call), while_speaking, asked(call)) == ({"c1": "found"}, 0, 1)

    play(scene)


def test_a_result_is_answered_by_itself_when_nothing_answers_the_caller() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 100),)) as call:
            await call.says(*called("c1"))
            await call.begins_to_speak()
            await call.passes(500)
            await call.stops_speaking()
            await call.passes(1000 * ANSWER_S - 100)
            before = asked(call)
            await call.passes(200)

            assert (before, asked(call)) == (0, 1)

    play(scene)


def test_a_voice_that_never_ends_holds_up_the_answer_only_so_long() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 100),)) as call:
            await call.says(*called("c1"))
            await call.begins_to_speak()
            await call.passes(1000 * (VOICE_HOLD_S + ANSWER_S) - 100)
            before = asked(call)
            await call.passes(200)

            assert (before, asked(call)) == (0, 1)

    play(scene)


def test_a_caller_who_goes_on_speaking_is_not_answered_because_their_first_words_were_not() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 100),)) as call:
            await call.says(*called("c1"))
            await call.begins_to_speak("u1")
            await call.passes(500)
            await call.stops_speaking("u1")
            await call.passes(500)
            await call.begins_to_speak("u2")
            await call.passes(1000 * ANSWER_S + 500)

            assert (outputs(call), asked(call)) == ({"c1": "found"}, 0)

    play(scene)


def test_a_result_is_held_up_by_a_caller_in_mid_speech_whatever_the_model_says_meanwhile() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 1000),), config=NOT_INTERRUPTED) as call:
            await call.says(*called("c1"))
            await call.begins_to_speak()
            await call.replies("r2", 500)
            await call.passes(2000)
            while_speaking = (outputs(call), asked(call))
            await call.stops_speaking()
            await call.passes(1000 * ANSWER_S + 100)

            assert (while_speaking, asked(call)) == (({"c1": "found"}, 0), 1)

    play(scene)


def test_an_interruption_by_the_program_forgets_the_answer_that_waits() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 500),)) as call:
            await call.says(*called("c1"))
            await call.says(*reply("r2", voice(3000), done=False))
            await call.passes(1000)
            await call.session.interrupt()
            await call.says(ResponseDone("r2", "cancelled"))
            await call.passes(5000)

            assert (outputs(call), asked(call)) == ({"c1": "found"}, 0)

    play(scene)


async def coughs(call: Scene) -> None:
    """A sound of the caller's that stops the agent, and that no model answers."""
    await call.begins_to_speak()
    await call.passes(300)
    await call.stops_speaking(text="")


def test_a_result_is_spoken_of_when_a_cough_stops_the_response_after_which_it_was_to_be() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 500),)) as call:
            await call.says(*reply("r1", voice(4000), done=False), ToolCall("r1", "c1", "c1", "{}"))
            await call.passes(1000)
            await coughs(call)
            await call.says(ResponseDone("r1", "cancelled"))
            await call.passes(1000 * ANSWER_S - 100)
            before = asked(call)
            await call.passes(200)

            assert (outputs(call), before, asked(call)) == ({"c1": "found"}, 0, 1)

    play(scene)


def test_a_result_that_waits_is_not_spoken_of_twice_when_a_voice_stops_the_agent_and_is_answered() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 500),)) as call:
            await call.says(*reply("r1", voice(4000), done=False), ToolCall("r1", "c1", "c1", "{}"))
            await call.passes(1000)
            await coughs(call)
            await call.says(ResponseDone("r1", "cancelled"))
            await call.passes(500)
            await call.replies("r2", 1000)
            await call.passes(5000)

            assert (outputs(call), asked(call)) == ({"c1": "found"}, 0)

    play(scene)


def test_the_silence_between_a_result_and_the_agents_voice_is_measured_and_the_callers_voice_is_none() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 500), after("c2", 500))) as call:
            await call.says(*called("c1"))
            await call.begins_to_speak()
            await call.passes(3000)
            await call.stops_speaking()
            await call.passes(300)
            await call.replies("r2", 500)
            after_the_caller = call.session.worst_silence_ms
            await call.passes(1000)
            await call.says(ResponseCreated("r3"), ToolCall("r3", "c2", "c2", "{}"))
            await call.passes(900)
            await call.says(ResponseDone("r3", "completed"))
            await call.passes(500)
            await call.replies("r4", 500)

            assert (after_the_caller, call.session.worst_silence_ms) == (300, 900)

    play(scene)


def test_a_hang_up_that_the_caller_talks_over_asks_for_no_response_once_the_model_has_answered() -> None:
    async def scene() -> None:
        async with Scene(tools=(hang_up,), config=NOT_INTERRUPTED) as call:
            await call.says(*reply("r1", voice(2000), done=False))
            await call.says(ToolCall("r1", "c1", "hang_up", "{}"), ResponseDone("r1", "completed"))
            await call.begins_to_speak()
            await call.passes(800)
            await call.stops_speaking()
            await call.replies("r2", 3000)
            await call.passes(10_000)

            assert (list(outputs(call)), asked(call), call.session.closed) == (["c1"], 0, None)

    play(scene)


@pytest.mark.parametrize("answers_during_the_goodbye", [True, False])
def test_a_hang_up_that_is_called_off_asks_for_no_response_beyond_the_one_that_the_caller_gets(
    answers_during_the_goodbye: bool,
) -> None:
    async def scene() -> None:
        async with Scene(tools=(hang_up,), config=WRITES) as call:
            await call.says(
                *reply("r1", voice(2000), done=False),
                ToolCall("r1", "c1", "hang_up", "{}"),
                ResponseDone("r1", "completed"),
            )
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(800)
            await call.stops_speaking()
            await call.passes(300 if answers_during_the_goodbye else 1000)
            await call.replies("r2", 500)
            await call.passes(10_000)

            assert (list(outputs(call)), asked(call), call.session.closed) == (["c1"], 0, None)

    play(scene)


# ---- each call once, and whatever it does ----


def counting(runs: list[str]) -> FunctionTool:
    @tool
    async def count(what: str = "") -> str:
        runs.append(what)
        return "ok"

    return count


@pytest.mark.parametrize("again", ['{"what": "tea", "more": 1}', '{"more":1,"what":"tea"}'])
def test_a_repeated_call_id_with_the_same_arguments_does_not_execute_twice(
    again: str, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[str] = []

    @tool
    async def count(what: str, more: int) -> str:
        runs.append(what)
        return "ok"

    async def scene() -> None:
        async with Scene(tools=(count,)) as call:
            await call.says(ToolCall("r1", "c1", "count", '{"what": "tea", "more": 1}'))
            await call.says(ToolCall("r1", "c1", "count", again))
            await call.passes(100)

            assert (runs, len(call.sent(ToolResult)), call.seen(Error)) == (["tea"], 1, [])

    play(scene)
    assert "it runs once" in caplog.text


@pytest.mark.parametrize(
    "again", [ToolCall("r1", "c1", "count", '{"what": "milk"}'), ToolCall("r1", "c1", "other", '{"what": "tea"}')]
)
def test_a_repeated_call_id_with_different_arguments_is_reported_and_not_run(again: ToolCall) -> None:
    runs: list[str] = []

    async def scene() -> None:
        async with Scene(tools=(counting(runs), after("other", 0))) as call:
            await call.says(ToolCall("r1", "c1", "count", '{"what": "tea"}'), again)
            await call.passes(100)

            assert (runs, len(call.sent(ToolResult))) == (["tea"], 1)
            assert [error.code for error in call.seen(Error)] == ["tool_call_repeated"]
            assert "milk" not in str(call.seen(Error))

    play(scene)


def test_an_unknown_tool_is_an_error_output_that_names_it_and_the_session_goes_on() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("known", 0),)) as call:
            await call.says(*called("nope"))
            await call.replies("r2", 100)
            await call.says(*called("known", response_id="r3"))

            assert outputs(call) == {"nope": "Error: there is no tool named 'nope'.", "known": "found"}
            assert (asked(call), call.session.closed) == (2, None)

    play(scene)


class Framework(BaseException):
    """What some libraries end their own tasks with."""


current = asyncio.current_task


async def cancels_itself() -> str:
    task = current()
    assert task is not None
    task.cancel()
    await asyncio.sleep(1)
    return "never"


async def waits_for_something_cancelled() -> str:
    cancelled = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    return str(await cancelled)


async def raises_a_base_exception() -> str:
    raise Framework


async def ends_the_process() -> str:
    raise SystemExit(1)


@pytest.mark.parametrize(
    "function", [cancels_itself, waits_for_something_cancelled, raises_a_base_exception, ends_the_process]
)
def test_a_tool_that_raises_what_no_tool_should_is_answered_and_does_not_end_the_call(
    function: Callable[[], Awaitable[str]],
) -> None:
    async def scene() -> None:
        odd = tool(name="odd")(function)
        async with Scene(tools=(odd, after("fine", 500))) as call:
            cancelling: list[int] = []
            call.session.on("tool", lambda _: cancelling.append(task.cancelling() if (task := current()) else -1))
            await call.says(*called("odd", "fine"))
            await call.passes(1000)

            assert outputs(call) == {"odd": "Error: the tool failed.", "fine": "found"}
            assert (asked(call), call.session.closed, cancelling) == (1, None, [0, 0, 0, 0])

    play(scene)


def test_an_error_formatter_words_what_the_model_reads_and_one_that_raises_is_not_used() -> None:
    def worded(name: str, error: BaseException) -> str:
        if isinstance(error, ToolError):
            return f"{name}: sorry"
        raise RuntimeError("the formatter is broken")

    async def scene() -> None:
        tools = (after("known", 0, ToolError("x")), after("broken", 0, KeyError("x")), counting([]))
        async with Scene(tools=tools, tool_error=worded) as call:
            await call.says(ToolCall("r1", "known", "known", "{}"), ToolCall("r1", "broken", "broken", "{}"))
            await call.says(ToolCall("r1", "json", "count", "{"), ToolCall("r1", "schema", "count", '{"how": 1}'))
            await call.passes(100)

            assert outputs(call) == {
                "known": "known: sorry",
                "broken": "Error: the tool failed.",
                "json": "count: sorry",
                "schema": "count: sorry",
            }

    play(scene)


def test_a_model_in_a_loop_has_only_so_many_calls_at_once() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("work", 1000),)) as call:
            await call.says(*(ToolCall("r1", f"c{n}", "work", "{}") for n in range(MAX_AT_ONCE + 1)))
            at_once = outputs(call)
            await call.passes(1100)

            assert list(at_once) == [f"c{MAX_AT_ONCE}"]
            assert "wait for their results" in at_once[f"c{MAX_AT_ONCE}"]
            assert (len(outputs(call)), asked(call)) == (MAX_AT_ONCE + 1, 1)

    play(scene)


def test_observers_learn_of_each_call_and_of_what_it_came_to() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("c1", 500),)) as call:
            events = told(call, "tool")
            await call.says(*called("c1"))
            at_once = list(events)
            await call.passes(600)

            assert at_once == [Tool("c1", "c1", "{}")]
            assert events[1:] == [Tool("c1", "c1", "{}", "found")]

    play(scene)


def test_observers_learn_which_calls_failed_and_how() -> None:
    async def scene() -> None:
        slow = after("slow", 60_000, rules=ToolRules(timeout_s=2))
        silent = after("silent", 60_000, rules=ToolRules(timeout_s=2, on_timeout="error"))
        tools = (after("fine", 0), after("broken", 0, KeyError("x")), after("says", 0, ToolError("no")), slow, silent)
        async with Scene(tools=tools) as call:
            events = told(call, "tool")
            await call.says(*called("fine", "broken", "says", "slow", "silent", "nope"))
            began, events[:] = list(events), []
            await call.passes(3000)

            assert {(event.output, event.failure) for event in began if event.output is None} == {(None, None)}
            assert {event.call_id: event.failure for event in [*began, *events] if event.output is not None} == {
                "fine": None,
                "broken": "error",
                "says": "error",
                "slow": "timeout",
                "nope": "error",
            }
            assert [event for event in events if event.output is None] == [
                Tool("silent", "silent", "{}", failure="timeout")
            ]

    play(scene)


# ---- the end of the call ----


@tool
async def stubborn() -> str:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    return "late"


def test_tools_are_cancelled_at_hang_up_and_the_cancellation_is_awaited(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    @tool
    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(2)
            ended.append("cleaned up")

    async def scene() -> None:
        async with Scene(tools=(forever,)) as call:
            await call.says(ToolCall("r1", "c1", "forever", "{}"))
            call.channel.hang_up()
            await call.session.wait_closed()
            after_the_end = list(ended)

        assert after_the_end == ["cleaned up"]

    play(scene)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_after_the_end_no_result_is_sent_or_told_not_even_of_a_tool_that_takes_no_notice_of_it() -> None:
    async def scene() -> None:
        async with Scene(tools=(stubborn,)) as call:
            events = told(call, "tool")
            await call.says(ToolCall("r1", "c1", "stubborn", "{}"))
            call.channel.hang_up()
            closed = await call.session.wait_closed()

            assert (closed, call.sent(ToolResult), len(events)) == (Closed("caller"), [], 1)

    play(scene)


@tool(timeout_s=2)
async def polls() -> str:
    """Takes no notice of being stopped, as a loop around a bare `except` does, for a quarter of an hour."""
    for _ in range(900):
        with suppress(BaseException):
            await asyncio.sleep(1)
    return "late"


def test_a_tool_that_takes_no_notice_of_its_timeout_is_answered_and_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        async with Scene(tools=(polls,)) as call:
            await call.says(*called("polls"))
            await call.passes(1000 * (2 + STOPPING_S) + 100)

            assert outputs(call) == {"polls": "Error: the tool took longer than 2 seconds."}
            assert asked(call) == 1
        await asyncio.sleep(1000)

    play(scene)
    assert "tool polls takes no notice of being stopped" in caplog.text


def test_a_tool_that_takes_no_notice_holds_up_the_end_of_the_call_only_so_long() -> None:
    async def scene() -> None:
        now = asyncio.get_running_loop().time
        async with Scene(tools=(polls,)) as call:
            await call.says(*called("polls"))
            await call.passes(500)
            hung_up_at = now()
            call.channel.hang_up()
            closed = await call.session.wait_closed()
            took_s = now() - hung_up_at

            assert (closed, call.model.is_closed) == (Closed("caller"), True)
            assert STOPPING_S <= took_s < STOPPING_S + 0.5
        await asyncio.sleep(1000)

    play(scene)


def test_a_call_that_the_model_takes_back_gets_no_answer_even_from_a_tool_that_takes_no_notice() -> None:
    async def scene() -> None:
        async with Scene(tools=(stubborn,)) as call:
            await call.says(ToolCall("r1", "c1", "stubborn", "{}"))
            await call.says(ToolCancelled("c1"), ToolCancelled("c1"))
            await call.passes(1000)

            assert (call.sent(ToolResult), asked(call), call.session.is_quiet) == ([], 0, True)
            assert call.session.closed is None

    play(scene)


# ---- audio and voices go on ----


def test_two_calls_of_one_response_run_at_the_same_time_and_a_slow_one_delays_neither_audio_nor_barge_in() -> None:
    async def scene() -> None:
        async with Scene(tools=(after("slow", 5000), after("fast", 200))) as call:
            await call.says(ToolCall("r1", "slow", "slow", "{}"), ToolCall("r1", "fast", "fast", "{}"))
            await call.passes(300)
            fast = list(outputs(call))
            pcm = await call.replies("r1", 1000)
            await call.passes(500)
            await call.begins_to_speak()

            assert (fast, call.played("r1") == pcm, call.channel.interruptions) == (["fast"], True, 1)
            await call.passes(4500)
            assert list(outputs(call)) == ["fast", "slow"]

    play(scene)


# ---- whose tools, and what others see of a call ----


def test_a_call_is_made_of_the_tools_of_the_agent_that_was_there_when_its_response_began() -> None:
    @tool(name="look")
    async def of_one() -> str:
        return "one"

    @tool(name="look")
    async def of_the_other() -> str:
        return "other"

    async def scene() -> None:
        async with Scene(tools=(of_one,)) as call:
            other = RealtimeAgent(name="other", model=call.model, tools=(of_the_other,))
            calls = call.session._live()._tool_calls
            await call.says(ResponseCreated("r1"))
            calls.use(other)
            await call.says(ToolCall("r1", "late", "look", "{}"), ResponseDone("r1", "completed"))
            await call.says(ResponseCreated("r2"), ToolCall("r2", "new", "look", "{}"))
            await call.says(ToolCall("unheard of", "present", "look", "{}"))

            assert outputs(call) == {"late": "one", "new": "other", "present": "other"}

    play(scene)


def test_a_call_may_be_refused_before_it_is_made_and_its_output_be_changed_before_it_is_sent() -> None:
    runs: list[str] = []

    async def before(call: ToolCall) -> str | None:
        return "not that" if "poison" in call.arguments else None

    async def later(call: ToolCall, output: str) -> str:
        if call.call_id == "c3":
            raise RuntimeError("the check is broken")
        return output.upper()

    async def scene() -> None:
        async with Scene(tools=(counting(runs),)) as call:
            calls = call.session._live()._tool_calls
            calls.before, calls.after = before, later
            for n, what in enumerate(("poison", "tea", "milk"), 1):
                await call.says(ToolCall("r1", f"c{n}", "count", f'{{"what": "{what}"}}'))

            assert outputs(call) == {"c1": "not that", "c2": "OK", "c3": "Error: the tool failed."}
            assert (runs, call.session.closed) == (["tea", "milk"], None)

    play(scene)


def test_a_tool_sees_a_deep_copy_of_the_history_and_changing_it_alters_nothing() -> None:
    seen: list[Any] = []

    @tool
    async def look(call: ToolContext) -> str:
        history = call.history
        seen.extend(history)
        history.clear()
        return "ok"

    async def scene() -> None:
        async with Scene(tools=(look,)) as call:
            await call.session.send_message("Hello.", respond=False)
            await call.says(ToolCall("r1", "c1", "look", "{}"))

            kept = list(call.session.history)
            assert ([item.text for item in kept], seen == kept, seen[0] is kept[0]) == (["Hello."], True, False)

    play(scene)
