"""Messages of OpenAI's realtime servers beside what they mean: one of each type that means something, and oddities."""

from typing import Any, Final

from agents.events import (
    AudioInputCleared,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ItemCreated,
    ItemDeleted,
    ItemTruncated,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextOutput,
    TextOutputDelta,
    ToolCall,
    ToolCancelled,
    ToolDelta,
    ToolStart,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutput,
    TranscriptOutputDelta,
    Usage,
)

Json = dict[str, Any]

SESSION: Final[Json] = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "expires_at": 1780000000}
PART: Final[Json] = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
CALL_PART: Final[Json] = {"response_id": "resp_1", "item_id": "item_2", "output_index": 1, "call_id": "call_1"}
USER_ITEM: Final[Json] = {"type": "message", "id": "item_0", "role": "user", "status": "completed", "content": []}
AGENT_ITEM: Final[Json] = USER_ITEM | {"id": "item_1", "role": "assistant"}
CALL_ITEM: Final[Json] = {
    "type": "function_call",
    "id": "item_2",
    "call_id": "call_1",
    "name": "look_up",
    "arguments": '{"order": 7}',
    "status": "completed",
}
USAGE: Final[Json] = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}


def response(status: str, details: Json | None = None, usage: Json | None = None) -> Json:
    body: Json = {"id": "resp_1", "object": "realtime.response", "status": status, "output": []}
    return body | {"status_details": details, "usage": usage}


def said(kind: str, **fields: Any) -> Json:
    return {"type": kind, "event_id": "event_1", **fields}


_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_FAILED: Json = {"type": "failed", "error": {"type": "server_error", "code": "internal", "message": "It broke."}}
_QUOTA: Json = {"type": "rate_limit_error", "code": "insufficient_quota", "message": "Pay first."}
_INVALID: Json = {"type": "invalid_request_error", "param": None}

