"""What the provider of a load says is what OpenAI says, by OpenAI's own types."""

import json

import pytest

from gateway.load import messages
from tests.openai_oracle import server_faults

TEMPLATES = {name: value for name, value in vars(messages).items() if name.isupper() and isinstance(value, bytes)}


def filled(template: bytes) -> bytes:
    """With something in each of its places."""
    places = template.replace(b"%%", b"")
    values = [
        b"turn_detected" if places[at + 1 : at + 2] == b"b" else 7
        for at in range(len(places))
        if places[at : at + 1] == b"%"
    ]
    return template % tuple(values)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_template_is_a_message_of_openai(name: str) -> None:
    assert server_faults(json.loads(filled(TEMPLATES[name]))) == []


def test_there_are_templates_to_look_at() -> None:
    assert {"AUDIO", "SPEECH_STARTED", "CANCELLED", "TRUNCATED"} <= set(TEMPLATES)


@pytest.mark.parametrize("kind", ["session.created", "session.updated"])
def test_a_session_is_told_in_openais_words(kind: str) -> None:
    assert server_faults(json.loads(messages.session(kind, "sess_1"))) == []


def test_an_item_is_answered_in_openais_words() -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "5"}]}

    for answer in messages.item_answers(item, b"item_7"):
        assert server_faults(json.loads(answer)) == []
        assert json.loads(answer)["item"]["id"] == "item_7"
