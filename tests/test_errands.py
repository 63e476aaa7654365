"""What Twilio asks about by a name is found by that name alone, and forgotten in time."""

from dataclasses import dataclass

from gateway.errands import MAX_ERRANDS, Errands


@dataclass(frozen=True)
class Ringing:
    call_sid: str
    is_forgettable: bool = True


@dataclass(frozen=True)
class Asking:
    call_sid: str
    is_forgettable: bool = True


def test_an_errand_is_found_by_its_name_and_kind() -> None:
    errands, ringing = Errands(), Ringing("CA1")
    name = errands.add(ringing)

    assert errands.find(name, Ringing) is ringing
    assert errands.find(name, Asking) is None
    assert errands.find("", Ringing) is None


def test_names_tell_nothing_and_no_two_are_alike() -> None:
    errands = Errands()
    names = {errands.add(Ringing("CA1")) for _ in range(50)}

    assert len(names) == 50
    assert all(len(name) >= 20 and "CA1" not in name for name in names)


def test_errands_are_forgotten_with_their_call() -> None:
    errands = Errands()
    names = [errands.add(Ringing(sid)) for sid in ("CA1", "CA2", "CA1")]

    errands.forget("CA1")

    assert [errands.find(name, Ringing) for name in names] == [None, Ringing("CA2"), None]


def test_an_errand_that_is_to_hear_more_outlives_its_call() -> None:
    errands, waiting = Errands(), Ringing("CA1", is_forgettable=False)
    name = errands.add(waiting)

    errands.forget("CA1")

    assert errands.find(name, Ringing) is waiting


def test_the_oldest_are_forgotten_when_there_are_too_many() -> None:
    errands = Errands()
    names = [errands.add(Ringing(str(number))) for number in range(MAX_ERRANDS + 2)]

    known = [errands.find(name, Ringing) is not None for name in names]

    assert known == [False, False] + [True] * MAX_ERRANDS
