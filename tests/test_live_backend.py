"""When the backend of a live model may go on with the answers of its tools."""

from typing import Any

import pytest

from agents.events import Usage
from agents.providers.openai_live.backend import MAX_CALLS, MAX_TURNS, Call, LiveBackend, failure_of, usage_of
from agents.providers.socket import WireError

DELEGATION = "item_1"


def done(call_id: str, **fields: Any) -> dict[str, Any]:
    item = {"type": "function_call", "call_id": call_id, "name": "look_up", "arguments": "{}", "status": "completed"}
    return {"type": "response.output_item.done", "item": item | fields}


def test_a_call_is_one_when_its_item_is_done() -> None:
    assert LiveBackend().called(DELEGATION, done("c1")) == Call("c1", "look_up", "{}")


@pytest.mark.parametrize("item", [{"type": "message"}, {"type": "reasoning", "id": "x"}])
def test_other_items_call_nothing(item: dict[str, Any]) -> None:
    assert LiveBackend().called(DELEGATION, {"item": item}) is None


def test_a_call_that_was_broken_off_is_none() -> None:
    assert LiveBackend().called(DELEGATION, done("c1", status="incomplete")) is None


def test_a_call_that_is_told_of_twice_is_one() -> None:
    backend = LiveBackend()
    backend.called(DELEGATION, done("c1"))

    assert backend.called(DELEGATION, done("c1")) is None


@pytest.mark.parametrize("item", [None, "call", {"type": "function_call"}, {"type": "function_call", "call_id": 1}, {}])
def test_a_malformed_item_is_refused(item: object) -> None:
    with pytest.raises(WireError):
        LiveBackend().called(DELEGATION, {"item": item})


def test_the_backend_goes_on_once_the_last_of_its_calls_is_answered() -> None:
    backend = LiveBackend()
    backend.called(DELEGATION, done("c1"))
    backend.called(DELEGATION, done("c2"))
    assert not backend.finished(DELEGATION)

    assert backend.awaits("c1")
    assert not backend.answered("c1")
    assert not backend.awaits("c1")
    assert backend.answered("c2")


def test_the_backend_goes_on_when_its_turn_ends_after_the_answers() -> None:
    backend = LiveBackend()
    backend.called(DELEGATION, done("c1"))
    assert not backend.answered("c1")

    assert backend.finished(DELEGATION)
    assert not backend.finished(DELEGATION)


def test_a_turn_without_calls_does_not_go_on() -> None:
    assert not LiveBackend().finished(DELEGATION)


def test_turns_of_two_delegations_do_not_wait_for_each_other() -> None:
    backend = LiveBackend()
    backend.called("item_1", done("c1"))
    backend.called("item_2", done("c2"))
    backend.finished("item_1")
    backend.finished("item_2")

    assert backend.answered("c2")
    assert backend.awaits("c1")


def test_nobody_waits_for_the_answers_of_a_turn_that_failed() -> None:
    backend = LiveBackend()
    backend.called(DELEGATION, done("c1"))
    backend.failed(DELEGATION)

    assert not backend.awaits("c1")
    assert not backend.answered("c1")


def test_calls_are_remembered_up_to_a_bound() -> None:
    backend = LiveBackend()
    for number in range(MAX_CALLS + 1):
        backend.called(DELEGATION, done(f"c{number}"))

    assert backend.called(DELEGATION, done("c0")) is not None
    assert backend.called(DELEGATION, done(f"c{MAX_CALLS}")) is None


def test_turns_that_nobody_answers_are_given_up_at_a_bound() -> None:
    backend = LiveBackend()
    for number in range(MAX_TURNS + 1):
        backend.called(f"item_{number}", done(f"c{number}"))

    assert not backend.awaits("c0")
    assert backend.awaits("c1")


def test_tokens_of_a_turn_are_read_as_far_as_it_tells_them() -> None:
    spent = {"input_tokens": 70, "output_tokens": 30, "input_tokens_details": {"cached_tokens": 40}}

    assert usage_of({"response": {"usage": spent}}) == Usage(70, 30, input_cached_tokens=40)
    assert usage_of({"response": {"usage": {"input_tokens": 1, "output_tokens": 2}}}) == Usage(1, 2)
    assert usage_of({"response": {"usage": "much"}}) == Usage()


def test_a_failure_keeps_the_backends_own_code() -> None:
    failed = failure_of({"response": {"error": {"code": "server_error", "message": "away"}}})
    broken = failure_of({"type": "error", "code": "rate_limit_exceeded", "message": "slowly"})
    incomplete = failure_of({"response": {"incomplete_details": {"reason": "max_output_tokens"}}})

    assert (failed.code, failed.message, failed.retryable) == ("server_error", "away", True)
    assert (broken.code, broken.category) == ("rate_limit_exceeded", "rate")
    assert (incomplete.code, incomplete.retryable) == ("max_output_tokens", False)
