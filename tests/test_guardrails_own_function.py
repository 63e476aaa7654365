"""A function of the operator's is a check, whatever shape it has."""

import asyncio
import threading
from typing import Any, cast

import pytest

from agents import GuardrailContext
from agents.guardrails.own_function import FunctionNotFound, find_check

CONTEXT = GuardrailContext(session=cast(Any, None), stage="input")
HERE = __name__
NUMBER = 7


def polite(text: str) -> str | None:
    return "rude" if "fool" in text else None


async def polite_later(text: str) -> str | None:
    await asyncio.sleep(0)
    return polite(text)


def on_stage(text: str, context: GuardrailContext) -> str | None:
    return f"{text} at {context.stage}"


async def on_stage_later(text: str, which: GuardrailContext) -> str | None:
    return f"{text} at {which.stage}"


def strict(text: str, level: int = 3) -> str | None:
    return f"{text} {level}"


def in_thread(text: str) -> str | None:
    return threading.current_thread().name


def loose(text: str) -> Any:
    return polite_later(text)


def silent() -> None:
    return None


def three(text: str, context: GuardrailContext, more: int) -> None:
    return None


class Rules:
    def __call__(self, text: str) -> str | None:
        return polite(text)


rules = Rules()


def said(name: str, text: str) -> str | None:
    async def main() -> str | None:
        answer = find_check(f"{HERE}.{name}")(text, CONTEXT)
        assert not isinstance(answer, str)
        return await answer if answer is not None else None

    return asyncio.run(main())


@pytest.mark.parametrize("name", ["polite", "polite_later", "loose", "rules"])
def test_a_function_of_the_text_says_why_it_objects(name: str) -> None:
    assert said(name, "you fool") == "rude"
    assert said(name, "dear friend") is None


@pytest.mark.parametrize("name", ["on_stage", "on_stage_later"])
def test_a_function_of_two_is_given_the_context(name: str) -> None:
    assert said(name, "hello") == "hello at input"


def test_a_second_parameter_with_a_default_is_not_the_context() -> None:
    assert said("strict", "x") == "x 3"


def test_a_sync_function_runs_in_a_thread_of_its_own() -> None:
    assert said("in_thread", "x") == "tool"


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("polite", "dotted name"),
        (f"{HERE}.nothing", "can be imported"),
        ("no.such.module", "can be imported"),
        (f"{HERE}.NUMBER", "must be a function"),
        (f"{HERE}.silent", r"\(text\), or \(text, context\)"),
        (f"{HERE}.three", r"\(text\), or \(text, context\)"),
    ],
)
def test_a_name_that_leads_to_no_check_is_refused_with_what_would_be_right(name: str, right: str) -> None:
    with pytest.raises(FunctionNotFound, match=right):
        find_check(name)
