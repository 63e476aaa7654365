"""The setup of a Gemini session: what each field of a configuration becomes, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from agents.errors import ConfigError, NotSupportedError
from agents.providers.gemini.setup import Setup, context_update, make_setup
from agents.realtime import PCMU, AudioFormat, SessionConfig, ToolSchema, Transcription, TurnDetection, Voice
from tests.fake_gemini_checks import Wrong, checked

MODEL = "gemini-3.8-live"
LOOKUP = ToolSchema(name="lookup", description="Looks up.", parameters={"type": "object", "properties": {}})


def setup(**fields: Any) -> dict[str, Any]:
    message = make_setup(MODEL, SessionConfig(**fields)).message
    checked({"setup": message})
    return message


def test_a_session_that_nobody_configured_speaks_transcribes_itself_and_can_be_resumed() -> None:
    assert setup() == {
        "model": "models/gemini-3.8-live",
        "generationConfig": {"responseModalities": ["AUDIO"]},
        "sessionResumption": {},
        "contextWindowCompression": {"slidingWindow": {}},
        "outputAudioTranscription": {},
    }


def test_every_field_that_gemini_has_is_said() -> None:
    message = setup(
        instructions="Be kind.",
        tools=(LOOKUP,),
        voice=Voice(voice_id="Kore"),
        max_output_tokens=200,
        turn_detection=TurnDetection(silence_duration_ms=400, prefix_padding_ms=50, interrupt_response=True),
        transcription=Transcription(language="en-US", prompt="Acme, Zephyr GmbH"),
    )
    assert message["systemInstruction"] == {"parts": [{"text": "Be kind."}]}
    [tools] = message["tools"]
    assert tools["functionDeclarations"] == [
        {
            "name": "lookup",
            "description": "Looks up.",
            "parametersJsonSchema": LOOKUP.parameters,
            "behavior": "BLOCKING",
        }
    ]
    assert message["generationConfig"] == {
        "responseModalities": ["AUDIO"],
        "maxOutputTokens": 200,
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }
    assert message["realtimeInputConfig"] == {
        "automaticActivityDetection": {"silenceDurationMs": 400, "prefixPaddingMs": 50},
        "activityHandling": "START_OF_ACTIVITY_INTERRUPTS",
    }
    expected = {"languageCodes": ["en-US"], "customVocabulary": ["Acme", "Zephyr GmbH"]}
    assert message["inputAudioTranscription"] == expected


@pytest.mark.parametrize("turns", [None, TurnDetection(mode="manual")])
def test_manual_turns_are_for_us_to_tell_and_interrupt_nothing(turns: TurnDetection | None) -> None:
    made = make_setup(MODEL, SessionConfig(turn_detection=turns))
    assert made.message["realtimeInputConfig"] == {
        "automaticActivityDetection": {"disabled": True},
        "activityHandling": "NO_INTERRUPTION",
    }
    assert made.is_manual and not made.interrupts


def test_a_voice_that_may_not_interrupt_is_told_as_activity_handling() -> None:
    made = make_setup(MODEL, SessionConfig(turn_detection=TurnDetection(interrupt_response=False)))
    assert made.message["realtimeInputConfig"] == {"activityHandling": "NO_INTERRUPTION"}
    assert not made.is_manual and not made.interrupts


def test_transcription_is_off_where_it_is_turned_off() -> None:
    assert "inputAudioTranscription" not in setup(transcription=None)
    assert setup(transcription=Transcription())["inputAudioTranscription"] == {}


def test_a_model_that_may_call_no_tool_is_told_of_none() -> None:
    assert "tools" not in setup(tools=(LOOKUP,), tool_choice="none")


def test_a_session_of_text_asks_for_text() -> None:
    made = make_setup(MODEL, SessionConfig(modalities=("text",)))
    assert made.message["generationConfig"] == {"responseModalities": ["TEXT"]}
    assert made.is_text and "outputAudioTranscription" not in made.message


def test_the_history_and_the_handle_are_announced() -> None:
    made = make_setup(MODEL, SessionConfig(), handle="h1", has_history=True)
    assert made.message["sessionResumption"] == {"handle": "h1"}
    assert made.begins_with_history
    assert not make_setup(MODEL, SessionConfig()).begins_with_history


def test_a_full_name_of_a_model_is_left_as_it_is() -> None:
    assert make_setup("tunedModels/mine", SessionConfig()).message["model"] == "tunedModels/mine"


# ---- provider options ----


def test_provider_options_reach_every_field_in_both_spellings_and_deep() -> None:
    message = setup(
        instructions="Be kind.",
        max_output_tokens=200,
        turn_detection=TurnDetection(silence_duration_ms=400),
        provider_options={
            "generation_config": {"temperature": 0.4},
            "realtimeInputConfig": {"automatic_activity_detection": {"startOfSpeechSensitivity": START_LOW}},
            "contextWindowCompression": {"triggerTokens": 25600},
        },
    )
    assert message["generationConfig"] == {"responseModalities": ["AUDIO"], "maxOutputTokens": 200, "temperature": 0.4}
    detection = message["realtimeInputConfig"]["automaticActivityDetection"]
    assert detection == {"silenceDurationMs": 400, "startOfSpeechSensitivity": START_LOW}
    assert message["contextWindowCompression"] == {"slidingWindow": {}, "triggerTokens": 25600}


START_LOW = "START_SENSITIVITY_LOW"


def test_null_takes_away_what_is_always_there() -> None:
    message = setup(provider_options={"contextWindowCompression": None, "session_resumption": None})
    assert message.keys() == {"model", "generationConfig", "outputAudioTranscription"}


def test_the_providers_own_tools_stand_beside_the_agents() -> None:
    message = setup(tools=(LOOKUP,), provider_options={"tools": [{"google_search": {}}]})
    functions, search = message["tools"]
    assert [each["name"] for each in functions["functionDeclarations"]] == ["lookup"]
    assert search == {"googleSearch": {}}


def test_the_names_that_people_chose_are_no_spelling() -> None:
    schema = {"type": "object", "properties": {"zip_code": {"type": "string"}}}
    made = make_setup(MODEL, SessionConfig(provider_options={"labels": {"cost_center": "a"}}))
    assert made.message["labels"] == {"cost_center": "a"}
    declared = {"functionDeclarations": [{"name": "f", "description": "", "parameters_json_schema": schema}]}
    [tool] = setup(provider_options={"tools": [declared]})["tools"]
    assert tool["functionDeclarations"][0]["parametersJsonSchema"] == schema


def test_a_rule_makes_a_function_one_that_does_not_block() -> None:
    rules = {"look_up": {"behavior": "NON_BLOCKING"}}
    message = setup(tools=(replace(LOOKUP, name="look_up"),), provider_options={"functions": rules})
    assert message["tools"][0]["functionDeclarations"][0]["behavior"] == "NON_BLOCKING"
    assert "functions" not in message


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"functions": "all"}, "a rule for each"),
        ({"functions": {"lookup": {"behaviour": "BLOCKING"}}}, "behavior, scheduling"),
        ({"functions": {"lookup": {"behavior": "blocking"}}}, "BLOCKING or NON_BLOCKING"),
        ({"functions": {"lookup": {"scheduling": "WHEN_IDLE"}}}, "with behavior NON_BLOCKING"),
        ({"functions": {"lookup": {"behavior": "NON_BLOCKING", "scheduling": "LATER"}}}, "SILENT"),
        ({"functions": {"other": {"behavior": "NON_BLOCKING"}}}, "other"),
        ({"tools": "googleSearch"}, "a list"),
        ({"apiVersion": "beta"}, "v1beta"),
        ({"model": "models/other"}, r"^provider_options: found model; say it in model: gemini/"),
    ],
)
def test_options_that_could_have_no_effect_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make_setup(MODEL, SessionConfig(tools=(LOOKUP,), provider_options=options))


# ---- what cannot be said ----


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"voice": Voice(speed=1.2)}, "speed"),
        ({"noise_reduction": "near_field"}, "noise_reduction"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"transcription": Transcription(model="whisper")}, "transcription.model"),
        ({"input_format": PCMU}, "audio"),
        ({"output_format": AudioFormat(sample_rate=16_000)}, "audio"),
        ({"turn_detection": TurnDetection(threshold=0.5)}, "turn_detection.threshold"),
        ({"turn_detection": TurnDetection(mode="semantic_vad")}, "turn_detection.mode"),
        ({"turn_detection": TurnDetection(eagerness="low")}, "turn_detection.eagerness"),
        ({"turn_detection": TurnDetection(idle_timeout_ms=6000)}, "turn_detection.idle_timeout_ms"),
        ({"turn_detection": TurnDetection(create_response=False)}, "turn_detection.create_response"),
        ({"turn_detection": TurnDetection(mode="manual", silence_duration_ms=300)}, "silence_duration_ms"),
        ({"turn_detection": TurnDetection(mode="manual", interrupt_response=True)}, "interrupt_response"),
    ],
)
def test_what_gemini_has_no_words_for_is_refused_by_the_fields_name(fields: dict[str, Any], match: str) -> None:
    with pytest.raises(NotSupportedError, match=match):
        make_setup(MODEL, SessionConfig(**fields))


def test_the_fake_tells_a_setup_from_one_with_a_slip_of_the_pen() -> None:
    for wrong in (
        {"model": "gemini"},
        {"modle": "models/x"},
        {"generationConfig": {"temprature": 1}},
        {"realtimeInputConfig": {"activityHandling": "NEVER"}},
        {"realtimeInputConfig": {"automaticActivityDetection": {"silenceDurationMs": "400"}}},
    ):
        with pytest.raises(Wrong):
            checked({"setup": wrong})


# ---- changes ----


def test_a_change_says_only_what_changes() -> None:
    old = SessionConfig(instructions="Be kind.", tools=(LOOKUP,))
    assert context_update(old, old, Setup({})) is None
    assert context_update(old, replace(old, instructions="Be brief."), Setup({})) == {
        "contextUpdate": {"systemInstruction": {"parts": [{"text": "Be brief."}]}}
    }
    assert context_update(old, replace(old, tools=()), Setup({})) == {"contextUpdate": {"tools": {"tools": []}}}
    with pytest.raises(NotSupportedError, match="voice"):
        context_update(old, replace(old, voice=Voice(voice_id="Kore")), Setup({}))
