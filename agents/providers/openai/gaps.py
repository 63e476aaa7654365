"""What servers that speak OpenAI's protocol loosely leave out, made up for from what they said before."""

from collections import deque
from typing import Final

from agents.events import ResponseCreated, ResponseDone, ToolCall
from agents.providers.openai.meaning import Events
from agents.providers.wire_json import JsonObject, Message, optional_object, optional_text

MAX_ENDED: Final = 32
"""Ended responses that are remembered: nothing of older ones is on its way any more."""

_MS: Final = {
    "input_audio_buffer.speech_started": "audio_start_ms",
    "input_audio_buffer.speech_stopped": "audio_end_ms",
}


class Gaps:
    """What one connection said of its responses and items.

    A response that speaks without having begun has begun. One that began so ends with its first whole item, or with
    the next response, when nothing ends it before. What comes of a response that is over is dropped. `unique` begins
    the ids that are made here.
    """

    def __init__(self, unique: str) -> None:
        self._unique = unique
        self._ids = 0
        self._response: str | None = None
        self._was_begun = False
        self._tells_beginnings = False
        self._item: str | None = None
        self._call: str | None = None
        self._turn: str | None = None
        self._called: set[str] = set()
        self._ended: deque[str] = deque(maxlen=MAX_ENDED)

    def mend(self, kind: str, fields: JsonObject) -> tuple[Events, JsonObject | None, Events]:
        """What is to be said before the message, the message without gaps, and what is to be said after it.

        None for a message that is to be dropped. Raises WireError for ids that are no text.
        """
        if kind == "response.created":
            return self._begin(fields)
        if kind == "response.done":
            return self._end(fields)
        if kind.startswith("response."):
            return self._go_on(kind, fields)
        if kind.startswith("session."):
            return (), {**fields, "session": {"id": self._new("session"), **optional_object(fields, "session")}}, ()
        return (), self._of_turn(kind, fields), ()

    def _begin(self, fields: JsonObject) -> tuple[Events, JsonObject, Events]:
        response = optional_object(fields, "response")
        response_id = optional_text(response, "id") or optional_text(fields, "response_id") or self._new("response")
        before = self._break_off()
        if response_id in self._ended:
            self._ended.remove(response_id)
        self._tells_beginnings = self._was_begun = True
        self._response = response_id
        return before, {**fields, "response": {**response, "id": response_id}}, ()

    def _end(self, fields: JsonObject) -> tuple[Events, JsonObject | None, Events]:
        response = optional_object(fields, "response")
        response_id = optional_text(response, "id") or optional_text(fields, "response_id") or self._response
        usage = optional_object(response, "usage") or optional_object(fields, "usage")
        if response_id is None or response_id in self._ended:
            return (), None, ()
        before: Events = () if response_id == self._response else (*self._break_off(), ResponseCreated(response_id))
        before += self._uncalled(response_id, response)
        self._forget(response_id)
        return before, {**fields, "response": {**response, "id": response_id, "usage": usage}}, ()

    def _go_on(self, kind: str, fields: JsonObject) -> tuple[Events, JsonObject | None, Events]:
        item = optional_object(fields, "item")
        item_id = optional_text(fields, "item_id") or optional_text(item, "id")
        call_id = optional_text(fields, "call_id") or optional_text(item, "call_id")
        response_id = optional_text(fields, "response_id") or self._response
        if response_id in self._ended or (response_id is None and self._tells_beginnings):
            return (), None, ()
        response_id = response_id or self._new("response")
        before: Events = ()
        if response_id != self._response:
            before = (*self._break_off(), ResponseCreated(response_id))
            self._response, self._was_begun = response_id, False
        self._item = item_id = item_id or self._item or self._new("item")
        self._call = call_id = call_id or self._call
        mended = {**fields, "response_id": response_id, "item_id": item_id}
        if kind == "response.function_call_arguments.delta":
            mended["call_id"] = call_id or item_id
        if kind != "response.output_item.done":
            return before, mended, ()
        if own := optional_text(item, "call_id"):
            self._called.add(own)
        self._item = self._call = None
        return before, mended, () if self._was_begun else self._break_off()

    def _of_turn(self, kind: str, fields: JsonObject) -> JsonObject:
        if not kind.startswith(("input_audio_buffer.", "conversation.item.input_audio_transcription.")):
            return fields
        turn = optional_text(fields, "item_id")
        if turn is None and (self._turn is None or kind == "input_audio_buffer.speech_started"):
            turn = self._new("item")
        self._turn = turn or self._turn
        missing = {"item_id": self._turn} | ({_MS[kind]: 0} if kind in _MS else {})
        return missing | {key: value for key, value in fields.items() if value is not None or key not in missing}

    def _uncalled(self, response_id: str, response: Message) -> Events:
        """The tool calls of which nothing but the whole response tells."""
        output = response.get("output")
        calls = []
        for item in output if isinstance(output, list) else ():
            match item:
                case {"type": "function_call", "call_id": str(call_id), "name": str(name), "arguments": str(arguments)}:
                    if call_id not in self._called and item.get("status") != "incomplete":
                        calls.append(ToolCall(response_id, call_id, name, arguments))
        return tuple(calls)

    def _break_off(self) -> Events:
        """The end of the response under way, of which the server says nothing."""
        if self._response is None:
            return ()
        response_id = self._response
        self._forget(response_id)
        return (ResponseDone(response_id, "completed"),)

    def _forget(self, response_id: str) -> None:
        self._ended.append(response_id)
        self._response = self._item = self._call = None
        self._called.clear()

    def _new(self, what: str) -> str:
        self._ids += 1
        return f"{what}-{self._unique}-{self._ids}"
