"""The ledger never claims more than was heard: neither more than was sent, nor more than its model said."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.events import Heard
from agents.mulaw import FRAME_MS
from agents.realtime import SpokenItem
from channels.line_clock import LineClock, Span
from channels.play_queue import ENDED_MS, MAX_RUNS
from channels.playback import MAX_CUTS, Cut, Playback
from tests.far_line import FarLine

HELLO, GOODBYE = SpokenItem("r1", "hello"), SpokenItem("r1", "goodbye", 1)


def send(playback: Playback, item: SpokenItem, ms: float, now: float) -> str:
    """Sends audio as a line does that holds none back: the mark's name."""
    playback.received(item, ms)
    playback.sent(item, ms, now)
    return playback.mark(now)


def at(moment: float) -> Span:
    return Span(moment, moment)


# ---- how much was heard, by the clock ----


def test_a_new_line_is_silent_and_has_nothing_to_play() -> None:
    playback = Playback()

    assert playback.is_silent
    assert playback.remaining_s(5.0) == 0
    assert playback.clear(5.0).heard == ()


@pytest.mark.parametrize(("now", "heard_ms"), [(5.0, 0), (5.1234, 123), (5.999, 999)])
def test_without_a_mark_the_clock_says_how_much_was_heard(now: float, heard_ms: int) -> None:
    playback = Playback()
    send(playback, HELLO, 1000, 5.0)

    assert playback.clear(now).heard == (Heard("hello", 0, heard_ms, 1000),)


def test_with_100_ms_acknowledged_and_200_ms_sent_150_ms_are_heard_50_ms_later() -> None:
    playback = Playback()
    first = send(playback, HELLO, 100, 0.0)
    send(playback, HELLO, 100, 0.0)
    playback.echoed(first, at(0.1))

    assert playback.clear(0.15).heard == (Heard("hello", 0, 150, 200),)


def test_with_nothing_acknowledged_and_100_ms_sent_50_ms_are_heard_50_ms_later() -> None:
    playback = Playback()
    send(playback, HELLO, 100, 0.0)

    assert playback.clear(0.05).heard == (Heard("hello", 0, 50, 100),)


def test_of_20_125_ms_sent_and_acknowledged_20_are_heard() -> None:
    playback = Playback()
    playback.echoed(send(playback, HELLO, 20.125, 0.0), at(0.020125))

    assert playback.clear(0.1).heard == (Heard("hello", 0, 20, 20),)


def test_a_mark_that_comes_late_sets_the_clock_back() -> None:
    playback = Playback()
    first = send(playback, HELLO, 200, 0.0)
    send(playback, HELLO, 800, 0.0)
    playback.echoed(first, at(0.5))

    assert playback.clear(0.6).heard == (Heard("hello", 0, 300, 1000),)


def test_a_mark_that_comes_early_sets_the_clock_forward() -> None:
    playback = Playback()
    first = send(playback, HELLO, 200, 0.0)
    send(playback, HELLO, 800, 0.0)
    playback.echoed(first, at(0.1))

    assert playback.clear(0.125).heard == (Heard("hello", 0, 225, 1000),)


def test_nothing_is_heard_beyond_what_was_sent() -> None:
    playback = Playback()
    playback.received(HELLO, 500)
    playback.sent(HELLO, 480, 0.0)

    assert playback.clear(60.0).heard == (Heard("hello", 0, 480, 500),)


def test_padding_counts_for_nothing_beyond_the_audio_received() -> None:
    playback = Playback()
    playback.received(HELLO, 30)
    playback.sent(HELLO, 40, 0.0)
    playback.ended(HELLO)
    playback.received(GOODBYE, 100)
    playback.sent(GOODBYE, 100, 0.0)

    assert playback.clear(0.035).heard == (Heard("goodbye", 1, 0, 100),)


def test_an_item_whose_end_is_held_back_does_not_borrow_time_from_the_next() -> None:
    playback = Playback()
    playback.received(HELLO, 100)
    playback.sent(HELLO, 60, 0.0)
    send(playback, GOODBYE, 100, 0.0)

    assert playback.clear(0.15).heard == (Heard("hello", 0, 60, 100), Heard("goodbye", 1, 90, 100))


def test_audio_that_was_received_and_not_yet_sent_was_not_heard() -> None:
    playback = Playback()
    playback.received(HELLO, 15)

    assert not playback.is_silent
    assert playback.clear(9.0).heard == (Heard("hello", 0, 0, 15),)


def test_an_item_that_ended_without_having_been_sent_was_not_heard() -> None:
    playback = Playback()
    playback.received(HELLO, 500)
    playback.ended(HELLO)

    assert not playback.finished
    assert playback.clear(9.0).heard == (Heard("hello", 0, 0, 500),)


