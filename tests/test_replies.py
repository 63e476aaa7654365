"""Of all responses of a call, it is known which may be asked for, which is the greeting, and which must not sound."""

from agents.events import ResponseCancel, ResponseCreate, SessionError
from agents.realtime import SpokenItem
from agents.replies import BUSY, MAX_SILENCED, NOT_ACTIVE, Replies


def asked(replies: Replies, say: str | None = None) -> ResponseCreate:
    """A response that is asked for now."""
    replies.ask(say=say)
    create = replies.next()
    assert create is not None
    return create


def busy(create: ResponseCreate) -> SessionError:
    return SessionError(BUSY, "busy", event_id=create.event_id)


# ---- asking ----


def test_requests_are_numbered_and_asked_for_one_at_a_time() -> None:
    replies = Replies()
    first = asked(replies, "One.")
    replies.ask(say="Two.")

    assert (first.event_id, replies.next()) == ("request-1", None)
    replies.created("r1")
    replies.done("r1")
    assert replies.next() == ResponseCreate("request-2", say="Two.")


def test_a_tool_is_at_work_from_its_call_to_its_answer() -> None:
    replies = Replies()
    replies.tool_called("c1")
    working = replies.is_at_work
    replies.tool_answered("c1")

    assert (working, replies.is_at_work) == (True, False)


def test_a_request_refused_because_the_model_was_busy_is_asked_for_again_unless_it_was_to_be_cancelled() -> None:
    wanted, unwanted = Replies(), Replies()
    for replies in (wanted, unwanted):
        create = asked(replies)
        if replies is unwanted:
            replies.silence(is_cancelled=True)
        replies.created("own")
        replies.refused(busy(create))
        replies.done("own")

    assert (wanted.next(), unwanted.next()) == (ResponseCreate("request-1"), None)


def test_an_error_about_something_else_refuses_nothing() -> None:
    replies = Replies()
    asked(replies)

    replies.refused(SessionError("invalid_value", "no", event_id="event-7"))
    replies.refused(SessionError("server_error", "no"))

    assert replies.is_busy


# ---- the greeting ----


def test_the_greeting_is_the_response_that_its_request_brings() -> None:
    replies = Replies()
    replies.ask(say="Hello.", is_greeting=True)
    to_come = [replies.is_greeting_to_come]
    replies.next()
    to_come.append(replies.is_greeting_to_come)
    replies.created("r1")
    to_come.append(replies.is_greeting_to_come)
    replies.done("r1")
    to_come.append(replies.is_greeting_to_come)

    assert to_come == [True, True, True, False]
    assert (replies.is_greeting("r1"), replies.is_greeting("r2")) == (True, False)


def test_a_greeting_that_was_stopped_is_none_any_more() -> None:
    replies = Replies()
    replies.ask(say="Hello.", is_greeting=True)
    replies.next()
    replies.created("r1")
    replies.greeting_stopped()

    assert not (replies.is_greeting_to_come or replies.is_greeting("r1"))


# ---- silencing ----


def test_the_active_response_is_silenced_once_and_for_good() -> None:
    replies = Replies()
    replies.created("r1")

    assert (replies.silence(is_cancelled=False), replies.silence(is_cancelled=True)) == (True, False)
    replies.done("r1")
    assert replies.is_silenced("r1")


def test_without_a_response_there_is_nothing_to_silence() -> None:
    replies = Replies()

    assert not replies.silence(is_cancelled=True)
    replies.created("r1")
    assert not replies.is_silenced("r1")


def test_a_response_that_has_not_begun_is_silenced_when_it_is_cancelled_and_only_then() -> None:
    heard, cancelled = Replies(), Replies()
    for replies in (heard, cancelled):
        asked(replies)

    assert (heard.silence(is_cancelled=False), cancelled.silence(is_cancelled=True)) == (False, True)
    for replies in (heard, cancelled):
        replies.created("r1")
    assert (heard.is_silenced("r1"), cancelled.is_silenced("r1")) == (False, True)


def test_a_response_is_cancelled_once() -> None:
    replies = Replies()
    replies.created("r1")
    replies.silence(is_cancelled=True)

    assert (replies.cancel(), replies.cancel()) == (ResponseCancel("r1"), None)


def test_a_response_that_was_not_silenced_is_not_cancelled() -> None:
    replies = Replies()
    replies.created("r1")
    replies.silence(is_cancelled=True)
    replies.done("r1")
    replies.created("r2")

    assert replies.cancel() is None


def test_a_cancel_in_vain_is_repeated_when_the_response_begins() -> None:
    replies = Replies()
    asked(replies)
    replies.silence(is_cancelled=True)
    early = replies.cancel()
    replies.refused(SessionError(NOT_ACTIVE, "nothing to cancel", benign=True))

    assert (early, replies.created("r1")) == (ResponseCancel(None), ResponseCancel("r1"))


def test_a_cancel_in_vain_of_a_response_that_had_ended_is_not_repeated() -> None:
    replies = Replies()
    replies.created("r1")
    replies.silence(is_cancelled=True)
    replies.cancel()
    replies.done("r1")
    replies.refused(SessionError(NOT_ACTIVE, "nothing to cancel", benign=True))

    assert replies.created("r2") is None


def test_the_items_dropped_of_a_response_are_known_until_it_is_forgotten() -> None:
    replies = Replies()
    first = SpokenItem("r0", "i1")
    for number in range(MAX_SILENCED):
        replies.created(f"r{number}")
        replies.silence(is_cancelled=False)
        replies.done(f"r{number}")
    replies.drop(first)
    replies.drop(first)
    before = replies.dropped("r0")
    replies.created("last")
    replies.silence(is_cancelled=False)

    assert (before, replies.dropped("r0"), replies.is_silenced("r0")) == ((first,), (), False)
    assert replies.is_silenced("last")
