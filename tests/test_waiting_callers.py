"""The callers who wait: their order, and who is forgotten."""

from gateway.waiting_callers import GRACE_S, WaitingCallers


class Clock:
    """A time that stands until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def waiting(clock: Clock, *sids: str) -> WaitingCallers:
    callers = WaitingCallers(clock)
    for sid in sids:
        callers.put(sid, {"From": sid}, within_s=5)
    return callers


def test_where_nobody_was_put_nobody_waits() -> None:
    callers = WaitingCallers(Clock())

    assert (len(callers), callers.ahead_of("CA1"), callers.find("CA1")) == (0, 0, None)


def test_who_came_first_is_first_and_newcomers_come_last() -> None:
    callers = waiting(Clock(), "CA1", "CA2", "CA3")

    assert [callers.ahead_of(sid) for sid in ("CA1", "CA2", "CA3", "CA4", "")] == [0, 1, 2, 3, 3]


def test_who_comes_back_keeps_their_place_their_age_and_what_was_first_said_of_them() -> None:
    clock = Clock()
    callers = waiting(clock, "CA1", "CA2")
    clock.now = 4
    callers.put("CA1", {"From": "another"}, within_s=5)

    again = callers.find("CA1")
    assert again and (again.since, again.back_by, again.parameters) == (0, 4 + 5 + GRACE_S, {"From": "CA1"})
    assert callers.ahead_of("CA1") == 0


def test_who_is_served_or_gone_leaves_the_others_their_order() -> None:
    callers = waiting(Clock(), "CA1", "CA2", "CA3")

    callers.forget("CA1")
    callers.forget("CA9")

    assert [callers.ahead_of(sid) for sid in ("CA2", "CA3")] == [0, 1]


def test_who_does_not_come_back_in_time_is_forgotten() -> None:
    clock = Clock()
    callers = waiting(clock, "CA1", "CA2")
    clock.now = 5 + GRACE_S
    callers.put("CA2", {}, within_s=5)
    in_time = len(callers)
    clock.now += 0.1

    assert (in_time, len(callers), callers.ahead_of("CA2"), callers.find("CA1")) == (2, 1, 0, None)
