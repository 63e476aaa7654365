"""The OpenAI wire: exact messages, judged by OpenAI's own types, and a decoder that hostile messages cannot hurt."""

import json
from base64 import b64encode
from types import MappingProxyType
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.errors import ConfigError, NotSupportedError
from agents.events import (
    ActivityEnd,
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
    ResponseDone,
    ServerEvent,
    SessionError,
    SessionUpdate,
    ToolResult,
)
from agents.providers.openai_meaning import MEANINGFUL
from agents.providers.openai_wire import ROUTINE, decode, encode
from agents.providers.socket import WireError
from agents.realtime import UNSET, AudioFormat, SessionConfig, ToolSchema, Transcription, TurnDetection, Unset, Voice
from tests.openai_messages import AGENT_ITEM, MEANINGS, PART, Json, response, said
from tests.openai_oracle import SERVER_EVENTS, client_faults, server_faults


def sent(event: ClientEvent) -> Json:
    """The one message of the event, which OpenAI must understand."""
    [text] = encode(event)
    message: Json = json.loads(text)
    assert client_faults(message) == []
    return message


def session(**config: Any) -> Json:
    [text] = encode(SessionUpdate(SessionConfig(**config)))
    message: Json = json.loads(text)
    assert client_faults(message) == []
    found: Json = message["session"]
    return found


# ---- what we say ----


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (AudioInputAppend(b"\x00\x01\xfe\xff"), {"type": "input_audio_buffer.append", "audio": "AAH+/w=="}),
        (AudioInputCommit(), {"type": "input_audio_buffer.commit"}),
        (AudioInputClear(), {"type": "input_audio_buffer.clear"}),
        (ItemDelete("item_1"), {"type": "conversation.item.delete", "item_id": "item_1"}),
        (
            ItemTruncate("item_1", 0, 1200),
            {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 1200},
        ),
        (ResponseCancel(), {"type": "response.cancel"}),
        (ResponseCancel("resp_1"), {"type": "response.cancel", "response_id": "resp_1"}),
        (ResponseCreate("create_1"), {"type": "response.create", "event_id": "create_1"}),
        (
            ResponseCreate("create_1", instructions="Be brief."),
            {"type": "response.create", "event_id": "create_1", "response": {"instructions": "Be brief."}},
        ),
        (
            ToolResult("call_1", '{"ok": true}'),
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "call_1", "output": '{"ok": true}'},
            },
        ),
        (
            ItemCreate("user", "Hi", "item_9", "item_8"),
            {
                "type": "conversation.item.create",
                "previous_item_id": "item_8",
                "item": {
                    "type": "message",
                    "id": "item_9",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Hi"}],
                },
            },
        ),
    ],
)
def test_each_event_is_one_message_that_openai_understands(event: ClientEvent, message: Json) -> None:
    assert sent(event) == message


@pytest.mark.parametrize(
    ("role", "part"), [("user", "input_text"), ("system", "input_text"), ("assistant", "output_text")]
)
def test_text_of_each_role_has_the_content_type_of_that_role(role: Any, part: str) -> None:
    item = sent(ItemCreate(role, "Hi"))["item"]
    assert item == {"type": "message", "role": role, "content": [{"type": part, "text": "Hi"}]}


def test_a_text_to_say_is_asked_for_word_for_word_and_without_tools() -> None:
    asked = sent(ResponseCreate("create_1", instructions="Sound glad.", say="Thank you for calling."))["response"]
    assert asked["instructions"].startswith("Sound glad.")
    assert asked["instructions"].endswith("\nThank you for calling.")
    assert "exactly" in asked["instructions"]
    assert asked["tool_choice"] == "none"


@pytest.mark.parametrize("event", [ActivityStart(), ActivityEnd()])
def test_activity_marks_are_refused_because_the_wire_has_none(event: ClientEvent) -> None:
    with pytest.raises(NotSupportedError, match="activity"):
        encode(event)


def test_a_tool_result_with_half_a_surrogate_pair_still_reaches_the_model() -> None:
    assert sent(ToolResult("call_1", "caf\ud800é"))["item"]["output"] == "caf?é"


