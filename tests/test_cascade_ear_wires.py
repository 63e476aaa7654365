"""Flux and Nova, message by message."""

from typing import Any

import orjson
import pytest

from agents.cascade.ear_wire import UNDERSTOOD_WITHIN_S, EarCodec
from agents.cascade.flux_wire import CHUNK_MS, FluxCodec
from agents.cascade.nova_wire import NovaCodec
from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    AudioInputCommit,
    AudioInputCommitted,
    RawEvent,
    ResponseCreate,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)
from agents.providers.socket import WireError
from agents.realtime import PCM, PCMU


def told(codec: EarCodec, **fields: Any) -> list[Any]:
    return list(codec.decode(orjson.dumps(fields)))


def turn(codec: EarCodec, event: str, text: str, start: float = 0.5, end: float = 1.5) -> list[Any]:
    words = [{"word": word, "confidence": 1, "start": start} for word in text.split()]
    return told(
        codec,
        type="TurnInfo",
        event=event,
        transcript=text,
        words=words,
        audio_window_start=0,
        audio_window_end=end,
    )


def results(codec: EarCodec, text: str, **flags: bool) -> list[Any]:
    alternatives = [{"transcript": text, "confidence": 1, "words": []}]
    return told(codec, type="Results", start=1.0, duration=0.5, channel={"alternatives": alternatives}, **flags)


def kinds(events: list[Any]) -> list[type]:
    return [type(event) for event in events]


TURN = [SpeechStopped, AudioInputCommitted, TranscriptInput]


# ---- both ----


@pytest.mark.parametrize("codec", [FluxCodec(PCM, is_manual=False), NovaCodec(PCM, is_manual=False)])
def test_a_recogniser_takes_audio_and_commits_alone(codec: EarCodec) -> None:
    with pytest.raises(NotSupportedError, match=r"response\.create"):
        codec.encode(ResponseCreate("e"))


@pytest.mark.parametrize("codec", [FluxCodec(PCM, is_manual=False), NovaCodec(PCM, is_manual=False)])
@pytest.mark.parametrize("message", ["", "{", "[]", '{"type": 5}', '{"a": 1}', b"\xff\x00", '{"type": "Results"}'])
def test_what_makes_no_sense_is_a_wire_error(codec: EarCodec, message: str | bytes) -> None:
    if isinstance(codec, FluxCodec) and message == '{"type": "Results"}':
        message = '{"type": "TurnInfo"}'

    with pytest.raises(WireError):
        list(codec.decode(message))


@pytest.mark.parametrize("codec", [FluxCodec(PCM, is_manual=False), NovaCodec(PCM, is_manual=False)])
def test_what_nobody_knows_is_shown(codec: EarCodec) -> None:
    assert told(codec, type="Brand.New", a=1) == [RawEvent("Brand.New", {"type": "Brand.New", "a": 1})]


@pytest.mark.parametrize(
    ("fields", "category", "is_retryable"),
    [
        ({"code": "INVALID_AUTH", "description": "no"}, "auth", False),
        ({"code": "ASR_PAYMENT_REQUIRED", "description": "no"}, "quota", False),
        ({"variant": "TOO_MANY_REQUESTS"}, "rate", True),
        ({"code": "INTERNAL_SERVER_ERROR", "description": "oops"}, "unavailable", True),
        ({"variant": "SchemaError", "description": "cannot be parsed"}, "unavailable", True),
    ],
)
@pytest.mark.parametrize("is_flux", [True, False])
def test_an_error_ends_the_conversation_and_says_why(
    fields: dict[str, str], category: str, is_retryable: bool, is_flux: bool
) -> None:
    codec: EarCodec = FluxCodec(PCM, is_manual=False) if is_flux else NovaCodec(PCM, is_manual=False)

    [error] = told(codec, type="Error", **fields)

    assert isinstance(error, ProviderError)
    assert (error.category, error.retryable) == (category, is_retryable)
    assert codec.loss(1011, "whatever follows") is error


@pytest.mark.parametrize(
    ("code", "reason", "category"),
    [
        (1011, "NET-0001: no audio for ten seconds", "session_limit"),
        (1008, "DATA-0000: no such audio", "invalid_request"),
        (1011, "NET-0000", "unavailable"),
        (None, "", "network"),
    ],
)
def test_the_end_of_a_connection_says_why_in_its_reason(code: int | None, reason: str, category: str) -> None:
    for codec in (FluxCodec(PCM, is_manual=False), NovaCodec(PCM, is_manual=False)):
        loss = codec.loss(code, reason)
        assert loss and loss.category == category
    assert FluxCodec(PCM, is_manual=False).loss(1000, "") is None


# ---- Flux ----


def test_flux_gets_audio_in_steps_of_80_ms_and_all_of_it_before_a_turn_is_forced_to_end() -> None:
    codec = FluxCodec(PCMU, is_manual=False)
    frame = bytes(range(160))

    sent = [message for _ in range(5) for message in codec.encode(AudioInputAppend(frame))]
    rest, forced = codec.encode(AudioInputCommit())

    assert sent == [frame * 4] and len(frame * 4) == CHUNK_MS * 8
    assert rest == frame and orjson.loads(forced) == {"type": "ForceEndTurn"}
    assert codec.heard_ms == 100


