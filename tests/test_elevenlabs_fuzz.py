"""Whatever an ElevenLabs conversation is told, only WireError comes of it, and every response has its end."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.events import ResponseCreate, ResponseCreated, ResponseDone, SessionUpdate, ToolResult
from agents.providers.elevenlabs.wire import ElevenLabsCodec
from agents.providers.socket import WireError
from agents.realtime import SessionConfig
from tests.elevenlabs_talk import Talk, message

REAL: list[dict[str, Any]] = [
    orjson.loads(text)
    for text in (
        message(
            "conversation_initiation_metadata",
            conversation_id="c",
            agent_output_audio_format="pcm_16000",
            user_input_audio_format="ulaw_8000",
        ),
        message("audio", audio_base_64="AAAA", event_id=3, is_final=False),
        message("audio", audio_base_64="AAAAAAAA", event_id=4),
        message("user_transcript", user_transcript="Hello?", event_id=4),
        message("tentative_user_transcript", user_transcript="Hel", event_id=4),
        message("agent_response", agent_response="Hi.", event_id=5),
        message("agent_chat_response_part", text="Hi", type="delta", event_id=5),
        message("agent_response_complete", event_id=5),
        message("agent_response_correction", original_agent_response="Hi.", corrected_agent_response="H", event_id=5),
        message("interruption", event_id=5),
        message("ping", event_id=9, ping_ms=20),
        message("vad_score", vad_score=0.7),
        message("client_tool_call", tool_name="t", tool_call_id="c1", parameters={"a": 1}, event_id=6),
        message("error", code=1011, error_type="llm_error", message="no"),
    )
]

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just("1e999")
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner))


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A real message with some of its fields dropped or replaced, at any depth, or its text cut short."""
    fields = orjson.loads(orjson.dumps(draw(st.sampled_from(REAL))))
    for _ in range(draw(st.integers(0, 2))):
        place = fields
        for deeper in draw(st.lists(st.booleans(), max_size=2)):
            inner = [each for each in place.values() if isinstance(each, dict)]
            place = inner[0] if inner and deeper else place
        if not place:
            continue
        key = draw(st.sampled_from(sorted(place)))
        if draw(st.booleans()):
            del place[key]
        else:
            place[key] = draw(values)
    try:
        text = orjson.dumps(fields).decode()
    except orjson.JSONEncodeError:  # an integer beyond 64 bits
        return "{"
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text


@settings(max_examples=200, deadline=None, derandomize=True)
@given(mutated(), st.booleans())
def test_a_mutated_message_is_understood_or_a_wire_error(text: str, is_ready: bool) -> None:
    talk = Talk(is_ready=is_ready)
    with suppress(WireError):
        talk.codec.decode(text)
    talk.codec.waited()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=30) | st.text(max_size=30))
def test_noise_is_a_wire_error(noise: bytes | str) -> None:
    codec = ElevenLabsCodec(SessionConfig(), name="el")
    try:
        codec.decode(noise)
    except WireError:
        return
    raise AssertionError(f"{noise!r} was understood")


step = st.one_of(
    st.sampled_from(REAL[1:]).map(lambda fields: orjson.dumps(fields).decode()),
    mutated(),
    st.sampled_from([ResponseCreate("r"), ResponseCreate("s", say="Bye."), ToolResult("c1", "1"), None]),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(step, max_size=20))
def test_responses_never_overlap_and_each_ends(steps: list[str | ResponseCreate | ToolResult | None]) -> None:
    codec = ElevenLabsCodec(SessionConfig(), name="el")
    list(codec.encode(SessionUpdate(SessionConfig())))
    codec.decode(orjson.dumps(REAL[0]))
    told: list[ResponseCreated | ResponseDone] = []

    def tell(said: Iterable[object]) -> None:
        told.extend(event for event in said if isinstance(event, ResponseCreated | ResponseDone))

    for each in steps:
        if each is None:
            tell(codec.waited())
        elif isinstance(each, str):
            with suppress(WireError):
                tell(codec.decode(each))
        else:
            list(codec.encode(each))
    for _ in range(100):
        if codec.wait is not None:
            tell(codec.waited())

    assert codec.wait is None, "something is waited for without end"
    created = [event.response_id for event in told if isinstance(event, ResponseCreated)]
    assert [(type(event), event.response_id) for event in told] == [
        (kind, response_id) for response_id in created for kind in (ResponseCreated, ResponseDone)
    ]
    assert len(set(created)) == len(created)
