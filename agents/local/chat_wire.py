"""The wire of an OpenAI-compatible chat endpoint: the conversation to a request's body, stream lines to facts. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from agents.errors import ProviderError
from agents.events import Usage
from agents.local.brain import CallTool
from agents.local.explanation import explanation
from agents.local.memory import Call, Item, Message, Spoken
from agents.realtime import SessionConfig
from agents.schema import BrainSpec

NO_OUTPUT_YET: Final = "The tool has not answered yet."
"""Stands for a result that is still to come: endpoints refuse a call without one."""

_DONE: Final = "[DONE]"


def request_body(
    brain: BrainSpec, config: SessionConfig, items: Sequence[Item], instructions: str | None
) -> dict[str, Any]:
    """The body that asks for a streamed answer to the conversation, as the caller heard it."""
    body: dict[str, Any] = {
        "model": brain.model,
        "messages": messages(items, "\n\n".join(filter(None, (config.instructions, instructions)))),
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": config.max_output_tokens or brain.max_tokens,
    }
    if brain.temperature is not None:
        body["temperature"] = brain.temperature
    if config.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
            }
            for tool in config.tools
        ]
        if config.tool_choice is not None:
            body["tool_choice"] = config.tool_choice
    return _merged(body, config.provider_options)


def messages(items: Sequence[Item], instructions: str | None) -> list[dict[str, Any]]:
    """The conversation in the endpoint's words. What the caller did not hear was not said."""
    written: list[dict[str, Any]] = []
    if instructions:
        written.append({"role": "system", "content": instructions})
    calls: dict[str, Any] | None = None
    for item in items:
        match item:
            case Message(role=role, text=text):
                calls = None
                written.append({"role": role, "content": text})
            case Spoken(text=text):
                calls = {"role": "assistant", "content": text}
                if text:
                    written.append(calls)
            case Call():
                calls = _add_call(written, calls, item)
    return written


def _add_call(written: list[dict[str, Any]], calls: dict[str, Any] | None, call: Call) -> dict[str, Any]:
    """Adds a call to the assistant's message that it belongs to, and its result after it."""
    if calls is None:
        calls = {"role": "assistant", "content": ""}
    if calls not in written:
        written.append(calls)
    function = {"name": call.name, "arguments": call.arguments}
    calls.setdefault("tool_calls", []).append({"id": call.item_id, "type": "function", "function": function})
    output = NO_OUTPUT_YET if call.output is None else call.output
    written.append({"role": "tool", "tool_call_id": call.item_id, "content": output})
    return calls


def _merged(body: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(body)
    for key, value in over.items():
        mine = merged.get(key)
        merged[key] = _merged(mine, value) if isinstance(mine, dict) and isinstance(value, Mapping) else value
    return merged


@dataclass(slots=True)
class _CallPieces:
    call_id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class AnswerStream:
    """Reads a streamed answer line by line; calls are put together from their pieces until the end.

    `new_call_id` names the calls: endpoints name theirs anew in each answer, or not at all, and take any name back.
    `api_key` is kept out of errors.
    """

    def __init__(self, new_call_id: Callable[[], str], api_key: str | None) -> None:
        self._new_call_id = new_call_id
        self._api_key = api_key
        self._calls: dict[int, _CallPieces] = {}
        self.is_done = False

    def feed(self, line: bytes) -> Iterator[str | Usage]:
        """The text and the usage in one line of the stream. Raises ProviderError for what is no such stream."""
        text = line.decode("utf-8", "replace").strip()
        if not text.startswith("data:"):
            return
        data = text.removeprefix("data:").strip()
        if data == _DONE:
            self.is_done = True
            return
        try:
            chunk = orjson.loads(data)
            yield from self._read(chunk)
        except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError, LookupError) as error:
            raise ProviderError("the chat endpoint sent no chat chunk", code="malformed", retryable=True) from error

    def calls(self) -> list[CallTool]:
        """The tools that the answer calls, complete once the stream is over."""
        return [
            CallTool(pieces.call_id, pieces.name, "".join(pieces.arguments) or "{}")
            for _, pieces in sorted(self._calls.items())
        ]

    def _read(self, chunk: dict[str, Any]) -> Iterator[str | Usage]:
        if error := chunk.get("error"):
            message = error.get("message", error) if isinstance(error, dict) else error
            problem = f"the chat endpoint failed: {explanation(str(message), self._api_key)}"
            raise ProviderError(problem, code="chat", retryable=True)
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if isinstance(text := delta.get("content"), str) and text:
                yield text
            for piece in delta.get("tool_calls") or ():
                self._read_call(piece)
        if usage := chunk.get("usage"):
            yield Usage(int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))

    def _read_call(self, piece: dict[str, Any]) -> None:
        function = piece.get("function") or {}
        index = piece.get("index")
        index = len(self._calls) if index is None else int(index)
        if index not in self._calls:
            self._calls[index] = _CallPieces(self._new_call_id())
        pieces = self._calls[index]
        pieces.name = function.get("name") or pieces.name
        if arguments := function.get("arguments"):
            pieces.arguments.append(arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode())
