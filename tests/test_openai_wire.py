"""The OpenAI wire: exact messages, judged by OpenAI's own types, and a decoder that hostile messages cannot hurt."""

import json
from base64 import b64encode
from dataclasses import replace
from types import MappingProxyType
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.errors import ConfigError, NotSupportedError
from agents.events import (
    FIRST,
    ActivityEnd,
    ActivityStart,
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    AudioOutputDelta,
    ClientEvent,
    ItemCreate,
    ItemCreated,
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
from agents.providers.openai.meaning import MEANINGFUL
from agents.providers.openai.wire import MAX_PAST, ROUTINE, OpenAICodec
from agents.providers.socket import WireError
from agents.realtime import (
    UNSET,
    AudioFormat,
    Past,
    PastMessage,
    PastToolCall,
    SessionConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
    Unset,
    Voice,
)
from tests.openai_messages import AGENT_ITEM, CALL_ITEM, MEANINGS, PART, SESSION, Json, response, said
from tests.openai_oracle import CLIENT_EVENTS, SERVER_EVENTS, client_faults, server_faults


def encode(event: ClientEvent) -> tuple[str, ...]:
    return OpenAICodec().encode(event)


def decode(message: str | bytes) -> tuple[ServerEvent, ...]:
    """What a message says on a connection whose session is there."""
    codec = OpenAICodec()
    if '"session.created"' not in str(message):
        codec.decode(json.dumps(said("session.created", session=SESSION)))
    return codec.decode(message)


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


@pytest.mark.parametrize("mime_type", ["audio/pcm", "audio/pcmu"])
def test_declared_formats_stand_in_every_session_update(mime_type: Any) -> None:
    declared = AudioFormat(mime_type=mime_type, sample_rate=24_000 if mime_type == "audio/pcm" else 8000)
    codec = OpenAICodec()
    config = SessionConfig(input_format=declared, output_format=declared)

    for instructions in ("Be kind.", "Be brief."):
        [text] = codec.encode(SessionUpdate(replace(config, instructions=instructions)))
        audio = json.loads(text)["session"]["audio"]
        assert [audio[side]["format"]["type"] for side in ("input", "output")] == [mime_type, mime_type]


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


@pytest.mark.parametrize(
    "options",
    [
        {"parallel_tool_calls": False},
        {"reasoning": {"effort": "low"}},
        {
            "truncation": {
                "type": "retention_ratio",
                "retention_ratio": 0.8,
                "token_limits": {"post_instructions": 9000},
            }
        },
        {"tracing": {"workflow_name": "calls", "group_id": "night", "metadata": {"desk": "7"}}},
        {"prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Paris"}}},
        {"include": ["item.input_audio_transcription.logprobs"]},
        {"max_output_tokens": "inf"},
        {"tool_choice": {"type": "function", "name": "hang_up"}},
        {"audio": {"input": {"noise_reduction": {"type": "near_field", "strength": 0.5}}}},
        {"audio": {"input": {"transcription": {"model": "gpt-transcribe", "keywords": ["Otto"], "languages": ["de"]}}}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_whatever_else_a_session_has_is_reached_by_provider_options(options: Json) -> None:
    found = session(provider_options=options)
    for key, value in options.items():
        if key != "audio":
            assert found[key] == value
    if "audio" in options:
        for key, value in options["audio"]["input"].items():
            assert found["audio"]["input"][key] == value


def test_tools_among_the_provider_options_come_beside_the_agents() -> None:
    mcp = {"type": "mcp", "server_label": "crm", "server_url": "https://crm.example", "require_approval": "never"}
    tool = ToolSchema(name="hang_up", description="", parameters={"type": "object"})
    found = session(tools=(tool,), provider_options={"tools": [mcp]})["tools"]
    assert [each["type"] for each in found] == ["function", "mcp"]
    assert found[1] == mcp


def test_a_provider_option_that_names_another_type_replaces_the_whole_object() -> None:
    options = {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}
    heard = session(turn_detection=TurnDetection(threshold=0.4), provider_options=options)["audio"]["input"]
    assert heard["turn_detection"] == {"type": "semantic_vad"}


# ---- what was said before ----


def seeded(*history: Past) -> tuple[OpenAICodec, list[Json]]:
    """A codec that has said its session and its history, and what it said of the history."""
    codec = OpenAICodec(history=history)
    first, *items = codec.encode(SessionUpdate(SessionConfig()))
    assert json.loads(first)["type"] == "session.update"
    messages = [json.loads(item) for item in items]
    assert [fault for message in messages for fault in client_faults(message)] == []
    codec.decode(json.dumps(said("session.created", session=SESSION)))
    return codec, [message["item"] for message in messages]


def test_history_goes_before_anything_else_in_order_and_only_once() -> None:
    codec, items = seeded(
        PastMessage("item_1", "user", "Hi"),
        PastMessage("item_2", "assistant", "Hello"),
        PastToolCall("call_1", "look_up", '{"order": 7}', "found"),
        PastMessage("item_3", "assistant", ""),
        PastToolCall("call_2", "look_up", "{}", None),
    )
    assert items == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}], "id": "item_1"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}], "id": "item_2"},
        {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": '{"order": 7}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "found"},
        {"type": "function_call", "call_id": "call_2", "name": "look_up", "arguments": "{}"},
    ]
    assert len(codec.encode(SessionUpdate(SessionConfig()))) == 1


