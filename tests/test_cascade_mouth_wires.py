"""Aura, Sonic and ElevenLabs' voices, message by message."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from agents.cascade.aura_wire import MAX_TEXT_CHARS, AuraCodec
from agents.cascade.eleven_wire import MAX_CONTEXTS, ElevenCodec
from agents.cascade.mouth_wire import MouthCodec
from agents.cascade.sonic_wire import SonicCodec
from agents.errors import ErrorCategory, NotSupportedError
from agents.events import (
    AudioInputCommit,
    AudioOutputDelta,
    ItemCreate,
    RawEvent,
    ResponseCancel,
    ResponseCreate,
    ResponseDone,
    SessionError,
)
from agents.providers.socket import WireError
from agents.providers.wire_json import to_base64
from agents.realtime import PCM, PCMU, Voice


def sonic(**more: Any) -> SonicCodec:
    settings: dict[str, Any] = {"model": "sonic-3", "voice": Voice(voice_id="v"), "language": None, "options": {}}
    return SonicCodec(PCM, **settings | more)


def say(codec: MouthCodec, stretch: str, text: str) -> list[dict[str, Any]]:
    return read(codec.encode(ItemCreate("assistant", text, stretch)))


def end(codec: MouthCodec, stretch: str) -> list[dict[str, Any]]:
    return read(codec.encode(ResponseCreate(stretch)))


def cancel(codec: MouthCodec, stretch: str) -> list[dict[str, Any]]:
    return read(codec.encode(ResponseCancel(stretch)))


def read(messages: Iterable[str]) -> list[dict[str, Any]]:
    return [orjson.loads(message) for message in messages]


def told(codec: MouthCodec, **fields: Any) -> list[Any]:
    return list(codec.decode(orjson.dumps(fields).decode()))


# ---- all ----


@pytest.mark.parametrize("codec", [AuraCodec(), sonic(), ElevenCodec(Voice())])
def test_a_voice_takes_words_alone(codec: MouthCodec) -> None:
    with pytest.raises(NotSupportedError):
        codec.encode(AudioInputCommit())


@pytest.mark.parametrize("codec", [AuraCodec(), sonic(), ElevenCodec(Voice())])
@pytest.mark.parametrize("message", ["", "{", "[]", "7"])
def test_what_makes_no_sense_is_a_wire_error(codec: MouthCodec, message: str) -> None:
    with pytest.raises(WireError):
        list(codec.decode(message))


# ---- Aura ----


def test_aura_is_flushed_after_the_first_sentence_and_at_the_end() -> None:
    codec = AuraCodec()

    first, second, last = say(codec, "a", "One."), say(codec, "a", "Two."), end(codec, "a")

    assert first == [{"type": "Speak", "text": "One. "}, {"type": "Flush"}]
    assert second == [{"type": "Speak", "text": "Two. "}]
    assert last == [{"type": "Flush"}]


def test_a_stretch_of_one_sentence_is_flushed_once() -> None:
    codec = AuraCodec()
    say(codec, "a", "One.")

    assert end(codec, "a") == []
    assert told(codec, type="Flushed", sequence_id=0) == [ResponseDone("a", "completed")]


def test_a_stretch_of_aura_ends_with_the_last_flush_and_not_before_it_is_told_to() -> None:
    codec = AuraCodec()
    say(codec, "a", "One.")
    before = told(codec, type="Flushed", sequence_id=0)
    say(codec, "a", "Two.")
    end(codec, "a")

    assert before == []
    assert list(codec.decode(b"\x01\x02")) == [AudioOutputDelta("a", "a", 0, b"\x01\x02")]
    assert told(codec, type="Flushed", sequence_id=1) == [ResponseDone("a", "completed")]
    assert list(codec.decode(b"\x03")) == []


def test_a_stretch_of_aura_that_was_spoken_before_its_end_is_over_at_once() -> None:
    codec = AuraCodec()
    say(codec, "a", "One.")
    told(codec, type="Flushed", sequence_id=0)

    assert codec.wait is None
    assert end(codec, "a") == []
    assert codec.wait is not None and codec.wait.after_s == 0
    assert list(codec.waited()) == [ResponseDone("a", "completed")]
    assert codec.wait is None


def test_a_stretch_of_aura_that_is_cleared_in_the_moment_of_its_end_waits_for_that_alone() -> None:
    codec = AuraCodec()
    say(codec, "a", "One.")
    told(codec, type="Flushed", sequence_id=0)
    end(codec, "a")

    assert cancel(codec, "a") == [{"type": "Clear"}]
    assert codec.wait is None
    assert told(codec, type="Cleared", sequence_id=1) == [ResponseDone("a", "cancelled")]


def test_a_text_that_is_too_long_for_one_message_is_said_in_several() -> None:
    spoken = say(AuraCodec(), "a", "x" * (MAX_TEXT_CHARS + 5))

    assert [message["type"] for message in spoken] == ["Speak", "Speak", "Flush"]
    assert "".join(message.get("text", "").strip() for message in spoken) == "x" * (MAX_TEXT_CHARS + 5)


def test_nothing_of_a_cleared_stretch_is_heard_until_it_is_confirmed() -> None:
    codec = AuraCodec()
    say(codec, "a", "One.")

    assert cancel(codec, "a") == [{"type": "Clear"}]
    assert list(codec.decode(b"\x01\x02")) == [] == told(codec, type="Flushed", sequence_id=0)
    assert told(codec, type="Cleared", sequence_id=0) == [ResponseDone("a", "cancelled")]
    say(codec, "b", "Two.")
    assert list(codec.decode(b"\x03\x04")) == [AudioOutputDelta("b", "b", 0, b"\x03\x04")]


def test_an_error_of_aura_is_about_what_it_speaks() -> None:
    codec = AuraCodec()
    say(codec, "a", "One.")

    [error] = told(codec, type="Error", err_code="PAYMENT_REQUIRED", err_msg="no credits")

    assert isinstance(error, SessionError)
    assert (error.event_id, error.category, error.code) == ("a", "quota", "PAYMENT_REQUIRED")


def test_routine_of_aura_is_nothing_and_what_nobody_knows_is_shown() -> None:
    codec = AuraCodec()

    assert told(codec, type="Metadata", request_id="r") == told(codec, type="Warning", code="c", description="d") == []
    assert told(codec, type="New") == [RawEvent("New", {"type": "New"})]
    with pytest.raises(WireError):
        told(codec, a=1)


# ---- Sonic ----


def test_a_stretch_of_sonic_is_one_context_whose_settings_do_not_change() -> None:
    codec = sonic(language="en", voice=Voice(voice_id="v", speed=1.2), options={"generation_config": {"volume": 1.5}})

    [first], [second], [last] = say(codec, "a", "One."), say(codec, "a", "Two."), end(codec, "a")

    assert (first["transcript"], first["continue"], first["context_id"]) == ("One. ", True, "a")
    assert (last["transcript"], last["continue"]) == ("", False)
    assert first["output_format"] == {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24_000}
    assert first["generation_config"] == {"speed": 1.2, "volume": 1.5}
    assert (first["language"], first["voice"]) == ("en", {"mode": "id", "id": "v"})
    changing = {"transcript", "continue"}
    settings = [{name: it[name] for name in it if name not in changing} for it in (first, second, last)]
    assert settings[0] == settings[1] == settings[2]


def test_sonic_speaks_mu_law() -> None:
    codec = SonicCodec(PCMU, model="sonic-3", voice=Voice(voice_id="v"), language=None, options={})

    [first] = say(codec, "a", "One.")

    assert first["output_format"] == {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000}
    assert "generation_config" not in first and "language" not in first


def test_what_comes_of_another_context_is_not_heard() -> None:
    codec = sonic()
    say(codec, "a", "One.")
    assert cancel(codec, "a") == [{"context_id": "a", "cancel": True}]
    say(codec, "b", "Two.")
    audio = to_base64(b"\x01\x02")

    late = told(codec, type="chunk", context_id="a", data=audio) + told(codec, type="done", context_id="a", done=True)
    late += told(codec, type="error", context_id="a", done=True, status_code=400, error_code="late")
    ours = told(codec, type="chunk", context_id="b", data=audio) + told(codec, type="done", context_id="b", done=True)

    assert late == []
    assert ours == [AudioOutputDelta("b", "b", 0, b"\x01\x02"), ResponseDone("b", "completed")]


@pytest.mark.parametrize(
    ("status", "code", "category", "is_retryable"),
    [
        (401, "unauthorized", "auth", False),
        (402, "quota_exceeded", "quota", False),
        (429, "concurrency_limited", "rate", True),
        (500, None, "unavailable", True),
        (404, "model_not_found", "invalid_request", False),
        (None, None, "unavailable", True),
    ],
)
def test_an_error_of_cartesia_keeps_its_code(
    status: int | None, code: str | None, category: ErrorCategory, is_retryable: bool
) -> None:
    codec = sonic()
    say(codec, "a", "One.")

    [error] = told(codec, type="error", done=True, status_code=status, error_code=code, message="no", context_id="a")

    assert isinstance(error, SessionError)
    assert (error.category, error.retryable, error.event_id) == (category, is_retryable, "a")
    assert error.code == (code or category)


def test_routine_of_sonic_is_nothing_and_what_nobody_knows_is_shown() -> None:
    assert told(sonic(), type="timestamps", context_id="a") == []
    assert told(sonic(), type="flush_done", context_id="a", flush_id=1) == []
    assert told(sonic(), type="new") == [RawEvent("new", {"type": "new"})]
    for wrong in ({"type": "chunk"}, {"type": "chunk", "data": 5}, {"a": 1}):
        with pytest.raises(WireError):
            told(sonic(), **wrong)


# ---- ElevenLabs ----


def test_a_context_begins_with_a_space_and_its_settings() -> None:
    codec = ElevenCodec(Voice(speed=1.1))

    first, text = say(codec, "a", "One.")
    [more] = say(codec, "a", "Two.")

    assert first == {"text": " ", "context_id": "a", "voice_settings": {"speed": 1.1}}
    assert text == {"text": "One. ", "context_id": "a", "flush": True}
    assert more == {"text": "Two. ", "context_id": "a", "flush": True}
    assert end(codec, "a") == [{"context_id": "a", "close_context": True}]
    assert cancel(codec, "a") == []


def test_a_context_that_was_stopped_is_closed_and_not_heard() -> None:
    codec = ElevenCodec(Voice())
    say(codec, "a", "One.")
    assert cancel(codec, "a") == [{"context_id": "a", "close_context": True}]
    say(codec, "b", "Two.")
    audio = to_base64(b"\x01\x02")

    late = told(codec, audio=audio, contextId="a") + told(codec, isFinal=True, contextId="a")
    ours = told(codec, audio=audio, contextId="b") + told(codec, is_final=True, context_id="b", audio=None)

    assert late == []
    assert ours == [AudioOutputDelta("b", "b", 0, b"\x01\x02"), ResponseDone("b", "completed")]


def test_a_connection_with_as_many_contexts_as_it_may_have_is_spent_until_one_is_over() -> None:
    codec = ElevenCodec(Voice())
    for number in range(MAX_CONTEXTS):
        assert not codec.is_spent
        say(codec, f"{number}", "One.")
        cancel(codec, f"{number}")
    assert codec.is_spent

    told(codec, isFinal=True, contextId="0")

    assert not codec.is_spent


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("quota_exceeded", "quota"),
        ("invalid_api_key", "auth"),
        ("max_active_conversations", "rate"),
        ("input_error", "invalid_request"),
    ],
)
def test_an_error_of_elevenlabs_is_what_the_end_of_its_connection_means(code: str, category: ErrorCategory) -> None:
    codec = ElevenCodec(Voice())
    say(codec, "a", "One.")

    [error] = told(codec, message="no more", error=code, code=1008)
    loss = codec.loss(1008, "no more")

    assert isinstance(error, SessionError) and loss
    assert (error.code, error.category, error.event_id) == (code, category, "a")
    assert (loss.code, loss.category) == (code, category)
    assert ElevenCodec(Voice()).loss(1000, "") is None


def test_what_elevenlabs_says_without_a_context_or_a_meaning() -> None:
    codec = ElevenCodec(Voice())

    assert told(codec, brand="new") == [RawEvent("tts", {"brand": "new"})]
    assert told(codec, audio=None) == []
    for wrong in ({"audio": "AAAA"}, {"audio": 5, "contextId": "a"}, {"isFinal": True}):
        with pytest.raises(WireError):
            told(codec, **wrong)
