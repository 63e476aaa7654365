"""The session object of OpenAI Live."""

from typing import Any

import pytest

from agents.errors import NotSupportedError
from agents.providers.openai_live.session import (
    BACKEND_MODEL,
    MAX_PAST_BYTES,
    MAX_PAST_MESSAGES,
    session_object,
    update_object,
)
from agents.realtime import (
    PCMU,
    AudioFormat,
    Past,
    PastMessage,
    PastToolCall,
    SessionConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
    Voice,
)

BARE = SessionConfig()
LOOK_UP = ToolSchema(name="look_up", description="Finds an order.", parameters={"type": "object", "properties": {}})


def session(config: SessionConfig = BARE, *past: Past) -> dict[str, Any]:
    return session_object("gpt-live-1", config, past)


def past_of(*past: Past) -> list[tuple[str, str, str]]:
    return [
        (item["role"], item["content"][0]["type"], item["content"][0]["text"])
        for item in session(SessionConfig(), *past).get("input", [])
    ]


def test_a_bare_session_names_its_model_its_format_and_a_backend() -> None:
    assert session() == {
        "model": "gpt-live-1",
        "audio": {"format": {"type": "audio/pcm", "rate": 24_000}},
        "delegation": {"type": "responses", "responses": {"model": BACKEND_MODEL, "tools": []}},
    }


def test_a_telephones_audio_passes_through_with_its_rate() -> None:
    config = SessionConfig(input_format=PCMU, output_format=PCMU)

    assert session(config)["audio"]["format"] == {"type": "audio/pcmu", "rate": 8_000}


def test_two_different_formats_meet_in_pcm_as_the_wire_has_one_for_both_ways() -> None:
    assert session(SessionConfig(input_format=PCMU))["audio"]["format"] == {"type": "audio/pcm", "rate": 24_000}


def test_both_models_get_the_instructions_and_the_live_one_learns_what_the_backend_can_do() -> None:
    made = session(SessionConfig(instructions="Be kind.", tools=(LOOK_UP,)))

    assert made["instructions"].startswith("Be kind.\n\n")
    assert "- look_up: Finds an order." in made["instructions"]
    assert made["delegation"]["responses"]["instructions"] == "Be kind."
    assert made["delegation"]["responses"]["tools"] == [
        {
            "type": "function",
            "name": "look_up",
            "description": "Finds an order.",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        }
    ]


def test_what_is_for_answers_goes_to_the_backend() -> None:
    responses = session(SessionConfig(tool_choice="required", max_output_tokens=99))["delegation"]["responses"]

    assert (responses["tool_choice"], responses["max_output_tokens"]) == ("required", 99)


@pytest.mark.parametrize(("voice", "on_the_wire"), [("vesper", "vesper"), ("voice_1", {"id": "voice_1"})])
def test_voices_are_named_and_custom_ones_are_identified(voice: str, on_the_wire: object) -> None:
    assert session(SessionConfig(voice=Voice(voice_id=voice)))["audio"]["output"] == {"voice": on_the_wire}


def test_provider_options_go_into_the_session_key_by_key() -> None:
    options = {"store": True, "delegation": {"responses": {"model": "gpt-5.5", "reasoning": {"effort": "low"}}}}

    made = session(SessionConfig(instructions="Be kind.", provider_options=options))

    assert made["store"] is True
    assert made["delegation"]["responses"] == {
        "model": "gpt-5.5",
        "instructions": "Be kind.",
        "tools": [],
        "reasoning": {"effort": "low"},
    }


