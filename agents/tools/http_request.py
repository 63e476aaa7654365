"""Makes the request of an HTTP tool: its arguments checked, its templates filled in. Nothing is sent here."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, urlencode

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from agents.allowed import FieldPath
from agents.errors import ToolError
from agents.templates import render, texts_in, undeclared
from agents.tools.header_secrets import ENVIRONMENT
from agents.tools.spec import HttpParameterSpec, HttpToolSpec

MAX_ARGUMENTS_CHARS: Final = 32_000
"""Of a model's JSON: as much as it is told of an answer."""

DIGITS: Final = "digits"
"""The variable of what the caller typed last: no model gives it, and none may know it where it is a secret."""

SENDS_PARAMETERS: Final = ("POST", "PUT", "PATCH")
"""Methods whose body is all parameters when the file gives none."""

_URL_SIGNS: Final = "!#$%&'()*+,/:;=?@[]~"
"""What an address has signs for, and what stands for others; an operator's text keeps it."""

_ONE_TEMPLATE: Final = re.compile(r"\s*\{\{\s*([a-z_][a-z0-9_]*)\s*\}\}\s*")

_TYPES: Final[Mapping[str, type]] = {"string": str, "integer": int, "number": float, "boolean": bool}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`url` is encoded. `body` is JSON; None sends none. `secrets` are what no error and no log may repeat."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


# ---- what the model gives ----


def parameters_schema(spec: HttpToolSpec) -> dict[str, Any]:
    """The JSON schema of the tool's arguments."""
    return {
        "type": "object",
        "properties": {parameter.name: _schema(parameter) for parameter in spec.parameters},
        "required": [parameter.name for parameter in spec.parameters if parameter.required],
        "additionalProperties": False,
    }


def _schema(parameter: HttpParameterSpec) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.type}
    if parameter.description:
        schema["description"] = parameter.description
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    return schema


def arguments_model(spec: HttpToolSpec) -> type[BaseModel]:
    """What checks the tool's arguments. Its aliases are the parameters' names, which may be any."""
    fields: dict[str, Any] = {}
    for i, parameter in enumerate(spec.parameters):
        kind: Any = Literal[parameter.choices] if parameter.choices else _TYPES[parameter.type]
        given = kind if parameter.required else kind | None
        fields[f"parameter_{i}"] = (
            Annotated[given, Field(alias=parameter.name)],
            ... if parameter.required else None,
        )
    return create_model(spec.name, __config__=ConfigDict(extra="forbid"), **fields)


def checked(arguments: str, model: type[BaseModel]) -> dict[str, object]:
    """The model's arguments by name, without those that it does not give. Raises ToolError for what does not fit."""
    if len(arguments) > MAX_ARGUMENTS_CHARS:
        raise ToolError(f"the arguments are longer than {MAX_ARGUMENTS_CHARS} characters")
    try:
        parsed = model.model_validate_json(arguments or "{}")
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors())
        raise ToolError(f"the arguments do not fit the tool: {wrong}") from None
    given = {str(info.alias): getattr(parsed, name) for name, info in model.model_fields.items()}
    return {name: value for name, value in given.items() if value is not None}


# ---- the request ----


def request_of(
    spec: HttpToolSpec, given: Mapping[str, object], variables: Mapping[str, str], environment: Mapping[str, str]
) -> HttpRequest:
    """The request with these arguments. `environment` is what `{{ env.NAME }}` of the headers may name.

    A part of the query, the headers or the body that wants a parameter which is not given is left out. Raises ToolError
    for a value that cannot stand where it would, ConfigError for templates that the check would have refused.
    """
    values: dict[str, object] = {**variables, **given}
    missing = {parameter.name for parameter in spec.parameters} - given.keys()
    headers = {
        name: _header(name, render(text, {**values, ENVIRONMENT: environment}))
        for name, text in spec.headers.items()
        if not undeclared(text) & missing
    }
    body = _body(spec, given, values, missing)
    if body is not None and "content-type" not in {name.lower() for name in headers}:
        headers["Content-Type"] = "application/json"
    return HttpRequest(spec.method, _url(spec, values, missing), headers, body, tuple(environment.values()))


def templates(spec: HttpToolSpec) -> Iterator[tuple[FieldPath, str]]:
    """Every text of the tool that may hold {{ variables }}, with the path to it."""
    yield ("url",), spec.url
    yield from ((("query", name), text) for name, text in spec.query.items())
    yield from ((("headers", name), text) for name, text in spec.headers.items())
    yield from texts_in(spec.body, ("body",))


def _url(spec: HttpToolSpec, values: Mapping[str, object], missing: set[str]) -> str:
    url = quote(render(spec.url, values, _in_url), safe=_URL_SIGNS).partition("#")[0]
    query = [(name, render(text, values)) for name, text in spec.query.items() if not undeclared(text) & missing]
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query, quote_via=quote)}"


def _in_url(value: object) -> str:
    """A value as one piece of an address. Nothing, or dots alone, would make another address of it."""
    text = _as_text(value)
    if not text.strip("."):
        raise ToolError(f"{text!r} cannot be part of an address: give a value")
    return quote(text, safe="")


def _as_text(value: object) -> str:
    """JSON's words for true and false, and all other values as people write them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _header(name: str, value: str) -> str:
    value = value.strip()
    if not value.isprintable():
        raise ToolError(f"the header {name} cannot hold line breaks and the like")
    return value


def _body(
    spec: HttpToolSpec, given: Mapping[str, object], values: Mapping[str, object], missing: set[str]
) -> bytes | None:
    if spec.body is not None:
        return orjson.dumps(_filled(spec.body, given, values, missing))
    return orjson.dumps(dict(given)) if spec.method in SENDS_PARAMETERS else None


def _filled(part: object, given: Mapping[str, object], values: Mapping[str, object], missing: set[str]) -> object:
    """The part of a body with its templates filled in, and without what wants a parameter that is missing."""
    match part:
        case str():
            alone = _ONE_TEMPLATE.fullmatch(part)
            return given[alone[1]] if alone and alone[1] in given else render(part, values)
        case dict():
            return {
                name: _filled(value, given, values, missing)
                for name, value in part.items()
                if not _wants(value, missing)
            }
        case list():
            return [_filled(value, given, values, missing) for value in part if not _wants(value, missing)]
        case _:
            return part


def _wants(value: object, missing: set[str]) -> bool:
    return isinstance(value, str) and bool(undeclared(value) & missing)
