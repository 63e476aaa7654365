"""Says in plain words what a schema allows at a path: for messages to operators and for the page of fields."""

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

FieldPath = tuple[str | int, ...]
"""Names and list positions from the top of a file down to one value."""

JsonSchema = dict[str, Any]


class Allowed:
    """What one schema allows, read from the JSON schema that `voice-gateway schema` prints."""

    def __init__(self, spec: type[BaseModel]) -> None:
        self._root: JsonSchema = spec.model_json_schema()
        self._definitions: JsonSchema = self._root.get("$defs", {})

    def words(self, path: FieldPath) -> str:
        """What may stand at the path, such as "a number from 0 to 1, or null"; empty where anything may."""
        return self._describe(self._at(path))

    def description(self, path: FieldPath) -> str:
        """The schema's own sentence about the field at the path; empty where it has none."""
        return str(self._at(path).get("description", ""))

    def takes_text(self, path: FieldPath) -> bool:
        """Whether text may stand at the path."""
        return any(arm.get("type") == "string" for arm in self._arms(self._at(path)))

    def fields(self, path: FieldPath = ()) -> list[str]:
        """Names of the fields of the block at the path; empty where there is no block of fixed fields."""
        return [name for arm in self._arms(self._at(path)) for name in arm.get("properties", {})]

    def _at(self, path: FieldPath) -> JsonSchema:
        node = self._root
        for part in path:
            node = next((child for arm in self._arms(node) if (child := _child(arm, part)) is not None), {})
        return node

    def _arms(self, node: JsonSchema) -> list[JsonSchema]:
        if "$ref" in node:
            return self._arms(self._definitions[node["$ref"].rpartition("/")[2]])
        return [arm for choice in node["anyOf"] for arm in self._arms(choice)] if "anyOf" in node else [node]

    def _describe(self, node: JsonSchema) -> str:
        return ", or ".join(words for arm in self._arms(node) if (words := self._describe_arm(arm)))

    def _describe_arm(self, arm: JsonSchema) -> str:
        match arm:
            case {"const": choice}:
                return str(choice)
            case {"enum": [*choices]}:
                return either(choices)
            case {"type": "string"}:
                return "text" + _span(arm.get("minLength"), arm.get("maxLength"), " of ", " characters")
            case {"type": "integer"}:
                return "a whole number" + _range(arm)
            case {"type": "number"}:
                return "a number" + _range(arm)
            case {"type": "boolean"}:
                return "true or false"
            case {"type": "null"}:
                return "null"
            case {"type": "array"}:
                words = "a list of one or more" if arm.get("minItems") else "a list"
                items = self._describe(arm.get("items", {}))
                return f"{words}, each {items}" if items else words
            case {"type": "object", "properties": dict(fields)}:
                return f"a block with {', '.join(fields)}"
            case {"type": "object"}:
                values = arm.get("additionalProperties")
                words = self._describe(values) if isinstance(values, dict) else ""
                return f"a block of names, each with {words}" if words else "a block of names with values"
            case _:
                return ""


def either(choices: Iterable[object], word: str = "or") -> str:
    """The choices as people list them: a, b or c."""
    *most, last = [str(choice) for choice in choices]
    return f"{', '.join(most)} {word} {last}" if most else last


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that this one was meant to be, else all that are known; empty when none is."""
    names = list(known)
    if close := difflib.get_close_matches(name.lower(), names, n=1):
        return f"did you mean {close[0]}?"
    return f"there is {either(names, 'and')}" if names else ""


def _child(arm: JsonSchema, part: str | int) -> JsonSchema | None:
    child = arm.get("items") if isinstance(part, int) else arm.get("properties", {}).get(part)
    if child is None and isinstance(part, str):
        child = arm.get("additionalProperties")
    return child if isinstance(child, dict) else None


def _range(arm: JsonSchema) -> str:
    if "exclusiveMinimum" in arm:
        above = f" above {arm['exclusiveMinimum']}"
        return f"{above}, at most {arm['maximum']}" if "maximum" in arm else above
    return _span(arm.get("minimum"), arm.get("maximum"), " from ", "")


def _span(low: object, high: object, opening: str, unit: str) -> str:
    match low, high:
        case None, None:
            return ""
        case None, _:
            return f" of at most {high}{unit}"
        case _, None:
            return f" of at least {low}{unit}".replace(" 1 characters", " 1 character")
        case _:
            return f"{opening}{low} to {high}{unit}"