def test_flux_is_kept_awake_by_silence_for_it_has_no_word_for_it() -> None:
    assert FluxCodec(PCMU, is_manual=False).keepalive.message == b"\xff" * 640  # type: ignore[union-attr]
    assert FluxCodec(PCM, is_manual=False).keepalive.message == bytes(3840)  # type: ignore[union-attr]


def test_a_turn_of_flux() -> None:
    codec = FluxCodec(PCM, is_manual=False)

    began = turn(codec, "StartOfTurn", "What")
    more = turn(codec, "Update", "What time is")
    eager = turn(codec, "EagerEndOfTurn", "What time is it?")
    resumed = turn(codec, "TurnResumed", "What time is it?")
    ended = turn(codec, "EndOfTurn", "What time is it?", end=2.0)

    item_id = began[0].item_id
    assert began == [SpeechStarted(item_id, 500)]
    assert more == [TranscriptInputDelta(item_id, "What time")]
    assert eager == [TranscriptInputDelta(item_id, " is")] and resumed == []
    assert ended == [
        SpeechStopped(item_id, 2000),
        AudioInputCommitted(item_id),
        TranscriptInput(item_id, "What time is it?"),
    ]


@pytest.mark.parametrize("kind", ["Connected", "ConfigureSuccess", "Warning"])
def test_routine_of_flux_is_nothing(kind: str) -> None:
    assert told(FluxCodec(PCM, is_manual=False), type=kind, request_id="r", sequence_id=0) == []


@pytest.mark.parametrize("seconds", [-1, 1e300, None, "1", [2]])
def test_a_time_that_makes_no_sense_is_none(seconds: object) -> None:
    codec = FluxCodec(PCM, is_manual=False)

    events = told(codec, type="TurnInfo", event="StartOfTurn", transcript="", words=[], audio_window_end=seconds)

    assert events == [SpeechStarted(events[0].item_id, 0)]


# ---- Nova ----


def test_a_turn_of_nova_in_pieces() -> None:
    codec = NovaCodec(PCM, is_manual=False)

    began = told(codec, type="SpeechStarted", channel=[0], timestamp=0.8)
    interim = results(codec, "What ti", is_final=False)
    first = results(codec, "What time", is_final=True)
    last = results(codec, "is it?", is_final=True, speech_final=True)
    late = told(codec, type="UtteranceEnd", channel=[0, 1], last_word_end=1.4)

    item_id = began[0].item_id
    assert began == [SpeechStarted(item_id, 800)]
    assert interim == [TranscriptInputDelta(item_id, "What")]
    assert first == [TranscriptInputDelta(item_id, " time")]
    assert last == [
        TranscriptInputDelta(item_id, " is it?"),
        SpeechStopped(item_id, 1500),
        AudioInputCommitted(item_id),
        TranscriptInput(item_id, "What time is it?"),
    ]
    assert late == []


def test_the_gap_between_words_ends_a_turn_that_silence_does_not() -> None:
    codec = NovaCodec(PCM, is_manual=False)
    results(codec, "Hello", is_final=True)

    ended = told(codec, type="UtteranceEnd", channel=[0, 1], last_word_end=-1)

    assert kinds(ended) == TURN and ended[2].text == "Hello"


def test_a_sound_that_was_no_voice_ends_with_nothing_said() -> None:
    codec = NovaCodec(PCM, is_manual=False)
    told(codec, type="SpeechStarted", channel=[0], timestamp=0.8)

    ended = results(codec, "", is_final=True)

    assert kinds(ended) == TURN and ended[2].text == ""
    assert results(codec, "", is_final=True) == []


def test_nova_gets_no_empty_piece_of_audio_which_would_end_the_stream() -> None:
    codec = NovaCodec(PCM, is_manual=False)

    assert list(codec.encode(AudioInputAppend(b""))) == []
    assert list(codec.encode(AudioInputAppend(b"\x01\x00"))) == [b"\x01\x00"]


def test_a_committed_turn_of_nova_has_the_words_up_to_there() -> None:
    codec = NovaCodec(PCM, is_manual=True)
    list(codec.encode(AudioInputAppend(bytes(48 * 500))))
    unasked = results(codec, "What time", is_final=True, speech_final=True)

    [committed] = codec.commit()
    [message] = codec.encode(AudioInputCommit())
    answer = results(codec, "is it?", is_final=True, from_finalize=True)

    assert unasked == []
    assert orjson.loads(message) == {"type": "Finalize"}
    assert answer[-1] == TranscriptInput(committed.item_id, "What time is it?")
    assert codec.wait is None


def test_a_committed_turn_that_nobody_answers_has_what_was_written_so_far() -> None:
    codec = NovaCodec(PCM, is_manual=True)
    list(codec.encode(AudioInputAppend(bytes(48 * 500))))
    results(codec, "What time", is_final=True)
    [committed] = codec.commit()
    list(codec.encode(AudioInputCommit()))

    assert codec.wait and codec.wait.after_s == UNDERSTOOD_WITHIN_S
    assert list(codec.waited()) == [TranscriptInput(committed.item_id, "What time")]
    assert list(codec.waited()) == []
