"""Whether a step holds, and what is said when it does not."""

from dataclasses import replace
from typing import Any

import pytest

from tests.load_steps import measured, spread


def test_a_step_within_one_frame_with_nothing_lost_holds() -> None:
    assert measured(100, 20.0).remark == "holds"


@pytest.mark.parametrize(
    ("changed", "remark"),
    [
        ({"up_ms": spread(20.1)}, "fails: up p99 20.1 ms"),
        ({"down_ms": spread(33)}, "fails: down p99 33.0 ms"),
        ({"both_ms": spread(21)}, "fails: both ways p99 21.0 ms"),
        ({"frames_lost": 2}, "fails: 2 frames lost"),
        ({"frames_doubled": 1}, "fails: 1 frames doubled"),
        ({"frames_damaged": 3}, "fails: 3 frames damaged"),
        ({"stale_ms": 40.0}, "fails: 40 ms of stale audio"),
        ({"keys_lost": 1}, "fails: 1 keys lost"),
        ({"marks_lost": 1}, "fails: 1 marks lost"),
        ({"calls_lost": 1}, "fails: 1 calls lost"),
        ({"calls_refused": 5}, "fails: 5 calls refused"),
        ({"up_ms": spread(0.0, 0)}, "fails: nothing measured up"),
        (
            {"up_ms": spread(30), "lateness_ms": spread(9)},
            "generator's limit: up p99 30.0 ms; generator late: p99 9.0 ms",
        ),
    ],
)
def test_a_step_that_does_not_hold_says_why(changed: dict[str, Any], remark: str) -> None:
    assert measured(100, **changed).remark == remark


def test_calls_that_are_not_up_are_told_from_those_that_were_refused() -> None:
    step = replace(measured(90, calls_refused=4), asked=100)

    assert step.remark == "fails: 4 calls refused; 6 calls not up"


def test_what_others_took_and_what_the_load_says_stand_beside() -> None:
    step = replace(measured(10, frames_lost=1), others_percent=31.4, troubles=("a socket closed", "another"))

    assert step.remark == "fails: 1 frames lost; others took 31 % of its cores; a socket closed"


def test_processor_time_is_given_for_each_call_and_second_and_of_a_core() -> None:
    step = measured(200, cpu_ms=2.5)

    assert step.cpu_ms_per_call_second == pytest.approx(2.5)
    assert step.cpu_percent == pytest.approx(50)
