"""Calls are placed within the hours that an operator allows, and no faster than an account may."""

from datetime import UTC, datetime

import pytest

from agents.call_spec import HoursSpec
from gateway.calling_hours import Pace, in_words, is_open

OFFICE = HoursSpec(begin="09:00", end="17:30", days=("mon", "fri"), timezone="America/New_York")


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (datetime(2026, 11, 20, 13, 59, tzinfo=UTC), False),  # a Friday, 08:59 there
        (datetime(2026, 11, 20, 14, 0, tzinfo=UTC), True),
        (datetime(2026, 11, 20, 22, 29, tzinfo=UTC), True),
        (datetime(2026, 11, 20, 22, 30, tzinfo=UTC), False),
        (datetime(2026, 11, 21, 15, 0, tzinfo=UTC), False),  # a Saturday
        (datetime(2026, 7, 20, 13, 0, tzinfo=UTC), True),  # a Monday in summer, when clocks there are an hour ahead
        (datetime(2026, 11, 24, 3, 0, tzinfo=UTC), False),  # Tuesday here, the evening of Monday there
    ],
)
def test_hours_are_those_of_the_operators_timezone(when: datetime, expected: bool) -> None:
    assert is_open(OFFICE, when) is expected


def test_hours_read_well() -> None:
    assert in_words(OFFICE) == "09:00 to 17:30 (America/New_York) on mon, fri"


def test_calls_are_spread_over_the_accounts_calls_per_second() -> None:
    pace = Pace(per_second=2)

    waits = [pace.wait_s(10.0), pace.wait_s(10.0), pace.wait_s(10.0), pace.wait_s(11.2), pace.wait_s(20.0)]

    assert waits == pytest.approx([0, 0.5, 1.0, 0.3, 0])
