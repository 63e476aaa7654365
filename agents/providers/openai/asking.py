"""What is said to an OpenAI Realtime server or one of its dialects: one message for each event, without memory."""

from typing import Any

from agents.errors import NotSupportedError
from agents.events import (
    ActivityEnd,
    ActivityStart,
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
    ToolResult,
)
from agents.providers.openai.dialect import Dialect, Lack
from agents.providers.openai.session import session_object
from agents.providers.wire_json import JsonObject, to_base64
from agents.realtime import Past, PastMessage


def append(audio: bytes) -> str:
    """50 a second, and base64 needs no escapes."""
    return f'{{"type":"input_audio_buffer.append","audio":"{to_base64(audio)}"}}'


def message_of(event: ClientEvent, dialect: Dialect, model_id: str) -> JsonObject:
    """The message of anything but audio. Raises NotSupportedError for what the dialect has no words for."""
    match event:
        case SessionUpdate(config):
            return {"type": "session.update", "session": session_object(config, dialect, model_id)}
        case ItemCreate(role, text, item_id, previous):
            message = _item(_message(role, text, dialect), item_id)
            return message | ({} if previous is None else {"previous_item_id": previous})
        case ItemDelete(item_id):
            _refuse_lack("delete", event, dialect)
            return {"type": "conversation.item.delete", "item_id": item_id}
        case ItemTruncate(item_id, index, end_ms):
            _refuse_lack("truncate", event, dialect)
            place = {"item_id": item_id, "content_index": index, "audio_end_ms": end_ms}
            return {"type": "conversation.item.truncate", **place}
        case AudioInputCommit():
            return {"type": "input_audio_buffer.commit"}
        case AudioInputClear():
            return {"type": "input_audio_buffer.clear"}
        case ResponseCreate():
            return _response_create(event, dialect)
        case ResponseCancel(response_id):
            _refuse_lack("cancel", event, dialect)
            return {"type": "response.cancel"} | ({"response_id": response_id} if response_id else {})
        case ToolResult(call_id, output):
            return _item(_tool_result(call_id, output))
        case ActivityStart() | ActivityEnd() | AudioInputAppend():
            raise NotSupportedError(f"{dialect.title} has no {event.kind}; a turn is ended by committing audio")


def past_messages(past: Past, item_id: str | None, call_id: str, dialect: Dialect) -> list[JsonObject]:
    """What lets a model know of something that was said or done before, under ids that the wire takes."""
    if isinstance(past, PastMessage):
        return [_item(_message(past.role, past.text, dialect), item_id)]
    call = {"type": "function_call", "call_id": call_id, "name": past.name, "arguments": past.arguments}
    result = [] if past.output is None else [_tool_result(call_id, past.output)]
    return [_item(item) for item in (call, *result)]


def _refuse_lack(lack: Lack, event: ClientEvent, dialect: Dialect) -> None:
    if lack in dialect.lacks:
        raise NotSupportedError(f"{dialect.title} has no {event.kind}")


def _item(item: JsonObject, item_id: str | None = None) -> JsonObject:
    return {"type": "conversation.item.create", "item": item if item_id is None else item | {"id": item_id}}


def _message(role: str, text: str, dialect: Dialect) -> JsonObject:
    own = "output_text" if dialect.names == "ga" else "text"
    part = {"type": own if role == "assistant" else "input_text", "text": text}
    return {"type": "message", "role": role, "content": [part]}


def _tool_result(call_id: str, output: str) -> JsonObject:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def _response_create(event: ResponseCreate, dialect: Dialect) -> JsonObject:
    if event.say is not None and event.instructions is None and dialect.says_verbatim:
        part = {"type": "output_text", "text": event.say}
        forced = {"type": dialect.says_verbatim, "role": "assistant", "content": [part]}
        return _item(forced) | {"event_id": event.event_id}
    message: JsonObject = {"type": "response.create", "event_id": event.event_id}
    response: dict[str, Any] = {}
    if event.say is not None:
        verbatim = f"Say exactly the following words, all of them and no others:\n{event.say}"
        response["instructions"] = f"{event.instructions}\n\n{verbatim}" if event.instructions else verbatim
        if "tool_choice" not in dialect.lacks:
            response["tool_choice"] = "none"
    elif event.instructions is not None:
        response["instructions"] = event.instructions
    return message | ({"response": response} if response else {})
