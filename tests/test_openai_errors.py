"""What each error of an OpenAI Realtime server stands for, and what the end of a connection means after one."""

import json
from typing import Any

import pytest

from agents.errors import ErrorCategory
from agents.events import ServerEvent, SessionError
from agents.providers.openai.dialects import XAI
from agents.providers.openai.wire import OpenAICodec
from tests.openai_messages import SESSION, response, said


def begun() -> OpenAICodec:
    codec = OpenAICodec()
    codec.decode(json.dumps(said("session.created", session=SESSION)))
    return codec


def hear(codec: OpenAICodec, **error: Any) -> SessionError:
    [event] = codec.decode(json.dumps(said("error", error={"message": "It is so.", **error})))
    assert isinstance(event, SessionError)
    return event


@pytest.mark.parametrize(
    ("code", "kind", "category", "retryable", "benign"),
    [
        ("conversation_already_has_active_response", "invalid_request_error", "unavailable", True, False),
        ("response_cancel_not_active", "invalid_request_error", "invalid_request", False, True),
        ("input_audio_buffer_commit_empty", "invalid_request_error", "invalid_request", False, True),
        ("item_retrieve_invalid_item_id", "invalid_request_error", "invalid_request", False, False),
        ("item_truncate_invalid_item_id", "invalid_request_error", "invalid_request", False, False),
        ("item_delete_invalid_item_id", "invalid_request_error", "invalid_request", False, False),
        ("invalid_value", "invalid_request_error", "invalid_request", False, False),
        ("unknown_parameter", "invalid_request_error", "invalid_request", False, False),
        ("missing_required_parameter", "invalid_request_error", "invalid_request", False, False),
        ("invalid_type", "invalid_request_error", "invalid_request", False, False),
        ("invalid_event", "invalid_request_error", "invalid_request", False, False),
        ("cannot_update_voice", "invalid_request_error", "invalid_request", False, False),
        ("session_expired", "invalid_request_error", "session_limit", True, False),
        ("insufficient_quota", "insufficient_quota", "quota", False, False),
        ("credit_balance_exhausted", "invalid_request_error", "quota", False, False),
        ("billing_hard_limit_reached", "invalid_request_error", "quota", False, False),
        ("invalid_api_key", "invalid_request_error", "auth", False, False),
        ("account_deactivated", "invalid_request_error", "auth", False, False),
        ("rate_limit_exceeded", "requests", "rate", True, False),
        ("server_error", "server_error", "unavailable", True, False),
        (None, "insufficient_quota", "quota", False, False),
        ("some_new_code", "insufficient_quota", "quota", False, False),
        ("rate_limit_exceeded", "insufficient_quota", "quota", False, False),
        ("some_new_code", "authentication_error", "auth", False, False),
        ("some_new_code", "rate_limit_error", "rate", True, False),
        ("some_new_code", "server_error", "unavailable", True, False),
        ("some_new_code", "some_new_type", "invalid_request", False, False),
    ],
)
def test_each_known_code_has_its_category_and_says_whether_to_try_again(
    code: str | None, kind: str, category: ErrorCategory, retryable: bool, benign: bool
) -> None:
    error = hear(begun(), code=code, type=kind)

    assert error.code == (code or kind)
    assert (error.category, error.retryable, error.benign) == (category, retryable, benign)


def test_a_response_that_failed_for_want_of_money_says_so() -> None:
    details = {"type": "failed", "error": {"type": "insufficient_quota", "code": None, "message": "Pay first."}}

    error, done = begun().decode(json.dumps(said("response.done", response=response("failed", details))))

    assert isinstance(error, SessionError)
    assert (error.code, error.category, error.retryable) == ("insufficient_quota", "quota", False)
    assert getattr(done, "status", None) == "failed"


def test_an_hour_that_is_over_is_known_by_its_words() -> None:
    words = "Your session hit the maximum duration of 60 minutes."

    error = hear(begun(), type="invalid_request_error", message=words)

    assert (error.code, error.category, error.retryable) == ("session_expired", "session_limit", True)


# ---- the end of a connection ----


@pytest.mark.parametrize("close", [(1000, ""), (1001, "bye"), (1005, ""), (1008, "policy"), (None, "cut")])
@pytest.mark.parametrize(
    ("code", "category", "retryable"),
    [("invalid_api_key", "auth", False), ("insufficient_quota", "quota", False), ("session_expired", None, True)],
)
def test_a_connection_that_ends_after_a_final_error_ends_for_that_reason(
    close: tuple[int | None, str], code: str, category: ErrorCategory | None, retryable: bool
) -> None:
    codec = begun()
    hear(codec, code=code)

    loss = codec.loss(*close)

    assert loss is not None
    assert (loss.code, loss.category, loss.retryable) == (code, category or "session_limit", retryable)


def test_a_server_that_opens_only_to_refuse_has_refused() -> None:
    codec = OpenAICodec()
    hear(codec, code="model_not_found", type="invalid_request_error", message="No such model.")

    loss = codec.loss(1000, "")

    assert loss is not None
    assert (loss.code, loss.category, loss.retryable) == ("model_not_found", "invalid_request", False)
    assert "No such model." in str(loss)


def test_an_error_that_the_session_outlived_does_not_explain_its_end() -> None:
    codec = begun()
    hear(codec, code="invalid_value")
    assert codec.loss(1000, "") is None

    hear(codec, code="insufficient_quota")
    codec.decode(json.dumps(said("response.done", response=response("completed"))))  # somebody paid
    assert codec.loss(1000, "") is None


def test_an_error_before_the_session_does_not_explain_the_end_of_one_that_came() -> None:
    codec = OpenAICodec()
    hear(codec, code="invalid_value")
    codec.decode(json.dumps(said("session.created", session=SESSION)))

    assert codec.loss(1000, "") is None


def test_what_the_close_itself_says_wins_over_an_error_before_it() -> None:
    codec = begun()
    hear(codec, code="insufficient_quota")

    loss = codec.loss(1001, "Your session hit the maximum duration of 60 minutes.")

    assert loss is not None and loss.code == "session_expired"


def test_the_longest_session_ends_by_its_close_alone() -> None:
    loss = begun().loss(1001, "Your session hit the maximum duration of 60 minutes.")

    assert loss is not None
    assert (loss.code, loss.category, loss.retryable) == ("session_expired", "session_limit", True)


# ---- truncating where nobody knows whether it can be done ----


@pytest.mark.parametrize(
    "words", ["conversation.item.truncate is not a known event", "Cannot truncate an item that is not there"]
)
def test_an_error_about_truncating_is_nothing_where_it_may_not_be_known(words: str) -> None:
    codec = OpenAICodec(XAI)
    codec.decode('{"type": "conversation.created"}')

    assert hear(codec, message=words).benign
    events: tuple[ServerEvent, ...] = begun().decode(json.dumps(said("error", error={"message": words})))
    assert [getattr(event, "benign", None) for event in events] == [False]
