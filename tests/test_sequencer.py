"""The sequencer never lets two requests be in flight, and loses none that still matters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.events import ResponseCreate
from agents.sequencer import ResponseSequencer

PLAIN = ResponseCreate("plain-1")
PLAIN_AGAIN = ResponseCreate("plain-2")
HELLO = ResponseCreate("say-1", say="Hello.")
BRIEFLY = ResponseCreate("instructions-1", instructions="Be brief.")


def sequencer(*requests: ResponseCreate) -> ResponseSequencer:
    made = ResponseSequencer()
    for request in requests:
        made.request(request)
    return made


# ---- asking ----


def test_a_new_sequencer_has_nothing_to_ask_and_nothing_to_cancel() -> None:
    new = sequencer()

    assert new.next() is None
    assert not new.cancel()
    assert new.active is None
    assert new.is_quiet


def test_a_request_is_sent_once() -> None:
    asking = sequencer(PLAIN)

    assert asking.next() is PLAIN
    assert asking.next() is None
    assert asking.is_busy


def test_never_two_requests_are_in_flight() -> None:
    asking = sequencer(HELLO, BRIEFLY)

    assert asking.next() is HELLO
    assert asking.next() is None
    asking.created("r1")
    assert asking.next() is None
    asking.done("r1")
    assert asking.next() is BRIEFLY


def test_plain_requests_merge_into_one() -> None:
    asking = sequencer(PLAIN, PLAIN_AGAIN)

    assert asking.next() is PLAIN
    asking.created("r1")
    asking.done("r1")

    assert asking.next() is None
    assert asking.is_quiet


def test_requests_with_words_of_their_own_stay_ordered_and_come_before_a_plain_one() -> None:
    asking = sequencer(PLAIN, HELLO, BRIEFLY)
    sent = []

    for name in ("r1", "r2", "r3"):
        sent.append(asking.next())
        asking.created(name)
        asking.done(name)

    assert sent == [HELLO, BRIEFLY, PLAIN]


def test_a_plain_request_during_a_response_is_kept_until_it_is_done() -> None:
    asking = sequencer(PLAIN)
    asking.next()
    asking.created("r1")

    asking.request(PLAIN_AGAIN)
    during = asking.next()
    asking.done("r1")

    assert during is None
    assert asking.next() is PLAIN_AGAIN


def test_waiting_requests_can_be_forgotten_but_not_the_one_in_flight() -> None:
    asking = sequencer(HELLO, BRIEFLY, PLAIN)
    asking.next()

    asking.forget_waiting()

    assert asking.is_busy
    asking.created("r1")
    asking.done("r1")
    assert asking.next() is None


# ---- responses ----


def test_a_response_is_active_from_created_to_done() -> None:
    asking = sequencer(PLAIN)
    asking.next()
    before = asking.active
    asking.created("r1")
    during = asking.active
    asking.done("r1")

    assert (before, during, asking.active) == (None, "r1", None)
    assert asking.is_quiet


def test_the_end_of_another_response_does_not_end_the_active_one() -> None:
    asking = sequencer()
    asking.created("r2")

    asking.done("r1")

    assert asking.active == "r2"


def test_a_response_that_fails_before_it_was_created_frees_the_slot() -> None:
    asking = sequencer(PLAIN)
    asking.next()

    asking.done("r1")

    assert not asking.is_busy


def test_words_that_wait_to_be_spoken_are_not_quiet() -> None:
    assert not sequencer(HELLO).is_quiet
    assert sequencer(PLAIN).is_quiet


# ---- refusals ----


def test_a_request_that_the_model_refused_frees_the_slot() -> None:
    asking = sequencer(PLAIN, HELLO)
    asking.next()

    asking.refused(HELLO.event_id, again=False)

    assert asking.next() is PLAIN


def test_a_refusal_of_something_else_frees_nothing() -> None:
    asking = sequencer(HELLO)
    asking.next()

    asking.refused("session-update-7", again=False)

    assert asking.is_busy


@pytest.mark.parametrize("refused", [PLAIN, HELLO, BRIEFLY])
def test_a_request_refused_because_the_model_was_busy_is_sent_again_after_its_response(refused: ResponseCreate) -> None:
    asking = sequencer(refused)
    asking.next()
    asking.created("of its own accord")

    asking.refused(refused.event_id, again=True)
    during = asking.next()
    asking.done("of its own accord")

    assert during is None
    assert asking.next() is refused


def test_a_request_that_is_sent_again_keeps_its_place() -> None:
    asking = sequencer(HELLO, BRIEFLY)
    asking.next()

    asking.refused(HELLO.event_id, again=True)

    assert asking.next() is HELLO


def test_a_refusal_is_taken_once() -> None:
    asking = sequencer(HELLO)
    asking.next()
    asking.refused(HELLO.event_id, again=True)

    asking.refused(HELLO.event_id, again=True)
    asking.next()
    asking.created("r1")
    asking.done("r1")

    assert asking.next() is None


# ---- cancelling ----


def test_cancel_is_told_once_for_each_response() -> None:
    asking = sequencer()
    answers = []

    for name in ("r1", "r2"):
        asking.created(name)
        answers += [asking.cancel(), asking.cancel()]
        asking.done(name)
        answers.append(asking.cancel())

    assert answers == [True, False, False] * 2


def test_a_request_in_flight_can_be_cancelled_before_its_response_is_created() -> None:
    asking = sequencer(PLAIN)
    asking.next()

    first = asking.cancel()
    asking.created("r1")

    assert (first, asking.cancel()) == (True, False)


def test_a_cancelled_request_that_was_refused_leaves_the_next_response_cancellable() -> None:
    asking = sequencer(PLAIN)
    asking.next()
    asking.cancel()

    asking.refused(PLAIN.event_id, again=False)
    asking.created("r1")

    assert asking.cancel()


def test_a_refusal_during_another_response_does_not_cancel_that_one_twice() -> None:
    asking = sequencer(PLAIN)
    asking.next()
    asking.created("of its own accord")
    asking.cancel()

    asking.refused(PLAIN.event_id, again=True)

    assert not asking.cancel()


# ---- tools ----


def test_one_response_follows_when_the_last_outstanding_tool_is_answered() -> None:
    asking = sequencer()
    asking.tool_called("call-1")
    asking.tool_called("call-2")

    asking.tool_answered("call-1")
    asking.request(PLAIN)
    too_early = asking.next()
    asking.tool_answered("call-2")
    asking.request(PLAIN_AGAIN)
    sent = asking.next()
    asking.created("r1")
    asking.done("r1")

    assert (too_early, sent) == (None, PLAIN)
    assert asking.next() is None


def test_the_response_after_a_tool_waits_for_the_response_that_called_it() -> None:
    asking = sequencer()
    asking.created("r1")
    asking.tool_called("call-1")
    asking.tool_answered("call-1")
    asking.request(PLAIN)

    during = asking.next()
    asking.done("r1")

    assert (during, asking.next()) == (None, PLAIN)


def test_words_of_our_own_do_not_wait_for_tools() -> None:
    asking = sequencer(HELLO)
    asking.tool_called("call-1")

    assert asking.next() is HELLO


def test_the_answer_to_results_waits_for_the_callers_turn_to_be_over() -> None:
    asking = sequencer()
    asking.callers_turn(is_open=True)
    asking.request(PLAIN, is_after_tools=True)

    during = asking.next()
    asking.callers_turn(is_open=False)

    assert (during, asking.next(), asking.next()) == (None, PLAIN, None)


def test_the_answer_to_results_merges_with_one_to_the_caller_who_is_not_made_to_wait() -> None:
    asking = sequencer()
    asking.callers_turn(is_open=True)
    asking.request(PLAIN, is_after_tools=True)
    asking.request(PLAIN_AGAIN)

    sent = asking.next()
    asking.created("r1")
    asking.done("r1")
    asking.callers_turn(is_open=False)

    assert (sent, asking.next()) == (PLAIN_AGAIN, None)


def test_the_answer_to_results_is_forgotten_with_all_that_waits_and_when_the_model_has_given_it() -> None:
    asking = sequencer()
    asking.created("r1")
    asking.request(PLAIN, is_after_tools=True)
    asking.forget_waiting()
    asking.done("r1")
    after_all_was_forgotten = asking.next()
    asking.created("r2")
    asking.request(PLAIN_AGAIN, is_after_tools=True)
    asking.forget_after_tools()
    asking.done("r2")

    assert (after_all_was_forgotten, asking.next()) == (None, None)


def test_the_answer_to_results_waits_for_the_end_of_the_turn_in_which_the_caller_stops_the_agent() -> None:
    asking = sequencer(PLAIN)
    asking.next()
    asking.created("r1")
    asking.request(PLAIN_AGAIN, is_after_tools=True)
    asking.callers_turn(is_open=True)
    asking.forget_waiting()
    asking.done("r1")
    during_the_turn = asking.next()
    asking.callers_turn(is_open=False)

    assert (during_the_turn, asking.next()) == (None, PLAIN_AGAIN)


def test_an_answer_to_an_unknown_call_is_harmless() -> None:
    asking = sequencer(PLAIN)

    asking.tool_answered("never called")

    assert asking.next() is PLAIN


# ---- any order ----

STEPS = st.lists(
    st.sampled_from(
        [
            "plain",
            "worded",
            "result",
            "turn",
            "over",
            "next",
            "created",
            "own",
            "done",
            "refuse",
            "busy",
            "tool",
            "answer",
        ]
    ),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS)
def test_in_any_order_one_request_is_in_flight_and_explicit_ones_stay_ordered(steps: list[str]) -> None:
    asking, server = sequencer(), Server()
    asked: list[ResponseCreate] = []
    for number, step in enumerate(steps):
        if step in ("plain", "worded"):
            create = ResponseCreate(f"e{number}", say="words" if step == "worded" else None)
            asked += [create] if create.say else []
            asking.request(create)
        elif step == "result":
            asking.request(ResponseCreate(f"e{number}"), is_after_tools=True)
        elif step in ("turn", "over"):
            asking.callers_turn(is_open=step == "turn")
        elif step == "next":
            server.receive(asking.next())
        else:
            server.act(step, asking)

    asking.tool_answered("call")
    asking.callers_turn(is_open=False)
    for _ in range(len(steps) + 2):
        server.settle(asking)
        server.receive(asking.next())
    server.settle(asking)

    worded = [create for create in server.accepted if create.say]
    assert worded == [create for create in asked if create not in server.rejected]
    assert asking.is_quiet
    assert asking.next() is None


class Server:
    """A model that keeps the rules: one response at a time, a second request is refused as busy."""

    def __init__(self) -> None:
        self.accepted: list[ResponseCreate] = []
        self.rejected: list[ResponseCreate] = []
        self._pending: ResponseCreate | None = None
        self._active: str | None = None
        self._count = 0

    def receive(self, create: ResponseCreate | None) -> None:
        if create:
            assert self._pending is None, "two requests in flight"
            assert self._active is None, "a request while a response is active"
            self._pending = create

    def act(self, step: str, asking: ResponseSequencer) -> None:
        match step:
            case "created" if self._pending and self._active is None:
                self.accepted.append(self._pending)
                self._pending = None
                self._begin(asking)
            case "own" if self._active is None:
                self._begin(asking)
            case "done" if self._active and not self._pending:
                asking.done(self._active)
                self._active = None
            case "refuse" if self._pending and self._active is None:
                self.rejected.append(self._pending)
                self._refuse(asking, again=False)
            case "busy" if self._pending and self._active:
                self._refuse(asking, again=True)
            case "tool":
                asking.tool_called("call")
            case "answer":
                asking.tool_answered("call")

    def settle(self, asking: ResponseSequencer) -> None:
        for step in ("busy", "done", "created", "done"):
            self.act(step, asking)

    def _begin(self, asking: ResponseSequencer) -> None:
        self._count += 1
        self._active = f"r{self._count}"
        asking.created(self._active)

    def _refuse(self, asking: ResponseSequencer, *, again: bool) -> None:
        assert self._pending
        asking.refused(self._pending.event_id, again=again)
        self._pending = None