def test_ids_that_are_too_long_are_others_on_the_wire_and_the_same_to_us() -> None:
    long_item, long_call = "item" * 9, "call" * 9
    codec, [message, call] = seeded(
        PastMessage(long_item, "assistant", "Hello"), PastToolCall(long_call, "look_up", "{}", None)
    )
    short_item, short_call = message["id"], call["call_id"]
    assert len(short_item) <= 32 and len(short_call) <= 32

    added = said("conversation.item.added", item=AGENT_ITEM | {"id": short_item}, previous_item_id=None)
    after = said("conversation.item.added", item=CALL_ITEM, previous_item_id=short_item)
    assert codec.decode(json.dumps(added)) == (ItemCreated(long_item, "assistant", None),)
    assert codec.decode(json.dumps(after)) == (ItemCreated("item_2", "function_call", long_item),)
    for event, key in (
        (ToolResult(long_call, "found"), short_call),
        (ItemDelete(long_item), short_item),
        (ItemTruncate(long_item, 0, 100), short_item),
    ):
        [text] = codec.encode(event)
        assert key in text and long_item not in text and long_call not in text


def test_a_message_goes_after_an_item_whose_id_was_too_long_and_before_all_items() -> None:
    codec, [item] = seeded(PastMessage("item" * 9, "user", "Hello"))

    for previous, on_the_wire in (("item" * 9, item["id"]), (FIRST, "root")):
        [text] = codec.encode(ItemCreate("system", "Be brief.", "note_1", previous))
        assert json.loads(text)["previous_item_id"] == on_the_wire


def test_of_a_long_history_the_newest_are_passed_on() -> None:
    _, items = seeded(*(PastMessage(f"item_{number}", "user", f"word {number}") for number in range(MAX_PAST + 5)))
    assert len(items) == MAX_PAST
    assert items[-1]["content"][0]["text"] == f"word {MAX_PAST + 4}"


# ---- what the server says ----


@pytest.mark.parametrize(
    ("message", "events"), MEANINGS, ids=lambda value: value.get("type") if isinstance(value, dict) else ""
)
def test_each_message_means_these_events(message: Json, events: tuple[ServerEvent, ...]) -> None:
    assert decode(json.dumps(message)) == events
    assert decode(json.dumps(message).encode()) == events


OLD_NAMES = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
}


@pytest.mark.parametrize(
    ("message", "events"),
    [(message, events) for message, events in MEANINGS if message["type"] in OLD_NAMES],
    ids=lambda value: value.get("type") if isinstance(value, dict) else "",
)
def test_a_message_by_its_name_of_the_beta_means_the_same(message: Json, events: tuple[ServerEvent, ...]) -> None:
    assert decode(json.dumps(message | {"type": OLD_NAMES[message["type"]]})) == events


def test_the_messages_of_these_tests_are_such_as_openai_sends() -> None:
    faults = [fault for message, _ in MEANINGS for fault in server_faults(message)]
    assert [fault for fault in faults if ".error.param" not in fault] == []


RAW = {
    "input_audio_buffer.dtmf_event_received",  # keys pressed on a SIP phone
    "input_audio_buffer.timeout_triggered",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "mcp_list_tools.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.mcp_call.in_progress",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
}
"""What only observers may want."""

OF_THE_BETA = {"conversation.item.created"}
"""What a GA server may still say beside the name of today."""


def test_every_type_of_openais_own_list_is_known_or_deliberately_raw() -> None:
    types = {get_args(event.model_fields["type"].annotation)[0] for event in SERVER_EVENTS}
    assert len(types) == 46
    assert types == MEANINGFUL | ROUTINE | RAW | OF_THE_BETA
    assert not RAW & (MEANINGFUL | ROUTINE)


UNUSED = {
    "conversation.item.retrieve",  # the caller's audio was ours before it was the server's
    "output_audio_buffer.clear",  # of WebRTC and SIP, where the server plays
}
SAYING: list[ClientEvent] = [
    AudioInputAppend(b"\0\0"),
    AudioInputClear(),
    AudioInputCommit(),
    ItemCreate("user", "Hi"),
    ItemDelete("item_1"),
    ItemTruncate("item_1", 0, 0),
    ResponseCancel(),
    ResponseCreate("create_1"),
    SessionUpdate(SessionConfig()),
]


def test_every_message_of_openais_own_list_is_said_or_deliberately_not() -> None:
    types = {get_args(event.model_fields["type"].annotation)[0] for event in CLIENT_EVENTS}
    assert len(types) == 11
    assert types - UNUSED == {sent(event)["type"] for event in SAYING}


@pytest.mark.parametrize("kind", sorted(ROUTINE))
def test_routine_messages_say_nothing(kind: str) -> None:
    assert decode(json.dumps({"type": kind})) == ()


@pytest.mark.parametrize("kind", sorted(RAW))
def test_what_only_observers_want_is_a_raw_event(kind: str) -> None:
    message = said(kind, item_id="item_1")
    assert decode(json.dumps(message)) == (RawEvent(kind, message),)


@pytest.mark.parametrize("kind", ["mcp_approval_request", "mcp_call"])
def test_what_an_mcp_server_does_is_there_to_be_seen(kind: str) -> None:
    item = {"type": kind, "id": "mcp_1", "server_label": "crm", "name": "find", "arguments": "{}"}
    message = said("response.output_item.done", response_id="resp_1", output_index=0, item=item)
    added = said("conversation.item.added", item=item)
    assert server_faults(message) == server_faults(added) == []
    assert decode(json.dumps(message)) == (RawEvent("response.output_item.done", message),)
    assert decode(json.dumps(added)) == (ItemCreated("mcp_1", kind),)


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


def test_instructions_of_a_response_come_after_those_of_the_session_which_they_would_replace() -> None:
    codec = OpenAICodec()
    codec.encode(SessionUpdate(SessionConfig(instructions="Be kind.")))

    (message,) = codec.encode(ResponseCreate("create_1", instructions="Be brief."))

    assert json.loads(message)["response"] == {"instructions": "Be kind.\n\nBe brief."}
