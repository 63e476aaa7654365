"""The OpenAI Realtime wire (GA): events to and from JSON text. A codec without memory.

What only an observer could want (MCP, SIP keys, the idle timeout) comes as RawEvent, like types we do not know.
A tool call is passed on when its item is done and complete, not when its arguments are: those also end when the
response is cut off in their middle.
"""

import json
from binascii import b2a_base64
from collections.abc import Mapping
from typing import Final

import orjson

from agents.errors import ConfigError, NotSupportedError
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
    RawEvent,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
    ToolResult,
)
from agents.providers.openai_meaning import MEANINGFUL, Events, meaning
from agents.providers.openai_session import JsonObject, session_object
from agents.providers.socket import Codec, WireError

ROUTINE: Final = frozenset(
    {
        "conversation.created",
        "conversation.item.created",  # of the beta; .added says the same
        "conversation.item.done",
        "conversation.item.input_audio_transcription.segment",
        "conversation.item.retrieved",
        "output_audio_buffer.cleared",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.done",
    }
)
"""Message types that healthy conversations are full of, and that say nothing that other types do not."""


def encode(event: ClientEvent) -> tuple[str]:
    """The one message of each event. Raises NotSupportedError for what OpenAI has no words for."""
    match event:
        case AudioInputAppend(pcm):  # 50 a second, and base64 needs no escapes
            audio = b2a_base64(pcm, newline=False).decode("ascii")
            return (f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}',)
        case SessionUpdate(config):
            message: JsonObject = {"type": "session.update", "session": session_object(config)}
        case ItemCreate():
            message = _item_create(event)
        case ItemDelete(item_id):
            message = {"type": "conversation.item.delete", "item_id": item_id}
        case ItemTruncate(item_id, index, end_ms):
            message = {"type": "conversation.item.truncate", "item_id": item_id}
            message |= {"content_index": index, "audio_end_ms": end_ms}
        case AudioInputCommit():
            message = {"type": "input_audio_buffer.commit"}
        case AudioInputClear():
            message = {"type": "input_audio_buffer.clear"}
        case ResponseCreate():
            message = _response_create(event)
        case ResponseCancel(response_id):
            message = {"type": "response.cancel"} | ({"response_id": response_id} if response_id else {})
        case ToolResult(call_id, output):
            item = {"type": "function_call_output", "call_id": call_id, "output": output}
            message = {"type": "conversation.item.create", "item": item}
        case ActivityStart() | ActivityEnd():
            raise NotSupportedError(f"OpenAI has no {event.kind}; a turn is ended by committing audio")
    return (_text(message),)


def decode(message: str | bytes) -> Events:
    """What the message says. Raises WireError for all that a healthy server does not send."""
    try:
        fields = orjson.loads(message)
    except orjson.JSONDecodeError:
        raise WireError("expected JSON") from None
    match fields:
        case {"type": str(kind)} if kind in MEANINGFUL:
            return meaning(kind, fields)
        case {"type": str(kind)}:
            return () if kind in ROUTINE else (RawEvent(kind, fields),)
        case _:
            raise WireError("expected a JSON object with a type")


def _item_create(event: ItemCreate) -> JsonObject:
    part = "output_text" if event.role == "assistant" else "input_text"
    item: JsonObject = {"type": "message", "role": event.role, "content": [{"type": part, "text": event.text}]}
    if event.item_id is not None:
        item["id"] = event.item_id
    message: JsonObject = {"type": "conversation.item.create", "item": item}
    if event.previous_item_id is not None:
        message["previous_item_id"] = event.previous_item_id
    return message


def _response_create(event: ResponseCreate) -> JsonObject:
    message: JsonObject = {"type": "response.create", "event_id": event.event_id}
    if event.say is not None:
        verbatim = f"Say exactly the following words, all of them and no others:\n{event.say}"
        instructions = f"{event.instructions}\n\n{verbatim}" if event.instructions else verbatim
        message["response"] = {"instructions": instructions, "tool_choice": "none"}
    elif event.instructions is not None:
        message["response"] = {"instructions": event.instructions}
    return message


def _text(message: JsonObject) -> str:
    try:
        return orjson.dumps(message, default=_plain).decode()
    except orjson.JSONEncodeError:
        pass  # half of a surrogate pair, or a number beyond 64 bits: a tool's answer may hold either
    try:
        return json.dumps(message, default=_plain, ensure_ascii=False).encode("utf-8", "replace").decode()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{message['type']} holds what JSON cannot: {error}") from error


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__}")


class OpenAICodec(Codec):
    def encode(self, event: ClientEvent) -> tuple[str]:
        return encode(event)

    def decode(self, message: str | bytes) -> Events:
        return decode(message)
