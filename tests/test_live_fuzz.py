"""Whatever an OpenAI Live server sends, the wire says WireError or makes sense of it."""

from contextlib import suppress
from typing import Any, Final

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.events import ResponseCreate, SessionUpdate, ToolResult
from agents.providers.openai_live.wire import LiveCodec
from agents.providers.socket import WireError
from agents.providers.wire_json import to_base64
from agents.realtime import SessionConfig
from tests.fake_ear import silence, tone

PLACE: Final = {"start_ms": 600, "end_ms": 800, "event_id": "event_1"}
ITEM: Final = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"}
RESPONSE: Final = {"id": "resp_1", "usage": {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 1}}}
MESSAGES: Final[tuple[dict[str, Any], ...]] = (
    {"type": "session.started", "session": {"id": "live_1", "expires_at": 1791373550}},
    {"type": "session.output_audio.delta", "delta": to_base64(tone(100))},
    {"type": "session.output_audio.delta", "delta": to_base64(silence(1000))},
    {"type": "session.output_transcript.delta", "delta": "Okay,", **PLACE},
    {"type": "session.input_transcript.delta", "delta": " check", **PLACE},
    {
        "type": "session.delegation.created",
        "delegation": {"id": "item_1", "type": "delegation", "target": "client"},
        "offset_ms": 4600,
    },
    {
        "type": "response.event",
        "delegation_id": "item_1",
        "event": {"type": "response.output_item.done", "item": ITEM},
    },
    {"type": "response.event", "event": {"type": "response.completed", "response": RESPONSE}},
    {
        "type": "response.event",
        "event": {"type": "response.failed", "response": {"error": {"code": "x", "message": "y"}}},
    },
    {"type": "session.usage.updated", "usage": {"seconds": 7}, "context_window": {"usage_ratio": 0.008}},
    {"type": "session.closed", "reason": "expired", "usage": {"seconds": 7}, "session": {"id": "live_1"}},
    {"type": "error", "error": {"type": "t", "code": "c", "message": "m", "client_event_id": "r1"}},
)

ODD: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.lists(st.integers(-9, 9), max_size=2),
    st.dictionaries(st.sampled_from(["type", "id", "reason", "code"]), st.text(max_size=4), max_size=2),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real message with one of its fields gone or odd, or cut off."""
    message = orjson.loads(orjson.dumps(draw(st.sampled_from(MESSAGES))))
    place = message
    while True:
        key = draw(st.sampled_from(sorted(place)))
        if isinstance(place[key], dict) and place[key] and draw(st.booleans()):
            place = place[key]
            continue
        break
    if draw(st.booleans()):
        del place[key]
    else:
        place[key] = draw(ODD)
    text = orjson.dumps(message)
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(mutated(), min_size=1, max_size=6))
def test_messages_that_no_healthy_server_sends_raise_nothing_but_wire_errors(messages: list[bytes]) -> None:
    live = LiveCodec("gpt-live-1", SessionConfig())
    list(live.encode(SessionUpdate(SessionConfig())))
    list(live.decode(orjson.dumps(MESSAGES[0])))
    list(live.encode(ResponseCreate("r1", say="Hi!")))

    for message in messages:
        with suppress(WireError):
            list(live.decode(message))

    list(live.encode(ToolResult("c1", "7")))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=64))
def test_bytes_without_sense_raise_a_wire_error(message: bytes) -> None:
    live = LiveCodec("gpt-live-1", SessionConfig())

    with suppress(WireError):
        list(live.decode(message))
