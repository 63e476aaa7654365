"""What OpenAI's own types say about a message: the judge of our messages and of the fake server's."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Union, get_args

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

SERVER_EVENTS: Final[tuple[type[BaseModel], ...]] = get_args(get_args(RealtimeServerEvent)[0])
CLIENT_EVENTS: Final[tuple[type[BaseModel], ...]] = get_args(get_args(RealtimeClientEvent)[0])


def _adapter(events: tuple[type[BaseModel], ...]) -> TypeAdapter[BaseModel]:
    """Reads by pydantic's own discriminator, which the types lack: its errors are few and to the point."""
    shape: Any = Annotated[Union[events], Field(discriminator="type")]  # noqa: UP007
    return TypeAdapter(shape)


_SERVER: Final = _adapter(SERVER_EVENTS)
_CLIENT: Final = _adapter(CLIENT_EVENTS)

_SNAPSHOT: Final = frozenset({".session.id", ".session.object", ".session.expires_at"})
"""What servers add to a session, and the types, which know the request only, do not."""


def client_faults(message: Mapping[str, Any]) -> list[str]:
    """Everything that OpenAI would not understand in a client's message, unknown keys too."""
    return _faults(_CLIENT, message, frozenset())


def server_faults(message: Mapping[str, Any]) -> list[str]:
    """Everything that an OpenAI server would not send."""
    return _faults(_SERVER, message, _SNAPSHOT)


def _faults(adapter: TypeAdapter[BaseModel], message: Mapping[str, Any], allowed: frozenset[str]) -> list[str]:
    try:
        event = adapter.validate_python(message, strict=True)
    except ValidationError as error:
        return [f"{message.get('type')}: {e['loc']}: {e['msg']}" for e in error.errors(include_input=False)]
    return [f"{message['type']}: unknown key {key}" for key in _extras(event) if key not in allowed]


def _extras(value: object, path: str = "") -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (f"{path}.{key}" for key in value.model_extra or {})
        for key in type(value).model_fields:
            yield from _extras(getattr(value, key), f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, element in enumerate(value):
            yield from _extras(element, f"{path}[{index}]")
