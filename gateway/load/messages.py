"""What the provider of a load says, in OpenAI Realtime's own words: templates, made once, for what differs. Pure."""

from typing import Any, Final

from agents.providers.wire_json import JsonObject, write

WORDS: Final = "and so we come to the next of it "
"""What the transcript has for each piece of a reply."""

CALLERS_WORDS: Final = "I would like to know something, if I may."


def _template(kind: str, **fields: Any) -> bytes:
    """A message to be filled in with `%`: `<b>` is bytes, and `<d>`, alone in its quotes, a number."""
    text = write({"type": kind, "event_id": "event_<b>", **fields})
    return text.replace("%", "%%").replace('"<d>"', "%d").replace("<b>", "%b").encode()


_PART: Final = {"response_id": "<b>", "item_id": "<b>", "output_index": 0, "content_index": 0}
_OUTPUT: Final = {"response_id": "<b>", "output_index": 0}


def _agents_item(status: str, content: list[JsonObject]) -> JsonObject:
    kind = {"id": "<b>", "object": "realtime.item", "type": "message", "role": "assistant"}
    return kind | {"status": status, "content": content}


def _users_item() -> JsonObject:
    content = [{"type": "input_audio", "transcript": None}]
    kind = {"id": "<b>", "object": "realtime.item", "type": "message", "role": "user"}
    return kind | {"status": "completed", "content": content}


def _response(status: str, **more: Any) -> JsonObject:
    response = {"object": "realtime.response", "id": "<b>", "status": status, "output": []}
    return response | {"conversation_id": "conv_1", "output_modalities": ["audio"]} | more


def _usage() -> JsonObject:
    """Tokens about as OpenAI counts them for a turn of a few seconds."""
    cached = {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0}
    heard = {"text_tokens": 100, "audio_tokens": 20, "image_tokens": 0, "cached_tokens": 64}
    return {
        "total_tokens": 190,
        "input_tokens": 120,
        "output_tokens": 70,
        "input_token_details": heard | {"cached_tokens_details": cached},
        "output_token_details": {"text_tokens": 10, "audio_tokens": 60},
    }


def session(kind: str, name: str) -> bytes:
    """`session.created` or `session.updated`."""
    about = {"type": "realtime", "object": "realtime.session", "id": name, "output_modalities": ["audio"]}
    return write({"type": kind, "event_id": f"event_{name}", "session": about}).encode()


SPEECH_STARTED: Final = _template("input_audio_buffer.speech_started", item_id="<b>", audio_start_ms="<d>")
SPEECH_STOPPED: Final = _template("input_audio_buffer.speech_stopped", item_id="<b>", audio_end_ms="<d>")
COMMITTED: Final = _template("input_audio_buffer.committed", item_id="<b>", previous_item_id=None)
USER_ADDED: Final = _template("conversation.item.added", item=_users_item(), previous_item_id=None)
USER_DONE: Final = _template("conversation.item.done", item=_users_item(), previous_item_id=None)
TRANSCRIBED: Final = _template(
    "conversation.item.input_audio_transcription.completed",
    item_id="<b>",
    content_index=0,
    transcript=CALLERS_WORDS,
    usage={"type": "duration", "seconds": 1.0},
)
TRANSCRIBING: Final = _template(
    "conversation.item.input_audio_transcription.delta", item_id="<b>", content_index=0, delta=CALLERS_WORDS
)
CREATED: Final = _template("response.created", response=_response("in_progress"))
ITEM_OPENED: Final = _template("response.output_item.added", **_OUTPUT, item=_agents_item("in_progress", []))
ADDED: Final = _template("conversation.item.added", item=_agents_item("in_progress", []), previous_item_id=None)
PART_OPENED: Final = _template("response.content_part.added", **_PART, part={"type": "audio", "transcript": ""})
TRANSCRIPT: Final = _template("response.output_audio_transcript.delta", **_PART, delta=WORDS)
AUDIO: Final = _template("response.output_audio.delta", **_PART, delta="<b>")
AUDIO_DONE: Final = _template("response.output_audio.done", **_PART)
TRANSCRIPT_DONE: Final = _template("response.output_audio_transcript.done", **_PART, transcript="<b>")
PART_DONE: Final = _template("response.content_part.done", **_PART, part={"type": "audio", "transcript": "<b>"})
SPOKEN: Final = [{"type": "output_audio", "transcript": "<b>"}]
DONE: Final = _template("conversation.item.done", item=_agents_item("completed", SPOKEN), previous_item_id=None)
ITEM_CLOSED: Final = _template("response.output_item.done", **_OUTPUT, item=_agents_item("completed", SPOKEN))
COMPLETED: Final = _template(
    "response.done", response=_response("completed", status_details={"type": "completed"}, usage=_usage())
)
CANCELLED: Final = _template(
    "response.done",
    response=_response("cancelled", status_details={"type": "cancelled", "reason": "<b>"}, usage=_usage()),
)
TRUNCATED: Final = _template("conversation.item.truncated", item_id="<b>", content_index=0, audio_end_ms="<d>")


def item_answers(item: JsonObject, item_id: bytes) -> tuple[bytes, ...]:
    """What is said to `conversation.item.create`."""
    whole = item | {"id": item_id.decode(), "object": "realtime.item", "status": "completed"}
    return tuple(
        write({"type": kind, "event_id": f"event_{kind}", "item": whole, "previous_item_id": None}).encode()
        for kind in ("conversation.item.added", "conversation.item.done")
    )
