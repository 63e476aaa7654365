"""The OpenAI Live wire: what is sent for our events, and what its messages mean."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    ActivityStart,
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    AudioOutputDelta,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemTruncate,
    RawEvent,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutputDelta,
)
from agents.providers.openai_live.appends import ASK, MAX_APPEND_BYTES, SAY, SAY_ON
from agents.providers.openai_live.replies import QUIET_MS
from agents.providers.openai_live.wire import ALIVE_MS, MAX_EARLY_MS, LiveCodec
from agents.providers.socket import Answer, WireError
from agents.providers.wire_json import from_base64, to_base64
from agents.realtime import PCMU, SessionConfig, ToolSchema
from tests.fake_ear import silence, tone
from tests.live_schema import wrong_with

Json = dict[str, Any]
STARTED = {
    "type": "session.started",
    "event_id": "e1",
    "session": {"id": "live_7", "expires_at": 1791373550, "status": "active", "model": "gpt-live-1"},
}
BARE = SessionConfig()
LOOK_UP = ToolSchema(name="look_up", description="Finds an order.", parameters={"type": "object"})


def codec(config: SessionConfig = BARE, *, started: bool = True) -> LiveCodec:
    made = LiveCodec("gpt-live-1", config)
    says(made, SessionUpdate(config))
    if started:
        hears(made, STARTED)
    return made


def says(live: LiveCodec, *events: ClientEvent) -> list[Json]:
    """The messages for the events, each of them one that the real one takes."""
    return judged(message for event in events for message in live.encode(event))


def judged(messages: Iterable[str | bytes]) -> list[Json]:
    read = [orjson.loads(message) for message in messages]
    assert [wrong for message in read for wrong in wrong_with(message)] == []
    return read


def hears(live: LiveCodec, *messages: Json) -> list[ServerEvent | Answer | ProviderError]:
    return [event for message in messages for event in live.decode(orjson.dumps(message))]


def answers(live: LiveCodec, *messages: Json) -> list[Json]:
    return judged(event.message for event in hears(live, *messages) if isinstance(event, Answer))


def output(audio: bytes) -> Json:
    return {"type": "session.output_audio.delta", "delta": to_base64(audio)}


def said(who: str, text: str, start_ms: int, end_ms: int) -> Json:
    place = {"start_ms": start_ms, "end_ms": end_ms}
    return {"type": f"session.{who}_transcript.delta", "event_id": "e", "delta": text, **place}


def backend(kind: str, delegation_id: str | None = "item_1", **event: Any) -> Json:
    fields = {"type": kind, **event}
    return {"type": "response.event", "event_id": "e", "delegation_id": delegation_id, "event": fields}


def call(call_id: str) -> Json:
    item = {"type": "function_call", "id": "fc", "call_id": call_id, "name": "look_up", "arguments": "{}"}
    return backend("response.output_item.done", output_index=0, item=item | {"status": "completed"})


def error(code: str, client_event_id: str | None = None, kind: str = "invalid_request_error") -> Json:
    said = {"code": code, "type": kind, "message": "no", "client_event_id": client_event_id}
    return {"type": "error", "event_id": "e", "error": said}


COMPLETED = backend("response.completed", response={"usage": {"input_tokens": 7, "output_tokens": 3}})

# ---- the beginning ----


def test_the_first_update_starts_the_session() -> None:
    (start,) = says(LiveCodec("gpt-live-1", SessionConfig()), SessionUpdate(SessionConfig(instructions="Be kind.")))

    assert start["type"] == "session.start"
    assert start["session"]["model"] == "gpt-live-1"
    assert start["session"]["instructions"] == "Be kind."


def test_the_session_is_there_when_it_says_so() -> None:
    live = codec(started=False)

    assert hears(live, STARTED) == [SessionCreated("live_7", 1791373550.0)]


def test_a_session_that_does_not_say_how_long_it_lives_begins_all_the_same() -> None:
    live = codec(started=False)

    assert hears(live, {"type": "session.started", "session": {"id": "x"}}) == [SessionCreated("x", None)]


def test_what_is_said_before_the_session_has_begun_waits_for_that_in_order() -> None:
    live = codec(started=False)
    assert says(live, ItemCreate("user", "Hello."), AudioInputAppend(tone(20)), ResponseCreate("r1", say="Hi!")) == []

    sent = answers(live, STARTED)

    assert [message["type"] for message in sent] == [
        "session.input_audio.append",
        "session.thinking.append",
        "session.commentary.append",
    ]
    assert sent[0]["audio"] == to_base64(tone(20))


def test_of_the_audio_before_the_beginning_the_oldest_is_dropped() -> None:
    live = codec(started=False)
    says(live, AudioInputAppend(tone(500)), AudioInputAppend(silence(MAX_EARLY_MS)))

    (sent,) = answers(live, STARTED)

    assert from_base64(sent["audio"]) == silence(MAX_EARLY_MS)


def test_a_session_is_kept_alive_with_silence_from_its_beginning_on() -> None:
    live = codec(SessionConfig(input_format=PCMU, output_format=PCMU), started=False)
    assert live.keepalive is None

    hears(live, STARTED)

    assert live.keepalive is not None
    (silent,) = judged([live.keepalive.message])
    assert from_base64(silent["audio"]) == b"\xff" * 8 * ALIVE_MS
    assert live.keepalive.after_s == ALIVE_MS / 1000


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("credit_balance_exhausted", "quota"),
        ("invalid_api_key", "auth"),
        ("model_not_found", "auth"),
        ("invalid_value", "invalid_request"),
    ],
)
def test_a_session_that_is_refused_fails_for_what_was_wrong(code: str, category: str) -> None:
    (failure,) = hears(codec(started=False), error(code))

    assert isinstance(failure, ProviderError)
    assert (failure.code, failure.category, failure.retryable) == (code, category, False)


def test_a_session_takes_its_leave_so_that_nobody_pays_for_it() -> None:
    assert judged(codec().farewell()) == [{"type": "session.close"}]


def test_what_was_never_begun_or_is_over_takes_no_leave() -> None:
    closed = codec()
    hears(closed, {"type": "session.closed", "event_id": "e", "reason": "remote_hangup"})

    assert list(codec(started=False).farewell()) == []
    assert list(closed.farewell()) == []


# ---- to the model ----


@pytest.mark.parametrize("audio", [tone(20), silence(20)])
def test_audio_goes_to_the_model_as_base64(audio: bytes) -> None:
    assert says(codec(), AudioInputAppend(audio)) == [{"type": "session.input_audio.append", "audio": to_base64(audio)}]


def test_a_telephones_audio_is_not_touched_either_way() -> None:
    live = codec(SessionConfig(input_format=PCMU, output_format=PCMU))
    ulaw = tone(200, PCMU)

    (sent,) = says(live, AudioInputAppend(ulaw))
    heard = [event for event in hears(live, output(ulaw)) if isinstance(event, AudioOutputDelta)]

    assert from_base64(sent["audio"]) == ulaw
    assert heard[0].pcm == ulaw


def test_words_to_say_are_commentary() -> None:
    assert says(codec(), ResponseCreate("r1", say="Hello there.")) == [
        {
            "type": "session.commentary.append",
            "content": f"{SAY}Hello there.",
            "delegation_id": None,
            "event_id": "r1",
        }
    ]


def test_a_request_without_words_asks_the_model_to_reply() -> None:
    (message,) = says(codec(), ResponseCreate("r1"))

    assert (message["type"], message["content"]) == ("session.commentary.append", ASK)


def test_instructions_of_one_request_go_with_it() -> None:
    (message,) = says(codec(), ResponseCreate("r1", instructions="Ask for the name."))

    assert message["content"] == f"{ASK}\n\nAsk for the name."


def test_long_words_go_in_pieces_that_the_model_takes() -> None:
    words = "Please hold the line while we look for it. " * 60

    sent = says(codec(), ResponseCreate("r1", say=words))

    assert len(sent) > 2
    assert [message["event_id"] for message in sent[:2]] == ["r1", "r1#1"]
    assert all(len(message["content"].encode()) <= MAX_APPEND_BYTES for message in sent)
    said = [message["content"].removeprefix(SAY).removeprefix(SAY_ON) for message in sent]
    assert " ".join(said).split() == words.split()


def test_words_without_spaces_and_of_any_language_are_cut_between_characters() -> None:
    sent = says(codec(), ItemCreate("system", "語" * 1000))

    assert "".join(message["content"] for message in sent) == "語" * 1000


@pytest.mark.parametrize(
    ("role", "kind"),
    [("user", "session.thinking.append"), ("assistant", "session.thinking.append")],
)
def test_messages_are_things_to_know(role: Any, kind: str) -> None:
    (message,) = says(codec(), ItemCreate(role, "I am late."))

    assert message["type"] == kind
    assert message["content"].endswith("I am late.")


def test_what_the_system_says_is_to_be_obeyed() -> None:
    (message,) = says(codec(), ItemCreate("system", "Speak French."))

    assert (message["type"], message["content"]) == ("session.instructions.append", "Speak French.")


def test_tools_can_change_and_both_models_learn_it() -> None:
    live = codec()

    update, hint = says(live, SessionUpdate(SessionConfig(tools=(LOOK_UP,))))

    assert update["type"] == "session.update"
    assert update["session"]["delegation"]["responses"]["tools"][0]["name"] == "look_up"
    assert "- look_up: Finds an order." in hint["content"]
    assert hears(live, {"type": "session.updated", "event_id": "e", "session": {}}) == [SessionUpdated()]


@pytest.mark.parametrize(
    "event",
    [
        AudioInputCommit(),
        AudioInputClear(),
        ActivityStart(),
        ItemDelete("x"),
        ItemTruncate("x", 0, 100),
        ResponseCancel("x"),
    ],
    ids=lambda event: event.kind,
)
@pytest.mark.parametrize("started", [True, False])
def test_what_the_wire_has_no_words_for_is_refused_at_any_time(event: ClientEvent, started: bool) -> None:
    live = codec(started=started)

    with pytest.raises(NotSupportedError, match=event.kind):
        list(live.encode(event))


# ---- from the model ----


def test_a_reply_that_was_asked_for_begins_with_the_next_message_and_ends_in_silence() -> None:
    live = codec()
    says(live, ResponseCreate("r1", say="Hi!"))

    begun = hears(live, {"type": "session.commentary.appended", "event_id": "e", "start_ms": 0, "end_ms": 0})
    spoken = hears(live, said("output", "Hi!", 0, 100), output(tone(100)), output(silence(QUIET_MS)))

    assert [type(event) for event in begun] == [ResponseCreated]
    assert TranscriptOutputDelta in [type(event) for event in spoken]
    assert isinstance(spoken[-1], ResponseDone)
    assert spoken[-1].status == "completed"


def test_ids_of_two_connections_are_different() -> None:
    names = set()
    for live in (codec(), codec()):
        (created, *_) = hears(live, output(tone(100)))
        assert isinstance(created, ResponseCreated)
        names.add(created.response_id)

    assert len(names) == 2


def test_the_callers_words_are_a_turn_of_their_own() -> None:
    live = codec()

    events = hears(live, said("input", "Hello", 100, 300), output(silence(500)), said("input", "?", 500, 600))
    events += hears(live, output(silence(1000)))

    told = [event for event in events if isinstance(event, SpeechStarted | TranscriptInputDelta | TranscriptInput)]
    assert [type(event) for event in told] == [SpeechStarted, *[TranscriptInputDelta] * 2, TranscriptInput]
    assert isinstance(told[-1], TranscriptInput)
    assert told[-1].text == "Hello?"


def test_without_transcription_the_callers_words_are_kept_back() -> None:
    live = codec(SessionConfig(transcription=None))

    events = hears(live, said("input", "Hello", 100, 300), output(silence(2000)))

    assert not [event for event in events if isinstance(event, TranscriptInputDelta | TranscriptInput)]
    assert isinstance(events[0], SpeechStarted)


def test_a_request_that_is_refused_before_its_reply_began_is_an_error_that_names_it() -> None:
    live = codec()
    says(live, ResponseCreate("r1", say="x"))

    events = hears(live, error("invalid_value", "r1"), output(silence(100)))

    assert events == [SessionError("invalid_value", "no", event_id="r1", category="invalid_request")]


def test_a_request_that_is_refused_after_its_reply_began_ends_it() -> None:
    live = codec()
    says(live, ResponseCreate("r1", say="x" * 2000))
    hears(live, output(silence(100)))

    refused, done = hears(live, error("server_error", "r1#1", "server_error"))

    assert isinstance(refused, SessionError)
    assert (refused.event_id, refused.retryable, refused.category) == ("r1", True, "unavailable")
    assert isinstance(done, ResponseDone)
    assert (done.status, done.reason) == ("failed", "server_error")


def test_an_error_about_nothing_that_was_asked_for_ends_no_reply() -> None:
    live = codec()
    hears(live, output(tone(100)))

    events = hears(live, error("invalid_value", "another"), error("moderation_blocked"))

    assert [type(event) for event in events] == [SessionError, SessionError]


def test_what_came_too_late_to_be_spoken_of_is_no_news() -> None:
    (event,) = hears(codec(), error("context_injection_incomplete", "r1"))

    assert isinstance(event, SessionError)
    assert event.benign


def test_a_key_that_the_peer_repeats_does_not_come_into_our_message() -> None:
    said = {"code": "invalid_value", "type": "x", "message": "bad sk-live-0123456789abcdef"}

    (event,) = hears(codec(), {"type": "error", "error": said})

    assert isinstance(event, SessionError)
    assert event.message == "bad …"


# ---- tools ----


def test_results_go_to_the_backend_which_goes_on_after_the_last_of_them() -> None:
    live = codec(SessionConfig(tools=(LOOK_UP,)))
    events = hears(live, call("c1"), call("c2"), COMPLETED)
    assert [event.call_id for event in events if isinstance(event, ToolCall)] == ["c1", "c2"]

    first = says(live, ToolResult("c1", "7"))
    second = says(live, ToolResult("c2", "8"))

    item = {"type": "function_call_output", "call_id": "c1", "output": "7"}
    assert first == [{"type": "response.item.create", "item": item}]
    assert [message["type"] for message in second] == ["response.item.create", "response.create"]


def test_the_backend_goes_on_when_its_turn_ends_after_the_results() -> None:
    live = codec(SessionConfig(tools=(LOOK_UP,)))
    hears(live, call("c1"))
    assert len(says(live, ToolResult("c1", "7"))) == 1

    assert answers(live, COMPLETED) == [{"type": "response.create"}]


def test_after_a_result_nothing_is_asked_for_twice_and_the_answer_is_the_reply() -> None:
    live = codec(SessionConfig(tools=(LOOK_UP,)))
    hears(live, call("c1"), COMPLETED, output(silence(1000)))
    says(live, ToolResult("c1", "7"))

    assert says(live, ResponseCreate("r1")) == []
    events = hears(live, backend("response.created"), COMPLETED, output(tone(100)), output(silence(QUIET_MS)))

    assert [type(event) for event in events if isinstance(event, ResponseCreated | ResponseDone)] == [
        ResponseCreated,
        ResponseDone,
    ]


def test_an_answer_that_was_given_before_it_was_asked_for_is_not_waited_for() -> None:
    live = codec(SessionConfig(tools=(LOOK_UP,)))
    hears(live, call("c1"), COMPLETED, output(silence(1000)))
    says(live, ToolResult("c1", "7"))
    hears(live, COMPLETED, output(tone(300)), output(silence(QUIET_MS)))

    says(live, ResponseCreate("r1"))
    created, done = hears(live, output(silence(20)))

    assert isinstance(created, ResponseCreated)
    assert isinstance(done, ResponseDone)
    assert done.status == "completed"


def test_a_backend_that_fails_is_an_error_and_the_model_itself_is_asked_to_reply() -> None:
    live = codec(SessionConfig(tools=(LOOK_UP,)))
    hears(live, call("c1"), COMPLETED)
    says(live, ToolResult("c1", "7"))
    failed = {"error": {"code": "server_error", "message": "away"}}

    (failure,) = hears(live, backend("response.failed", response=failed))

    assert isinstance(failure, SessionError)
    assert (failure.code, failure.retryable) == ("server_error", True)
    assert says(live, ResponseCreate("r1"))[0]["content"] == ASK


def test_a_message_of_the_callers_is_answered_though_a_tool_was_answered_too() -> None:
    live = codec(SessionConfig(tools=(LOOK_UP,)))
    hears(live, call("c1"), COMPLETED)
    says(live, ToolResult("c1", "7"), ItemCreate("user", "And the other one?"))

    assert says(live, ResponseCreate("r1"))[0]["content"] == ASK


def test_work_for_an_application_is_declined_and_shown() -> None:
    live = codec(SessionConfig(provider_options={"delegation": {"type": "client"}}))
    delegation = {"id": "item_9", "type": "delegation", "target": "client"}
    created = {"type": "session.delegation.created", "event_id": "e", "offset_ms": 10, "delegation": delegation}

    events = hears(live, created)

    (declined,) = judged(event.message for event in events if isinstance(event, Answer))
    assert (declined["type"], declined["delegation_id"]) == ("session.commentary.append", "item_9")
    assert [event.type for event in events if isinstance(event, RawEvent)] == ["session.delegation.created"]


# ---- the end ----


@pytest.mark.parametrize(
    ("reason", "code", "category", "retryable"),
    [
        ("expired", "session_expired", "session_limit", True),
        ("content", "content", "invalid_request", False),
        ("connection_lost", "connection_lost", "unavailable", True),
        ("something_new", "closed", "network", True),
    ],
)
def test_a_session_that_ends_says_why(reason: str, code: str, category: str, retryable: bool) -> None:
    live = codec()
    hears(live, output(tone(100)))

    *events, failure = hears(live, {"type": "session.closed", "event_id": "e", "reason": reason, "usage": {}})

    assert isinstance(failure, ProviderError)
    assert (failure.code, failure.category, failure.retryable) == (code, category, retryable)
    assert [event.status for event in events if isinstance(event, ResponseDone)] == ["incomplete"]
    lost = live.loss(1005, "")
    assert lost is not None
    assert lost.code == code


@pytest.mark.parametrize("reason", ["close_requested", "remote_hangup"])
def test_an_end_in_good_order_is_no_failure(reason: str) -> None:
    live = codec()

    events = hears(live, {"type": "session.closed", "event_id": "e", "reason": reason, "usage": {"seconds": 7}})

    assert [type(event) for event in events] == [RawEvent]
    assert live.loss(1006, "gone") is None


def test_a_connection_that_ends_without_a_word_is_lost() -> None:
    lost = codec().loss(None, "gone")

    assert lost is not None
    assert lost.code == "network"


# ---- the rest ----


@pytest.mark.parametrize("kind", ["session.usage.updated", "info", "decision.event", "something.new"])
def test_what_only_an_observer_could_want_is_shown_as_it_came(kind: str) -> None:
    message = {"type": kind, "event_id": "e", "usage": {"seconds": 7}}

    assert hears(codec(), message) == [RawEvent(kind, message)]


@pytest.mark.parametrize(
    "kind", ["session.thinking.appended", "session.instructions.appended", "session.commentary.appended"]
)
def test_routine_says_nothing(kind: str) -> None:
    assert hears(codec(), {"type": kind, "event_id": "e"}) == []


@pytest.mark.parametrize("kind", ["response.output_text.delta", "response.in_progress", "something.new"])
def test_what_the_backend_says_to_the_model_is_not_for_us(kind: str) -> None:
    assert hears(codec(), backend(kind, delta="x")) == []


@pytest.mark.parametrize(
    "message",
    [
        b"{",
        b"[]",
        b'{"type": 7}',
        b'{"type": "session.output_audio.delta"}',
        b'{"type": "session.output_audio.delta", "delta": "?"}',
        b'{"type": "session.input_transcript.delta", "delta": "x", "start_ms": "soon"}',
        b'{"type": "response.event", "event": {}}',
        b'{"type": "session.closed"}',
        b'{"type": "error", "error": {"code": 7}}',
    ],
)
def test_a_malformed_message_is_refused_and_the_conversation_goes_on(message: bytes) -> None:
    live = codec()

    with pytest.raises(WireError):
        list(live.decode(message))

    assert isinstance(hears(live, output(tone(100)))[0], ResponseCreated)


def test_a_malformed_message_does_not_lose_the_reply_that_was_asked_for() -> None:
    live = codec()
    says(live, ResponseCreate("r1", say="Hi!"))

    with pytest.raises(WireError):
        list(live.decode(b"{"))

    assert [type(event) for event in hears(live, output(silence(20)))] == [ResponseCreated]
