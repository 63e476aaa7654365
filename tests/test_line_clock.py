"""A line's own timestamps tell when its messages were sent, however late they come."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.mulaw import FRAME_MS
from channels.line_clock import LEAST_SPREAD_S, MAX_LATE_S, WINDOW_S, LineClock, Span

FRAME_S = FRAME_MS / 1000


def after(frames: int, *, begin: float = 10.0, first_ms: int = 53) -> LineClock:
    """A clock that has seen frames come without delay, the last at `begin` + 20 ms * (`frames` - 1)."""
    clock = LineClock()
    for number in range(frames):
        clock.frame(first_ms + number * FRAME_MS, FRAME_MS, begin + number * FRAME_S)
    return clock


def about(earliest: float, latest: float) -> Span:
    return Span(pytest.approx(earliest), pytest.approx(latest))  # type: ignore[arg-type]


def test_the_middle_of_a_span_is_between_its_ends() -> None:
    assert Span(1.0, 2.0).middle == 1.5


def test_before_any_frame_a_message_was_sent_just_before_it_came() -> None:
    assert LineClock().span(5.0) == Span(5.0 - LEAST_SPREAD_S, 5.0)


def test_a_message_between_two_frames_that_come_in_time_was_sent_just_before_it_came() -> None:
    clock = after(51)

    assert clock.span(11.015) == about(11.013, 11.015)


def test_a_message_right_behind_a_frame_was_sent_after_it() -> None:
    clock = after(51)

    assert clock.span(11.001) == about(11.0, 11.001)


def test_a_message_that_waited_was_sent_between_the_frames_that_it_came_between() -> None:
    clock = after(50)
    clock.frame(53 + 50 * FRAME_MS, FRAME_MS, 11.2)  # 200 ms late

    assert clock.span(11.2) == about(11.0, 11.0 + FRAME_S)


def test_frames_that_waited_together_date_each_message_between_them() -> None:
    clock = after(50)
    spans = []
    for number in range(50, 60):
        clock.frame(53 + number * FRAME_MS, FRAME_MS, 11.2)
        spans.append(clock.span(11.2))

    assert spans == [about(11.0 + n * FRAME_S, 11.0 + (n + 1) * FRAME_S) for n in range(10)]


def test_once_frames_have_come_late_a_message_between_frames_may_have_as_well() -> None:
    clock = after(50)
    clock.frame(53 + 50 * FRAME_MS, FRAME_MS, 11.010)
    clock.frame(53 + 51 * FRAME_MS, FRAME_MS, 11.020)

    assert clock.span(11.035) == about(11.025, 11.035)


def test_lateness_is_forgotten_when_none_has_come_for_two_seconds() -> None:
    clock = after(50)
    clock.frame(53 + 50 * FRAME_MS, FRAME_MS, 11.1)
    for number in range(51, 50 + 3 * 50):
        clock.frame(53 + number * FRAME_MS, FRAME_MS, 10 + number * FRAME_S)

    now = 10 + 199 * FRAME_S + 0.019
    assert clock.span(now) == about(now - LEAST_SPREAD_S, now)


@pytest.mark.parametrize(
    ("last_ms", "why"),
    [
        (None, "missing"),
        (53 + 49 * FRAME_MS, "the same again"),
        (53, "from the beginning"),
        (0, "before the beginning"),
    ],
)
def test_a_timestamp_without_sense_leaves_messages_dated_by_their_arrival(last_ms: int | None, why: str) -> None:
    clock = after(50)

    clock.frame(last_ms, FRAME_MS, 11.1)

    assert clock.span(11.115) == about(11.115 - LEAST_SPREAD_S, 11.115), why


def test_messages_are_dated_again_right_behind_frames_whose_timestamps_jumped_on() -> None:
    clock = after(50)
    clock.frame(53 + 60_000 + 50 * FRAME_MS, FRAME_MS, 11.0)

    assert clock.span(11.001) == about(11.0, 11.001)


@pytest.mark.parametrize("jump_ms", [-900, -500, 1500, 60_000, 10**12])
def test_timestamps_that_jump_start_afresh(jump_ms: int) -> None:
    clock = after(50)
    for number in range(50, 100):
        clock.frame(53 + jump_ms + number * FRAME_MS, FRAME_MS, 10 + number * FRAME_S)

    now = 10 + 99 * FRAME_S + 0.015
    assert clock.span(now) == about(now - LEAST_SPREAD_S, now)


def test_a_line_whose_frames_have_stopped_dates_nothing() -> None:
    clock = after(50)
    now = 10 + 49 * FRAME_S + MAX_LATE_S + 0.001

    assert clock.span(now) == about(now - LEAST_SPREAD_S, now)


@pytest.mark.parametrize("step_s", [5.0, 3600.0])
def test_a_clock_that_takes_a_big_step_is_followed(step_s: float) -> None:
    clock = after(50)
    for number in range(50, 100):
        clock.frame(53 + number * FRAME_MS, FRAME_MS, 10 + step_s + number * FRAME_S)

    now = 10 + step_s + 99 * FRAME_S + 0.001
    assert clock.span(now) == about(now - 0.001, now)


def test_the_least_delay_of_long_ago_is_forgotten_where_clocks_drift_apart() -> None:
    clock, drift = LineClock(), 1.0001  # 6 ms a minute
    frames = 4 * 3600 * 50
    for number in range(0, frames, 50):  # a frame each second is enough to see it
        clock.frame(number * FRAME_MS, FRAME_MS, 10 + number * FRAME_S * drift)
    now = 10 + (frames - 50) * FRAME_S * drift

    assert now - clock.span(now).latest <= 2 * WINDOW_S * (drift - 1) + 1e-6


def test_a_lateness_from_before_a_gap_is_not_of_now() -> None:
    clock = after(50)
    clock.frame(53 + 50 * FRAME_MS, FRAME_MS, 11.4)
    for number in range(500, 502):
        clock.frame(53 + number * FRAME_MS, FRAME_MS, 10 + number * FRAME_S)

    now = 10 + 501 * FRAME_S + 0.019
    assert clock.span(now) == about(now - LEAST_SPREAD_S, now)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 10**15 - 1), st.integers(0, 2000)),
            st.floats(0, 100),
            st.floats(0, 5),
        ),
        max_size=40,
    )
)
def test_whatever_the_timestamps_a_message_was_sent_before_it_came(
    frames: list[tuple[int | None, float, float]],
) -> None:
    clock, now = LineClock(), 1.0
    for timestamp_ms, duration_ms, passed_s in frames:
        now += passed_s
        clock.frame(timestamp_ms, duration_ms, now)

        span = clock.span(now + passed_s / 2)
        assert span.earliest <= span.latest <= now + passed_s / 2
        assert span.latest >= now - MAX_LATE_S - 1e-6
