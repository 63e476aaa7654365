from pathlib import Path

import pytest

from agents import RealtimeAgent, TurnDetection, hang_up
from agents.assemble import make_agent, make_agents
from agents.barge_in import BargeInRules
from agents.digits import DigitRules
from agents.errors import ConfigError
from agents.idle import IdleStep
from agents.last_resort import LastResort
from agents.lasting import LastingModel
from agents.providers.openai import OpenAIModel
from agents.realtime import PCM, PCMU, AudioFormat, Transcription, Voice
from agents.schema import (
    AgentSpec,
    DurationWarningSpec,
    IdleStepSpec,
    InterruptionSpec,
    KeysSpec,
    LastResortSpec,
    ModelSpec,
    TranscriptionSpec,
    TurnDetectionSpec,
)
from agents.script_spec import IntentSpec, ScriptSpec
from agents.time_limit import DurationWarning

SPEC = AgentSpec(
    model="openai/gpt-realtime-2.1",
    instructions="Be kind.",
    greeting="Hello.",
    voice="marin",
    speed=1.1,
    turn_detection=TurnDetectionSpec(mode="semantic_vad", eagerness="low", interrupt_response=False),
    transcription=TranscriptionSpec(language="en"),
    noise_reduction="near_field",
    tools=("hang_up", "tests.test_assemble.lookup"),
    tool_timeout_s=3,
    max_output_tokens=100,
    max_duration_s=60,
    variables={"a": "b"},
    provider_options={"reasoning": {"effort": "low"}},
)


def lookup(name: str) -> str:
    """Finds a customer."""
    return name


def test_every_field_of_the_file_reaches_the_agent() -> None:
    agent = make_agent("desk", SPEC, Path(), {"OPENAI_API_KEY": "test-key"})
    assert isinstance(agent.model, LastingModel)
    [candidate] = agent.model.candidates
    assert isinstance(candidate.model, OpenAIModel)
    assert (candidate.name, candidate.own) == ("openai/gpt-realtime-2.1", {})
    assert (agent.name, agent.instructions, agent.greeting) == ("desk", "Be kind.", "Hello.")
    assert (agent.max_duration_s, agent.variables) == (60, {"a": "b"})
    assert agent.config.voice == Voice(voice_id="marin", speed=1.1)
    assert agent.config.turn_detection == TurnDetection(mode="semantic_vad", eagerness="low", interrupt_response=False)
    assert agent.config.transcription == Transcription(language="en")
    assert (agent.config.noise_reduction, agent.config.max_output_tokens) == ("near_field", 100)
    assert agent.config.provider_options == {"reasoning": {"effort": "low"}}


def test_the_rules_of_interruption_silence_time_and_keys_reach_the_agent() -> None:
    rules = {
        "turn_detection": TurnDetectionSpec(),
        "interruption": InterruptionSpec(
            protect_greeting=True, min_speech_ms=300, min_words=2, on_key=True, resume_after_ms=1500
        ),
        "idle": (IdleStepSpec(after_s=20, say="Hello?"), IdleStepSpec(after_s=15, say="Goodbye.", hang_up=True)),
        "duration_warning": DurationWarningSpec(before_s=30, say="Soon over."),
        "keys": KeysSpec(to_model=True, terminator="*", max_digits=4, timeout_s=5, sensitive=True),
    }

    agent = make_agent("desk", SPEC.model_copy(update=rules), Path(), {"OPENAI_API_KEY": "test-key"})

    assert agent.barge_in == BargeInRules(
        protect_greeting=True, min_speech_ms=300, min_words=2, on_key=True, resume_after_ms=1500
    )
    assert agent.idle == (
        IdleStep(after_s=20, say="Hello?"),
        IdleStep(after_s=15, say="Goodbye.", hang_up=True),
    )
    assert agent.duration_warning == DurationWarning(before_s=30, say="Soon over.")
    assert agent.keys == DigitRules(to_model=True, terminator="*", max_digits=4, timeout_s=5, sensitive=True)


@pytest.mark.parametrize(("audio", "audio_format"), [("pcm16", PCM), ("passthrough", PCMU)])
def test_the_audio_of_the_file_is_what_the_model_hears_and_speaks(audio: str, audio_format: AudioFormat) -> None:
    agent = make_agent("desk", SPEC.model_copy(update={"audio": audio}), Path(), {"OPENAI_API_KEY": "test-key"})

    assert (agent.config.input_format, agent.config.output_format) == (audio_format, audio_format)


def test_what_the_file_leaves_out_is_as_in_python() -> None:
    agent = make_agent("desk", AgentSpec(model="openai/gpt-realtime-2.1"), Path(), {"OPENAI_API_KEY": "test-key"})
    bare = RealtimeAgent(name="desk", model=agent.model)

    assert (agent.barge_in, agent.keys) == (bare.barge_in, bare.keys)
    assert (agent.idle, agent.duration_warning, agent.max_duration_s) == ((), None, bare.max_duration_s)


