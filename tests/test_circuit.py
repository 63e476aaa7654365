"""A circuit breaker: a model that fails again and again is left alone for a while."""

from agents.circuit import FAILURES, REST_S, Circuit


def test_a_model_that_works_is_always_asked() -> None:
    circuit = Circuit()

    circuit.worked()

    assert not circuit.is_open(0)


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    circuit = Circuit()
    for _ in range(FAILURES - 1):
        circuit.failed(0)
    assert not circuit.is_open(0)

    circuit.worked()
    circuit.failed(1)
    assert not circuit.is_open(1)

    for _ in range(FAILURES - 1):
        circuit.failed(1)
    assert circuit.is_open(1)


def test_a_failure_that_asking_again_cannot_mend_opens_it_at_once() -> None:
    circuit = Circuit()

    circuit.failed(0, for_good=True)

    assert circuit.is_open(0)


def test_after_its_rest_one_may_try_and_the_others_wait_for_what_becomes_of_it() -> None:
    circuit = Circuit()
    circuit.failed(0, for_good=True)

    assert circuit.is_open(REST_S - 0.01)
    assert not circuit.is_open(REST_S)
    assert circuit.is_open(REST_S)

    circuit.worked()
    assert not circuit.is_open(REST_S)