def test_of_two_queued_items_the_first_is_at_its_position_and_the_second_at_0() -> None:
    playback = Playback()
    send(playback, HELLO, 500, 0.0)
    playback.ended(HELLO)
    send(playback, GOODBYE, 500, 0.1)

    assert playback.clear(0.3).heard == (Heard("hello", 0, 300, 500), Heard("goodbye", 1, 0, 500))


def test_an_item_heard_to_its_end_is_not_among_the_unheard() -> None:
    playback = Playback()
    send(playback, HELLO, 500, 0.0)
    playback.ended(HELLO)
    send(playback, GOODBYE, 500, 0.1)

    assert playback.clear(0.75).heard == (Heard("goodbye", 1, 250, 500),)


def test_a_pause_in_the_middle_of_an_item_counts_for_nothing() -> None:
    playback = Playback()
    send(playback, HELLO, 100, 0.0)
    send(playback, HELLO, 300, 1.0)

    assert playback.clear(1.05).heard == (Heard("hello", 0, 150, 400),)


def test_a_pause_in_the_middle_of_an_item_keeps_the_positions_of_its_marks() -> None:
    playback = Playback()
    playback.echoed(send(playback, HELLO, 100, 0.0), at(0.1))
    second = send(playback, HELLO, 100, 1.0)
    send(playback, HELLO, 100, 1.0)
    playback.echoed(second, at(1.15))

    assert playback.clear(1.2).heard == (Heard("hello", 0, 250, 300),)


def test_a_mark_from_before_a_pause_that_comes_after_it_moves_nothing_back() -> None:
    playback = Playback()
    first, second = send(playback, HELLO, 100, 0.0), send(playback, HELLO, 100, 0.0)
    send(playback, HELLO, 100, 1.0)
    playback.echoed(first, at(1.05))
    playback.echoed(second, at(1.06))

    assert playback.clear(1.07).heard == (Heard("hello", 0, 210, 300),)


# ---- items that are sent in pieces ----


def test_an_item_that_goes_on_behind_another_is_one_item_when_it_is_cut() -> None:
    playback = Playback()
    for item in (HELLO, GOODBYE, HELLO):
        send(playback, item, 100, 0.0)

    assert playback.clear(0.05).heard == (Heard("hello", 0, 50, 200), Heard("goodbye", 1, 0, 100))
    for item in (HELLO, GOODBYE, HELLO):
        send(playback, item, 100, 1.0)
    assert playback.clear(1.25).heard == (Heard("hello", 0, 150, 200), Heard("goodbye", 1, 100, 100))


def test_an_item_that_goes_on_behind_another_is_told_once_when_it_was_heard() -> None:
    playback = Playback()
    marks = [send(playback, item, 100, 0.0) for item in (HELLO, GOODBYE, HELLO)]
    playback.ended(GOODBYE)
    playback.ended(HELLO)

    told = []
    for number, name in enumerate(marks, start=1):
        playback.echoed(name, at(number / 10))
        told.append(list(playback.finished))

    assert told == [[], [Heard("goodbye", 1, 100, 100)], [Heard("goodbye", 1, 100, 100), Heard("hello", 0, 200, 200)]]


def test_the_part_of_an_item_that_was_heard_before_another_counts_when_the_rest_is_cut() -> None:
    playback = Playback()
    marks = []
    for item in (HELLO, GOODBYE, HELLO):
        marks.append(send(playback, item, 100, 0.0))
        playback.ended(item)
    playback.echoed(marks[0], at(0.1))
    playback.echoed(marks[1], at(0.2))

    assert playback.clear(0.25).heard == (Heard("hello", 0, 150, 200),)


def test_an_item_that_goes_on_after_it_was_said_to_have_ended_is_unheard_until_it_ends_again() -> None:
    playback = Playback()
    send(playback, HELLO, 100, 0.0)
    playback.ended(HELLO)
    playback.echoed(send(playback, HELLO, 100, 0.0), at(0.2))
    before = list(playback.finished)

    playback.ended(HELLO)

    assert before == []
    assert list(playback.finished) == [Heard("hello", 0, 200, 200)]


def test_an_item_that_goes_on_after_it_was_said_to_have_ended_has_not_ended() -> None:
    playback = Playback()
    first = send(playback, HELLO, 100, 0.0)
    playback.ended(HELLO)
    playback.received(HELLO, 100)

    playback.echoed(first, at(0.1))

    assert not playback.finished
    assert playback.clear(0.2).heard == (Heard("hello", 0, 100, 200),)


# ---- marks and silence ----


def test_marks_and_fences_are_unique_for_the_life_of_the_line() -> None:
    playback = Playback()

    names = [playback.mark(0.0) for _ in range(5)]
    names.append(playback.clear(0.0).fence)
    names += [playback.mark(0.0) for _ in range(5)]

    assert len(set(names)) == 11