def test_tools_are_the_built_in_ones_and_imported_functions_with_the_files_time_out() -> None:
    agent = make_agent("desk", SPEC, Path(), {"OPENAI_API_KEY": "test-key"})
    assert agent.tools[0] is hang_up
    assert (agent.tools[1].schema.name, agent.tools[1].rules.timeout_s) == ("lookup", 3)
    assert agent.tools[1].schema.description == "Finds a customer."


def test_transcription_null_turns_transcripts_off() -> None:
    agent = make_agent("desk", SPEC.model_copy(update={"transcription": None}), Path(), {})
    assert agent.config.transcription is None


def test_each_of_several_models_has_what_is_its_own_and_else_what_is_the_agents() -> None:
    spec = AgentSpec(
        models=(
            ModelSpec(model="openai/gpt-realtime-2.1", voice="marin"),
            ModelSpec(model="openai/gpt-realtime-1.5", noise_reduction=None, turn_detection=TurnDetectionSpec()),
            ModelSpec(model="scripted/a.yaml"),
        ),
        voice="cedar",
        noise_reduction="near_field",
        turn_detection=TurnDetectionSpec(mode="semantic_vad"),
        script=ScriptSpec(intents=(IntentSpec(name="a", examples=("b",), answer="c"),)),
    )

    first, second, third = spec.choices()

    assert [choice.model for choice in (first, second, third)] == [choice.model for choice in spec.models]
    assert [choice.voice for choice in (first, second, third)] == ["marin", "cedar", "cedar"]
    assert [choice.noise_reduction for choice in (first, second)] == ["near_field", None]
    assert [choice.turn_detection.mode for choice in (first, second)] == ["semantic_vad", "server_vad"]
    assert first.script is second.script is None


def test_the_models_of_an_agent_are_asked_in_order_with_a_configuration_of_their_own() -> None:
    spec = AgentSpec(
        models=(
            ModelSpec(model="openai/gpt-realtime-2.1"),
            ModelSpec(model="openai/gpt-realtime-1.5", voice="marin", provider_options={"reasoning": None}),
        ),
        voice="cedar",
    )

    model = make_agent("desk", spec, Path(), {"OPENAI_API_KEY": "test-key"}).model

    assert isinstance(model, LastingModel)
    assert [candidate.name for candidate in model.candidates] == ["openai/gpt-realtime-2.1", "openai/gpt-realtime-1.5"]
    assert [candidate.own for candidate in model.candidates] == [
        {},
        {"voice": Voice(voice_id="marin"), "provider_options": {"reasoning": None}},
    ]


def test_the_last_resort_reaches_the_agent_with_its_recording_beside_the_configuration() -> None:
    wanted = LastResortSpec(say="Sorry.", recording="sorry.wav", dial="+15550100300")

    agent = make_agent("desk", SPEC.model_copy(update={"last_resort": wanted}), Path("config"), {"OPENAI_API_KEY": "k"})

    assert agent.last_resort == LastResort(say="Sorry.", recording=Path("config/sorry.wav"), dial="+15550100300")


def test_agents_with_the_same_model_have_one_object_of_it_and_know_each_other() -> None:
    specs = {
        "desk": AgentSpec(model="openai/gpt-realtime-2.1", handoffs=("billing", "shop"), voice="marin"),
        "billing": AgentSpec(model="openai/gpt-realtime-2.1", handoffs=("desk",), description="Money."),
        "shop": AgentSpec(model="openai/gpt-realtime-2.1", base_url="https://other.example/v1"),
    }

    agents = make_agents(["desk"], specs, Path(), {"OPENAI_API_KEY": "test-key"})

    models = [agent.model.candidates[0].model for agent in agents.values() if isinstance(agent.model, LastingModel)]
    assert list(agents) == ["desk", "billing", "shop"]
    assert models[0] is models[1] and models[0] is not models[2]
    assert [each.target.name for each in agents["desk"].handoffs] == ["billing", "shop"]
    assert agents["desk"].handoffs[0].schema.description.endswith("Money.")


def test_agents_with_scripts_of_their_own_have_models_of_their_own() -> None:
    script = ScriptSpec(intents=(IntentSpec(name="a", examples=("b",), answer="c"),))
    specs = {name: AgentSpec(model="local/script", script=script, handoffs=("two",)) for name in ("one", "two")}

    one, two = make_agents(["one"], specs, Path(), {}).values()

    assert isinstance(one.model, LastingModel) and isinstance(two.model, LastingModel)
    assert one.model.candidates[0].model is not two.model.candidates[0].model
    assert not one.model.capabilities.follows_instructions


def test_an_agent_that_hands_over_is_not_made_without_the_others() -> None:
    spec = AgentSpec(model="openai/gpt-realtime-2.1", handoffs=("billing",))

    with pytest.raises(ConfigError, match="billing"):
        make_agent("desk", spec, Path(), {"OPENAI_API_KEY": "test-key"})
