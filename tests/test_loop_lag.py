"""How late a loop comes round, from made-up ticks, and from a real loop that is made to be late."""

import asyncio
import time

import pytest

from gateway.loop_lag import HICCUPS, LOOK_BACK, TICK_S, WINDOW_S, Lag, LoopLoad, measuring, percentile

TICKS = round(WINDOW_S / TICK_S)


def ticked(*late_ms: float) -> LoopLoad:
    load = LoopLoad()
    for at, late in enumerate(late_ms):
        load.came_round(float(at), late / 1000)
    return load


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], (0, 0)), ([7.0], (7, 7)), ([3.0, 1.0, 2.0], (2, 3)), ([float(n) for n in range(100)], (50, 95))],
)
def test_a_percentile_is_one_of_the_values(values: list[float], expected: tuple[float, float]) -> None:
    assert (percentile(values, 50), percentile(values, 95)) == expected


def test_nothing_is_late_before_the_first_tick() -> None:
    load = LoopLoad()

    assert (load.lag(), load.peak_lag_ms, load.peak_cpu, load.cpu, load.came_round_at) == (Lag(0, 0, 0), 0, 0, 0, None)


def test_the_lag_is_that_of_all_ticks_of_the_last_seconds() -> None:
    load = ticked(*[1.0] * (TICKS - 50), *[5.0] * 50)
    aged = ticked(*[5.0] * 100, *[1.0] * TICKS)

    assert load.lag() == pytest.approx(Lag(1, 5, 5))
    assert aged.lag() == pytest.approx(Lag(1, 1, 1))


def test_a_tick_before_its_time_is_not_late() -> None:
    assert ticked(-1.0).lag() == Lag(0, 0, 0)


def test_what_came_while_the_loop_stood_has_waited_too() -> None:
    load = ticked(*[0.0] * 50, 50.5 * TICK_S * 1000)

    assert load.lag().p50 == pytest.approx(0.5 * TICK_S * 1000)
    assert load.lag().max == pytest.approx(50.5 * TICK_S * 1000)


def test_a_loop_that_stood_for_an_hour_fills_the_window_and_no_more() -> None:
    load = ticked(3_600_000)

    assert load.lag().max == pytest.approx(3_600_000)
    assert load.lag().p50 == pytest.approx(3_600_000 - (TICKS / 2 - 1) * TICK_S * 1000)


def test_of_the_last_ten_seconds_the_third_worst_counts() -> None:
    load = LoopLoad()
    seen = []
    for second, late in enumerate((8.0, 1.0, 9.0, 7.0, *[2.0] * 9)):
        for _ in range(50):
            load.came_round(second, late / 1000)
        load.second_passed(late / 10)
        seen.append((round(load.peak_lag_ms), round(load.peak_cpu, 1)))

    assert (LOOK_BACK, HICCUPS) == (10, 2)
    assert seen[:4] == [(0, 0.0), (0, 0.0), (1, 0.1), (7, 0.7)]
    assert seen[9:] == [(7, 0.7), (2, 0.2), (2, 0.2), (2, 0.2)]


def test_the_cpu_is_a_mean_of_the_last_ten_seconds() -> None:
    load = LoopLoad()
    for cpu in (1.0, *[0.5] * 5, *[0.1] * 5):
        load.second_passed(cpu)

    assert load.cpu == pytest.approx(0.3)


def test_who_watches_is_told_of_each_second() -> None:
    load, told = LoopLoad(), list[float]()
    load.watch(told.append)

    load.second_passed(0.25)
    load.second_passed(0.5)

    assert told == [0.25, 0.5]


def test_the_figures_have_the_names_that_others_read_them_by() -> None:
    load = ticked(1.0, 1.004, 4.0)
    for _ in range(LOOK_BACK):
        load.second_passed(0.123)

    assert load.figures() == {"loop_lag_ms": {"p50": 1.0, "p95": 4.0, "max": 4.0}, "cpu_percent": 12.3}


def test_a_real_loop_is_measured_while_it_is_entered_and_no_longer() -> None:
    load = LoopLoad()

    async def stand_still() -> float | None:
        async with measuring(load):
            await asyncio.sleep(3 * TICK_S)
            time.sleep(0.08)  # noqa: ASYNC251
            await asyncio.sleep(3 * TICK_S)
            return load.came_round_at

    came_round_at = asyncio.run(stand_still())

    assert load.lag().max >= 45
    assert came_round_at is not None and came_round_at <= time.monotonic()
    assert load.came_round_at is None


def test_the_time_that_a_loops_thread_has_a_core_is_measured_each_second() -> None:
    load, told = LoopLoad(), list[float]()
    load.watch(told.append)

    async def work() -> None:
        async with measuring(load):
            begun = time.thread_time()
            while not told:
                sum(range(2000))
                await asyncio.sleep(0)
            spent.append(time.thread_time() - begun)

    spent: list[float] = []
    asyncio.run(work())

    assert 0 < told[0] <= spent[0] + 0.01
