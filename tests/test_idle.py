"""The ladder counts the silence that the caller is left in, and no noise can hold it up for ever."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.idle import VOICE_HOLD_S, WORDS_S, IdleLadder, IdleStep

ASK = IdleStep(after_s=20, say="Are you still there?")
BYE = IdleStep(after_s=15, say="Goodbye.", hang_up=True)


def ladder(*steps: IdleStep, **more: Any) -> IdleLadder:
    """A ladder whose line started at 0."""
    made = IdleLadder(steps or (ASK, BYE), **more)
    made.line_started(0)
    return made


def agent_speaks(follows: IdleLadder, began: float, ended: float) -> None:
    follows.agent_began(began)
    follows.agent_ended(ended)


# ---- silence ----


def test_nothing_is_due_before_the_line_started() -> None:
    waiting = IdleLadder((ASK,))
    agent_speaks(waiting, 1, 2)

    assert waiting.due(1000) is None


def test_a_ladder_without_steps_never_asks() -> None:
    empty = IdleLadder(())
    empty.line_started(0)

    assert empty.due(10_000) is None


def test_a_caller_who_says_nothing_from_the_start_is_asked() -> None:
    silent = ladder()

    assert silent.due(19.9) is None
    assert silent.due(20) is ASK


def test_silence_counts_from_the_end_of_what_the_caller_heard() -> None:
    greeted = ladder()
    agent_speaks(greeted, 0.5, 6)

    assert greeted.due(25.9) is None
    assert greeted.due(26) is ASK


def test_silence_counts_from_the_end_of_a_greeting_that_was_asked_for_before_the_line_started() -> None:
    greeted = IdleLadder((ASK,))
    greeted.agent_began(-3)
    greeted.line_started(0)
    greeted.agent_ended(6)

    assert greeted.due(25.9) is None
    assert greeted.due(26) is ASK


def test_a_step_is_given_once() -> None:
    asked = ladder(ASK)
    asked.due(20)

    assert asked.due(21) is None
    assert asked.due(10_000) is None


def test_the_next_step_counts_from_the_end_of_the_announcement() -> None:
    asked = ladder()
    asked.due(20)
    agent_speaks(asked, 20, 22)

    assert asked.due(36.9) is None
    assert asked.due(37) is BYE


def test_the_next_step_counts_from_the_one_before_when_that_was_never_spoken() -> None:
    asked = ladder()
    asked.due(20)

    assert asked.due(34.9) is None
    assert asked.due(35) is BYE


def test_steps_come_in_order_however_late_they_are_asked_for() -> None:
    late = ladder()

    assert late.due(1000) is ASK
    assert late.due(1000) is None
    assert late.due(1015) is BYE


# ---- the caller's turns ----


def test_an_accepted_turn_starts_the_ladder_over() -> None:
    answered = ladder()
    answered.due(20)
    agent_speaks(answered, 20, 22)
    answered.turn_accepted(30)
    agent_speaks(answered, 31, 40)

    assert answered.due(59.9) is None
    assert answered.due(60) is ASK


def test_a_turn_that_nobody_answers_counts_from_itself() -> None:
    pressed = ladder()
    pressed.turn_accepted(15)

    assert pressed.due(34.9) is None
    assert pressed.due(35) is ASK


def test_a_turn_accepted_while_the_agent_speaks_counts_from_the_end_of_its_words() -> None:
    talking = ladder()
    talking.due(20)
    talking.agent_began(20)
    talking.turn_accepted(21)
    talking.agent_ended(30)

    assert talking.due(49.9) is None
    assert talking.due(50) is ASK


# ---- the agent at work ----


def test_nothing_is_due_while_the_agent_speaks_or_a_tool_works() -> None:
    working = ladder()
    working.agent_began(1)

    assert working.due(500) is None


def test_telling_the_same_state_again_changes_nothing() -> None:
    told = ladder()
    told.agent_began(1)
    told.agent_began(4)
    told.agent_ended(6)
    told.agent_ended(9)

    assert told.due(25.9) is None
    assert told.due(26) is ASK


# ---- noise ----


def test_a_voice_puts_a_step_off_until_its_words_could_have_come() -> None:
    speaking = ladder()
    speaking.voice_started()
    assert speaking.due(21) is None
    speaking.voice_stopped(22)

    assert speaking.due(22 + WORDS_S - 0.1) is None
    assert speaking.due(22 + WORDS_S) is ASK


def test_a_voice_that_never_stops_holds_a_step_up_for_a_bounded_time() -> None:
    noisy = ladder()
    noisy.voice_started()

    assert noisy.due(20 + VOICE_HOLD_S - 0.1) is None
    assert noisy.due(20 + VOICE_HOLD_S) is ASK
    assert noisy.due(35 + 2 * VOICE_HOLD_S - 0.1) is None
    assert noisy.due(35 + 2 * VOICE_HOLD_S) is BYE


def test_a_voice_after_the_question_puts_off_the_goodbye() -> None:
    back = ladder()
    back.due(20)
    agent_speaks(back, 20, 22)
    back.voice_started()

    assert back.due(40) is None


def test_a_sound_does_not_start_the_count_over() -> None:
    coughed = ladder()
    coughed.voice_started()
    coughed.voice_stopped(10)

    assert coughed.due(20) is ASK


def test_an_agent_that_speaks_unasked_is_given_its_silence() -> None:
    proactive = ladder()
    agent_speaks(proactive, 0, 5)
    agent_speaks(proactive, 15, 18)

    assert proactive.due(37.9) is None
    assert proactive.due(38) is ASK


def test_what_the_agent_says_unasked_however_long_is_not_silence() -> None:
    reading = ladder()
    agent_speaks(reading, 0, 5)
    reading.agent_began(10)
    reading.agent_began(90)
    reading.agent_ended(100)

    assert reading.due(119.9) is None
    assert reading.due(120) is ASK


def test_noise_after_a_late_answer_holds_a_step_up_from_the_end_of_the_answer() -> None:
    answered = ladder()
    agent_speaks(answered, 0, 5)
    answered.turn_accepted(10)
    agent_speaks(answered, 25, 30)
    answered.voice_started()

    assert answered.due(50 + VOICE_HOLD_S - 0.1) is None
    assert answered.due(50 + VOICE_HOLD_S) is ASK


def test_an_agent_that_keeps_answering_noise_cannot_put_the_step_off_for_ever() -> None:
    radio = ladder()
    agent_speaks(radio, 0, 5)
    given = []
    for second in range(5, 200, 10):
        given += [step for tick in range(6) if (step := radio.due(second + tick))]
        radio.voice_started()
        radio.voice_stopped(second + 6)
        agent_speaks(radio, second + 6, second + 10)

    assert given == [ASK, BYE]


def test_without_transcripts_a_voice_that_stops_is_a_turn() -> None:
    wordless = ladder(has_transcripts=False)
    wordless.due(20)
    wordless.voice_started()
    wordless.voice_stopped(30)

    assert wordless.due(49.9) is None
    assert wordless.due(50) is ASK


# ---- whatever happens ----

HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(["turn", "voice", "quiet", "speaks", "ends", "look"]), st.integers(0, 40)), max_size=60
)


@settings(deadline=None)
@given(HAPPENINGS)
def test_steps_come_in_order_and_only_into_the_agents_silence(happenings: list[tuple[str, int]]) -> None:
    follows, now, given, is_busy = ladder(), 0.0, 0, False
    for what, later in happenings:
        now += later
        match what:
            case "turn":
                follows.turn_accepted(now)
                given = 0
            case "voice":
                follows.voice_started()
            case "quiet":
                follows.voice_stopped(now)
            case "speaks":
                follows.agent_began(now)
                is_busy = True
            case "ends":
                follows.agent_ended(now)
                is_busy = False
        if step := follows.due(now):
            assert not is_busy
            assert step is (ASK, BYE)[given]
            given += 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 10), st.booleans(), st.floats(0, 60)), max_size=100))
def test_no_sequence_of_sounds_and_unasked_words_outlasts_the_bound(gaps: list[tuple[float, bool, float]]) -> None:
    follows, now, silent_s = ladder(ASK), 0.0, 0.0
    agent_speaks(follows, now, now)
    for gap_s, is_voice, speaks_s in gaps:
        follows.voice_started() if is_voice else follows.voice_stopped(now)
        now += gap_s
        silent_s += gap_s
        if follows.due(now):
            return
        agent_speaks(follows, now, now + speaks_s)
        now += speaks_s
    assert silent_s <= ASK.after_s + VOICE_HOLD_S + 1e-6


@pytest.mark.parametrize("after_s", [0.5, 3600])
def test_a_step_may_be_as_short_or_long_as_it_likes(after_s: float) -> None:
    patient = ladder(IdleStep(after_s=after_s, hang_up=True))

    assert patient.due(after_s - 0.01) is None
    assert patient.due(after_s) == IdleStep(after_s=after_s, say=None, hang_up=True)
