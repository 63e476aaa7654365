"""A script answers by its intents, in turn, with the call's variables."""

import asyncio

import pytest

from agents.errors import ConfigError
from agents.local.brain import CallTool, Say, Step
from agents.local.matching import Matcher
from agents.local.memory import Call, Memory, Message
from agents.local.script import DID_NOT_WORK, ScriptBrain, fixed_sentences, known_sentences
from agents.realtime import SessionConfig
from agents.script_spec import IntentSpec, NoMatchSpec, ScriptSpec

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


# ---- tools ----

BOOKING = ScriptSpec(
    intents=(
        IntentSpec(
            name="book",
            examples=("book a table",),
            answer="I am looking.",
            action="book",
            arguments={"name": "{{ caller }}", "seats": 4, "for": [{"who": "{{ caller }}"}]},
            result="Your number is {{ result.number }}.",
        ),
        IntentSpec(name="time", examples=("what time is it",), answer="One moment.", action="get_time"),
    )
)


def booking() -> ScriptBrain:
    return ScriptBrain(BOOKING, Matcher(BOOKING.intents, BOOKING.threshold), {})


def told(
    brain: ScriptBrain, asked: str, output: str, *, then: str = "", has_failed: bool = False
) -> tuple[CallTool, list[Step]]:
    """The tool that is called for what is asked, and what is said once it has answered."""
    memory = Memory()

    async def steps(*texts: str) -> list[Step]:
        messages = [Message(text, "user", text) for text in texts if text]
        config = SessionConfig(variables={"caller": "Ann"})
        return [step async for step in brain.answer(memory, messages, config, None)]

    call = asyncio.run(steps(asked))[-1]
    assert isinstance(call, CallTool)
    memory.add(Call(call.call_id, call.name, call.arguments, output, has_failed))
    return call, asyncio.run(steps(then))


def test_an_action_calls_a_tool_with_its_arguments_and_says_what_came_of_it() -> None:
    call, said = told(booking(), "Book a table.", '{"number": 17}')

    assert (call.name, call.arguments) == ("book", '{"name": "Ann", "seats": 4, "for": [{"who": "Ann"}]}')
    assert said == [Say("Your number is 17.")]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("The call is over.", []),
        ('{"hour": 5}', []),
        ("Error: the tool failed.", [Say(DID_NOT_WORK)]),
    ],
)
def test_without_words_of_the_script_nothing_is_said_of_an_answer_unless_it_failed(
    output: str, said: list[Step]
) -> None:
    assert told(booking(), "What time is it?", output)[1] == said


@pytest.mark.parametrize("output", ['{"other": 1}', "no JSON", "Error: full"])
def test_an_answer_that_the_script_has_no_words_for_did_not_work(output: str) -> None:
    assert told(booking(), "Book a table.", output)[1] == [Say(DID_NOT_WORK)]


@pytest.mark.parametrize("asked", ["Book a table.", "What time is it?"])
def test_what_a_tool_did_not_do_is_never_said_to_be_done(asked: str) -> None:
    """Whatever the model reads of it: these are texts that are no errors."""
    _, said = told(booking(), asked, '{"number": 17}', has_failed=True)

    assert said == [Say(DID_NOT_WORK)]


def test_what_was_asked_meanwhile_is_answered_after_the_tools_answer() -> None:
    _, said = told(booking(), "Book a table.", '{"number": 17}', then="Purple elephants.")

    assert said[0] == Say("Your number is 17.")
    assert len(said) > 1


def test_arguments_without_an_action_are_refused() -> None:
    with pytest.raises(ValueError, match="belong to an action"):
        NoMatchSpec(answer="Pardon?", arguments={"to": "sales"})
