from hypothesis import given, settings
from hypothesis import strategies as st

from agents.dead_air import DeadAir


def test_a_call_in_which_nothing_was_owed_has_no_dead_air() -> None:
    air = DeadAir()
    air.broken(10)

    assert (air.worst_ms, air.running_ms(20)) == (0, 0)


def test_silence_lasts_from_the_debt_until_the_agent_is_heard() -> None:
    air = DeadAir()
    air.owed(3)

    assert (air.running_ms(3.25), air.worst_ms) == (250, 0)
    air.broken(3.8)
    assert (air.running_ms(9), air.worst_ms) == (0, 800)


def test_debts_that_overlap_count_from_the_first() -> None:
    air = DeadAir()
    air.owed(1)
    air.owed(2)
    air.broken(2.5)
    air.broken(4)

    assert air.worst_ms == 1500


def test_the_worst_of_several_silences_stays() -> None:
    air = DeadAir()
    for owed, broken in ((0, 1), (5, 8), (10, 12)):
        air.owed(owed)
        air.broken(broken)

    assert air.worst_ms == 3000


def test_a_debt_that_turns_out_to_be_none_counts_for_nothing() -> None:
    air = DeadAir()
    air.owed(1)
    air.forgiven()
    air.broken(30)

    assert (air.worst_ms, air.running_ms(40)) == (0, 0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5000)), max_size=50))
def test_the_worst_is_the_longest_time_between_a_debt_and_its_end(happenings: list[tuple[bool, int]]) -> None:
    air, now_ms, first_ms, worst_ms = DeadAir(), 0, None, 0
    for is_debt, later_ms in happenings:
        now_ms += later_ms
        if is_debt:
            air.owed(now_ms / 1000)
            first_ms = now_ms if first_ms is None else first_ms
        else:
            air.broken(now_ms / 1000)
            worst_ms = max(worst_ms, 0 if first_ms is None else now_ms - first_ms)
            first_ms = None

    assert air.worst_ms == worst_ms
    assert air.running_ms(now_ms / 1000) == (0 if first_ms is None else now_ms - first_ms)