def test_numbers_beyond_64_bits_in_a_tool_schema_still_reach_the_model() -> None:
    tool = ToolSchema(name="n", description="", parameters={"type": "object", "maximum": 2**70})
    assert session(tools=(tool,))["tools"][0]["parameters"]["maximum"] == 2**70


def test_options_that_json_cannot_hold_are_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="JSON cannot"):
        encode(SessionUpdate(SessionConfig(provider_options={"tracing": object()})))


# ---- the session object ----


def test_a_bare_configuration_sends_formats_and_nothing_that_nobody_set() -> None:
    assert session() == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "tools": [],
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}},
        },
    }


def test_instructions_tools_choice_modalities_voice_speed_and_length_reach_the_wire() -> None:
    parameters = MappingProxyType({"type": "object", "properties": {}})
    found = session(
        instructions="You are kind.",
        tools=(ToolSchema(name="hang_up", description="Ends the call.", parameters=parameters),),
        tool_choice="required",
        modalities=("text",),
        voice=Voice(voice_id="marin", speed=1.1),
        max_output_tokens=300,
    )
    assert found["instructions"] == "You are kind."
    assert found["tools"] == [
        {"type": "function", "name": "hang_up", "description": "Ends the call.", "parameters": dict(parameters)}
    ]
    assert found["tool_choice"] == "required"
    assert found["output_modalities"] == ["text"]
    assert found["audio"]["output"]["voice"] == "marin"
    assert found["audio"]["output"]["speed"] == 1.1
    assert found["max_output_tokens"] == 300


def test_audio_and_text_together_are_asked_for_as_audio_which_brings_its_text() -> None:
    assert session(modalities=("text", "audio"))["output_modalities"] == ["audio"]


def test_a_custom_voice_is_named_by_its_id() -> None:
    assert session(voice=Voice(voice_id="voice_123"))["audio"]["output"]["voice"] == {"id": "voice_123"}


@pytest.mark.parametrize("mime_type", ["audio/pcmu", "audio/pcma"])
def test_g711_formats_have_no_rate_on_the_wire(mime_type: Any) -> None:
    ulaw = AudioFormat(mime_type=mime_type, sample_rate=8000)
    audio = session(input_format=ulaw, output_format=ulaw)["audio"]
    assert audio["input"]["format"] == audio["output"]["format"] == {"type": mime_type}


@pytest.mark.parametrize("wrong", [AudioFormat(sample_rate=16_000), AudioFormat(mime_type="audio/pcmu")])
def test_formats_that_openai_does_not_speak_are_refused(wrong: AudioFormat) -> None:
    with pytest.raises(NotSupportedError, match=f"{wrong.sample_rate} Hz"):
        session(input_format=wrong)


@pytest.mark.parametrize(
    ("turns", "wire"),
    [
        (
            TurnDetection(
                threshold=0.4,
                silence_duration_ms=700,
                prefix_padding_ms=200,
                idle_timeout_ms=6000,
                create_response=False,
                interrupt_response=False,
            ),
            {
                "type": "server_vad",
                "threshold": 0.4,
                "silence_duration_ms": 700,
                "prefix_padding_ms": 200,
                "idle_timeout_ms": 6000,
                "create_response": False,
                "interrupt_response": False,
            },
        ),
        (
            TurnDetection(mode="semantic_vad", eagerness="high", create_response=True, interrupt_response=True),
            {"type": "semantic_vad", "eagerness": "high", "create_response": True, "interrupt_response": True},
        ),
        (TurnDetection(), {"type": "server_vad"}),
        (TurnDetection(mode="manual"), None),
        (None, None),
    ],
)
def test_every_field_of_turn_detection_is_forwarded_and_manual_means_none(
    turns: TurnDetection | None, wire: Json | None
) -> None:
    assert session(turn_detection=turns)["audio"]["input"]["turn_detection"] == wire


@pytest.mark.parametrize(
    "turns",
    [
        TurnDetection(eagerness="low"),
        TurnDetection(mode="semantic_vad", silence_duration_ms=500),
        TurnDetection(mode="manual", threshold=0.5),
    ],
)
def test_a_field_of_another_turn_detection_mode_is_refused(turns: TurnDetection) -> None:
    with pytest.raises(NotSupportedError, match="belongs to mode"):
        session(turn_detection=turns)