def test_the_first_mark_tells_the_round_trip_and_the_least_of_all_is_kept() -> None:
    playback = Playback()
    before = playback.round_trip_s
    playback.echoed(playback.mark(1.0), at(1.25))
    measured = playback.round_trip_s
    playback.echoed(playback.clear(2.0).fence, at(2.125))
    playback.echoed(playback.clear(3.0).fence, at(3.5))

    assert (before, measured, playback.round_trip_s) == (0.0, 0.25, 0.125)


def test_of_the_time_that_a_mark_may_have_taken_the_least_is_the_round_trip() -> None:
    playback = Playback()
    playback.echoed(playback.mark(1.0), Span(1.125, 1.5))

    assert playback.round_trip_s == 0.125


def test_audio_is_heard_a_round_trip_later_by_the_clock_of_what_comes_back() -> None:
    playback = Playback()
    playback.echoed(playback.mark(0.0), at(0.25))
    send(playback, HELLO, 1000, 1.0)

    # A clear that is sent at 1.5 arrives a round trip later as well.
    assert playback.clear(1.5).heard == (Heard("hello", 0, 500, 1000),)


def test_a_mark_counts_once() -> None:
    playback = Playback()
    name = send(playback, HELLO, 200, 0.0)
    send(playback, HELLO, 200, 0.0)
    playback.echoed(name, at(0.2))
    playback.echoed(name, at(0.9))

    assert playback.clear(0.3).heard == (Heard("hello", 0, 300, 400),)


@pytest.mark.parametrize("name", ["", "m0", "m2", "m99", "never ours"])
def test_a_mark_that_was_never_made_counts_for_nothing(name: str) -> None:
    playback = Playback()
    send(playback, HELLO, 200, 0.0)

    assert playback.echoed(name, at(0.0)) is None
    assert playback.clear(0.1).heard == (Heard("hello", 0, 100, 200),)


def test_the_line_is_silent_when_the_item_has_ended_and_its_last_mark_is_back() -> None:
    playback = Playback()
    first, last = send(playback, HELLO, 200, 0.0), send(playback, HELLO, 200, 0.0)
    steps: list[Callable[[], object]] = [
        lambda: playback.echoed(first, at(0.2)),
        lambda: playback.ended(HELLO),
        lambda: playback.echoed(last, at(0.4)),
    ]

    states = []
    for step in steps:
        states.append(playback.is_silent)
        step()

    assert states == [False] * 3
    assert playback.is_silent
    assert list(playback.finished) == [Heard("hello", 0, 400, 400)]


def test_an_item_that_ends_after_its_last_mark_is_back_ends_the_sound() -> None:
    playback = Playback()
    playback.echoed(send(playback, HELLO, 200, 0.0), at(0.2))
    before = playback.is_silent, list(playback.finished)

    playback.ended(HELLO)

    assert before == (False, [])
    assert playback.is_silent
    assert list(playback.finished) == [Heard("hello", 0, 200, 200)]


def test_time_alone_does_not_make_the_line_silent_but_tells_that_it_will_be_over() -> None:
    playback = Playback()
    first = send(playback, HELLO, 200, 0.0)
    send(playback, HELLO, 200, 0.0)
    playback.ended(HELLO)
    without_a_mark = playback.is_over_by(60.0)
    playback.echoed(first, at(0.2))

    assert not without_a_mark
    assert (playback.is_over_by(0.3), playback.is_over_by(0.4)) == (False, True)
    assert not playback.is_silent


def test_audio_may_find_the_line_dry_where_less_than_100_ms_are_left() -> None:
    playback = Playback()
    before = playback.may_run_dry(0.0)
    send(playback, HELLO, 400, 0.0)

    assert before
    assert (playback.may_run_dry(0.29), playback.may_run_dry(0.31)) == (False, True)


# ---- clearing ----


def test_of_two_clears_the_second_finds_nothing() -> None:
    playback = Playback()
    send(playback, HELLO, 500, 0.0)

    assert playback.clear(0.1).heard != ()
    assert playback.is_silent
    assert playback.clear(0.2).heard == ()


def test_marks_returned_because_of_clear_do_not_count_as_played() -> None:
    playback = Playback()
    cleared = [send(playback, HELLO, 200, 0.0) for _ in range(3)]
    playback.ended(HELLO)
    playback.clear(0.1)
    send(playback, GOODBYE, 1000, 0.5)

    settled = [playback.echoed(name, at(0.51)) for name in cleared]

    assert settled == [None] * 3
    assert not playback.finished
    assert playback.clear(0.625).heard == (Heard("goodbye", 1, 125, 1000),)


def test_an_item_goes_on_from_0_after_a_clear() -> None:
    playback = Playback()
    send(playback, HELLO, 500, 0.0)
    playback.clear(0.4)
    send(playback, HELLO, 500, 0.5)

    assert playback.clear(0.75).heard == (Heard("hello", 0, 250, 500),)


