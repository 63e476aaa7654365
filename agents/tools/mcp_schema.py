"""An MCP server's description of a tool, made fit for every model: names, schemas, sizes."""

import re
from collections.abc import Mapping
from typing import Any, Final

from agents.realtime import ToolSchema

MAX_DESCRIPTION_CHARS: Final = 2_000
"""A stranger's text that is paid for in every call."""

MAX_NODES: Final = 2_000
"""Of a schema with its references written out. Larger ones are told as "an object"."""

MAX_CHARS: Final = 50_000
"""Of all words of a schema, which is paid for in every call as well. Longer ones are told as "an object"."""

MAX_DEPTH: Final = 12
"""Of a schema that refers to itself: deeper down it is told as "an object"."""

_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}

_UNTOLD: Final = frozenset({"$schema", "$id", "$comment", "$defs", "definitions", "title"})
"""Keywords that say nothing to a model, and that some providers refuse."""

_BY_NAME: Final = frozenset({"properties", "patternProperties"})
"""Keywords whose value has schemas by names, which may be those of keywords."""

_AS_IT_IS: Final = frozenset({"enum", "const", "default", "examples", "required"})
"""Keywords whose value is no schema."""


def model_name(name: str) -> str:
    """The tool's name with the letters that every provider takes."""
    letters = re.sub(r"[^a-zA-Z0-9_-]", "_", name) or "_"
    return (letters if re.match(r"[a-zA-Z_]", letters) else f"_{letters}")[:64]


def tool_schema(name: str, description: str | None, schema: Mapping[str, Any]) -> ToolSchema:
    """The tool as a model is told of it."""
    return ToolSchema(
        name=model_name(name), description=(description or "")[:MAX_DESCRIPTION_CHARS], parameters=parameters(schema)
    )


def parameters(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of the arguments: an object, references written out, and without what models are not told."""
    try:
        told = _Inlined(schema).root()
    except _TooLarge:
        told = {}
    return {"type": "object", "properties": {}, **(told if told.get("type", "object") == "object" else {})}


class _TooLarge(Exception):
    """The schema has more than MAX_NODES parts or MAX_CHARS characters, or is nested as no schema is."""


class _Inlined:
    """One schema, while its references are written out."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._nodes = self._chars = 0

    def root(self) -> dict[str, Any]:
        told = self._told(self._schema, 0)
        return told if isinstance(told, dict) else {}

    def _told(self, part: Any, depth: int) -> Any:
        self._count(part)
        if isinstance(part, list):
            if any(isinstance(each, list) for each in part):
                raise _TooLarge
            return [self._told(each, depth) for each in part]
        if not isinstance(part, Mapping):
            return part
        if depth > MAX_DEPTH:
            return dict(_ANY_OBJECT)
        if "$ref" in part:
            rest = {name: value for name, value in part.items() if name != "$ref"}
            return self._told({**self._meant(part["$ref"]), **rest}, depth + 1)
        told = {name: value for name, value in part.items() if name not in _UNTOLD and _is_sound(name, value)}
        return {name: self._value(name, value, depth) for name, value in told.items()}

    def _value(self, name: str, value: Any, depth: int) -> Any:
        if name in _AS_IT_IS:
            self._count_all(value, 0)
            return value
        if name in _BY_NAME:
            self._count(value)
            return {each: self._told(_schema(schema), depth + 1) for each, schema in value.items()}
        return self._told(value, depth + 1)

    def _count_all(self, part: Any, depth: int) -> None:
        self._count(part)
        if depth > MAX_DEPTH:
            raise _TooLarge
        if isinstance(part, Mapping | list):
            for each in part.values() if isinstance(part, Mapping) else part:
                self._count_all(each, depth + 1)

    def _count(self, part: Any) -> None:
        words = part if isinstance(part, Mapping) else [part]
        self._nodes += 1
        self._chars += sum(len(each) for each in words if isinstance(each, str))
        if self._nodes > MAX_NODES or self._chars > MAX_CHARS:
            raise _TooLarge

    def _meant(self, reference: object) -> Mapping[str, Any]:
        """What the reference points at within the schema; any object where it points nowhere."""
        found: Any = self._schema
        for step in str(reference).removeprefix("#").strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) and name else None
        return found if isinstance(found, Mapping) else _ANY_OBJECT


def _is_sound(name: str, value: object) -> bool:
    """False for what has another shape than its keyword, which providers refuse together with all other tools."""
    if name == "required":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return name not in _BY_NAME or isinstance(value, Mapping)


def _schema(part: object) -> object:
    """The part where a schema stands; that of anything where something else does."""
    return part if isinstance(part, Mapping | bool) else {}
