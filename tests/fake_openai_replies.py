"""What the fake OpenAI replies, and the messages that a reply is made of."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

Json = dict[str, Any]
Audio = Callable[[int], bytes]
"""Makes so many milliseconds of the agent's voice, in the session's output format."""


@dataclass(frozen=True, slots=True)
class Speak:
    """Speaks `text` in `audio_ms` of audio. With `holds` the response stays active after its last delta."""

    text: str = "Hello, how can I help you?"
    audio_ms: int = 600
    delta_ms: int = 100
    holds: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class CallTools:
    """Calls tools, after speaking when `first` says so; all in one response."""

    calls: tuple[Call, ...]
    first: Speak | None = None


@dataclass(frozen=True, slots=True)
class Fail:
    """A response that fails as a whole."""

    code: str = "server_error"
    message: str = "The server had an error while processing your request."


Reply = Speak | CallTools | Fail


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a conversation an item is being made."""

    response_id: str
    item_id: str
    output_index: int
    previous_item_id: str | None

    def part(self) -> Json:
        return {"response_id": self.response_id, "item_id": self.item_id, "output_index": self.output_index}


def speech(at: Place, reply: Speak, audio: Audio) -> Iterator[Json]:
    """An item of speech, up to its last delta: transcript and audio, interleaved."""
    part = at.part() | {"content_index": 0}
    yield from _item_opens(at, _message_item(at, "in_progress", None))
    yield {"type": "response.content_part.added", **part, "part": {"type": "audio", "transcript": ""}}
    words = [word + " " for word in reply.text.split(" ")]
    words[-1] = words[-1].rstrip()
    pieces = [min(reply.delta_ms, reply.audio_ms - start) for start in range(0, reply.audio_ms, reply.delta_ms)]
    for word, ms in zip_longest(words, pieces):
        if word is not None:
            yield {"type": "response.output_audio_transcript.delta", **part, "delta": word}
        if ms is not None:
            yield {"type": "response.output_audio.delta", **part, "delta": b64encode(audio(ms)).decode()}


def speech_end(at: Place, text: str, status: str) -> Iterator[Json]:
    part = at.part() | {"content_index": 0}
    yield {"type": "response.output_audio.done", **part}
    yield {"type": "response.output_audio_transcript.done", **part, "transcript": text}
    yield {"type": "response.content_part.done", **part, "part": {"type": "audio", "transcript": text}}
    yield from _item_closes(at, _message_item(at, status, text))


def text_item(at: Place, text: str) -> Iterator[Json]:
    """An item of text from a session without audio, whole."""
    part = at.part() | {"content_index": 0}
    item = _message_item(at, "in_progress", None)
    yield from _item_opens(at, item)
    yield {"type": "response.content_part.added", **part, "part": {"type": "text", "text": ""}}
    yield {"type": "response.output_text.delta", **part, "delta": text}
    yield {"type": "response.output_text.done", **part, "text": text}
    yield {"type": "response.content_part.done", **part, "part": {"type": "text", "text": text}}
    content = [{"type": "output_text", "text": text}]
    yield from _item_closes(at, item | {"status": "completed", "content": content})


def tool_call(at: Place, call_id: str, call: Call) -> Iterator[Json]:
    opening = {"id": at.item_id, "object": "realtime.item", "type": "function_call", "call_id": call_id}
    opening |= {"name": call.name, "arguments": "", "status": "in_progress"}
    part = at.part() | {"call_id": call_id}
    half = len(call.arguments) // 2
    yield from _item_opens(at, opening)
    yield {"type": "response.function_call_arguments.delta", **part, "delta": call.arguments[:half]}
    yield {"type": "response.function_call_arguments.delta", **part, "delta": call.arguments[half:]}
    arguments = {"arguments": call.arguments, "name": call.name}
    yield {"type": "response.function_call_arguments.done", **part, **arguments}
    yield from _item_closes(at, opening | {"arguments": call.arguments, "status": "completed"})


def usage(audio_ms: int) -> Json:
    """Tokens as OpenAI counts them, about: ten a second of the caller's audio, twenty of the agent's."""
    spoken = audio_ms // 50
    cached = {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0}
    heard = {"text_tokens": 100, "audio_tokens": 20, "image_tokens": 0, "cached_tokens": 64}
    return {
        "total_tokens": 130 + spoken,
        "input_tokens": 120,
        "output_tokens": 10 + spoken,
        "input_token_details": heard | {"cached_tokens_details": cached},
        "output_token_details": {"text_tokens": 10, "audio_tokens": spoken},
    }


def _message_item(at: Place, status: str, transcript: str | None) -> Json:
    content = [] if transcript is None else [{"type": "output_audio", "transcript": transcript}]
    item = {"id": at.item_id, "object": "realtime.item", "type": "message", "role": "assistant"}
    return item | {"status": status, "content": content}


def _item_opens(at: Place, item: Json) -> Iterator[Json]:
    output = {"response_id": at.response_id, "output_index": at.output_index}
    yield {"type": "response.output_item.added", **output, "item": item}
    yield {"type": "conversation.item.added", "item": item, "previous_item_id": at.previous_item_id}


def _item_closes(at: Place, item: Json) -> Iterator[Json]:
    output = {"response_id": at.response_id, "output_index": at.output_index}
    yield {"type": "conversation.item.done", "item": item, "previous_item_id": at.previous_item_id}
    yield {"type": "response.output_item.done", **output, "item": item}