@pytest.mark.parametrize(("spread_s", "unheard"), [(0.002, True), (0.02, True), (0.1, False)])
def test_an_end_that_is_cut_by_a_hair_is_an_end_where_messages_come_late_one_by_one(
    spread_s: float, unheard: bool
) -> None:
    playback = Playback()
    send(playback, HELLO, 1000, 5.0)
    playback.ended(HELLO)

    cut = playback.clear(5.979)
    playback.echoed(cut.fence, at(5.979), spread_s)

    assert cut.heard == ((Heard("hello", 0, 979, 1000),) if unheard else ())


def test_a_fence_settles_its_cut_once() -> None:
    playback = Playback()
    send(playback, HELLO, 500, 0.0)
    cut = playback.clear(0.1)

    assert playback.echoed(cut.fence, at(0.1)) is cut
    assert playback.echoed(cut.fence, at(0.2)) is None


def test_a_fence_that_comes_back_settles_its_own_cut_after_another_clear() -> None:
    playback = Playback()
    send(playback, HELLO, 500, 0.0)
    first = playback.clear(0.1)
    send(playback, GOODBYE, 500, 0.1)
    second = playback.clear(0.2)

    assert [playback.echoed(cut.fence, at(0.3)) for cut in (first, second)] == [first, second]


def test_a_fence_passes_over_those_before_it_that_were_lost() -> None:
    playback = Playback()
    lost, found = playback.clear(0.0), playback.clear(0.1)

    assert playback.echoed(found.fence, at(0.2)) is found
    assert playback.echoed(lost.fence, at(0.3)) is None


def test_marks_that_come_back_out_of_order_settle_nothing_beyond_the_first_that_was_thrown_away() -> None:
    playback = Playback()
    near, far = send(playback, HELLO, 200, 0.0), send(playback, HELLO, 800, 0.0)
    cut = playback.clear(0.1)
    playback.echoed(far, at(0.1))
    playback.echoed(near, at(0.1))

    playback.echoed(cut.fence, at(0.1))

    assert cut.heard == (Heard("hello", 0, 100, 1000),)


def test_cuts_whose_fences_never_come_are_forgotten_after_so_many() -> None:
    playback = Playback()
    cuts = []
    for number in range(MAX_CUTS + 1):
        send(playback, HELLO, 500, number)
        cuts.append(playback.clear(number + 0.1))

    assert playback.echoed(cuts[0].fence, at(99.0)) is None
    assert playback.echoed(cuts[1].fence, at(99.0)) is cuts[1]


# ---- lines with delays: what the caller really heard is known ----


def replied(line: FarLine, cut_at: float) -> FarLine:
    """One second of speech that is cut."""
    line.open(0.0)
    line.say(1.0, HELLO, 1000)
    line.clear(cut_at)
    line.run(4.0)
    return line


def hello(heard_ms: int) -> tuple[Heard, ...]:
    return (Heard("hello", 0, heard_ms, 1000),)


@pytest.mark.parametrize(("out_s", "in_s"), [(0.0, 0.0), (0.04, 0.04), (0.12, 0.02), (0.02, 0.12), (0.3, 0.3)])
def test_on_a_line_with_delays_either_way_the_clock_and_the_fence_both_know_what_was_heard(
    out_s: float, in_s: float
) -> None:
    cutting = replied(FarLine(out_s, in_s), cut_at=1.5).cuts[0]

    assert cutting.truth_ms == pytest.approx(500)
    assert cutting.by_clock == hello(500)
    assert cutting.settled == hello(500)
    assert cutting.settled_at == pytest.approx(1.5 + out_s + in_s)


def test_a_hidden_delay_of_the_player_shows_in_its_first_mark() -> None:
    cutting = replied(FarLine(0.04, 0.04, hidden_s=0.18), cut_at=1.5).cuts[0]

    assert cutting.truth_ms == pytest.approx(320)
    assert cutting.by_clock == cutting.settled == hello(320)


def test_a_hidden_delay_that_no_mark_has_shown_yet_fools_the_clock_and_not_the_fence() -> None:
    cutting = replied(FarLine(0.04, 0.04, hidden_s=0.18), cut_at=1.21).cuts[0]

    assert cutting.truth_ms == pytest.approx(30)
    assert cutting.by_clock == hello(210)
    assert cutting.settled is not None
    assert cutting.settled[0].heard_ms == pytest.approx(30, abs=1)


def test_a_player_that_had_not_begun_has_played_less_than_a_frame() -> None:
    cutting = replied(FarLine(0.04, 0.04, hidden_s=0.18), cut_at=1.1).cuts[0]

    assert cutting.truth_ms == 0
    assert cutting.by_clock == hello(100)
    assert cutting.settled == hello(10)


