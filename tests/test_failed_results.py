"""Who does not read what a tool answered is told whether it did what it was called for."""

import asyncio
from typing import Any

import pytest

from agents import Guardrail, ToolRules, tool
from agents.errors import ToolError
from agents.events import ResponseCreated, ResponseDone, ToolCall, ToolResult
from tests.guarded_scene import Call
from tests.scene import play


async def rejected(call: Call) -> None:
    await call.session.reject("c1", "not today")


async def interrupted(call: Call) -> None:
    await call.replies("r2", 3000, done=False)
    await call.passes(500)
    await call.begins_to_speak()


async def outcome(**given: Any) -> ToolResult:
    """What the model is given at once of a call of a tool that books, waits, or fails."""

    @tool(name="book", rules=given.get("rules"))
    async def book(what: str = "") -> str:
        if what == "fail":
            raise ToolError("full")
        if what == "wait":
            await asyncio.sleep(100)
        return "booked"

    async with Call(*given.get("guardrails", ()), tools=(book,)) as call:
        arguments = f'{{"what": "{given.get("what", "")}"}}'
        called = ToolCall("r1", "c1", given.get("name", "book"), arguments)
        await call.says(ResponseCreated("r1"), called, ResponseDone("r1", "completed"))
        if then := given.get("then"):
            await then(call)
        await call.passes(given.get("ms", 100))
        [result] = call.sent(ToolResult)
        assert isinstance(result, ToolResult)
        return result


def no(stage: str) -> tuple[Guardrail, ...]:
    stages: Any = frozenset({stage})
    return (Guardrail(name="no", check=lambda text, context: "no", stages=stages),)


FAILED: dict[str, dict[str, Any]] = {
    "raised": {"what": "fail"},
    "took too long": {"what": "wait", "ms": 2000, "rules": ToolRules(timeout_s=1)},
    "not approved": {"rules": ToolRules(needs_approval=True), "then": rejected},
    "refused": {"guardrails": no("tool_call")},
    "kept from the model": {"guardrails": no("tool_result")},
    "unknown": {"name": "cook"},
    "interrupted": {
        "what": "wait",
        "rules": ToolRules(interruptible=True),
        "then": interrupted,
    },
}


@pytest.mark.parametrize("way", FAILED)
def test_a_result_says_that_the_tool_did_not_do_it(way: str) -> None:
    async def scene() -> None:
        assert (await outcome(**FAILED[way])).has_failed

    play(scene)


@pytest.mark.parametrize("rules", [ToolRules(), ToolRules(background=True)])
def test_a_result_says_nothing_of_the_kind_of_a_tool_that_did_it_or_has_begun(rules: ToolRules) -> None:
    async def scene() -> None:
        assert not (await outcome(rules=rules)).has_failed

    play(scene)
