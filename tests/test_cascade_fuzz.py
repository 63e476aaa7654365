"""Whatever a recogniser or a voice sends, its codec gives events or a WireError, and nothing else."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.cascade.aura_wire import AuraCodec
from agents.cascade.eleven_wire import ElevenCodec
from agents.cascade.flux_wire import FluxCodec
from agents.cascade.nova_wire import NovaCodec
from agents.cascade.sonic_wire import SonicCodec
from agents.events import AudioInputAppend, AudioInputCommit, ItemCreate, ResponseCancel, ResponseCreate
from agents.providers.socket import Codec, WireError
from agents.providers.wire_json import to_base64
from agents.realtime import PCM, Voice

MESSAGES: dict[str, list[dict[str, Any]]] = {
    "flux": [
        {"type": "Connected", "request_id": "r", "sequence_id": 0},
        {
            "type": "TurnInfo",
            "event": "StartOfTurn",
            "transcript": "What time",
            "words": [{"word": "What", "confidence": 0.5, "start": 0.1, "end": 0.2}],
            "audio_window_start": 0.0,
            "audio_window_end": 1.5,
        },
        {"type": "TurnInfo", "event": "EndOfTurn", "transcript": "What time is it?", "words": []},
        {"type": "Error", "code": "INTERNAL", "description": "oops"},
    ],
    "nova": [
        {
            "type": "Results",
            "start": 0.5,
            "duration": 1.0,
            "is_final": True,
            "speech_final": True,
            "from_finalize": False,
            "channel": {"alternatives": [{"transcript": "What time", "words": []}]},
        },
        {"type": "SpeechStarted", "channel": [0], "timestamp": 0.5},
        {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 1.5},
        {"type": "Error", "variant": "SchemaError", "description": "oops"},
    ],
    "aura": [
        {"type": "Flushed", "sequence_id": 0},
        {"type": "Cleared", "sequence_id": 0},
        {"type": "Error", "err_code": "X", "err_msg": "oops"},
    ],
    "sonic": [
        {"type": "chunk", "context_id": "a", "data": to_base64(b"\x01\x02"), "done": False, "status_code": 206},
        {"type": "done", "context_id": "a", "done": True, "status_code": 206},
        {"type": "error", "context_id": "a", "status_code": 429, "error_code": "x", "title": "t", "message": "m"},
    ],
    "eleven": [
        {"audio": to_base64(b"\x01\x02"), "contextId": "a", "alignment": None},
        {"isFinal": True, "contextId": "a"},
        {"message": "m", "error": "quota_exceeded", "code": 1008},
    ],
}

CODECS: dict[str, Callable[[], Codec]] = {
    "flux": lambda: FluxCodec(PCM, is_manual=False),
    "nova": lambda: NovaCodec(PCM, is_manual=False),
    "aura": AuraCodec,
    "sonic": lambda: SonicCodec(PCM, model="m", voice=Voice(voice_id="v"), language=None, options={}),
    "eleven": lambda: ElevenCodec(Voice()),
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def busy(name: str) -> Codec:
    """A codec in the middle of something."""
    codec = CODECS[name]()
    if name in ("flux", "nova"):
        list(codec.encode(AudioInputAppend(bytes(48 * 500))))
        list(codec.encode(AudioInputCommit()))
    else:
        list(codec.encode(ItemCreate("assistant", "One.", "a")))
    return codec


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes | str:
    """One of the wire's messages with a field dropped, replaced or nested, or its text cut off."""
    message = dict(draw(st.sampled_from(MESSAGES[name])))
    for _ in range(draw(st.integers(0, 3))):
        field = draw(st.sampled_from(sorted(message) or ["type"]))
        match draw(st.sampled_from(["drop", "replace", "nest"])):
            case "drop":
                message.pop(field, None)
            case "replace":
                message[field] = draw(JSON)
            case _:
                message[field] = {field: message.get(field)}
    try:
        text = orjson.dumps(message)
    except TypeError:
        text = b"{}"  # a number beyond 64 bits
    cut = draw(st.integers(0, len(text))) if draw(st.booleans()) else len(text)
    return text[:cut].decode("utf-8", "replace") if draw(st.booleans()) else text[:cut]


@pytest.mark.parametrize("name", sorted(CODECS))
def test_nothing_but_a_wire_error_comes_of_a_strange_message(name: str) -> None:
    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.lists(mutated(name), min_size=1, max_size=4))
    def look(messages: list[bytes | str]) -> None:
        for codec in (CODECS[name](), busy(name)):
            for message in messages:
                try:
                    list(codec.decode(message))
                except WireError as error:
                    assert str(error)
            list(codec.waited())

    look()


@pytest.mark.parametrize("name", ["aura", "eleven", "sonic"])
def test_a_voice_may_be_told_anything_at_any_time(name: str) -> None:
    events = st.sampled_from(
        [ItemCreate("assistant", "One.", "a"), ItemCreate("assistant", "Two.", "b")]
        + [event for stretch in "ab" for event in (ResponseCreate(stretch), ResponseCancel(stretch))]
    )

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.lists(st.one_of(events, mutated(name)), max_size=12))
    def look(happens: list[Any]) -> None:
        codec = CODECS[name]()
        for each in happens:
            if isinstance(each, (bytes, str)):
                with suppress(WireError):
                    list(codec.decode(each))
            else:
                assert all(orjson.loads(message) for message in codec.encode(each))

    look()