@pytest.mark.parametrize("stall", [(1.3, 1.499), (1.501, 1.7)], ids=["before the clear", "after it"])
@pytest.mark.parametrize(("hidden_s", "truth_ms"), [(0.0, 500), (0.18, 320)])
def test_marks_and_frames_that_waited_200_ms_for_our_own_loop_are_dated_by_the_frames(
    stall: tuple[float, float], hidden_s: float, truth_ms: int
) -> None:
    cutting = replied(FarLine(0.04, 0.04, hidden_s, stalls=(stall,)), cut_at=1.5).cuts[0]

    assert cutting.truth_ms == pytest.approx(truth_ms)
    assert cutting.settled is not None
    assert cutting.settled[0].heard_ms == pytest.approx(truth_ms, abs=FRAME_MS / 2)


def test_a_line_that_ran_dry_because_the_model_paused_begins_anew() -> None:
    line = FarLine(0.04, 0.04)
    line.open(0.0)
    line.say(1.0, HELLO, 300, is_whole=False)
    line.say(1.8, HELLO, 700)
    line.clear(2.1)
    line.run(4.0)

    assert line.cuts[0].truth_ms == pytest.approx(600)
    assert line.cuts[0].by_clock == line.cuts[0].settled == hello(600)


def test_a_fence_that_is_lost_leaves_what_the_clock_says() -> None:
    line = FarLine(0.04, 0.04, returns=lambda name: name != "m10")

    cutting = replied(line, cut_at=1.5).cuts[0]

    assert cutting.cut.fence == "m10"
    assert cutting.settled is None
    assert cutting.cut.heard == hello(500)


def test_marks_in_flight_at_the_moment_of_the_clear_are_told_from_those_it_returns() -> None:
    cutting = replied(FarLine(0.2, 0.2), cut_at=1.25).cuts[0]

    assert cutting.truth_ms == pytest.approx(250)
    assert cutting.settled is not None
    assert cutting.settled[0].heard_ms == pytest.approx(250, abs=1)


@pytest.mark.parametrize(("hidden_s", "truth_ms"), [(0.0, 500), (0.18, 320)])
def test_a_carrier_that_does_not_return_cleared_marks_is_understood_too(hidden_s: float, truth_ms: int) -> None:
    cutting = replied(FarLine(0.04, 0.04, hidden_s, returns_cleared=False), cut_at=1.5).cuts[0]

    assert cutting.truth_ms == pytest.approx(truth_ms)
    assert cutting.settled == hello(truth_ms)


TIMESTAMPS: dict[str, Callable[[float], int | None]] = {
    "missing": lambda age_ms: None,
    "from another start": lambda age_ms: round(age_ms) + 53,
    "jumping on": lambda age_ms: round(age_ms) + (5000 if age_ms > 1200 else 0),
    "from 0 again": lambda age_ms: round(age_ms) - (1200 if age_ms > 1200 else 0),
    "going back": lambda age_ms: round(age_ms) + 1000 - (300 if age_ms > 1200 else 0),
    "standing still": lambda age_ms: min(1200, round(age_ms)),
    "too slow": lambda age_ms: round(age_ms * 0.99),
    "too fast": lambda age_ms: round(age_ms * 1.01),
}


@pytest.mark.parametrize("timestamp", TIMESTAMPS.values(), ids=TIMESTAMPS)
@pytest.mark.parametrize(("hidden_s", "truth_ms"), [(0.0, 500), (0.18, 320)])
def test_whatever_the_timestamps_of_a_carrier_say_what_was_heard_is_known_to_a_frame(
    timestamp: Callable[[float], int | None], hidden_s: float, truth_ms: int
) -> None:
    cutting = replied(FarLine(0.04, 0.04, hidden_s, timestamp=timestamp), cut_at=1.5).cuts[0]

    assert cutting.truth_ms == pytest.approx(truth_ms)
    assert cutting.settled is not None
    assert cutting.settled[0].heard_ms == pytest.approx(truth_ms, abs=FRAME_MS)


def test_two_cuts_whose_fences_come_back_one_after_the_other_are_both_settled() -> None:
    line = FarLine(0.1, 0.1)
    line.open(0.0)
    line.say(1.0, HELLO, 1000)
    line.clear(1.4)
    line.say(1.41, GOODBYE, 1000)
    line.clear(1.46)
    line.run(4.0)

    assert [cutting.truth_ms for cutting in line.cuts] == pytest.approx([400, 50])
    assert [cutting.settled for cutting in line.cuts] == [hello(400), (Heard("goodbye", 1, 50, 1000),)]
    assert [cutting.settled_at for cutting in line.cuts] == pytest.approx([1.6, 1.66])


def test_a_reply_that_begins_before_the_old_fence_is_back_is_followed_from_its_own_beginning() -> None:
    line = FarLine(0.1, 0.1)
    line.open(0.0)
    line.say(1.0, HELLO, 1000)
    line.clear(1.4)
    line.say(1.41, GOODBYE, 1000)
    line.clear(2.0)
    line.run(4.0)

    assert [cutting.settled for cutting in line.cuts] == [hello(400), (Heard("goodbye", 1, 590, 1000),)]


