"""What loose servers leave out of OpenAI's protocol, and that nothing of it leaves a conversation hanging."""

import json
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.events import (
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    AudioOutputDelta,
    AudioOutputDone,
    ItemCreated,
    ItemTruncate,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolDelta,
    ToolStart,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutputDelta,
    Usage,
)
from agents.providers.openai.dialects import DIALECTS, LOCALAI, QWEN, VLLM_OMNI, XAI
from agents.providers.openai.wire import OpenAICodec
from agents.providers.socket import WireError
from agents.realtime import SessionConfig
from tests.openai_messages import MEANINGS, USAGE, Json

AUDIO = "AAEC/w=="
TEXT = "response.output_audio_transcript.delta"
CALL = {"type": "function_call", "id": "item_2", "call_id": "call_1", "name": "look_up", "arguments": "{}"}


def begun(codec: OpenAICodec | None = None) -> OpenAICodec:
    codec = codec or OpenAICodec(LOCALAI)
    hear(codec, "session.created", session={"id": "sess_1"})
    return codec


def hear(codec: OpenAICodec, kind: str, **fields: Any) -> tuple[ServerEvent, ...]:
    return codec.decode(json.dumps({"type": kind, **fields}))


def test_deltas_without_ids_belong_to_the_response_and_item_under_way() -> None:
    codec = begun()
    hear(codec, "response.created", response={"id": "resp_1"})
    hear(codec, "response.output_item.added", item={"type": "message", "id": "item_1"})

    [spoken] = hear(codec, "response.output_audio.delta", delta=AUDIO)
    [written] = hear(codec, TEXT, delta="Hi")

    assert spoken == AudioOutputDelta("resp_1", "item_1", 0, b"\x00\x01\x02\xff")
    assert written == TranscriptOutputDelta("resp_1", "item_1", "Hi")


def test_items_without_any_name_are_one_until_they_are_done() -> None:
    codec = begun()
    hear(codec, "response.created", response={})
    heard = [hear(codec, kind, delta=AUDIO)[0] for kind in ("response.audio.delta", "response.audio.delta")]
    hear(codec, "response.output_item.done", item={"type": "message"})
    [other] = hear(codec, "response.output_audio.delta", delta=AUDIO)

    items = [event.item_id for event in (*heard, other) if isinstance(event, AudioOutputDelta)]
    assert items[0] == items[1] != items[2]


def test_a_response_that_speaks_without_having_begun_has_begun_and_ends_with_its_item() -> None:
    codec = begun()

    first = hear(codec, "response.output_audio.delta", response_id="resp_1", item_id="item_1", delta=AUDIO)
    last = hear(codec, "response.output_item.done", response_id="resp_1", item={"type": "message", "id": "item_1"})
    late = hear(codec, "response.done", response={"id": "resp_1", "status": "completed"})

    assert first == (ResponseCreated("resp_1"), AudioOutputDelta("resp_1", "item_1", 0, b"\x00\x01\x02\xff"))
    assert last == (ResponseDone("resp_1", "completed"),)
    assert late == ()


def test_a_response_that_nothing_ended_ends_when_the_next_begins() -> None:
    codec = begun()
    hear(codec, "response.created", response={"id": "resp_1"})

    assert hear(codec, "response.created", response={"id": "resp_2"}) == (
        ResponseDone("resp_1", "completed"),
        ResponseCreated("resp_2"),
    )


def test_what_comes_of_a_response_after_its_end_is_dropped() -> None:
    codec = begun()
    hear(codec, "response.created", response={"id": "resp_1"})
    hear(codec, "response.done", response={"id": "resp_1", "status": "cancelled"})

    named = hear(codec, "response.output_audio.delta", response_id="resp_1", item_id="item_1", delta=AUDIO)
    nameless = hear(codec, "response.output_audio.delta", delta=AUDIO)
    again = hear(codec, "response.done", response={"id": "resp_1"})

    assert named == nameless == again == ()


def test_an_end_without_a_beginning_is_a_whole_response() -> None:
    assert hear(begun(), "response.done", response={"id": "resp_1"}) == (
        ResponseCreated("resp_1"),
        ResponseDone("resp_1", "completed"),
    )


def test_usage_beside_the_response_counts() -> None:
    codec = begun()
    hear(codec, "response.created", response={"id": "resp_1"})

    [done] = hear(codec, "response.done", response={"id": "resp_1", "usage": {}}, usage=USAGE)

    assert isinstance(done, ResponseDone)
    assert done.usage == Usage(132, 121, 13, 64, 91)


def test_a_tool_call_of_which_only_the_whole_response_tells_is_called_once() -> None:
    codec = begun()
    hear(codec, "response.created", response={"id": "resp_1"})
    cut_off = {**CALL, "call_id": "call_2", "status": "incomplete"}

    called, done = hear(codec, "response.done", response={"id": "resp_1", "output": [CALL, cut_off, "?"]})

    assert called == ToolCall("resp_1", "call_1", "look_up", "{}")
    assert isinstance(done, ResponseDone)


