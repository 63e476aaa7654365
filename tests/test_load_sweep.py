"""The search for the highest number of calls that holds."""

import asyncio

import pytest

from gateway.load.measured import Kind, Measured
from gateway.load.sweep import MOST_CALLS, RESOLUTION, Sweep, sweep_in_turn
from tests.load_steps import carrying, measured, spread


def swept(most: int) -> Sweep:
    """A sweep of a process that carries so many calls."""
    sweep = Sweep("gateway")
    while (calls := sweep.next_calls) is not None:
        sweep.add(carrying(most, calls))
    return sweep


def test_steps_go_up_until_one_does_not_hold() -> None:
    sweep = swept(330)

    assert [one.asked for one in sweep.tried][:7] == [25, 50, 100, 200, 300, 400, 400]


@pytest.mark.parametrize("most", [1, 7, 24, 25, 49, 99, 137, 200, 333, 400, 1234, 4999])
def test_the_highest_number_that_holds_is_found_as_finely_as_is_said(most: int) -> None:
    sweep = swept(most)

    assert sweep.calls <= most < sweep.calls + max(2, sweep.calls * RESOLUTION * 1.1)
    assert sweep.limit == "process"
    assert sweep.highest is not None and sweep.highest.asked == sweep.calls


def test_a_process_that_carries_nothing_has_no_highest() -> None:
    sweep = swept(0)

    assert (sweep.calls, sweep.highest) == (0, None)


def test_what_carries_everything_ends_the_sweep_at_its_own_end() -> None:
    sweep = swept(10**6)

    assert (sweep.calls, sweep.limit) == (MOST_CALLS, "sweep")


def test_a_number_that_fails_once_is_tried_again_and_may_hold() -> None:
    sweep = Sweep("gateway")
    sweep.add(measured(25))
    sweep.add(measured(50, 60.0))

    assert sweep.next_calls == 50
    sweep.add(measured(50))

    assert (sweep.calls, sweep.next_calls) == (50, 100)


def test_a_number_between_that_fails_once_is_tried_again_as_well() -> None:
    sweep = Sweep("gateway")
    for p99 in (4.0, 4.0, 4.0, 60.0, 60.0):  # 25, 50, 100, 200 twice
        sweep.add(measured(sweep.next_calls or 0, p99))
    between = sweep.next_calls
    sweep.add(measured(150, 60.0))

    assert (between, sweep.next_calls) == (150, 150)


def test_a_failure_while_the_generator_was_late_is_the_generators_limit() -> None:
    sweep = Sweep("gateway")
    while (calls := sweep.next_calls) is not None:
        sweep.add(measured(calls) if calls <= 60 else measured(calls, 60.0, lateness_ms=spread(80.0)))

    assert (sweep.limit, sweep.tried[-1].verdict) == ("generator", "generator's limit")
    assert 58 <= sweep.calls <= 60


def test_a_late_generator_does_not_spoil_a_step_that_holds() -> None:
    sweep = Sweep("gateway")
    sweep.add(measured(25, lateness_ms=spread(80.0)))

    assert sweep.calls == 25


def test_sweeps_take_turns_until_all_are_done() -> None:
    tried: list[tuple[Kind, int]] = []

    async def hold(kind: Kind, calls: int) -> Measured:
        tried.append((kind, calls))
        return carrying({"gateway": 30, "floor": 120}[kind], calls, kind)

    sweeps: dict[Kind, Sweep] = {"gateway": Sweep("gateway"), "floor": Sweep("floor")}
    asyncio.run(sweep_in_turn(sweeps, hold))

    assert tried[:5] == [("gateway", 25), ("floor", 25), ("gateway", 50), ("floor", 50), ("gateway", 50)]
    assert tried[-1][0] == "floor"
    assert (sweeps["gateway"].calls, sweeps["floor"].calls) == (30, 118)
