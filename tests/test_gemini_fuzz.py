"""The Gemini wire and whatever comes: broken messages, and sound ones in any order."""

from contextlib import suppress
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import NotSupportedError
from agents.events import (
    AudioInputAppend,
    AudioInputCommit,
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    ItemCreate,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
)
from agents.providers.gemini.wire import GeminiCodec
from agents.providers.socket import Answer, WireError
from agents.realtime import SessionConfig, Transcription, TurnDetection
from tests.test_gemini_wire import ALL, CUT, DONE, heard, new_codec, sound, words

MESSAGES: list[dict[str, Any]] = [
    sound(),
    words(" word"),
    {"serverContent": {**sound()["serverContent"], "outputTranscription": {"text": "word", "finished": False}}},
    heard(" what"),
    heard("", finished=True),
    {"serverContent": {"interimInputTranscription": {"text": "w"}}},
    CUT,
    ALL,
    DONE,
    {"serverContent": {"interrupted": True, "turnComplete": True}},
    {"serverContent": {"turnComplete": True, "turnCompleteReason": "RESPONSE_REJECTED"}},
    {"serverContent": {"turnComplete": True, "interactionStatus": "IN_PROGRESS"}},
    {"serverContent": {"interactionStatus": "IDLE", "groundingMetadata": {"webSearchQueries": ["x"]}}},
    {"serverContent": {"waitingForInput": True}},
    {"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": {"a": [1]}}, {"id": "2", "name": "g"}]}},
    {"toolCallCancellation": {"ids": ["1"]}},
    {"voiceActivity": {"voiceActivityType": "ACTIVITY_START", "audioOffset": "1.25s"}},
    {"voiceActivity": {"voiceActivityType": "ACTIVITY_END"}},
    {"voiceActivityDetectionSignal": {"vadSignalType": "VAD_SIGNAL_TYPE_SOS"}},
    {"goAway": {"timeLeft": "50s"}},
    {"sessionResumptionUpdate": {"newHandle": "h", "resumable": True}},
    {
        "usageMetadata": {
            "promptTokenCount": 3,
            "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
        }
    },
    {"error": {"code": 500, "message": "Internal error", "status": "INTERNAL"}},
    {"setupComplete": {"sessionId": "s"}},
]

SENT: list[ClientEvent] = [
    AudioInputAppend(bytes(960)),
    AudioInputCommit(),
    ItemCreate("user", "Hello."),
    ResponseCreate("plain"),
    ResponseCreate("worded", say="Hello."),
    ToolResult("1", "one"),
    ToolResult("2", '{"two": 2}'),
]

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["text", "parts", "x"]), st.integers(0, 3), max_size=2),
)


@st.composite
def broken(draw: st.DrawFn) -> str:
    """A message of which one place is something else, and whose text may end too soon."""
    message = orjson.loads(orjson.dumps(draw(st.sampled_from(MESSAGES))))
    place, key = message, draw(st.sampled_from(sorted(message)))
    while isinstance(inner := place[key], dict | list) and inner and draw(st.booleans()):
        place = inner
        key = draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
    match draw(st.sampled_from(["replace", "drop", "nest", "keep"])):
        case "replace":
            place[key] = draw(JUNK.filter(lambda junk: not isinstance(junk, int) or abs(junk) < 2**63))
        case "drop":
            del place[key]
        case "nest":
            place[key] = {str(key): [place[key]]}
    text = orjson.dumps(message).decode()
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(broken(), min_size=1, max_size=6), st.booleans())
def test_broken_messages_raise_wire_errors_and_nothing_else(messages: list[str], is_binary: bool) -> None:
    codec = new_codec()
    for message in messages:
        with suppress(WireError):
            codec.decode(message.encode() if is_binary else message)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=40) | st.text(max_size=40))
def test_noise_raises_wire_errors_and_nothing_else(message: bytes | str) -> None:
    with suppress(WireError):
        new_codec().decode(message)


CONFIGS = [
    SessionConfig(transcription=Transcription()),
    SessionConfig(turn_detection=TurnDetection(interrupt_response=False)),
    SessionConfig(turn_detection=TurnDetection(mode="manual")),
]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(CONFIGS), st.lists(st.sampled_from([*MESSAGES, *SENT]), max_size=30))
def test_in_any_order_responses_and_voices_begin_and_end_in_turn(config: SessionConfig, steps: list[Any]) -> None:
    codec = new_codec(config)
    events = [event for step in steps for event in _step(codec, step)]

    active: str | None = None
    is_speaking = False
    seen: set[str] = set()
    for event in events:
        match event:
            case ResponseCreated(response_id):
                assert active is None and response_id not in seen
                active = response_id
                seen.add(response_id)
            case ResponseDone(response_id):
                assert active == response_id
                active = None
            case AudioOutputDelta() | AudioOutputDone() | ToolCall() | ResponseInterrupted():
                assert event.response_id == active
            case SpeechStarted():
                assert not is_speaking
                is_speaking = True
            case SpeechStopped():
                assert is_speaking
                is_speaking = False


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(CONFIGS), st.lists(st.sampled_from([*MESSAGES, *SENT]), max_size=20))
def test_after_anything_a_request_is_answered_when_the_server_ends_its_turns(
    config: SessionConfig, steps: list[Any]
) -> None:
    codec = new_codec(config)
    for step in steps:
        _step(codec, step)
    for _ in range(2):  # the turn under way, and what waits behind it
        _step(codec, DONE)

    codec.encode(ResponseCreate("last"))
    events = [event for _ in range(2) for event in _step(codec, DONE)]

    assert [event for event in events if isinstance(event, ResponseDone)]


def _step(codec: GeminiCodec, step: Any) -> list[ServerEvent]:
    if not isinstance(step, dict):
        with suppress(NotSupportedError):
            codec.encode(step)
        return list(codec.waited()) if codec.wait else []
    return [event for event in codec.decode(orjson.dumps(step)) if not isinstance(event, Answer)]