def test_each_item_that_is_heard_to_its_end_is_told_when_its_last_mark_is_back() -> None:
    line = FarLine(0.04, 0.04)
    line.open(0.0)
    line.say(1.0, HELLO, 1000)
    line.say(1.1, GOODBYE, 400)
    line.run(4.0)

    assert [heard for _, heard in line.finished] == [*hello(1000), Heard("goodbye", 1, 400, 400)]
    assert [when for when, _ in line.finished] == pytest.approx([2.08, 2.48])


def test_after_four_hours_of_call_what_was_heard_is_known_as_well() -> None:
    playback, clock, four_hours = Playback(), LineClock(), 4 * 3600
    for second in range(four_hours):
        clock.frame(second * 1000, 20, second + 0.05)
        playback.echoed(send(playback, HELLO, 1000, float(second)), clock.span(second + 1.0))
    send(playback, HELLO, 1000, float(four_hours))

    heard_ms = playback.clear(four_hours + 0.5).heard[0].heard_ms

    assert heard_ms == pytest.approx(four_hours * 1000 + 500, abs=1)


@settings(deadline=None, max_examples=150)
@given(
    out_ms=st.integers(0, 300),
    in_ms=st.integers(0, 300),
    hidden_ms=st.integers(0, 300),
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    cut_ms=st.integers(0, 2000),
)
def test_on_any_line_with_steady_delays_a_settled_cut_is_within_a_frame_of_the_truth(
    out_ms: int, in_ms: int, hidden_ms: int, lengths: list[int], cut_ms: int
) -> None:
    line = FarLine(out_ms / 1000, in_ms / 1000, hidden_ms / 1000)
    line.open(0.0)
    for number, frames in enumerate(lengths):
        line.say(1.0, SpokenItem("r1", f"item {number}"), frames * 20)
    line.clear(1.0 + cut_ms / 1000)
    line.run(5.0)

    told = {heard.item_id: heard.heard_ms for _, heard in line.finished}
    told |= {heard.item_id: heard.heard_ms for heard in line.cuts[0].settled or ()}
    lengths_ms = {f"item {number}": frames * 20 for number, frames in enumerate(lengths)}
    heard_ms = sum((lengths_ms | told).values())
    assert line.cuts[0].settled is not None
    assert abs(heard_ms - line.cuts[0].truth_ms) <= 20


# ---- any sequence ----

ITEMS = [SpokenItem("r1", "a"), SpokenItem("r1", "b"), SpokenItem("r2", "c")]
BOGUS = ("bogus mark", "doubled mark", "doubled fence")
ACTIONS = (
    *("received", "sent", "mark", "ended", "time", "frame", "clear"),
    *("next mark", "any mark", "cleared mark", "next fence", "any fence"),
    *BOGUS,
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(ACTIONS), st.sampled_from(ITEMS), st.integers(0, 24 * 500).map(lambda samples: samples / 24)
    ),
    max_size=60,
)


@dataclass
class Account:
    """Drives a ledger and keeps its own, simpler account of one generation."""

    has_frames: bool = True
    playback: Playback = field(default_factory=Playback)
    clock: LineClock = field(default_factory=LineClock)
    now: float = 0.0
    received: dict[str, float] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    live: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    cuts: list[tuple[Cut, dict[str, float], dict[str, float]]] = field(default_factory=list)
    told: list[object] = field(default_factory=list)

    def step(self, action: str, item: SpokenItem, ms: float) -> None:
        match action:
            case "received":
                self.playback.received(item, ms)
                self.received[item.item_id] = self.received.get(item.item_id, 0) + ms
            case "sent":
                self.playback.sent(item, ms, self.now)
                self.sent[item.item_id] = self.sent.get(item.item_id, 0) + ms
            case "mark":
                self.live.append(self.playback.mark(self.now))
            case "ended":
                self.playback.ended(item)
            case "time":
                self.now += ms / 1000
            case "frame" if self.has_frames:
                self.clock.frame(int(self.now * 1000 - ms / 10), 20, self.now)
            case "clear":
                self.clear()
            case "next mark" | "any mark" if self.live:
                self.echo(self.live.pop(0 if action == "next mark" else int(ms) % len(self.live)))
            case "cleared mark" if self.dead:
                self.echo(self.dead.pop(int(ms) % len(self.dead)))
            case "next fence" | "any fence" if self.cuts:
                self.echo(self.cuts[0 if action == "next fence" else int(ms) % len(self.cuts)][0].fence)
            case "bogus mark":
                self.echo(f"m{1000 + int(ms)}")
            case "doubled mark" | "doubled fence" if self.used:
                self.echo(self.used[int(ms) % len(self.used)])
        self.check_finished()

    def clear(self) -> None:
        cut = self.playback.clear(self.now)
        self.check(cut, self.received, self.sent)
        assert self.playback.is_silent
        self.cuts.append((cut, self.received, self.sent))
        self.dead += self.live
        self.live, self.received, self.sent = [], {}, {}
        self.told.append(cut.heard)

    def echo(self, name: str) -> None:
        self.used.append(name)
        settled = self.playback.echoed(name, self.clock.span(self.now))
        for each in list(self.cuts):
            if each[0] is settled:
                self.check(*each)
                self.cuts.remove(each)
                self.told.append(settled.heard)

    def check(self, cut: Cut, received: dict[str, float], sent: dict[str, float]) -> None:
        names = [heard.item_id for heard in cut.heard]
        assert len(set(names)) == len(names)
        for heard in cut.heard:
            assert 0 <= heard.heard_ms <= heard.sent_ms
            assert heard.sent_ms <= received.get(heard.item_id, 0) + 0.001
            assert heard.heard_ms <= (sent[heard.item_id] + ENDED_MS if heard.item_id in sent else 0)

    def check_finished(self) -> None:
        while self.playback.finished:
            heard = self.playback.finished.popleft()
            assert heard.heard_ms == heard.sent_ms <= self.received.get(heard.item_id, 0) + 0.001
            assert heard.sent_ms <= self.sent.get(heard.item_id, 0) + 10
            self.told.append(heard)


