"""What is still to be played: positions by clock and by mark, in bounded memory."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.events import Heard
from agents.realtime import SpokenItem
from channels.line_clock import Span
from channels.play_queue import ENDED_MS, MAX_MARKS, MAX_RUNS, PlayQueue, begun

HELLO, GOODBYE = SpokenItem("r1", "hello"), SpokenItem("r1", "goodbye", 1)


def speak(queue: PlayQueue, item: SpokenItem, ms: float, arrives_at: float) -> None:
    queue.stretch(item).audio_ms += ms
    queue.sent(item, ms, arrives_at)


def at(moment: float) -> Span:
    return Span(moment, moment)


def item(number: int) -> SpokenItem:
    return SpokenItem("r1", f"item {number}")


# ---- the clock ----


def test_audio_plays_from_when_it_arrives_to_its_end() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 500, 5.0)

    assert [queue.position_ms(now) for now in (4.0, 5.0, 5.25, 5.5, 9.0)] == [0, 0, 250, 500, 500]


def test_audio_that_arrives_while_there_is_some_follows_it() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 500, 5.0)
    speak(queue, HELLO, 500, 5.25)

    assert queue.position_ms(5.75) == 750


def test_audio_that_arrives_when_there_is_none_begins_then() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 500, 5.0)
    speak(queue, HELLO, 500, 7.0)

    assert [queue.position_ms(now) for now in (6.0, 7.0, 7.25)] == [500, 500, 750]


def test_a_mark_narrows_down_when_playing_began() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 1000, 5.0)
    queue.reached(200, Span(5.25, 5.5))
    queue.reached(400, Span(5.25, 5.75))

    assert queue.start(300) == pytest.approx((5.05, 5.3))
    assert begun(queue.start(300)) == pytest.approx(5.175)


def test_a_mark_that_contradicts_those_before_it_wins() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 1000, 5.0)
    queue.reached(200, at(5.2))
    queue.reached(400, at(6.4))

    assert queue.start(300) == pytest.approx((6.0, 6.0))


def test_playing_is_taken_to_have_begun_as_early_as_can_be_until_a_mark_was_reached() -> None:
    assert begun(Span(5.0, inf)) == 5.0
    assert begun(Span(5.0, 6.0)) == 5.5


def test_a_line_that_is_known_to_be_late_is_late_with_what_follows_a_pause_too() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 200, 5.0)
    queue.mark("a", 5.0)
    speak(queue, HELLO, 200, 5.3)

    queue.reached(200, at(5.8))

    # The first 200 ms were played from 5.6 to 5.8: the rest, which came at 5.3, follows.
    assert queue.position_ms(5.9) == pytest.approx(300)


def test_a_mark_of_a_later_run_is_proof_that_those_before_are_played() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 100, 5.0)
    speak(queue, HELLO, 100, 6.0)
    speak(queue, HELLO, 100, 7.0)

    queue.reached(300, at(7.5))

    assert queue.played_ms == 300
    assert queue.start(50) == queue.start(300) == pytest.approx((7.2, 7.2))


def test_a_late_mark_of_a_run_that_is_over_changes_nothing() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 100, 5.0)
    speak(queue, HELLO, 500, 6.0)
    queue.reached(200, at(6.1))

    queue.reached(100, at(6.9))

    assert queue.played_ms == 200
    assert queue.position_ms(6.2) == pytest.approx(300)


def test_the_run_that_a_mark_tells_of_began_no_earlier_than_those_before_it() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 200, 5.0)
    speak(queue, HELLO, 200, 5.3)
    queue.reached(200, at(5.8))

    queue.reached(400, Span(5.5, 6.1))

    assert queue.start(400) == pytest.approx((5.6, 5.7))


# ---- where the line was when it had not reached a mark ----


def test_the_clock_is_believed_below_a_mark_that_was_not_reached() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 1000, 5.0)
    queue.reached(200, at(5.2))

    assert queue.position_below(400, at(5.3)) == pytest.approx(300)


def test_a_clock_just_beyond_a_mark_that_was_not_reached_is_held_there() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 1000, 5.0)
    queue.reached(200, at(5.2))

    assert queue.position_below(400, at(5.41)) == 400


def test_a_clock_that_is_far_beyond_a_mark_that_was_not_reached_has_missed_a_stop() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 1000, 5.0)
    queue.reached(200, at(5.2))

    assert queue.position_below(400, at(5.6)) == 300


def test_within_the_first_frame_a_clock_that_must_be_wrong_is_not_asked() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 1000, 5.0)

    assert queue.position_below(20, at(5.5)) == 10


@pytest.mark.parametrize(("now", "position_ms"), [(5.0, 5), (5.01, 10), (5.02, 15), (5.029, 19.5)])
def test_within_the_first_frame_a_clock_that_may_be_right_is_met_half_way(now: float, position_ms: float) -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 1000, 5.0)

    assert queue.position_below(20, at(now)) == pytest.approx(position_ms)


# ---- items ----


def test_audio_that_is_sent_without_having_been_counted_as_received_has_its_place_all_the_same() -> None:
    queue = PlayQueue()
    queue.sent(HELLO, 100, 5.0)
    queue.stretch(HELLO).audio_ms += 100

    assert queue.unheard(60) == (Heard("hello", 0, 60, 100),)


def test_less_than_half_a_frame_unheard_is_an_item_heard_to_its_end() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 100, 5.0)
    queue.stretches[0].has_ended = True

    assert queue.unheard(100 - ENDED_MS) == (Heard("hello", 0, 90, 100),)
    assert queue.unheard(100 - ENDED_MS + 0.5) == ()


def test_an_item_shorter_than_half_a_frame_is_unheard_until_it_has_begun() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 100, 5.0)
    speak(queue, GOODBYE, 5, 5.0)
    for stretch in queue.stretches:
        stretch.has_ended = True

    assert queue.unheard(60) == (Heard("hello", 0, 60, 100), Heard("goodbye", 1, 0, 5))
    assert queue.unheard(100) == (Heard("goodbye", 1, 0, 5),)
    assert queue.unheard(101) == ()


def test_an_item_that_has_not_ended_is_unheard_even_where_all_that_came_was_played() -> None:
    queue = PlayQueue()
    speak(queue, HELLO, 100, 5.0)

    assert queue.unheard(100) == (Heard("hello", 0, 100, 100),)
    assert queue.take_heard() is None


# ---- bounds ----


def test_a_mark_on_a_line_with_nothing_left_to_play_is_told_apart() -> None:
    queue = PlayQueue()
    queue.mark("opening", 1.0)
    speak(queue, HELLO, 100, 5.0)
    queue.mark("behind", 5.0)
    queue.reached(100, at(5.1))
    queue.mark("after", 6.0)

    assert {name: mark.asked_at for name, mark in queue.marks.items()} == {"opening": 1.0, "behind": None, "after": 6.0}


def test_of_too_many_marks_every_second_is_forgotten_and_the_first_and_last_are_kept() -> None:
    queue = PlayQueue()
    for number in range(10 * MAX_MARKS):
        speak(queue, HELLO, 1, 5.0)
        queue.mark(f"m{number}", 5.0)
        assert len(queue.marks) <= MAX_MARKS

    positions = [mark.position_ms for mark in queue.marks.values()]
    assert (positions[0], positions[-1]) == (1, 10 * MAX_MARKS)
    assert positions == sorted(positions)


def test_of_a_line_that_runs_dry_again_and_again_and_returns_no_mark_the_last_pauses_are_kept() -> None:
    queue = PlayQueue()
    for number in range(MAX_RUNS + 100):
        speak(queue, HELLO, 20, float(number))

    assert len(queue.runs) == MAX_RUNS
    assert queue.position_ms(MAX_RUNS + 99 + 0.01) == pytest.approx((MAX_RUNS + 99) * 20 + 10)


def test_a_mark_of_a_pause_that_was_forgotten_still_counts_as_played() -> None:
    queue = PlayQueue()
    for number in range(MAX_RUNS + 100):
        speak(queue, HELLO, 20, float(number))

    queue.reached(1000, at(50.0))

    assert queue.played_ms == 1000


def test_of_too_many_items_that_no_mark_tells_of_the_last_are_kept() -> None:
    queue = PlayQueue()
    for number in range(MAX_RUNS + 100):
        speak(queue, item(number), 20, 5.0)

    assert len(queue.unheard(0)) == MAX_RUNS
    assert queue.unheard(0)[-1] == Heard(f"item {MAX_RUNS + 99}", 0, 0, 20)


def test_marks_that_come_back_make_room() -> None:
    queue = PlayQueue()
    for number in range(MAX_RUNS + 100):
        speak(queue, item(number), 20, float(number))
        queue.stretches[-1].has_ended = True
        queue.reached(queue.sent_ms, at(number + 0.02))
        assert queue.take_heard() == Heard(f"item {number}", 0, 20, 20)

    assert (len(queue.stretches), len(queue.runs)) == (0, 1)


# ---- any sequence ----

STEPS = st.lists(
    st.tuples(st.sampled_from(["sent", "mark", "time"]), st.floats(0, 500), st.floats(0, 0.5), st.floats(0, 0.5)),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS)
def test_for_any_sequence_what_is_played_grows_and_is_never_more_than_was_sent(
    steps: list[tuple[str, float, float, float]],
) -> None:
    queue, now = PlayQueue(), 1.0

    for action, ms, before_s, width_s in steps:
        played_ms = queue.played_ms
        match action:
            case "sent":
                speak(queue, HELLO, ms, now)
            case "mark":
                queue.reached(min(ms, queue.sent_ms), Span(now - before_s - width_s, now - before_s))
            case "time":
                now += ms / 1000
        assert 0 <= played_ms <= queue.played_ms <= queue.sent_ms
        assert queue.played_ms <= queue.position_ms(now) <= queue.sent_ms
        assert queue.position_ms(now) <= queue.position_ms(now + before_s) <= queue.position_ms(inf)


@settings(deadline=None)
@given(STEPS)
def test_for_any_sequence_runs_follow_one_another_and_none_begins_before_the_one_ahead_of_it(
    steps: list[tuple[str, float, float, float]],
) -> None:
    queue, now = PlayQueue(), 1.0

    for action, ms, before_s, width_s in steps:
        match action:
            case "sent":
                speak(queue, HELLO, ms, now)
            case "mark":
                queue.reached(min(ms, queue.sent_ms), Span(now - before_s - width_s, now - before_s))
            case "time":
                now += ms / 1000
        ends = [run.from_ms for run in queue.runs[1:]] + [queue.sent_ms]
        starts = [queue.start(end) for end in ends]
        assert [run.from_ms for run in queue.runs] == sorted(run.from_ms for run in queue.runs)
        assert all(start.earliest <= start.latest for start in starts)
        assert all(start.earliest >= starts[0].earliest for start in starts)