def test_a_tool_call_that_was_told_is_not_called_again_by_the_whole_response() -> None:
    codec = begun()
    hear(codec, "response.created", response={"id": "resp_1"})
    assert hear(codec, "response.output_item.added", item=CALL) == (ToolStart("resp_1", "call_1", "look_up"),)
    assert hear(codec, "response.function_call_arguments.delta", delta="{") == (ToolDelta("resp_1", "call_1", "{"),)
    assert hear(codec, "response.output_item.done", item=CALL) == (ToolCall("resp_1", "call_1", "look_up", "{}"),)

    assert hear(codec, "response.done", response={"id": "resp_1", "output": [CALL]}) == (
        ResponseDone("resp_1", "completed"),
    )


def test_a_turn_without_names_or_times_is_one_turn() -> None:
    codec = begun()
    kind = "conversation.item.input_audio_transcription.completed"
    [started] = hear(codec, "input_audio_buffer.speech_started")
    [stopped] = hear(codec, "input_audio_buffer.speech_stopped", item_id=None)
    [written] = hear(codec, kind, transcript="Hello")
    [next_started] = hear(codec, "input_audio_buffer.speech_started")

    assert isinstance(started, SpeechStarted) and isinstance(next_started, SpeechStarted)
    assert (stopped, written) == (SpeechStopped(started.item_id), TranscriptInput(started.item_id, "Hello"))
    assert started.item_id != next_started.item_id


def test_who_speaks_is_known_however_the_item_is_called() -> None:
    codec = begun()

    forced = {"type": "force_message", "id": "item_1", "role": "assistant"}
    tool = {"type": "function_call", "id": "item_2", "role": "tool"}

    assert hear(codec, "conversation.item.added", item=forced) == (ItemCreated("item_1", "assistant"),)
    assert hear(codec, "conversation.item.created", item=tool) == (ItemCreated("item_2", "function_call"),)


def test_a_response_that_begins_again_is_under_way_again() -> None:
    codec = begun()
    for _ in range(2):
        assert hear(codec, "response.created", response={"id": "resp_1"}) == (ResponseCreated("resp_1"),)
        assert len(hear(codec, TEXT, delta="Hi")) == 1
        assert hear(codec, "response.done", response={"id": "resp_1"}) == (ResponseDone("resp_1", "completed"),)


def test_a_call_by_the_same_id_in_another_response_is_another_call() -> None:
    codec = begun()
    hear(codec, "response.created", response={"id": "resp_1"})
    hear(codec, "response.output_item.done", item=CALL)
    hear(codec, "response.done", response={"id": "resp_1"})
    hear(codec, "response.created", response={"id": "resp_2"})

    called, _ = hear(codec, "response.done", response={"id": "resp_2", "output": [CALL]})

    assert called == ToolCall("resp_2", "call_1", "look_up", "{}")


# ---- readiness ----


@pytest.mark.parametrize(
    ("dialect", "kind", "fields", "session_id"),
    [
        ("openai", "session.created", {"session": {"id": "sess_1", "expires_at": 7}}, "sess_1"),
        ("openai", "session.updated", {"session": {"id": "sess_1"}}, "sess_1"),
        ("xai", "conversation.created", {"conversation": {"id": "conv_1"}}, "conv_1"),
        ("xai", "session.updated", {"session": {"id": "sess_1"}}, "sess_1"),
        ("xai", "session.created", {}, None),
        ("speaches", "session.updated", {"session": {}}, None),
    ],
)
def test_the_session_is_there_with_the_first_message_that_says_so_and_only_once(
    dialect: str, kind: str, fields: Json, session_id: str | None
) -> None:
    codec = OpenAICodec(DIALECTS[dialect])

    first, *rest = hear(codec, kind, **fields)

    assert isinstance(first, SessionCreated)
    assert first.session_id == session_id or (session_id is None and first.session_id)
    assert rest == ([SessionUpdated()] if kind == "session.updated" else [])
    assert hear(codec, "session.created", session={"id": "sess_2"}) == ()


def test_a_conversation_alone_is_no_session_where_a_session_will_come() -> None:
    assert hear(OpenAICodec(), "conversation.created", conversation={"id": "conv_1"}) == ()


@pytest.mark.parametrize(("dialect", "kind"), [("xai", "ping"), ("speaches", "partial_message")])
def test_messages_of_its_own_that_say_nothing_are_nothing(dialect: str, kind: str) -> None:
    assert hear(begun(OpenAICodec(DIALECTS[dialect])), kind) == ()


# ---- words that are written anew each time ----


