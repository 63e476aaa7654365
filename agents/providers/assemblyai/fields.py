"""What single fields of AssemblyAI's messages hold."""

from collections.abc import Mapping

from agents.providers.socket import WireError
from agents.providers.wire_json import Message, optional_object, optional_text, to_base64, write


def text(fields: Message, key: str) -> str:
    """Raises WireError for what is no text."""
    match fields.get(key):
        case str() as found:
            return found
        case _:
            raise WireError(f"{key} should be text")


def arguments(fields: Message) -> str:
    """A tool call's arguments as JSON text. Raises WireError for what can be none."""
    match fields.get("arguments"):
        case None:
            return "{}"
        case str() as found:
            return found
        case Mapping() as found:
            return write(dict(found))
        case _:
            raise WireError("arguments should be an object")


def encoding(config: Message, way: str) -> str | None:
    """The audio format of one direction, where a session's configuration tells it. Raises WireError."""
    return optional_text(optional_object(optional_object(config, way), "format"), "encoding")


def heard(audio: bytes) -> str:
    """The message that lets the agent hear something: 50 a second, and base64 needs no escapes."""
    return f'{{"type":"input.audio","audio":"{to_base64(audio)}"}}'
