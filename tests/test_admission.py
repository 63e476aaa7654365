"""Who is let in: rules one by one, and a made-up machine that is offered more than it can carry."""

import random
from dataclasses import dataclass, field

import pytest

from gateway.admission import FIRST_COST, RESUME_CPU, SETUP_CPU_S, TRUSTED_CALLS, Admission, CallCost
from gateway.loop_lag import TICK_S, LoopLoad

PLENTY = 10_000


@dataclass
class Machine:
    """A loop whose calls cost something from a second after they begin; time passes by ticks of a tenth of a second."""

    cost: float
    setup: float = 0.012
    idle: float = 0.005
    noise: float = 0.0
    lasts_s: float = 60.0
    max_calls: int = PLENTY
    max_cpu_percent: int = 85
    max_lag_ms: int = 10
    now: float = 0.0
    lag_ms: float = 0.5
    most_cpu: float = 0.0
    let_in: int = 0
    refused: int = 0
    changes: int = 0
    load: LoopLoad = field(default_factory=LoopLoad)
    ends: list[float] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    _was_let_in: bool = True
    _chance: random.Random = field(default_factory=lambda: random.Random(6))

    def __post_init__(self) -> None:
        self.admission = Admission(
            self.max_calls,
            self.load,
            max_lag_ms=self.max_lag_ms,
            max_cpu_percent=self.max_cpu_percent,
            clock=lambda: self.now,
        )

    def offer(self) -> bool:
        """One more caller."""
        is_let_in = self.admission.why_not(len(self.ends)) is None
        if is_let_in:
            self.admission.begun()
            self.ends.append(self.now + self.lasts_s)
            self.begun.append(self.now)
            self.let_in += 1
        else:
            self.refused += 1
        self.changes += is_let_in != self._was_let_in
        self._was_let_in = is_let_in
        return is_let_in

    def steady(self) -> float:
        """What its calls need of a core, once all of them talk."""
        return self.idle + self.cost * len(self.ends)

    def run(self, seconds: float, *, per_second: float = 0.0, hiccup_s: float = 0.0) -> None:
        """Offers callers, evenly. `hiccup_s` is what the first second has to do besides, with the loop standing."""
        for second in range(round(seconds)):
            began = 0
            for tenth in range(10):
                self.now = round(self.now + 0.1, 3)
                self.ends, over = [end for end in self.ends if end > self.now], len(self.ends)
                for _ in range(over - len(self.ends)):
                    self.admission.ended()
                due = int((tenth + 1) * per_second / 10) - int(tenth * per_second / 10)
                began += sum(self.offer() for _ in range(due))
                self.most_cpu = max(self.most_cpu, self.steady())
            talking = len(self.ends) - sum(self.now - at < 1 for at in self.begun[-500:])
            cpu = self.idle + self.cost * max(talking, 0) + self.setup * began
            cpu *= 1 + self._chance.uniform(-self.noise, self.noise)
            for _ in range(round(1 / TICK_S)):
                self.load.came_round(self.now, self.lag_ms / 1000)
            if second == 0 and hiccup_s:
                self.load.came_round(self.now, hiccup_s)
                cpu += hiccup_s
            self.load.second_passed(min(cpu, 1.0))


# ---- by number ----


def test_so_many_are_let_in_as_there_are_places() -> None:
    admission = Admission(2)

    assert [admission.why_not(calls) for calls in (0, 1, 2)] == [None, None, "2 calls are live"]


def test_calls_of_other_processes_take_places_too() -> None:
    others = 0
    admission = Admission(3, others=lambda: others)
    before = admission.why_not(1)
    others = 2

    assert (before, admission.why_not(1)) == (None, "3 calls are live")


def test_who_stands_behind_others_needs_a_place_for_them_too() -> None:
    admission = Admission(4)

    assert [admission.why_not(2, more) is None for more in (1, 2, 3)] == [True, True, False]


# ---- by lag ----


def lag(machine: Machine, ms: float, seconds: int) -> str | None:
    machine.lag_ms = ms
    machine.run(seconds)
    return machine.admission.why_not(len(machine.ends))


def test_a_loop_that_is_late_lets_nobody_in_until_it_is_clearly_in_time_again() -> None:
    machine = Machine(cost=0.001, lasts_s=1000)
    machine.offer()

    calm, late = lag(machine, 9, 10), lag(machine, 12, 10)
    still, over = lag(machine, 7, 10), lag(machine, 4, 10)

    assert (calm, late, still, over) == (
        None,
        "the event loop is late by 12 ms",
        "the event loop is late by 7 ms",
        None,
    )


def test_two_bad_seconds_are_a_hiccup_and_three_are_not() -> None:
    two, three = (Machine(cost=0.001, lasts_s=1000, max_lag_ms=5) for _ in range(2))
    two.offer()
    three.offer()

    assert (lag(two, 8, 2), lag(three, 8, 3)) == (None, "the event loop is late by 8 ms")


@pytest.mark.parametrize("limits", [{"max_lag_ms": 0, "max_cpu_percent": 85}, {"max_lag_ms": 10, "max_cpu_percent": 0}])
def test_a_limit_of_0_is_none(limits: dict[str, int]) -> None:
    has_cpu = limits["max_cpu_percent"] > 0
    machine = Machine(cost=0.0 if has_cpu else 0.5, lag_ms=500 if has_cpu else 0.5, lasts_s=1000, **limits)  # type: ignore[arg-type]
    machine.offer()
    machine.run(10, per_second=1)

    assert machine.refused == 0
    assert machine.let_in == 11