def test_a_transcript_that_comes_whole_each_time_gives_what_is_new_of_it() -> None:
    codec = begun(OpenAICodec(XAI))
    kind = "conversation.item.input_audio_transcription"
    said_so_far = ["Where", "Where is", "Wear is my", "Wear is my order"]

    heard = [hear(codec, f"{kind}.updated", item_id="item_1", transcript=text) for text in said_so_far]
    [whole] = hear(codec, f"{kind}.completed", item_id="item_1", transcript="Where is my order?")
    other = hear(codec, f"{kind}.updated", item_id="item_2", transcript="Where")

    assert heard == [
        (TranscriptInputDelta("item_1", "Where"),),
        (TranscriptInputDelta("item_1", " is"),),
        (),  # it changed its mind: the final transcript has it right
        (TranscriptInputDelta("item_1", " order"),),
    ]
    assert whole == TranscriptInput("item_1", "Where is my order?")
    assert other == (TranscriptInputDelta("item_2", "Where"),)


def test_a_transcript_without_a_name_is_of_the_turn_that_is_heard() -> None:
    codec = begun(OpenAICodec(XAI))
    [started] = hear(codec, "input_audio_buffer.speech_started")

    heard = hear(codec, "conversation.item.input_audio_transcription.updated", transcript="Where")

    assert isinstance(started, SpeechStarted)
    assert heard == (TranscriptInputDelta(started.item_id, "Where"),)


# ---- errors without a name ----


def test_an_error_that_names_nothing_is_about_the_response_that_was_asked_for() -> None:
    codec = begun()
    codec.encode(ResponseCreate("create_1"))

    [error] = hear(codec, "error", error={"message": "not now"})
    [other] = hear(codec, "error", error={"message": "and besides"})

    assert isinstance(error, SessionError) and isinstance(other, SessionError)
    assert (error.event_id, other.event_id) == ("create_1", None)


def test_an_error_after_the_response_has_begun_is_not_about_asking_for_it() -> None:
    codec = begun()
    codec.encode(ResponseCreate("create_1"))
    hear(codec, "response.created", response={"id": "resp_1"})

    [error] = hear(codec, "error", error={"message": "odd"})

    assert isinstance(error, SessionError) and error.event_id is None


def test_a_failed_transcription_is_not_about_the_response_that_was_asked_for() -> None:
    codec = begun()
    codec.encode(ResponseCreate("create_1"))
    kind = "conversation.item.input_audio_transcription.failed"

    error, _ = hear(codec, kind, item_id="item_1", error={"message": "unclear"})

    assert isinstance(error, SessionError) and error.event_id is None


def test_an_error_that_names_the_truncation_is_nothing_where_it_may_not_be_known() -> None:
    codec = begun()
    [message] = codec.encode(ItemTruncate("item_1", 0, 300))

    [error] = hear(codec, "error", error={"message": "what?", "event_id": json.loads(message)["event_id"]})

    assert isinstance(error, SessionError) and error.benign


# ---- rates ----


def test_a_server_that_goes_on_with_a_rate_of_its_own_is_heard_and_spoken_to_at_that_rate() -> None:
    codec = begun(OpenAICodec(VLLM_OMNI))
    codec.encode(SessionUpdate(SessionConfig()))
    formats = {
        "input": {"format": {"type": "audio/pcm", "rate": 24_000}},
        "output": {"format": {"type": "audio/pcm", "rate": 8_000}},
    }
    hear(codec, "session.updated", session={"audio": formats})
    codec.encode(SessionUpdate(SessionConfig(instructions="Be brief.")))
    hear(codec, "response.created", response={"id": "resp_1"})

    place = {"response_id": "resp_1", "item_id": "item_1"}
    spoken = [
        *hear(codec, "response.output_audio.delta", **place, delta="AAAA" * 400),  # 1200 bytes are 75 ms at 8 kHz
        *hear(codec, "response.output_audio.done", **place),
    ]

    assert codec.encode(AudioInputAppend(bytes(960))) == OpenAICodec().encode(AudioInputAppend(bytes(960)))
    assert isinstance(spoken[-1], AudioOutputDone)
    assert sum(len(event.pcm) for event in spoken if isinstance(event, AudioOutputDelta)) == 75 * 48