@settings(deadline=None, max_examples=300)
@given(STEPS, st.booleans())
def test_for_any_sequence_heard_is_never_below_0_nor_above_what_was_received_or_sent(
    steps: list[tuple[str, SpokenItem, float]], has_frames: bool
) -> None:
    account = Account(has_frames)

    for action, item, ms in steps:
        account.step(action, item, ms)
        assert 0 <= account.playback.remaining_s(account.now) <= sum(account.sent.values()) / 1000 + 0.001
    account.step("clear", HELLO, 0)
    for cut, _, _ in list(account.cuts):
        account.echo(cut.fence)


SAID = ("received", "sent", "mark")
CONVERSATIONS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                SAID,
                SAID,
                ("received",),
                ("ended",),
                ("time", "next mark"),
                ("clear",),
                ("cleared mark",),
                ("next fence",),
            )
        ),
        st.sampled_from(ITEMS[:2]),
        st.integers(0, 500),
    ),
    max_size=40,
)
"""Less of everything than STEPS, for items that often go on behind one another and are often heard to their end."""


@settings(deadline=None, max_examples=300)
@given(CONVERSATIONS)
def test_for_any_sequence_all_that_was_received_was_heard_or_not_and_nothing_is_counted_twice(
    conversation: list[tuple[tuple[str, ...], SpokenItem, int]],
) -> None:
    account = Account()
    received, heard, left_ms = Counter[str](), Counter[str](), Counter[str]()
    unended: set[str] = set()
    cuts: list[tuple[Cut, Counter[str], set[str]]] = []

    steps = [(action, item, ms) for actions, item, ms in conversation for action in actions]
    for action, item, ms in [*steps, ("clear", HELLO, 0)]:
        account.told.clear()
        account.step(action, item, ms)
        for told in account.told:
            if isinstance(told, Heard):
                heard[told.item_id] += told.heard_ms
                left_ms[told.item_id] -= told.heard_ms
        match action:
            case "received":
                received[item.item_id] += ms
                left_ms[item.item_id] += ms
                unended.add(item.item_id)
            case "sent":
                unended.add(item.item_id)
            case "ended":
                unended.discard(item.item_id)
            case "clear":
                cuts.append((account.cuts[-1][0], left_ms, unended))
                left_ms, unended = Counter(), set()
    for cut, *_ in list(account.cuts):
        account.echo(cut.fence)

    unheard = Counter[str]()
    for cut, cut_ms, cannot_be_heard in cuts:
        told_of = {each.item_id: each for each in cut.heard}
        assert cannot_be_heard <= set(told_of)
        for name, ms in cut_ms.items():
            heard[name] += told_of[name].heard_ms if name in told_of else ms
            unheard[name] += told_of[name].sent_ms - told_of[name].heard_ms if name in told_of else 0
    assert {name: heard[name] + unheard[name] for name in received} == received
    assert heard.total() + unheard.total() == received.total()


@settings(deadline=None, max_examples=200)
@given(STEPS)
def test_for_any_sequence_marks_that_are_unknown_or_come_twice_change_nothing(
    steps: list[tuple[str, SpokenItem, float]],
) -> None:
    with_them, without_them = Account(), Account()

    for action, item, ms in [*steps, ("clear", HELLO, 0.0)]:
        with_them.step(action, item, ms)
        if action not in BOGUS:
            without_them.step(action, item, ms)

    assert with_them.told == without_them.told