def test_the_first_call_is_let_in_whatever_the_loop_has_to_do() -> None:
    machine = Machine(cost=0.01, idle=1.0, lag_ms=500)
    machine.run(20)

    assert machine.offer()
    assert not machine.offer()


# ---- by the core ----


@pytest.mark.parametrize("cost", [0.0014, 0.0028, 0.01, 0.05])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_offered_twice_what_it_can_carry_it_lets_in_what_fits_and_no_more(cost: float, noise: float) -> None:
    fits = 0.85 / cost
    machine = Machine(cost=cost, noise=noise, lasts_s=60)
    machine.run(300, per_second=max(2 * fits / 60, 1))

    assert machine.most_cpu <= 0.95
    assert machine.let_in * machine.lasts_s * machine.cost / 300 >= 0.6  # of a core, as a mean
    assert machine.refused > machine.let_in * 0.4


@pytest.mark.parametrize("cost", [0.0028, 0.01])
def test_a_storm_of_fifty_a_second_from_a_cold_start_stops_in_time(cost: float) -> None:
    machine = Machine(cost=cost, lasts_s=1000)
    machine.run(40, per_second=50)

    assert machine.most_cpu <= 0.95
    assert machine.steady() >= 0.75


def test_a_service_that_knows_its_calls_takes_a_storm_without_a_pause() -> None:
    machine = Machine(cost=0.0028, lasts_s=1000)
    machine.run(20, per_second=2)
    machine.run(4, per_second=50)

    assert (machine.let_in, machine.refused) == (240, 0)


def test_a_fresh_process_takes_some_on_trust_and_no_more_until_it_knows_what_they_cost() -> None:
    machine = Machine(cost=FIRST_COST, lasts_s=1000)
    machine.run(2, per_second=100)
    trusted, why = machine.let_in, machine.admission.why_not(machine.let_in)
    machine.run(6, per_second=20)

    assert (trusted, why) == (TRUSTED_CALLS, "it is not known yet what so many calls cost")
    assert machine.let_in > TRUSTED_CALLS


def test_when_calls_end_others_are_let_in_again() -> None:
    machine = Machine(cost=0.01, lasts_s=30)
    machine.run(29, per_second=20)
    full = machine.offer()
    machine.run(10)

    assert not full
    assert machine.offer()


def test_the_doors_do_not_open_and_close_with_each_call() -> None:
    machine = Machine(cost=0.0028, noise=0.05, lasts_s=60)
    machine.run(120, per_second=10)
    machine.changes = machine.let_in = 0
    machine.run(120, per_second=10)

    assert machine.let_in > 400
    assert machine.changes < 60


@pytest.mark.parametrize("hiccup_s", [0.1, 1.0, 2.0])
def test_one_hiccup_turns_nobody_away(hiccup_s: float) -> None:
    machine = Machine(cost=0.0028, lasts_s=1000)
    machine.run(25, per_second=8)
    machine.run(10, per_second=4, hiccup_s=hiccup_s)

    assert machine.refused == 0


def test_warming_up_at_the_start_turns_nobody_away() -> None:
    machine = Machine(cost=0.0028, lasts_s=1000)
    machine.run(10, per_second=3, hiccup_s=1.5)

    assert machine.refused == 0


def test_calls_that_turn_out_to_be_dearer_close_the_doors() -> None:
    machine = Machine(cost=0.0028, lasts_s=1000)
    machine.run(20, per_second=10)
    fits = machine.admission.why_not(200)
    machine.cost = 0.0045
    machine.run(5)

    assert fits is None
    assert machine.admission.why_not(200) == "201 calls would take 91% of a core"


def test_work_that_is_not_of_calls_leaves_less_room_and_makes_no_call_dearer() -> None:
    machine = Machine(cost=0.0028, idle=0.4, lasts_s=1000)
    machine.run(10)
    machine.run(60, per_second=10)

    assert 0.75 <= machine.steady() <= 0.9


def test_what_begins_in_a_second_does_not_look_as_if_calls_were_dear() -> None:
    cost = CallCost()
    for _ in range(5):
        cost.learn(cpu=0.6, seen=100, begun=10)

    assert cost.of(100) == pytest.approx(0.6 - 10 * SETUP_CPU_S)


@pytest.mark.parametrize("setup", [0.002, 0.006, 0.03])
def test_a_wrong_guess_of_what_beginnings_cost_does_not_let_in_a_storm(setup: float) -> None:
    machine = Machine(cost=0.0028, setup=setup, lasts_s=1000)
    machine.run(20, per_second=2)
    machine.run(30, per_second=50)

    assert machine.most_cpu <= 0.95
    assert machine.steady() >= 0.75


def test_few_calls_prove_nothing_and_none_teach_only_what_none_costs() -> None:
    cost = CallCost()
    for _ in range(20):
        cost.learn(cpu=0.02, seen=0, begun=0)
    for _ in range(20):
        cost.learn(cpu=0.03, seen=2, begun=0)

    assert not cost.is_proven
    assert cost.of(10) == pytest.approx(0.02 + 10 * 0.005)


def test_once_full_by_the_core_it_resumes_below_its_limit() -> None:
    machine = Machine(cost=0.01, setup=0.0, idle=0.0, lasts_s=1000)
    machine.run(60, per_second=2)
    most = len(machine.ends)
    while machine.admission.why_not(len(machine.ends)):
        machine.ends.pop()
        machine.admission.ended()
        machine.run(5)

    assert most == pytest.approx(85, abs=3)
    assert len(machine.ends) == pytest.approx(85 * RESUME_CPU, abs=3)
