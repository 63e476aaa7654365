"""What the messages of an OpenAI Realtime server mean."""

from collections.abc import Callable, Mapping
from typing import Final

from agents.events import (
    AudioInputCleared,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ItemCreated,
    ItemDeleted,
    ItemTruncated,
    RawEvent,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    ResponseStatus,
    ServerEvent,
    SessionCreated,
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
from agents.providers.openai.errors import session_error
from agents.providers.socket import MAX_CODE_CHARS, WireError
from agents.providers.wire_json import Message, count, from_base64, optional_object, optional_text

MEANINGFUL: Final = frozenset(
    {
        "conversation.item.added",
        "conversation.item.deleted",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.failed",
        "conversation.item.truncated",
        "error",
        "input_audio_buffer.cleared",
        "input_audio_buffer.committed",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "response.created",
        "response.done",
        "response.function_call_arguments.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_text.delta",
        "response.output_text.done",
        "session.created",
        "session.updated",
    }
)
"""Message types that become events."""

OLD_NAMES: Final[Mapping[str, str]] = {
    "conversation.item.created": "conversation.item.added",
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
}
"""What the beta called what is called otherwise today. No server means anything else by the old names."""

_SPEAKERS: Final = frozenset({"user", "assistant", "system"})

Events = tuple[ServerEvent, ...]


def meaning(kind: str, fields: Message) -> Events:
    """The events of a MEANINGFUL message, or none of those that are not for us. Raises WireError for a broken one."""
    if kind in _PIECES:
        events = _PIECES[kind](fields)
    else:
        events = _of_response(fields) if kind.startswith("response.") else _of_conversation(fields)
    if events is None:
        raise WireError(f"{kind} lacks a field, or has one of a wrong type")
    return events


def end_in(kind: str, fields: Message | None) -> Events:
    """The end of a response that a message tells which makes no sense otherwise: a response must not go on forever."""
    match fields:
        case {"response": {"id": str(response_id)}} if kind == "response.done":
            return (ResponseDone(response_id, "failed", reason="malformed"),)
        case _:
            return ()


# Each of these gives None where a field is missing or of a wrong type.


def _audio_piece(fields: Message) -> Events | None:
    if (piece := _piece(fields)) is None:
        return None
    response_id, item_id, audio = piece
    return (AudioOutputDelta(response_id, item_id, _content_index(fields), from_base64(audio)),)


def _transcript_piece(fields: Message) -> Events | None:
    piece = _piece(fields)
    return piece and (TranscriptOutputDelta(*piece),)


def _text_piece(fields: Message) -> Events | None:
    piece = _piece(fields)
    return piece and (TextOutputDelta(*piece),)


def _piece(fields: Message) -> tuple[str, str, str] | None:
    """Response, item and delta. A pattern that takes them apart costs four times as much."""
    response_id, item_id, delta = fields.get("response_id"), fields.get("item_id"), fields.get("delta")
    if isinstance(response_id, str) and isinstance(item_id, str) and isinstance(delta, str):
        return response_id, item_id, delta
    return None


_PIECES: Final[Mapping[str, Callable[[Message], Events | None]]] = {
    "response.output_audio.delta": _audio_piece,
    "response.output_audio_transcript.delta": _transcript_piece,
    "response.output_text.delta": _text_piece,
}
"""Nearly all that comes while a model speaks: read without a look at what else it might be."""


def _of_response(fields: Message) -> Events | None:
    match fields:
        case {"type": "response.output_audio.done", "response_id": str(response_id), "item_id": str(item_id)}:
            return (AudioOutputDone(response_id, item_id, _content_index(fields)),)
        case {
            "type": "response.output_audio_transcript.done",
            "response_id": str(response_id),
            "item_id": str(item_id),
            "transcript": str(text),
        }:
            return (TranscriptOutput(response_id, item_id, text),)
        case {
            "type": "response.output_text.done",
            "response_id": str(response_id),
            "item_id": str(item_id),
            "text": str(text),
        }:
            return (TextOutput(response_id, item_id, text),)
        case {
            "type": "response.function_call_arguments.delta",
            "response_id": str(response_id),
            "call_id": str(call_id),
            "delta": str(arguments),
        }:
            return (ToolDelta(response_id, call_id, arguments),)
        case {"type": "response.output_item.added", "response_id": str(response_id), "item": {"type": str()} as item}:
            return _tool_started(response_id, item)
        case {"type": "response.output_item.done", "item": {"type": "mcp_approval_request" | "mcp_call"}}:
            return (RawEvent("response.output_item.done", fields),)
        case {"type": "response.output_item.done", "response_id": str(response_id), "item": {"type": str()} as item}:
            return _tool_called(response_id, item)
        case {"type": "response.created", "response": {"id": str(response_id)}}:
            return (ResponseCreated(response_id),)
        case {"type": "response.done", "response": {"id": str(response_id)} as response}:
            return _response_done(response_id, response)
        case _:
            return None


def _of_conversation(fields: Message) -> Events | None:
    match fields:
        case {"type": "input_audio_buffer.speech_started", "item_id": str(item_id), "audio_start_ms": int(ms)}:
            return (SpeechStarted(item_id, ms),)
        case {"type": "input_audio_buffer.speech_stopped", "item_id": str(item_id), "audio_end_ms": int(ms)}:
            return (SpeechStopped(item_id, ms),)
        case {"type": "input_audio_buffer.committed", "item_id": str(item_id)}:
            return (AudioInputCommitted(item_id),)
        case {"type": "input_audio_buffer.cleared"}:
            return (AudioInputCleared(),)
        case {"type": "conversation.item.added", "item": {"id": str(item_id)} as item} if role := _role(item):
            return (ItemCreated(item_id, role, optional_text(fields, "previous_item_id")),)
        case {"type": "conversation.item.deleted", "item_id": str(item_id)}:
            return (ItemDeleted(item_id),)
        case {"type": "conversation.item.truncated", "item_id": str(item_id), "audio_end_ms": int(ms)}:
            return (ItemTruncated(item_id, ms),)
        case {"type": "conversation.item.input_audio_transcription.delta", "item_id": str(item_id)}:
            return (TranscriptInputDelta(item_id, optional_text(fields, "delta") or ""),)
        case {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": str(item_id),
            "transcript": str(text),
        }:
            return (TranscriptInput(item_id, text),)
        case {
            "type": "conversation.item.input_audio_transcription.failed",
            "item_id": str(item_id),
            "error": {} as error,
        }:
            return (session_error(error, otherwise="transcription_failed"), TranscriptInput(item_id, ""))
        case {"type": "session.created", "session": {"id": str(session_id)} as session}:
            return (SessionCreated(session_id, _expiry(session)),)
        case {"type": "session.updated", "session": {}}:
            return (SessionUpdated(),)
        case {"type": "error", "error": {} as error}:
            return (session_error(error),)
        case _:
            return None


def _role(item: Message) -> str | None:
    """Who speaks in an item; of one in which nobody does, such as a call, its type."""
    kind, role = optional_text(item, "type"), optional_text(item, "role")
    return role if role in _SPEAKERS or kind in (None, "message") else kind


def _tool_started(response_id: str, item: Message) -> Events | None:
    match item:
        case {"type": "function_call", "call_id": str(call_id), "name": str(name)}:
            return (ToolStart(response_id, call_id, name),)
        case {"type": "function_call"}:
            return None
        case _:
            return ()


def _tool_called(response_id: str, item: Message) -> Events | None:
    match item:
        case {"type": "function_call", "call_id": str(call_id), "status": "incomplete"}:
            return (ToolCancelled(call_id),)
        case {"type": "function_call", "call_id": str(call_id), "name": str(name), "arguments": str(arguments)}:
            return (ToolCall(response_id, call_id, name, arguments),)
        case {"type": "function_call"}:
            return None
        case _:
            return ()


def _response_done(response_id: str, response: Message) -> Events:
    """The end of a response. Some servers say neither status nor usage; one that only says done has completed."""
    said = optional_text(response, "status") or "completed"
    details = optional_object(response, "status_details")
    error = optional_object(details, "error")
    reason = optional_text(details, "reason") or optional_text(error, "code") or optional_text(error, "type") or ""
    usage = _usage(optional_object(response, "usage"))
    status: ResponseStatus
    match said:
        case "cancelled" if reason == "turn_detected":
            interrupted = ResponseDone(response_id, "interrupted", usage, reason)
            return (ResponseInterrupted(response_id), interrupted)
        case "completed":
            reason, status = "", "completed"
        case "cancelled" | "incomplete":
            status = said
        case _:
            reason, status = reason or said, "failed"
    done = ResponseDone(response_id, status, usage, reason[:MAX_CODE_CHARS])
    return (session_error(error), done) if error else (done,)


def _usage(usage: Message) -> Usage:
    heard = optional_object(usage, "input_token_details")
    spoken = optional_object(usage, "output_token_details")
    return Usage(
        input_tokens=count(usage, "input_tokens"),
        output_tokens=count(usage, "output_tokens"),
        input_audio_tokens=count(heard, "audio_tokens"),
        input_cached_tokens=count(heard, "cached_tokens"),
        output_audio_tokens=count(spoken, "audio_tokens"),
    )


def _expiry(session: Message) -> float | None:
    match session.get("expires_at"):
        case None:
            return None
        case int() | float() as seconds:
            return float(seconds)
        case _:
            raise WireError("session.expires_at should be a number")


def _content_index(fields: Message) -> int:
    index = fields.get("content_index", 0)  # compatible servers leave it out
    if not isinstance(index, int):
        raise WireError("content_index should be a whole number")
    return index
