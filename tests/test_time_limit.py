import pytest

from agents.time_limit import DurationWarning, TimeLimit

WARNING = DurationWarning(before_s=60, say="One minute is left.")


def test_the_time_left_counts_down_from_when_the_call_began_and_stops_at_nothing() -> None:
    limit = TimeLimit(900, None, began_at=100)

    assert [limit.left_s(now) for now in (100, 400, 1000, 1001)] == [900, 600, 0, 0]


def test_the_warning_is_due_once_in_its_time() -> None:
    limit = TimeLimit(900, WARNING, began_at=100)

    assert [limit.due(now) for now in (100, 939.9, 940, 941, 999)] == [None, None, WARNING, None, None]


def test_a_warning_that_was_asked_for_late_is_still_given() -> None:
    limit = TimeLimit(900, WARNING, began_at=0)

    assert limit.due(899.9) is WARNING


@pytest.mark.parametrize("now", [900, 1000])
def test_no_warning_comes_when_the_time_is_over(now: float) -> None:
    limit = TimeLimit(900, WARNING, began_at=0)

    assert limit.due(now) is None


def test_a_call_without_warning_gets_none() -> None:
    limit = TimeLimit(900, None, began_at=0)

    assert limit.due(899) is None