def at_8_khz() -> OpenAICodec:
    """A codec whose server speaks at 8 kHz."""
    codec = begun()
    hear(codec, "session.updated", session={"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8_000}}}})
    return codec


def test_nothing_of_a_cut_response_is_heard_in_the_next() -> None:
    loud = "/3//f/9//3//f/9/" * 100
    cut, fresh = at_8_khz(), at_8_khz()
    hear(cut, "response.created", response={"id": "resp_1"})
    hear(cut, "response.output_audio.delta", response_id="resp_1", item_id="item_1", delta=loud)
    hear(cut, "response.done", response={"id": "resp_1", "status": "cancelled"})

    place = {"response_id": "resp_2", "item_id": "item_2"}
    heard = [hear(codec, "response.output_audio.delta", **place, delta="AAAA" * 400) for codec in (cut, fresh)]

    assert heard[0] == heard[1]


def test_what_the_resampler_holds_is_committed_with_the_rest() -> None:
    codec = OpenAICodec(QWEN)

    said = [
        json.loads(text)
        for event in (AudioInputAppend(bytes(4800)), AudioInputCommit())
        for text in codec.encode(event)
    ]

    assert [message["type"] for message in said[-2:]] == ["input_audio_buffer.append", "input_audio_buffer.commit"]
    assert sum(len(b64decode(message["audio"])) for message in said if "audio" in message) == 100 * 32


def test_audio_that_is_cleared_is_gone_from_the_resampler_too() -> None:
    cleared, fresh = OpenAICodec(QWEN), OpenAICodec(QWEN)
    cleared.encode(AudioInputAppend(b"\xff\x7f" * 2400))
    assert cleared.encode(AudioInputClear()) == ('{"type":"input_audio_buffer.clear"}',)

    assert cleared.encode(AudioInputAppend(bytes(4800))) == fresh.encode(AudioInputAppend(bytes(4800)))


@pytest.mark.parametrize("rate", [0, -24_000, 44_100, 10**9, "24000", None, True])
def test_a_rate_that_makes_no_sense_changes_nothing(rate: object) -> None:
    codec = begun()
    formats = {"output": {"format": {"type": "audio/pcm", "rate": rate}}}
    hear(codec, "session.updated", session={"audio": formats})

    _, delta = hear(codec, "response.output_audio.delta", response_id="resp_1", item_id="item_1", delta=AUDIO)

    assert delta == AudioOutputDelta("resp_1", "item_1", 0, b"\x00\x01\x02\xff")


# ---- hostile ----


def test_what_was_owed_before_a_broken_message_comes_with_the_next_whole_one() -> None:
    codec = begun()
    with pytest.raises(WireError):
        hear(codec, "response.output_audio.delta", response_id="resp_1", item_id="item_1", delta="no base64")

    assert hear(codec, TEXT, response_id="resp_1", item_id="item_1", delta="Hi") == (
        ResponseCreated("resp_1"),
        TranscriptOutputDelta("resp_1", "item_1", "Hi"),
    )


@pytest.mark.parametrize("dialect", ["openai", "localai"])
def test_a_response_whose_end_makes_no_sense_has_ended_all_the_same(dialect: str) -> None:
    codec = begun(OpenAICodec(DIALECTS[dialect]))
    hear(codec, "response.created", response={"id": "resp_1"})
    with pytest.raises(WireError):
        hear(codec, "response.done", response={"id": "resp_1", "status": 7})

    assert hear(codec, "rate_limits.updated") == (ResponseDone("resp_1", "failed", reason="malformed"),)


HOSTILE: st.SearchStrategy[object] = st.sampled_from(
    [None, True, -1, 2**70, 1.5, "", "x", "café\0", [], [{}], {}, {"id": 1}, {"type": []}]
)


@st.composite
def mutated(draw: st.DrawFn) -> Json:
    """A real message with some of its values replaced or taken away, at any depth."""
    message: Json = json.loads(json.dumps(draw(st.sampled_from([message for message, _ in MEANINGS]))))
    for _ in range(draw(st.integers(1, 4))):
        place = message
        key = draw(st.sampled_from(sorted(place)))
        while isinstance(place[key], dict) and place[key] and draw(st.booleans()):
            place = place[key]
            key = draw(st.sampled_from(sorted(place)))
        if draw(st.booleans()):
            place[key] = json.loads(json.dumps(draw(HOSTILE)))
        elif len(place) > 1:
            del place[key]
    return message


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(DIALECTS)), st.lists(mutated(), max_size=8))
def test_no_sequence_of_broken_messages_raises_anything_but_wire_errors(name: str, messages: list[Json]) -> None:
    codec = OpenAICodec(DIALECTS[name])
    for message in messages:
        try:
            events = codec.decode(json.dumps(message))
        except WireError:
            continue
        assert all(isinstance(event, ServerEvent) for event in events)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([message for message, _ in MEANINGS]) | mutated(), max_size=20))
def test_a_loose_server_never_has_two_responses_under_way_nor_ends_one_twice(messages: list[Json]) -> None:
    codec = OpenAICodec(LOCALAI)
    active: str | None = None
    for message in messages:
        try:
            events = codec.decode(json.dumps(message))
        except WireError:
            continue
        for event in events:
            match event:
                case ResponseCreated(response_id):
                    assert active is None
                    active = response_id
                case ResponseDone(response_id):
                    assert active == response_id
                    active = None
