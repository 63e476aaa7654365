"""Makes an agent that can talk of an agent's file."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from agents.agent import RealtimeAgent
from agents.barge_in import BargeInRules
from agents.candidates import Candidate
from agents.digits import DigitRules
from agents.idle import IdleStep
from agents.last_resort import LastResort
from agents.lasting import LastingModel
from agents.loader import find_tool
from agents.providers import provider
from agents.realtime import PCM, PCMU, SessionConfig, Transcription, TurnDetection, Voice
from agents.schema import AgentSpec
from agents.time_limit import DurationWarning
from agents.tools import BUILT_IN, FunctionTool


def make_agent(name: str, spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> RealtimeAgent:
    """The agent of a checked spec. `folder` is where its relative paths start; keys come from `environment`.

    Raises ConfigError for what the check would have found.
    """
    return RealtimeAgent(
        name=name,
        model=_model(spec, folder, environment),
        instructions=spec.instructions,
        greeting=spec.greeting,
        tools=tuple(_tool(tool, spec.tool_timeout_s) for tool in spec.tools),
        config=session_config(spec),
        variables=spec.variables,
        barge_in=BargeInRules(**spec.interruption.model_dump()),
        keys=DigitRules(**spec.keys.model_dump()),
        idle=tuple(IdleStep(**step.model_dump()) for step in spec.idle),
        max_duration_s=spec.max_duration_s,
        duration_warning=DurationWarning(**spec.duration_warning.model_dump()) if spec.duration_warning else None,
        last_resort=_last_resort(spec, folder),
    )


def _model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> LastingModel:
    usual = session_config(spec)
    candidates = []
    for choice in spec.choices():
        config = session_config(choice)
        own = {each.name: getattr(config, each.name) for each in fields(config)}
        own = {name: value for name, value in own.items() if value != getattr(usual, name)}
        candidates.append(Candidate(provider(choice.provider).open_model(choice, folder, environment), own))
    return LastingModel(candidates)


def _last_resort(spec: AgentSpec, folder: Path) -> LastResort:
    wanted = spec.last_resort
    recording = folder / wanted.recording if wanted.recording else None
    return LastResort(say=wanted.say, recording=recording, dial=wanted.dial, voicemail=wanted.voicemail)


def session_config(spec: AgentSpec) -> SessionConfig:
    """What the spec says to every model in the same words."""
    audio_format = PCMU if spec.audio == "passthrough" else PCM
    return SessionConfig(
        voice=Voice(voice_id=spec.voice, speed=spec.speed),
        input_format=audio_format,
        output_format=audio_format,
        turn_detection=TurnDetection(**spec.turn_detection.model_dump()),
        transcription=Transcription(**spec.transcription.model_dump()) if spec.transcription else None,
        noise_reduction=spec.noise_reduction,
        max_output_tokens=spec.max_output_tokens,
        provider_options=spec.provider_options,
    )


def _tool(name: str, timeout_s: float) -> FunctionTool:
    tool = find_tool(name)
    return tool if name in BUILT_IN else replace(tool, timeout_s=timeout_s)
