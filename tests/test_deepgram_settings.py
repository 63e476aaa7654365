"""What a configuration is on Deepgram's wire. Each result is held to the published shape of the message."""

from typing import Any

import pytest

from agents.errors import ConfigError, NotSupportedError
from agents.providers.deepgram.settings import Thinker, settings, thinker
from agents.realtime import (
    PCM,
    PCMU,
    AudioFormat,
    PastMessage,
    PastToolCall,
    SessionConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
    Voice,
)
from tests.deepgram_messages import MESSAGES
from tests.wire_shape import check

MINI = Thinker("open_ai", "gpt-4o-mini")
LOOKUP = ToolSchema(name="lookup", description="Looks up.", parameters={"type": "object", "properties": {}})


def made(config: SessionConfig, **more: Any) -> dict[str, Any]:
    message = settings(config, more.pop("thinks", MINI), **more)
    assert check(message, MESSAGES["Settings"]) == []
    return message


@pytest.mark.parametrize(
    ("model_id", "who"),
    [
        ("gpt-4o-mini", Thinker("open_ai", "gpt-4o-mini")),
        ("open_ai/gpt-5", Thinker("open_ai", "gpt-5")),
        ("anthropic/claude-haiku-4-5", Thinker("anthropic", "claude-haiku-4-5")),
        ("groq/openai/gpt-oss-20b", Thinker("groq", "openai/gpt-oss-20b")),
        ("deepgram/think-fast", Thinker("deepgram", "think-fast")),
    ],
)
def test_the_model_says_who_thinks(model_id: str, who: Thinker) -> None:
    assert thinker(model_id) == who


def test_who_thinks_must_be_known() -> None:
    with pytest.raises(ConfigError, match="one of open_ai"):
        thinker("openai/gpt-4o")


def test_the_least_configuration() -> None:
    assert made(SessionConfig()) == {
        "type": "Settings",
        "audio": {
            "input": {"encoding": "linear16", "sample_rate": 24000},
            "output": {"encoding": "linear16", "sample_rate": 24000, "container": "none"},
        },
        "agent": {
            "listen": {"provider": {"type": "deepgram", "version": "v1", "model": "nova-3"}},
            "think": {"provider": {"type": "open_ai", "model": "gpt-4o-mini"}},
            "speak": {"provider": {"type": "deepgram", "model": "aura-2-thalia-en"}},
        },
    }


def test_all_that_an_agents_file_can_say() -> None:
    config = SessionConfig(
        instructions="Be kind.",
        tools=(LOOKUP,),
        voice=Voice(voice_id="flux-alexis-en", speed=0.6),
        input_format=PCMU,
        output_format=PCMU,
        turn_detection=TurnDetection(mode="semantic_vad", silence_duration_ms=700),
        transcription=Transcription(prompt="Ann Smith, Zaffran\nQuux"),
    )
    message = made(config)
    assert message["audio"]["input"] == {"encoding": "mulaw", "sample_rate": 8000}
    assert message["audio"]["output"] == {"encoding": "mulaw", "sample_rate": 8000, "container": "none"}
    agent = message["agent"]
    assert agent["listen"]["provider"] == {
        "type": "deepgram",
        "version": "v2",
        "model": "flux-general-en",
        "keyterms": ["Ann Smith", "Zaffran", "Quux"],
        "eot_timeout_ms": 700,
    }
    assert agent["think"]["prompt"] == "Be kind."
    assert agent["think"]["functions"] == [
        {"name": "lookup", "description": "Looks up.", "parameters": {"type": "object", "properties": {}}}
    ]
    assert agent["speak"]["provider"] == {
        "type": "deepgram",
        "version": "v2",
        "model": "flux-alexis-en",
        "speed": 0.6,
    }


@pytest.mark.parametrize(
    ("turns", "wanted", "provider"),
    [
        (TurnDetection(), Transcription(language="de"), {"version": "v1", "model": "nova-3", "language": "de"}),
        (
            TurnDetection(mode="semantic_vad"),
            Transcription(language="de"),
            {"version": "v2", "model": "flux-general-multi", "language_hints": ["de"]},
        ),
        (
            TurnDetection(mode="semantic_vad"),
            Transcription(language="en-GB"),
            {"version": "v2", "model": "flux-general-en"},
        ),
        (TurnDetection(), Transcription(model="nova-2-phonecall"), {"version": "v1", "model": "nova-2-phonecall"}),
    ],
)
def test_who_listens_follows_turns_and_language(
    turns: TurnDetection, wanted: Transcription, provider: dict[str, Any]
) -> None:
    message = made(SessionConfig(turn_detection=turns, transcription=wanted))
    assert message["agent"]["listen"]["provider"] == {"type": "deepgram"} | provider