@pytest.mark.parametrize("delegation", [None, {"type": "client"}])
def test_delegation_to_somebody_else_takes_the_backends_place(delegation: object) -> None:
    assert session(SessionConfig(provider_options={"delegation": delegation}))["delegation"] == delegation


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (SessionConfig(input_format=AudioFormat(mime_type="audio/pcma", sample_rate=8_000)), "audio/pcma"),
        (SessionConfig(turn_detection=None), "turn detection"),
        (SessionConfig(turn_detection=TurnDetection(mode="semantic_vad")), "turn detection"),
        (SessionConfig(turn_detection=TurnDetection(mode="manual")), "turn detection"),
        (SessionConfig(turn_detection=TurnDetection(threshold=0.5)), "threshold"),
        (SessionConfig(turn_detection=TurnDetection(idle_timeout_ms=5000)), "idle_timeout_ms"),
        (SessionConfig(turn_detection=TurnDetection(interrupt_response=False)), "interrupts"),
        (SessionConfig(turn_detection=TurnDetection(create_response=False)), "answer"),
        (SessionConfig(transcription=Transcription(language="en")), "language"),
        (SessionConfig(noise_reduction="far_field"), "noise_reduction"),
        (SessionConfig(voice=Voice(speed=1.2)), "speed"),
        (SessionConfig(modalities=("text",)), "modalities"),
        (SessionConfig(provider_options={"audio": {"format": {"type": "audio/pcma"}}}), "audio.format"),
        (SessionConfig(tools=(LOOK_UP,), provider_options={"delegation": {"type": "client"}}), "delegation.type"),
        (SessionConfig(max_output_tokens=9, provider_options={"delegation": None}), "delegation.type"),
    ],
)
def test_what_the_wire_cannot_say_is_refused_by_name(config: SessionConfig, named: str) -> None:
    with pytest.raises(NotSupportedError, match=named):
        session(config)


@pytest.mark.parametrize(
    "config",
    [
        SessionConfig(turn_detection=TurnDetection()),
        SessionConfig(turn_detection=TurnDetection(interrupt_response=True, create_response=True)),
        SessionConfig(transcription=Transcription(), noise_reduction=None),
        SessionConfig(transcription=None),
    ],
)
def test_what_the_wire_does_anyway_may_be_said(config: SessionConfig) -> None:
    assert session(config) == session()


# ---- history ----


def test_the_past_is_told_in_order_each_in_its_own_role() -> None:
    assert past_of(
        PastMessage("1", "system", "A regular."),
        PastMessage("2", "user", "Is it there?"),
        PastToolCall("c1", "look_up", '{"id": 7}', "shipped"),
        PastToolCall("c2", "look_up", "{}", None),
        PastMessage("3", "assistant", "It is on its way."),
    ) == [
        ("developer", "input_text", "A regular."),
        ("user", "input_text", "Is it there?"),
        ("developer", "input_text", 'The tool look_up was called with {"id": 7} and answered shipped'),
        ("developer", "input_text", "The tool look_up was called with {} and has not answered yet"),
        ("assistant", "output_text", "It is on its way."),
    ]


def test_of_a_long_past_the_newest_is_told() -> None:
    many = tuple(PastMessage(str(number), "user", f"word {number}") for number in range(MAX_PAST_MESSAGES + 5))

    told = past_of(*many)

    assert len(told) == MAX_PAST_MESSAGES
    assert told[-1][2] == f"word {MAX_PAST_MESSAGES + 4}"


def test_a_past_of_many_words_is_told_as_far_back_as_it_fits() -> None:
    third = "x" * (MAX_PAST_BYTES // 3)
    told = past_of(*(PastMessage(str(number), "user", f"{number}{third}") for number in range(4)))

    assert [text[0] for _, _, text in told] == ["2", "3"]


def test_nothing_is_told_of_words_that_nobody_heard() -> None:
    assert past_of(PastMessage("1", "assistant", " ")) == []


# ---- changes ----


def test_tools_can_change_while_the_session_goes_on() -> None:
    before = SessionConfig(instructions="Be kind.", greeting="Hi")

    changed = update_object(before, SessionConfig(instructions="Be kind.", tools=(LOOK_UP,), tool_choice="auto"))

    responses = changed["delegation"]["responses"]
    assert [tool["name"] for tool in responses["tools"]] == ["look_up"]
    assert responses["tool_choice"] == "auto"


@pytest.mark.parametrize(
    "after", [SessionConfig(instructions="Be rude."), SessionConfig(voice=Voice(voice_id="ash"))], ids=repr
)
def test_what_a_session_was_started_with_cannot_change(after: SessionConfig) -> None:
    with pytest.raises(NotSupportedError, match="once it began"):
        update_object(SessionConfig(), after)


def test_a_session_without_a_backend_takes_no_tools_later_either() -> None:
    elsewhere = {"delegation": {"type": "client"}}

    with pytest.raises(NotSupportedError, match=r"delegation\.type"):
        update_object(
            SessionConfig(provider_options=elsewhere), SessionConfig(provider_options=elsewhere, tools=(LOOK_UP,))
        )
