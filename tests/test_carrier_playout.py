import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.carrier.playout import BUFFER_FRAMES, Clearing, Playout, Tick

A, B, C = (bytes([value]) * 160 for value in (1, 2, 3))


def test_audio_plays_frame_by_frame_and_then_there_is_none() -> None:
    playout = Playout()
    playout.play(A + B, 0)

    assert [playout.tick(at_ms) for at_ms in (0, 20, 40)] == [Tick(0, A, 0), Tick(20, B, 20), Tick(40, None, 40)]


def test_audio_begins_to_sound_when_it_comes_whenever_the_ticks_are() -> None:
    playout = Playout()
    playout.play(A + B, 7)

    ticks = [playout.tick(at_ms) for at_ms in (0, 20, 40, 60)]

    assert [(tick.ulaw, tick.began_ms) for tick in ticks] == [(None, 0), (A, 7), (B, 27), (None, 60)]


def test_what_was_played_is_known_between_the_ticks_too() -> None:
    playout = Playout()
    playout.play(A + B, 7)

    assert [playout.played_ms(at_ms) for at_ms in (7, 12, 27, 46.5, 47, 60)] == [0, 5, 20, 39.5, 40, 40]


def test_audio_that_comes_while_there_is_some_left_follows_it_without_a_hole() -> None:
    playout = Playout(delay_ms=50)
    playout.play(A, 0)
    playout.play(B, 69)
    playout.play(C, 90)

    ticks = [playout.tick(at_ms) for at_ms in range(0, 180, 20)]

    assert [(tick.ulaw, tick.began_ms) for tick in ticks if tick.ulaw] == [(A, 50), (B, 70), (C, 140)]


def test_a_mark_is_reached_when_the_audio_before_it_has_sounded_to_its_end() -> None:
    playout = Playout()
    playout.play(A, 5)
    assert not playout.mark("first", 5)
    playout.play(B + C, 6)
    assert not playout.mark("second", 6)
    assert not playout.mark("third", 6)
    assert playout.next_mark_ms == 25

    assert playout.reached(24.9) == ()
    assert playout.reached(25) == ("first",)
    assert playout.next_mark_ms == 65
    assert playout.reached(64.9) == ()
    assert playout.reached(70) == ("second", "third")
    assert playout.next_mark_ms is None


def test_a_mark_on_an_empty_buffer_is_reached_at_once_but_not_while_the_last_frame_sounds() -> None:
    playout = Playout(delay_ms=10)
    assert playout.mark("before anything", 0)

    playout.play(A, 0)
    assert not playout.mark("before A sounds", 9)
    assert not playout.mark("while A sounds", 29)
    assert playout.reached(30) == ("before A sounds", "while A sounds")
    assert playout.mark("after A", 30)


def test_a_mark_that_nobody_asked_for_in_time_stays_before_those_that_follow() -> None:
    playout = Playout()
    playout.play(A, 0)
    playout.mark("first", 0)

    assert not playout.mark("second", 100)
    assert playout.reached(100) == ("first", "second")
    playout.play(B, 100)
    playout.mark("third", 100)
    playout.play(C, 1000)
    assert playout.reached(1000) == ("third",)


def test_clear_returns_unreached_marks_in_order_and_silences_the_phone() -> None:
    playout = Playout()
    playout.play(A, 0)
    playout.mark("one", 0)
    playout.play(B, 0)
    playout.mark("two", 0)
    playout.tick(0)

    assert playout.clear(13) == Clearing(at_ms=13, played_ms=13, dropped_ms=27, marks=("one", "two"))
    assert playout.mark("fence", 13)
    assert playout.tick(20) == Tick(20, None, 20, was_cleared=True)
    assert playout.tick(40) == Tick(40, None, 40)
    assert playout.played_ms(40) == 13


def test_clear_with_nothing_to_clear_is_not_a_clearing() -> None:
    playout = Playout()

    assert playout.clear(0) == Clearing(0, 0, 0, ())
    assert playout.tick(0) == Tick(0, None, 0)


def test_a_frame_that_is_cut_off_is_told_of_as_far_as_it_sounded_and_before_the_clear() -> None:
    playout = Playout()
    playout.play(A + A, 5)
    playout.clear(7)

    assert playout.tick(20) == Tick(20, A[:16], 5)
    assert playout.tick(40) == Tick(40, None, 40, was_cleared=True)


def test_audio_after_clear_begins_when_the_place_of_the_frame_that_was_cut_is_over() -> None:
    playout = Playout()
    playout.play(A + A, 0)
    playout.tick(0)
    playout.clear(3)
    playout.play(B, 4)

    assert playout.tick(20) == Tick(20, B, 20, was_cleared=True)
    assert playout.played_ms(30) == 13


def test_a_clear_before_the_delay_is_over_leaves_nothing_to_sound() -> None:
    playout = Playout(delay_ms=50)
    playout.play(A, 0)

    assert playout.clear(40) == Clearing(40, 0, 20, ())
    playout.play(B, 45)
    assert [tick.began_ms for at_ms in range(0, 140, 20) if (tick := playout.tick(at_ms)).ulaw] == [95]


def test_late_ticks_tell_the_same_as_ticks_in_time() -> None:
    def played() -> Playout:
        playout = Playout()
        playout.play(A + B, 5)
        return playout

    in_time, late = played(), played()
    told = [in_time.tick(at_ms) for at_ms in (20, 40, 60)]
    in_time.clear(60)
    late.clear(60)

    assert [late.tick(at_ms) for at_ms in (20, 40, 60)] == told


def test_more_than_ten_minutes_of_audio_do_not_fit() -> None:
    playout = Playout(delay_ms=1)

    assert playout.play(A * (BUFFER_FRAMES - 1), 0) == 0
    assert playout.play(B * 3, 0) == 2
    assert playout.play(B, 0) == 1

    assert playout.play(B, 1) == 0


@pytest.mark.parametrize("delay_ms", [0.0, 37.5])
@given(st.lists(st.tuples(st.sampled_from(["play", "clear", "wait"]), st.floats(0, 300)), max_size=40))
def test_what_was_played_and_what_was_dropped_is_all_that_came(delay_ms: float, does: list[tuple[str, float]]) -> None:
    playout, now_ms, came_ms, dropped_ms = Playout(delay_ms), 0.0, 0, 0.0
    for what, later_ms in does:
        now_ms += later_ms
        if what == "play":
            playout.play(A * 5, now_ms)
            came_ms += 100
        elif what == "clear":
            dropped_ms += playout.clear(now_ms).dropped_ms

    assert playout.played_ms(now_ms + 1e6) + dropped_ms == pytest.approx(came_ms, abs=1e-6)
