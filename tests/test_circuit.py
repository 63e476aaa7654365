"""A circuit breaker: a model that fails again and again is asked after the others for a while."""

from agents.circuit import FAILURES, REST_S, Circuit


def test_a_model_that_works_is_asked_in_its_turn() -> None:
    circuit = Circuit()

    circuit.worked()

    assert not circuit.is_resting(0)


def test_failures_in_a_row_let_it_rest_and_a_success_between_them_does_not() -> None:
    circuit = Circuit()
    for _ in range(FAILURES - 1):
        circuit.failed(0)
    assert not circuit.is_resting(0)

    circuit.worked()
    circuit.failed(1)
    assert not circuit.is_resting(1)

    for _ in range(FAILURES - 1):
        circuit.failed(1)
    assert circuit.is_resting(1)


def test_a_failure_that_asking_again_cannot_mend_lets_it_rest_at_once() -> None:
    circuit = Circuit()

    circuit.failed(0, for_good=True)

    assert circuit.is_resting(0)


def test_after_its_rest_one_may_try_and_the_others_wait_for_what_becomes_of_it() -> None:
    circuit = Circuit()
    circuit.failed(0, for_good=True)

    assert circuit.is_resting(REST_S - 0.01)
    assert not circuit.is_resting(REST_S)
    assert not circuit.is_resting(REST_S)  # asking about it is no try
    circuit.tried(REST_S)
    assert circuit.is_resting(REST_S)

    circuit.worked()
    assert not circuit.is_resting(REST_S)


def test_trying_one_that_works_keeps_nobody_from_it() -> None:
    circuit = Circuit()

    circuit.tried(0)

    assert not circuit.is_resting(0)
