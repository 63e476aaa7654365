"""JSON messages of any provider: read strictly, field by field, and written whatever they hold."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pybase64

from agents.errors import ConfigError
from agents.providers.socket import WireError

JsonObject = dict[str, Any]
Message = Mapping[str, Any]


def read_object(message: str | bytes) -> JsonObject:
    """The JSON object of a message. Raises WireError for anything else."""
    try:
        fields = orjson.loads(message)
    except orjson.JSONDecodeError:
        raise WireError("expected JSON") from None
    if not isinstance(fields, dict):
        raise WireError("expected a JSON object")
    return fields


def write(message: JsonObject) -> str:
    """The message as text. Raises ConfigError for what JSON cannot hold."""
    try:
        return orjson.dumps(message, default=_plain).decode()
    except orjson.JSONEncodeError:
        pass  # half of a surrogate pair, or a number beyond 64 bits: a tool's answer may hold either
    try:
        return json.dumps(message, default=_plain, ensure_ascii=False).encode("utf-8", "replace").decode()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{message.get('type', 'the message')} holds what JSON cannot: {error}") from error


def to_base64(audio: bytes) -> str:
    return pybase64.b64encode_as_string(audio)


def from_base64(text: str) -> bytes:
    """Raises WireError for what is no base64."""
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:
        raise WireError("audio should be base64") from None


def optional_text(fields: Message, key: str) -> str | None:
    """Raises WireError for what is neither absent, null nor text. So do those below."""
    match fields.get(key):
        case None | str() as text:
            return text
        case _:
            raise WireError(f"{key} should be text")


def optional_object(fields: Message, key: str) -> Message:
    match fields.get(key):
        case None:
            return {}
        case dict() as value:
            return value
        case _:
            raise WireError(f"{key} should be an object")


def count(fields: Message, key: str) -> int:
    match fields.get(key):
        case None:
            return 0
        case int(number):
            return number
        case _:
            raise WireError(f"{key} should be a whole number")


def merged(base: Message, extra: Message) -> JsonObject:
    """`base` with `extra` over it, objects key by key unless they name another type; anything else is replaced."""
    result = dict(base)
    for key, value in extra.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and value.get("type") in (None, below.get("type")):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result


def without_none(**values: object) -> JsonObject:
    """Those of the fields that are set."""
    return {key: value for key, value in values.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__}")
