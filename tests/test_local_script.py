"""A script answers by its intents, in turn, with the call's variables."""

import asyncio

import pytest

from agents.errors import ConfigError
from agents.local.brain import CallTool, Say, Step
from agents.local.matching import Matcher
from agents.local.memory import Memory, Message
from agents.local.script import ScriptBrain, fixed_sentences, known_sentences
from agents.realtime import SessionConfig
from agents.schema import IntentSpec, NoMatchSpec, ScriptSpec

SCRIPT = ScriptSpec(
    intents=(
        IntentSpec(name="hours", examples=("when are you open",), answer=("From {{ opens }}. Daily.", "Always.")),
        IntentSpec(name="who", examples=("do you know my number",), answer="It is {{ caller }}."),
        IntentSpec(name="bye", examples=("goodbye",), answer="Goodbye.", action="hang_up"),
    ),
    no_match=(
        NoMatchSpec(answer="Pardon?"),
        NoMatchSpec(answer="Really?"),
        NoMatchSpec(answer="I give up.", action="hang_up"),
    ),
)


def brain() -> ScriptBrain:
    return ScriptBrain(SCRIPT, Matcher(SCRIPT.intents, SCRIPT.threshold), {"opens": "nine"})


def answer(brain: ScriptBrain, *texts: str, **variables: str) -> list[Step]:
    asked = [Message(text, "user", text) for text in texts]

    async def steps() -> list[Step]:
        config = SessionConfig(variables=variables)
        return [step async for step in brain.answer(Memory(), asked, config, None)]

    return asyncio.run(steps())


def test_each_sentence_of_the_answer_is_said() -> None:
    assert answer(brain(), "When are you open?") == [Say("From nine."), Say("Daily.")]


def test_the_calls_variables_win_over_the_files() -> None:
    assert answer(brain(), "When are you open?", opens="ten")[0] == Say("From ten.")


def test_a_variable_that_nobody_set_is_an_error() -> None:
    with pytest.raises(ConfigError, match="caller"):
        answer(brain(), "Do you know my number?")


def test_several_answers_alternate() -> None:
    mine = brain()

    heard = [answer(mine, "When are you open?")[-1] for _ in range(3)]

    assert heard == [Say("Daily."), Say("Always."), Say("Daily.")]


def test_no_match_climbs_its_ladder_and_stays_on_top() -> None:
    mine = brain()

    heard = [answer(mine, "Purple elephants.")[0] for _ in range(4)]

    assert heard == [Say("Pardon?"), Say("Really?"), Say("I give up."), Say("I give up.")]


def test_a_match_begins_the_ladder_anew() -> None:
    mine = brain()
    answer(mine, "Purple elephants.")
    answer(mine, "When are you open?")

    assert answer(mine, "Purple elephants.") == [Say("Pardon?")]


def test_goodbye_ends_with_the_hang_up_tool() -> None:
    said, call = answer(brain(), "Goodbye!")

    assert said == Say("Goodbye.")
    assert isinstance(call, CallTool) and (call.name, call.arguments) == ("hang_up", "{}")


def test_giving_up_may_hang_up_as_well() -> None:
    mine = brain()
    steps = [answer(mine, "Purple elephants.") for _ in range(3)]

    assert [len(each) for each in steps] == [1, 1, 2]


def test_what_was_said_in_two_turns_is_answered_as_one() -> None:
    assert answer(brain(), "When are", "you open?")[0] == Say("From nine.")


def test_nothing_asked_is_nothing_said() -> None:
    assert answer(brain()) == []


def test_sentences_without_facts_of_the_call_are_known_before() -> None:
    assert fixed_sentences(SCRIPT, {"opens": "nine"}) == [
        "From nine.",
        "Daily.",
        "Always.",
        "Goodbye.",
        "Pardon?",
        "Really?",
        "I give up.",
    ]
    assert known_sentences("Hello {{ caller }}.", {}) == []
