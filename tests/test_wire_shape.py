"""The strict shapes that fakes hold messages to find what is wrong, and where."""

from typing import Any

import pytest

from tests.wire_shape import ANYTHING, Is, Maybe, Or, check

SAY: Any = {
    "type": Is("say"),
    "text": str,
    "volume": Maybe(float),
    "tags": Maybe([Or(str, int)]),
    "more": Maybe(ANYTHING),
}


@pytest.mark.parametrize(
    "message",
    [
        {"type": "say", "text": "x"},
        {"type": "say", "text": "x", "volume": 1, "tags": ["a", 2], "more": {"b": [None]}},
    ],
)
def test_a_message_of_the_shape_is_right(message: dict[str, Any]) -> None:
    assert check(message, SAY) == []


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ({"type": "say"}, ".text: missing"),
        ({"type": "sing", "text": "x"}, ".type: expected 'say', found 'sing'"),
        ({"type": "say", "text": "x", "loud": True}, ".loud: no such field"),
        ({"type": "say", "text": 5}, ".text: expected str, found 5"),
        ({"type": "say", "text": "x", "volume": True}, ".volume: expected float, found True"),
        ({"type": "say", "text": "x", "tags": "a"}, ".tags: expected a list, found 'a'"),
        ({"type": "say", "text": "x", "tags": ["a", None]}, ".tags[1]: expected str, found None"),
        ("say", ": expected an object, found 'say'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(message: object, wrong: str) -> None:
    assert check(message, SAY) == [wrong]