def test_the_operators_options_are_merged_into_the_settings() -> None:
    options = {
        "tags": ["night"],
        "agent": {
            "language": "en",
            "listen": {"provider": {"smart_format": True}},
            "think": {"provider": {"temperature": 0.2}},
            "speak": {"provider": {"type": "open_ai", "model": "tts-1", "voice": "alloy"}, "endpoint": {"url": "u"}},
        },
    }
    message = made(SessionConfig(instructions="Be kind.", provider_options=options))
    assert message["tags"] == ["night"]
    assert message["agent"]["language"] == "en"
    assert message["agent"]["listen"]["provider"]["smart_format"] is True
    assert message["agent"]["think"] == {
        "provider": {"type": "open_ai", "model": "gpt-4o-mini", "temperature": 0.2},
        "prompt": "Be kind.",
    }
    assert message["agent"]["speak"]["provider"] == {"type": "open_ai", "model": "tts-1", "voice": "alloy"}


def test_a_list_of_thinkers_and_voices_are_fallbacks_that_know_the_same() -> None:
    other = {"provider": {"type": "anthropic", "model": "claude-haiku-4-5"}}
    voice = {"provider": {"model": "aura-2-apollo-en"}}
    options = {"agent": {"think": [{}, other], "speak": [{}, voice]}}
    agent = made(SessionConfig(instructions="Be kind.", tools=(LOOKUP,), provider_options=options))["agent"]
    assert [each["provider"]["model"] for each in agent["think"]] == ["gpt-4o-mini", "claude-haiku-4-5"]
    assert all(each["prompt"] == "Be kind." and each["functions"] for each in agent["think"])
    assert [each["provider"]["model"] for each in agent["speak"]] == ["aura-2-thalia-en", "aura-2-apollo-en"]


def test_what_was_said_before_is_the_context_and_nobody_greets() -> None:
    history = (
        PastMessage("1", "assistant", "Hello."),
        PastMessage("2", "user", "Who is Ann?"),
        PastToolCall("c1", "lookup", '{"name": "Ann"}', '{"age": 7}'),
        PastToolCall("c2", "lookup", "{}", None),
        PastMessage("3", "system", "It is dark."),
    )
    agent = made(SessionConfig(instructions="Be kind.", greeting="Hello."), history=history)["agent"]
    call = {"id": "c1", "name": "lookup", "client_side": True, "arguments": '{"name": "Ann"}', "response": '{"age": 7}'}
    assert agent["context"]["messages"] == [
        {"type": "History", "role": "assistant", "content": "Hello."},
        {"type": "History", "role": "user", "content": "Who is Ann?"},
        {"type": "History", "function_calls": [call]},
    ]
    assert agent["think"]["prompt"] == "Be kind.\n\nIt is dark."
    assert "greeting" not in agent


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (SessionConfig(modalities=("text",)), "modalities"),
        (SessionConfig(input_format=AudioFormat(sample_rate=16000)), "input_format"),
        (SessionConfig(output_format=AudioFormat(mime_type="audio/pcma", sample_rate=8000)), "output_format"),
        (SessionConfig(tool_choice="required"), "tool_choice"),
        (SessionConfig(turn_detection=None), "turn_detection.mode"),
        (SessionConfig(turn_detection=TurnDetection(create_response=False)), "turn_detection.create_response"),
        (SessionConfig(voice=Voice(speed=2.0)), "speed"),
        (SessionConfig(noise_reduction="near_field"), "noise_reduction"),
    ],
)
def test_what_the_wire_cannot_say_is_refused(config: SessionConfig, field: str) -> None:
    with pytest.raises(NotSupportedError, match=field):
        settings(config, MINI)


def test_what_is_off_or_automatic_asks_for_nothing() -> None:
    turns = TurnDetection(mode="semantic_vad", eagerness="auto", interrupt_response=True, create_response=True)
    config = SessionConfig(turn_detection=turns, noise_reduction=None, transcription=None, tool_choice="auto")
    made(config)
    assert config.input_format == PCM
