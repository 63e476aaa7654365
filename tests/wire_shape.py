"""Strict shapes of messages, for fakes without a vendor's types: what is not in the table is wrong.

check({"type": "say", "text": 5}, {"type": Is("say"), "text": str, "loud": Maybe(bool)})
-> [".text: expected str, found 5"]
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Maybe:
    """A field that may be left out."""

    shape: Any


@dataclass(frozen=True, slots=True)
class Or:
    shapes: tuple[Any, ...]

    def __init__(self, *shapes: Any) -> None:
        object.__setattr__(self, "shapes", shapes)


@dataclass(frozen=True, slots=True)
class Is:
    """One of these values, and nothing else."""

    values: tuple[object, ...]

    def __init__(self, *values: object) -> None:
        object.__setattr__(self, "values", values)


ANYTHING = object()


def check(value: object, shape: Any, at: str = "") -> list[str]:
    """Everything that is wrong with a value. A shape is a type, an object's fields, `[shape]` for a list, or above."""
    return list(_wrong(value, shape, at))


def _wrong(value: object, shape: Any, at: str) -> Iterator[str]:
    match shape:
        case _ if shape is ANYTHING:
            return
        case Maybe(inner):
            yield from _wrong(value, inner, at)
        case Or(shapes=shapes):
            found = [check(value, each, at) for each in shapes]
            if all(found):
                yield from min(found, key=len)
        case Is(values=values):
            if value not in values:
                yield f"{at}: expected {' or '.join(map(repr, values))}, found {value!r}"
        case dict():
            yield from _wrong_object(value, shape, at)
        case [inner]:
            if not isinstance(value, list):
                yield f"{at}: expected a list, found {value!r}"
                return
            for i, each in enumerate(value):
                yield from _wrong(each, inner, f"{at}[{i}]")
        case _:
            is_number = shape is float and isinstance(value, int) and not isinstance(value, bool)
            if not (isinstance(value, shape) or is_number) or (isinstance(value, bool) and shape is not bool):
                yield f"{at}: expected {shape.__name__}, found {value!r}"


def _wrong_object(value: object, shape: dict[str, Any], at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at}: expected an object, found {value!r}"
        return
    for key in value.keys() - shape.keys():
        yield f"{at}.{key}: no such field"
    for key, inner in shape.items():
        if key in value:
            yield from _wrong(value[key], inner, f"{at}.{key}")
        elif not isinstance(inner, Maybe):
            yield f"{at}.{key}: missing"