MEANINGS: Final[list[tuple[Json, tuple[ServerEvent, ...]]]] = [
    (said("session.created", session=SESSION), (SessionCreated("sess_1", 1780000000.0),)),
    (said("session.updated", session=SESSION), (SessionUpdated(),)),
    (
        said("conversation.item.added", item=USER_ITEM, previous_item_id=None),
        (ItemCreated("item_0", "user", None),),
    ),
    (
        said("conversation.item.added", item=AGENT_ITEM, previous_item_id="item_0"),
        (ItemCreated("item_1", "assistant", "item_0"),),
    ),
    (said("conversation.item.added", item=CALL_ITEM), (ItemCreated("item_2", "function_call", None),)),
    (said("conversation.item.deleted", item_id="item_1"), (ItemDeleted("item_1"),)),
    (
        said("conversation.item.truncated", item_id="item_1", content_index=0, audio_end_ms=1200),
        (ItemTruncated("item_1", 1200),),
    ),
    (
        said(f"{_TRANSCRIPTION}.delta", item_id="item_0", content_index=0, delta="Hel"),
        (TranscriptInputDelta("item_0", "Hel"),),
    ),
    (
        said(
            f"{_TRANSCRIPTION}.completed",
            item_id="item_0",
            content_index=0,
            transcript="Hello",
            usage={"type": "duration", "seconds": 1.5},
        ),
        (TranscriptInput("item_0", "Hello"),),
    ),
    (
        said(f"{_TRANSCRIPTION}.failed", item_id="item_0", content_index=0, error={"message": "Unclear."}),
        (SessionError("transcription_failed", "Unclear."), TranscriptInput("item_0", "")),
    ),
    (
        said("input_audio_buffer.committed", item_id="item_0", previous_item_id=None),
        (AudioInputCommitted("item_0"),),
    ),
    (said("input_audio_buffer.cleared"), (AudioInputCleared(),)),
    (
        said("input_audio_buffer.speech_started", item_id="item_0", audio_start_ms=300),
        (SpeechStarted("item_0", 300),),
    ),
    (
        said("input_audio_buffer.speech_stopped", item_id="item_0", audio_end_ms=900),
        (SpeechStopped("item_0", 900),),
    ),
    (said("response.created", response=response("in_progress")), (ResponseCreated("resp_1"),)),
    (said("response.output_item.added", response_id="resp_1", output_index=0, item=AGENT_ITEM), ()),
    (
        said("response.output_item.added", response_id="resp_1", output_index=1, item=CALL_ITEM),
        (ToolStart("resp_1", "call_1", "look_up"),),
    ),
    (
        said("response.output_audio.delta", **PART, delta="AAEC/w=="),
        (AudioOutputDelta("resp_1", "item_1", 0, b"\x00\x01\x02\xff"),),
    ),
    (said("response.output_audio.done", **PART), (AudioOutputDone("resp_1", "item_1", 0),)),
    (
        said("response.output_audio_transcript.delta", **PART, delta="Hi"),
        (TranscriptOutputDelta("resp_1", "item_1", "Hi"),),
    ),
    (
        said("response.output_audio_transcript.done", **PART, transcript="Hi there"),
        (TranscriptOutput("resp_1", "item_1", "Hi there"),),
    ),
    (said("response.output_text.delta", **PART, delta="Hi"), (TextOutputDelta("resp_1", "item_1", "Hi"),)),
    (said("response.output_text.done", **PART, text="Hi there"), (TextOutput("resp_1", "item_1", "Hi there"),)),
    (
        said("response.function_call_arguments.delta", **CALL_PART, delta='{"or'),
        (ToolDelta("resp_1", "call_1", '{"or'),),
    ),
    (said("response.output_item.done", response_id="resp_1", output_index=0, item=AGENT_ITEM), ()),
    (
        said("response.output_item.done", response_id="resp_1", output_index=1, item=CALL_ITEM),
        (ToolCall("resp_1", "call_1", "look_up", '{"order": 7}'),),
    ),
    (
        said(
            "response.output_item.done",
            response_id="resp_1",
            output_index=1,
            item=CALL_ITEM | {"arguments": '{"or', "status": "incomplete"},
        ),
        (ToolCancelled("call_1"),),
    ),
    (
        said("response.done", response=response("completed", {"type": "completed"}, USAGE)),
        (ResponseDone("resp_1", "completed", Usage(132, 121, 13, 64, 91)),),
    ),
    (said("response.done", response={"id": "resp_1"}), (ResponseDone("resp_1", "completed"),)),
    (
        said("response.done", response=response("cancelled", {"type": "cancelled", "reason": "turn_detected"}, USAGE)),
        (
            ResponseInterrupted("resp_1"),
            ResponseDone("resp_1", "interrupted", Usage(132, 121, 13, 64, 91), "turn_detected"),
        ),
    ),
    (
        said("response.done", response=response("cancelled", {"type": "cancelled", "reason": "client_cancelled"})),
        (ResponseDone("resp_1", "cancelled", reason="client_cancelled"),),
    ),
    (
        said("response.done", response=response("incomplete", {"type": "incomplete", "reason": "content_filter"}, {})),
        (ResponseDone("resp_1", "incomplete", reason="content_filter"),),
    ),
    (
        said("response.done", response=response("failed", _FAILED)),
        (
            SessionError("internal", "It broke.", retryable=True),
            ResponseDone("resp_1", "failed", reason="internal"),
        ),
    ),
    (
        said("response.done", response=response("failed", {"type": "failed", "error": _QUOTA | {"param": None}})),
        (
            SessionError("insufficient_quota", "Pay first."),
            ResponseDone("resp_1", "failed", reason="insufficient_quota"),
        ),
    ),
    (
        said("error", error=_INVALID | {"code": "response_cancel_not_active", "message": "None found."}),
        (SessionError("response_cancel_not_active", "None found.", benign=True),),
    ),
    (
        said("error", error=_INVALID | {"code": "input_audio_buffer_commit_empty", "message": "Too small."}),
        (SessionError("input_audio_buffer_commit_empty", "Too small.", benign=True),),
    ),
    (
        said("error", error=_INVALID | {"message": "Audio content of 9800ms is already shorter than 11579ms"}),
        (
            SessionError(
                "invalid_request_error", "Audio content of 9800ms is already shorter than 11579ms", benign=True
            ),
        ),
    ),
    (
        said(
            "error",
            error=_INVALID
            | {"code": "conversation_already_has_active_response", "message": "Busy.", "event_id": "create_1"},
        ),
        (SessionError("conversation_already_has_active_response", "Busy.", retryable=True, event_id="create_1"),),
    ),
    (
        said("error", error=_INVALID | {"code": "invalid_api_key", "message": "Incorrect API key: sk-proj-abcd1234."}),
        (SessionError("invalid_api_key", "Incorrect API key: …."),),
    ),
]
