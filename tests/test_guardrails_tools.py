"""A tool's call may be refused before it runs, and its result kept from the model."""

from typing import Any

import pytest

from agents import Guardrail, GuardrailContext, tool
from agents.events import (
    Error,
    GuardrailTripped,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ToolCall,
    ToolResult,
    TranscriptOutput,
)
from tests.guarded_scene import Asked, Call, no_promises
from tests.scene import play

BEFORE: frozenset[Any] = frozenset({"tool_call"})
AFTER: frozenset[Any] = frozenset({"tool_result"})


def calls(name: str = "book", arguments: str = '{"what": "flight"}') -> list[Any]:
    return [ResponseCreated("r1"), ToolCall("r1", "c1", name, arguments), ResponseDone("r1", "completed")]


class Bookings:
    """A tool that notes what it booked."""

    def __init__(self) -> None:
        self.booked: list[str] = []

        @tool
        async def book(what: str) -> str:
            """Books something."""
            self.booked.append(what)
            return f"booked {what}, card 4111"

        self.tool = book


def test_a_call_that_a_guardrail_refuses_never_runs_and_the_model_reads_the_hint() -> None:
    async def scene() -> None:
        bookings = Bookings()
        rule = no_promises(name="no-flights", stages=("tool_call",), words=("flight",), hint="Offer a train.")
        async with Call(rule, tools=(bookings.tool,)) as call:
            await call.says(*calls())

            assert bookings.booked == []
            [result] = call.sent(ToolResult)
            assert isinstance(result, ToolResult)
            assert result.output.startswith("Error: the tool was not called")
            assert "'no-flights'" in result.output
            assert result.output.endswith("Offer a train.")
            assert call.seen(GuardrailTripped) == [
                GuardrailTripped("no-flights", "tool_call", "there is 'flight' in it", response_id="r1", call_id="c1")
            ]
            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_no_tool_runs_of_a_response_that_a_guardrail_stopped() -> None:
    async def scene() -> None:
        bookings = Bookings()
        async with Call(no_promises(), tools=(bookings.tool,)) as call:
            await call.begins("r1", "I guarantee it, and I book it now.")
            await call.says(*calls()[1:])

            assert len(call.seen(GuardrailTripped)) == 1
            assert bookings.booked == []
            [result] = call.sent(ToolResult)
            assert isinstance(result, ToolResult)
            assert result.output.startswith("Error: the tool was not called. You were stopped: what you were saying")

    play(scene)


def test_a_response_that_is_stopped_while_its_call_is_looked_at_calls_nothing() -> None:
    async def scene() -> None:
        bookings, asked = Bookings(), Asked()
        asked.may_answer.clear()
        slow = Guardrail(name="slow", check=asked.later, stages=BEFORE)
        async with Call(no_promises(), slow, tools=(bookings.tool,)) as call:
            await call.says(*calls()[:2])
            await call.says(TranscriptOutput("r1", "i1", "I guarantee it."))
            asked.may_answer.set()
            await call.passes(100)

            assert bookings.booked == []
            assert len(call.sent(ToolResult)) == 1

    play(scene)


def test_a_result_that_a_guardrail_objects_to_is_replaced_by_the_hint() -> None:
    async def scene() -> None:
        bookings = Bookings()
        rule = no_promises(name="no-cards", stages=("tool_result",), words=(), patterns=(r"\d{4}",), hint="Say done.")
        async with Call(rule, tools=(bookings.tool,)) as call:
            await call.says(*calls())

            assert bookings.booked == ["flight"]
            [result] = call.sent(ToolResult)
            assert isinstance(result, ToolResult)
            assert "4111" not in result.output
            assert result.output.endswith("Say done.")
            assert [(trip.stage, trip.call_id) for trip in call.seen(GuardrailTripped)] == [("tool_result", "c1")]

    play(scene)


def test_a_tool_guardrail_looks_at_its_own_tools_alone_and_knows_which_it_is() -> None:
    async def scene() -> None:
        seen: list[tuple[str, str, str]] = []

        def check(text: str, context: GuardrailContext) -> str | None:
            seen.append((context.stage, context.tool, text))
            return None

        mine = Guardrail(name="mine", check=check, stages=BEFORE | AFTER, tools=frozenset({"book"}))
        others = Guardrail(name="others", check=Asked("no").now, stages=BEFORE | AFTER, tools=frozenset({"cancel"}))
        bookings = Bookings()
        async with Call(mine, others, tools=(bookings.tool,)) as call:
            await call.says(*calls())

            assert seen == [
                ("tool_call", "book", '{"what": "flight"}'),
                ("tool_result", "book", "booked flight, card 4111"),
            ]
            assert call.seen(GuardrailTripped) == []
            assert call.sent(ToolResult) == [ToolResult("c1", "booked flight, card 4111")]

    play(scene)


@pytest.mark.parametrize(("fails", "booked"), [("open", ["flight"]), ("closed", [])])
@pytest.mark.parametrize("way", ["now", "later"])
def test_a_tool_guardrail_that_raises_is_an_error_and_lets_the_call_pass_only_when_it_fails_open(
    way: str, fails: Any, booked: list[str]
) -> None:
    async def scene() -> None:
        bookings = Bookings()
        asked = Asked(error=RuntimeError("out of order"))
        rule = Guardrail(name="g", check=getattr(asked, way), stages=BEFORE, fails=fails)
        async with Call(rule, tools=(bookings.tool,)) as call:
            await call.says(*calls())

            assert bookings.booked == booked
            assert [error.code for error in call.seen(Error)] == ["guardrail_failed"]
            assert len(call.seen(GuardrailTripped)) == (fails == "closed")
            assert len(call.sent(ToolResult)) == len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_a_tool_guardrail_that_takes_too_long_has_failed() -> None:
    async def scene() -> None:
        bookings = Bookings()
        asked = Asked("no")
        asked.may_answer.clear()
        rule = Guardrail(name="g", check=asked.later, stages=BEFORE, timeout_s=2)
        async with Call(rule, tools=(bookings.tool,)) as call:
            await call.says(*calls())
            await call.passes(1900)
            assert bookings.booked == []

            await call.passes(200)
            assert bookings.booked == ["flight"]
            assert [error.message for error in call.seen(Error)] == ["guardrail g: it took longer than 2 s"]

    play(scene)


def test_all_guardrails_look_at_a_call_at_the_same_time_and_the_first_of_them_names_it() -> None:
    async def scene() -> None:
        bookings = Bookings()
        slow, slower = Asked("slow"), Asked("slower")
        slow.may_answer.clear()
        slower.may_answer.clear()
        rules = [Guardrail(name=n, check=a.later, stages=BEFORE) for n, a in (("1", slow), ("2", slower))]
        async with Call(*rules, tools=(bookings.tool,)) as call:
            await call.says(*calls())
            assert slow.running == slower.running == 1

            slower.may_answer.set()
            slow.may_answer.set()
            await call.settles()
            assert [trip.name for trip in call.seen(GuardrailTripped)] == ["1"]

    play(scene)
