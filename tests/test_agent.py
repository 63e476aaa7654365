"""An agent is a definition: each session gets a configuration of its own, filled in with what is known of the call."""

import asyncio
from collections.abc import Awaitable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from agents.agent import CallContext, Instructions, RealtimeAgent
from agents.errors import ConfigError
from agents.idle import IdleStep
from agents.providers.scripted import ScriptedModel
from agents.realtime import SessionConfig, Voice
from agents.time_limit import DurationWarning
from agents.tools import tool

MODEL = ScriptedModel([])
CALL = CallContext("CA1", "+15550100100", "+15550100200", "host")


@tool
def book() -> None:
    """Books a table."""


def config_of(instructions: Instructions, context: object = None) -> SessionConfig:
    agent = RealtimeAgent(name="host", model=MODEL, instructions=instructions, variables={"place": "the Lion"})
    return asyncio.run(agent.session_config(context))


def test_an_agent_cannot_be_changed() -> None:
    agent = RealtimeAgent(name="host", model=MODEL)

    with pytest.raises(FrozenInstanceError):
        agent.name = "guest"  # type: ignore[misc]


# ---- instructions ----


def test_instructions_may_be_a_text_with_variables() -> None:
    assert config_of("You work at {{ place }} for {{ caller }}.", CALL).instructions == (
        "You work at the Lion for +15550100100."
    )


def test_instructions_may_be_a_function_of_the_context() -> None:
    assert config_of(lambda context: f"Serve {context}.", "Ann").instructions == "Serve Ann."


def test_instructions_may_be_an_async_function_that_is_asked_once() -> None:
    asked = []

    async def instructions(context: object) -> str:
        asked.append(context)
        return "Serve at {{ place }}."

    def give(context: object) -> Awaitable[str]:
        return instructions(context)

    assert config_of(give, "Ann").instructions == "Serve at the Lion."
    assert asked == ["Ann"]


def test_no_instructions_are_none() -> None:
    assert config_of("").instructions is None


def test_a_missing_variable_in_instructions_is_an_error() -> None:
    with pytest.raises(ConfigError, match="weather"):
        config_of("The weather is {{ weather }}.", CALL)


# ---- variables ----


def test_the_context_wins_over_the_agents_own_variables() -> None:
    agent = RealtimeAgent(name="host", model=MODEL, variables={"caller": "nobody", "place": "the Lion"})

    assert agent.variables_for(CALL) == {"place": "the Lion", **CALL.variables_for({}, "UTC")}


def test_a_calls_time_is_that_of_the_agents_timezone() -> None:
    call = replace(CALL, began_at=datetime(2026, 11, 21, 23, 5, tzinfo=UTC))
    agent = RealtimeAgent(name="host", model=MODEL, greeting="It is {{ weekday }}, {{ time }}.", timezone="Asia/Tokyo")

    assert agent.greeting_for(call) == "It is Sunday, 8:05 AM."


def test_a_callers_words_cannot_inject_template_code() -> None:
    caller = replace(CALL, parameters={"SipHeader_X-Name": "{{ secret }}{% for x in range(9) %}x{% endfor %}"})
    agent = RealtimeAgent(name="host", model=MODEL, greeting="Hello {{ name }}.", variables={"name": "", "secret": "s"})

    assert agent.greeting_for(caller) == "Hello {{ secret }}{% for x in range(9) %}x{% endfor %}."


def test_none_in_a_context_is_a_missing_variable_and_is_never_spoken() -> None:
    agent = RealtimeAgent(name="host", model=MODEL, greeting="Hello {{ name }}.")
    polite = replace(agent, variables={"name": "friend"})
    context = SimpleNamespace(variables={"name": None})

    assert polite.greeting_for(context) == "Hello friend."
    with pytest.raises(ConfigError, match="name"):
        agent.greeting_for(context)


@pytest.mark.parametrize("context", [None, object(), "text", SimpleNamespace(variables=7), {"place": "a key"}])
def test_a_context_without_variables_adds_none(context: object) -> None:
    agent = RealtimeAgent(name="host", model=MODEL, variables={"place": "the Lion"})

    assert agent.variables_for(context) == {"place": "the Lion"}


# ---- the greeting ----


def test_the_greeting_is_filled_in() -> None:
    agent = RealtimeAgent(name="host", model=MODEL, greeting="This is {{ agent }}.")

    assert agent.greeting_for(CALL) == "This is host."


def test_an_agent_without_greeting_waits_for_the_caller() -> None:
    assert RealtimeAgent(name="host", model=MODEL).greeting_for(CALL) is None


# ---- silence and time ----


def test_what_is_said_into_silence_is_filled_in() -> None:
    last = IdleStep(after_s=5, hang_up=True)
    agent = RealtimeAgent(name="host", model=MODEL, idle=(IdleStep(after_s=9, say="{{ caller }}?"), last))

    assert agent.idle_for(CALL) == (IdleStep(after_s=9, say="+15550100100?"), last)


def test_the_warning_before_the_end_is_filled_in() -> None:
    warning = DurationWarning(before_s=60, say="{{ agent }} has one minute left.")
    agent = RealtimeAgent(name="host", model=MODEL, duration_warning=warning)

    assert agent.duration_warning_for(CALL) == DurationWarning(before_s=60, say="host has one minute left.")


def test_an_agent_neither_minds_silence_nor_warns_unless_it_is_told_to() -> None:
    agent = RealtimeAgent(name="host", model=MODEL)

    assert (agent.idle_for(CALL), agent.duration_warning_for(CALL)) == ((), None)


def test_a_missing_variable_in_what_is_said_into_silence_is_an_error() -> None:
    agent = RealtimeAgent(name="host", model=MODEL, idle=(IdleStep(after_s=9, say="Hello, {{ nobody }}?"),))

    with pytest.raises(ConfigError, match="nobody"):
        agent.idle_for(CALL)


# ---- tools and configuration ----


def test_the_configuration_lists_the_tools_and_keeps_the_rest() -> None:
    agent = RealtimeAgent(
        name="host", model=MODEL, tools=(book,), config=SessionConfig(voice=Voice(voice_id="marin"), tool_choice="auto")
    )

    config = asyncio.run(agent.session_config(CALL))

    assert config.tools == (book.schema,)
    assert (config.voice, config.tool_choice) == (Voice(voice_id="marin"), "auto")
    assert config.variables == CALL.variables_for({}, "UTC")


def test_sessions_of_one_agent_share_no_configuration() -> None:
    agent = RealtimeAgent(name="host", model=MODEL, instructions="For {{ caller }}.")

    ours = asyncio.run(agent.session_config(CALL))
    theirs = asyncio.run(agent.session_config(CallContext("CA2", "+15550100300", "+15550100200", "host")))

    assert (ours.instructions, theirs.instructions) == ("For +15550100100.", "For +15550100300.")
    assert ours.variables is not theirs.variables


def test_duplicate_tool_names_raise_and_are_listed() -> None:
    pay, pay_again = tool(name="pay")(print_nothing), tool(name="pay")(print_nothing)

    with pytest.raises(ConfigError, match="book, pay") as caught:
        RealtimeAgent(name="host", model=MODEL, tools=(pay, book, pay_again, book))

    assert "host" in str(caught.value)


def print_nothing() -> None: ...