@settings(deadline=None, max_examples=200)
@given(STEPS)
def test_for_any_sequence_cleared_marks_do_not_change_what_is_told_of_later_audio(
    steps: list[tuple[str, SpokenItem, float]],
) -> None:
    with_them, without_them = Account(), Account()

    for action, item, ms in [*steps, ("clear", HELLO, 0.0)]:
        if "fence" in action:
            continue  # what a settled cut was is theirs to change
        with_them.step(action, item, ms)
        if action not in ("cleared mark", *BOGUS):
            without_them.step(action, item, ms)

    assert with_them.told == without_them.told


@settings(deadline=None, max_examples=200)
@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=12),
    cut_ms=st.integers(0, 3000),
    lost=st.sets(st.integers(0, 11)),
    late=st.sets(st.integers(0, 11)),
    is_returned=st.booleans(),
    shuffled=st.randoms(use_true_random=False),
)
def test_a_settled_cut_is_never_beyond_the_first_mark_that_was_surely_thrown_away(
    lengths: list[int], cut_ms: int, lost: set[int], late: set[int], is_returned: bool, shuffled: Random
) -> None:
    playback, now = Playback(), cut_ms / 1000
    names = [send(playback, HELLO, ms, 0.0) for ms in lengths]
    ends = list(accumulate(lengths))
    reached = [name for name, end in zip(names, ends, strict=True) if end <= cut_ms]
    thrown = [name for name in names if name not in reached and is_returned]
    behind = [name for number, name in enumerate(reached) if number in late - lost]
    for number, (name, end) in enumerate(zip(reached, ends, strict=False)):
        if number not in lost | late:
            playback.echoed(name, at(end / 1000))

    cut = playback.clear(now)
    for name in shuffled.sample(behind + thrown, len(behind + thrown)):
        playback.echoed(name, at(now))
    playback.echoed(cut.fence, at(now))

    first_thrown_ms = next((end for end in ends if end > cut_ms), sum(lengths))
    assert 0 <= cut.heard[0].heard_ms <= first_thrown_ms <= cut.heard[0].sent_ms == sum(lengths)


def test_a_line_that_is_cut_for_hours_and_returns_nothing_keeps_a_bounded_account() -> None:
    playback, names = Playback(), []
    for number in range(5_000):
        names.append(send(playback, SpokenItem("r1", f"item {number}"), 20, number))
        names.append(playback.clear(number + 0.01).fence)

    settled = [cut for name in names if (cut := playback.echoed(name, at(9_999.0)))]

    assert len(settled) == MAX_CUTS
    assert all(cut.heard[0].item_id == f"item {5_000 - MAX_CUTS + number}" for number, cut in enumerate(settled))


def test_what_was_heard_and_nobody_asks_for_is_kept_for_so_many_items() -> None:
    playback = Playback()
    for number in range(MAX_RUNS + 100):
        item = SpokenItem("r1", f"item {number}")
        name = send(playback, item, 20, float(number))
        playback.ended(item)
        playback.echoed(name, at(number + 0.02))

    assert len(playback.finished) == MAX_RUNS
    assert playback.finished[0].item_id == "item 100"


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(["time", "next mark"]), st.floats(0, 300)), max_size=30),
)
def test_at_most_one_item_is_between_its_ends_and_later_ones_are_at_0(
    pieces: list[int], steps: list[tuple[str, float]]
) -> None:
    account = Account()
    for number, count in enumerate(pieces):
        item = SpokenItem("r1", f"item {number}")
        for _ in range(count):
            account.step("received", item, 100)
            account.step("sent", item, 100)
            account.step("mark", item, 0)
        account.step("ended", item, 0)

    for action, ms in steps:
        account.step(action, HELLO, ms)
    cut = account.playback.clear(account.now)
    by_clock = cut.heard
    account.playback.echoed(cut.fence, at(account.now))

    for heard in (by_clock, cut.heard):
        names = [each.item_id for each in heard]
        assert names == [f"item {number}" for number in range(len(pieces))][len(pieces) - len(names) :]
        assert all(each.heard_ms == 0 for each in heard[1:])
        assert all(each.heard_ms < each.sent_ms for each in heard)


@settings(deadline=None)
@given(STEPS)
def test_a_line_is_silent_once_every_item_has_ended_was_sent_and_every_mark_is_back(
    steps: list[tuple[str, SpokenItem, float]],
) -> None:
    account = Account()
    for action, item, ms in steps:
        if action != "received":
            account.step(action, item, ms)
        if action == "sent":
            account.step("received", item, ms)

    for item in ITEMS:
        account.step("ended", item, 0)
    account.step("mark", HELLO, 0)
    while account.live:
        account.step("next mark", HELLO, 0)

    assert account.playback.is_silent