@pytest.mark.parametrize(
    ("wanted", "wire"),
    [
        (Transcription(), {"model": "gpt-transcribe"}),
        (
            Transcription(model="gpt-live-transcribe", language="en", prompt="Otto"),
            {"model": "gpt-live-transcribe", "language": "en", "prompt": "Otto"},
        ),
        (None, None),
    ],
)
def test_transcription_can_be_set_defaulted_and_disabled(wanted: Transcription | None, wire: Json | None) -> None:
    assert session(transcription=wanted)["audio"]["input"]["transcription"] == wire


@pytest.mark.parametrize(("wanted", "wire"), [("far_field", {"type": "far_field"}), (None, None)])
def test_noise_reduction_can_be_set_and_disabled(wanted: Any, wire: Json | None) -> None:
    assert session(noise_reduction=wanted)["audio"]["input"]["noise_reduction"] == wire


@pytest.mark.parametrize("field", ["turn_detection", "transcription", "noise_reduction"])
def test_what_is_unset_is_absent_and_not_null(field: str) -> None:
    unset: Unset = UNSET
    assert field not in session(**{field: unset})["audio"]["input"]


def test_provider_options_are_merged_last_and_deep() -> None:
    found = session(
        voice=Voice(voice_id="ash"),
        provider_options={"truncation": "disabled", "audio": {"output": {"speed": 0.9}}},
    )
    assert found["truncation"] == "disabled"
    assert found["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "ash", "speed": 0.9}


def test_a_provider_option_that_names_another_type_replaces_the_whole_object() -> None:
    options = {"audio": {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": {"type": "semantic_vad"}}}}
    heard = session(turn_detection=TurnDetection(threshold=0.4), provider_options=options)["audio"]["input"]
    assert heard == options["audio"]["input"]


# ---- what the server says ----


@pytest.mark.parametrize(
    ("message", "events"), MEANINGS, ids=lambda value: value.get("type") if isinstance(value, dict) else ""
)
def test_each_message_means_these_events(message: Json, events: tuple[ServerEvent, ...]) -> None:
    assert decode(json.dumps(message)) == events
    assert decode(json.dumps(message).encode()) == events


def test_the_messages_of_these_tests_are_such_as_openai_sends() -> None:
    faults = [fault for message, _ in MEANINGS for fault in server_faults(message)]
    assert [fault for fault in faults if ".error.param" not in fault] == []


def test_every_type_of_openais_own_list_is_known_or_deliberately_raw() -> None:
    types = {get_args(event.model_fields["type"].annotation)[0] for event in SERVER_EVENTS}
    raw = {kind.rpartition(".")[0] for kind in types - MEANINGFUL - ROUTINE}
    assert raw == {
        "input_audio_buffer",  # the idle timeout, keys pressed on a SIP phone
        "mcp_list_tools",
        "response.mcp_call",
        "response.mcp_call_arguments",
    }
    assert types >= MEANINGFUL | ROUTINE


@pytest.mark.parametrize("kind", sorted(ROUTINE))
def test_routine_messages_say_nothing(kind: str) -> None:
    assert decode(json.dumps({"type": kind})) == ()


def test_an_unknown_type_is_a_raw_event_with_its_fields() -> None:
    message = said("response.surprise", detail=[1, 2])
    assert decode(json.dumps(message)) == (RawEvent("response.surprise", message),)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '{"type": 7}', '{"kind": "error"}', b"\xff\xfe", "[" * 9999]
)
def test_what_is_no_message_at_all_is_a_wire_error(text: str | bytes) -> None:
    with pytest.raises(WireError):
        decode(text)


@pytest.mark.parametrize("kind", sorted(MEANINGFUL - {"input_audio_buffer.cleared"}))
def test_a_known_message_without_its_fields_is_a_wire_error(kind: str) -> None:
    with pytest.raises(WireError, match=kind):
        decode(json.dumps({"type": kind}))


@pytest.mark.parametrize(
    "broken",
    [
        said("response.output_audio.delta", **PART, delta="AAE"),
        said("response.output_audio.delta", **PART, delta="AA\u00e9="),
        said("response.output_audio.delta", **(PART | {"content_index": "0"}), delta="AAEC"),
        said("conversation.item.added", item=AGENT_ITEM, previous_item_id=7),
        said("session.created", session={"id": "sess_1", "expires_at": "tomorrow"}),
        said("response.done", response=response("completed", None, {"input_tokens": "many"})),
        said("response.done", response=response("completed") | {"usage": [1]}),
        said("response.done", response=response("failed") | {"status_details": "quota"}),
        said("response.output_item.added", response_id="r", output_index=0, item={"type": "function_call"}),
        said("response.output_item.done", response_id="r", output_index=0, item={"type": "function_call"}),
        said("error", error={"message": ["not", "text"]}),
    ],
    ids=lambda message: message["type"],
)
def test_a_field_of_a_wrong_type_is_a_wire_error(broken: Json) -> None:
    with pytest.raises(WireError):
        decode(json.dumps(broken))


def test_audio_whose_base64_is_split_in_the_middle_of_a_sample_loses_no_byte() -> None:
    pcm = bytes(range(10))
    pieces = [
        said("response.output_audio.delta", **PART, delta=b64encode(part).decode()) for part in (pcm[:5], pcm[5:])
    ]

    deltas = [event for piece in pieces for event in decode(json.dumps(piece))]

    assert b"".join(delta.pcm for delta in deltas if isinstance(delta, AudioOutputDelta)) == pcm


def test_a_content_index_that_compatible_servers_leave_out_is_the_first() -> None:
    part = {key: PART[key] for key in ("response_id", "item_id")}
    [event] = decode(json.dumps(said("response.output_audio.done", **part)))
    assert event == decode(json.dumps(said("response.output_audio.done", **PART)))[0]


def test_an_error_fits_a_log_line_however_long_its_code_and_its_words_are() -> None:
    long = {"type": "x" * 5000, "code": "y" * 5000, "message": "z" * 5000}
    failed = said("response.done", response=response("failed") | {"status_details": {"error": long}})
    [error] = decode(json.dumps(said("error", error=long)))
    [_, done] = decode(json.dumps(failed))
    assert isinstance(error, SessionError) and isinstance(done, ResponseDone)
    assert (error.code, error.message) == ("y" * 100, "z" * 300)
    assert done.reason == "y" * 100


def test_a_key_on_the_edge_of_a_long_error_is_cut_out_whole() -> None:
    message = "z" * 292 + " sk-never-to-be-seen"
    [error] = decode(json.dumps(said("error", error={"type": "x", "message": message})))
    assert isinstance(error, SessionError)
    assert "sk-" not in error.message


def test_a_response_that_ends_in_an_unknown_way_has_failed_in_that_way() -> None:
    [event] = decode(json.dumps(said("response.done", response=response("exploded"))))
    assert (getattr(event, "status", None), getattr(event, "reason", None)) == ("failed", "exploded")


HOSTILE = [
    *("null", "true", "0", "-1", "1180591620717411303424", "1.5", "1e308", '""', '"x"', '"caf\\u00e9\\u0000"'),
    *("[]", "[{}]", "{}", '{"id": 1}', '{"type": []}'),
]
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A real message with one to three of its values replaced or taken away, at any depth."""
    message = json.loads(json.dumps(draw(st.sampled_from([message for message, _ in MEANINGS]))))
    for _ in range(draw(st.integers(1, 3))):
        place = message
        key = draw(st.sampled_from(sorted(place)))
        while isinstance(place[key], dict) and place[key] and draw(st.booleans()):
            place = place[key]
            key = draw(st.sampled_from(sorted(place)))
        if draw(st.booleans()):
            place[key] = json.loads(draw(st.sampled_from(HOSTILE)))
        elif len(place) > 1:
            del place[key]
    return message


@settings(QUICK, max_examples=500)
@given(mutated())
def test_no_mutation_of_a_real_message_raises_anything_but_a_wire_error(message: Any) -> None:
    try:
        events = decode(json.dumps(message))
    except WireError:
        return
    assert all(isinstance(event, ServerEvent) for event in events)


@QUICK
@given(st.text() | st.binary() | st.sampled_from(HOSTILE))
def test_no_text_or_bytes_raise_anything_but_a_wire_error(message: str | bytes) -> None:
    try:
        events = decode(message)
    except WireError:
        return
    assert all(isinstance(event, RawEvent) for event in events)
