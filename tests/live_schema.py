"""What OpenAI Live takes, field by field: it refuses what it does not know."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]
Check = Callable[[Any, str], Iterator[str]]
"""What is wrong with a value, and where: nothing when it is right."""

MAX_APPEND_TOKENS = 500
BYTES_PER_TOKEN = 2.5


def of(*types: type) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            yield f"{where} is {value!r:.40}"

    return check


def one_of(*values: object) -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        if value not in values:
            yield f"{where} is {value!r:.40}"

    return check


def fields(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    known = {**required, **(optional or {})}

    def check(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where} is {value!r:.40}"
            return
        yield from (f"unknown {where}.{name}" for name in value.keys() - known.keys())
        yield from (f"no {where}.{name}" for name in required.keys() - value.keys())
        for name in value.keys() & known.keys():
            yield from known[name](value[name], f"{where}.{name}")

    return check


def by_type(kinds: Mapping[str, Check], key: str = "type") -> Check:
    def check(value: Any, where: str) -> Iterator[str]:
        kind = kinds.get(str(value.get(key))) if isinstance(value, dict) else None
        yield from kind(value, where) if kind else (f"{where} is {value!r:.60}",)

    return check


def each(check: Check, most: int = 1_000_000) -> Check:
    def check_all(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, list) or len(value) > most:
            yield f"{where} is no list of at most {most}"
            return
        for number, item in enumerate(value):
            yield from check(item, f"{where}[{number}]")

    return check_all


def append_text(value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, str) or not value.strip():
        yield f"{where} is {value!r:.40}"
    elif len(value.encode()) / BYTES_PER_TOKEN > MAX_APPEND_TOKENS:
        yield f"{where} exceeds {MAX_APPEND_TOKENS} tokens"


def optional_text(value: Any, where: str) -> Iterator[str]:
    if value is not None:
        yield from of(str)(value, where)


_ANY = of(object)
_TEXT = of(str)

_FORMAT = by_type(
    {
        "audio/pcm": fields({"type": _TEXT, "rate": one_of(16_000, 24_000)}),
        "audio/pcmu": fields({"type": _TEXT, "rate": one_of(8_000)}),
        "audio/pcma": fields({"type": _TEXT, "rate": one_of(8_000)}),
    }
)

_TOOL = by_type(
    {
        "function": fields(
            {"type": _TEXT, "name": _TEXT}, {"description": _TEXT, "parameters": of(dict), "strict": of(bool)}
        ),
        "web_search": fields({"type": _TEXT}),
    }
)

_RESPONSES = {
    "instructions": _TEXT,
    "max_output_tokens": of(int),
    "parallel_tool_calls": of(bool),
    "reasoning": of(dict),
    "service_tier": _TEXT,
    "text": of(dict),
    "tool_choice": of(str, dict),
    "tools": each(_TOOL),
}

_ACKNOWLEDGEMENT = {"acknowledgement_delay_ms": of(int)}

_DELEGATION = by_type(
    {
        "client": fields({"type": _TEXT}, _ACKNOWLEDGEMENT),
        "responses": fields(
            {"type": _TEXT, "responses": fields({"model": _TEXT}, _RESPONSES)},
            _ACKNOWLEDGEMENT,
        ),
    }
)

_UPDATE_OF_DELEGATION = by_type(
    {
        "responses": fields(
            {"type": _TEXT}, {"responses": fields({}, {"model": _TEXT, **_RESPONSES}), **_ACKNOWLEDGEMENT}
        )
    }
)


def _past(part: str) -> Check:
    content = fields({"type": one_of(part), "text": _TEXT})
    message = fields({"role": _TEXT, "content": each(content, 1)}, {"type": one_of("message"), "id": _TEXT})

    def check(value: Any, where: str) -> Iterator[str]:
        yield from message(value, where)
        if isinstance(value.get("content"), list) and len(value["content"]) != 1:
            yield f"{where}.content has not one part"

    return check


_SESSION = fields(
    {"model": _TEXT},
    {
        "audio": fields(
            {}, {"format": _FORMAT, "output": fields({}, {"voice": lambda value, where: _voice(value, where)})}
        ),
        "instructions": _TEXT,
        "input": each(
            by_type(
                {"developer": _past("input_text"), "user": _past("input_text"), "assistant": _past("output_text")},
                "role",
            ),
            128,
        ),
        "delegation": _DELEGATION,
        "store": of(bool),
        "safety_identifier": _TEXT,
    },
)


def _voice(value: Any, where: str) -> Iterator[str]:
    yield from _TEXT(value, where) if isinstance(value, str) else fields({"id": _TEXT})(value, where)


_APPEND: dict[str, Check] = {"content": append_text, "delegation_id": optional_text}

_COMMANDS: dict[str, dict[str, Check]] = {
    "session.start": {"session": _SESSION},
    "session.update": {"session": fields({}, {"delegation": _UPDATE_OF_DELEGATION})},
    "session.input_audio.append": {"audio": _TEXT},
    "session.input_audio.mute": {},
    "session.input_audio.unmute": {},
    "session.instructions.append": _APPEND,
    "session.thinking.append": _APPEND,
    "session.commentary.append": _APPEND,
    "response.item.create": {
        "item": by_type(
            {
                "function_call_output": fields({"type": _TEXT, "call_id": _TEXT, "output": _TEXT}),
                "message": fields({"type": _TEXT, "role": _TEXT, "content": of(list)}),
            }
        )
    },
    "response.create": {},
    "session.close": {},
}


def wrong_with(message: Json) -> list[str]:
    """All that is wrong with a client's message."""
    kind = message.get("type")
    if kind not in _COMMANDS:
        return [f"unknown type {kind!r:.60}; supported are {', '.join(_COMMANDS)}"]
    return list(fields({"type": _TEXT, **_COMMANDS[kind]}, {"event_id": _TEXT})(message, str(kind)))
