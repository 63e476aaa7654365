"""The histogram of durations: percentiles to a step, the longest exactly."""

from gateway.load.figures import Spread
from gateway.load.tally import Durations


def test_durations_of_nothing_are_all_zero() -> None:
    assert Durations().spread() == Spread(0.0, 0.0, 0.0, 0.0, 0)


def test_percentiles_are_right_to_ten_microseconds() -> None:
    durations = Durations()

    for step in range(1000):
        durations.add(step / 10_000 + 0.000005)

    spread = durations.spread()
    assert (round(spread.p50, 2), round(spread.p90, 2), round(spread.p99, 2)) == (49.91, 89.91, 98.91)
    assert (round(spread.max, 3), spread.count) == (99.905, 1000)


def test_long_durations_are_right_to_a_millisecond_and_then_cut_off() -> None:
    durations = Durations()

    for seconds in (1.2345, 1.2345, 500.0):
        durations.add(seconds)

    spread = durations.spread()
    assert (spread.p50, spread.p99, spread.max) == (1235.0, 20_000.0, 500_000.0)


def test_no_percentile_is_above_the_longest() -> None:
    durations = Durations()

    durations.add(0.000301)

    assert durations.spread() == Spread(0.301, 0.301, 0.301, 0.301, 1)


def test_less_than_nothing_is_nothing() -> None:
    durations = Durations()

    durations.add(-0.5)

    assert durations.spread() == Spread(0.0, 0.0, 0.0, 0.0, 1)
