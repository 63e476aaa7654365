"""Makes an agent that can talk of an agent's file."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path

from agents.agent import RealtimeAgent
from agents.barge_in import BargeInRules
from agents.candidates import Candidate
from agents.digits import DigitRules
from agents.errors import ConfigError
from agents.guardrails.contract import OutputGuardrailSettings
from agents.guardrails.rules import make_guardrail
from agents.handoffs import Handoff, reachable
from agents.idle import IdleStep
from agents.last_resort import LastResort
from agents.lasting import LastingModel
from agents.providers import provider
from agents.realtime import PCM, PCMU, RealtimeModel, SessionConfig, Transcription, TurnDetection, Voice
from agents.schema import PARTS_OF, AgentSpec
from agents.time_limit import DurationWarning
from agents.tools.from_spec import toolkits_of, tools_of

OpenModels = dict[tuple[str | None, str | None], RealtimeModel]
"""Models by their name and address: agents that have the same one have one object, and may share a connection."""


def make_agents(
    names: Iterable[str], specs: Mapping[str, AgentSpec], folder: Path, environment: Mapping[str, str]
) -> dict[str, RealtimeAgent]:
    """The agents of these names, and all that they may hand over to, by name. Raises as `make_agent` does."""
    agents: dict[str, RealtimeAgent] = {}
    models: OpenModels = {}
    for name in reachable(names, lambda name: specs[name].handoffs):
        agents[name] = make_agent(name, specs[name], folder, environment, agents=agents, models=models)
    return agents


def make_agent(
    name: str,
    spec: AgentSpec,
    folder: Path,
    environment: Mapping[str, str],
    *,
    agents: Mapping[str, RealtimeAgent] | None = None,
    models: OpenModels | None = None,
) -> RealtimeAgent:
    """The agent of a checked spec. `folder` is where its relative paths start; keys come from `environment`.

    `agents` is where those are found that it hands over to, by the time that it does; `models` has those of others,
    and gets its own. Raises ConfigError for what the check would have found.
    """
    if spec.handoffs and agents is None:
        raise ConfigError(f"agent {name} hands over to {', '.join(spec.handoffs)}, which are not there")
    others = agents if agents is not None else {}
    return RealtimeAgent(
        name=name,
        model=_model(spec, folder, environment, {} if models is None else models),
        instructions=spec.instructions,
        greeting=spec.greeting,
        description=spec.description or "",
        handoffs=tuple(Handoff(other, partial(others.__getitem__, other)) for other in spec.handoffs),
        tools=tools_of(spec, folder),
        toolkits=toolkits_of(spec, folder, environment),
        config=session_config(spec),
        guardrails=tuple(make_guardrail(each, environment) for each in spec.guardrails),
        guardrail_settings=OutputGuardrailSettings(debounce_text_length=spec.guardrail_every_chars),
        variables=spec.variables,
        timezone=spec.timezone,
        barge_in=BargeInRules(**spec.interruption.model_dump()),
        keys=DigitRules(**spec.keys.model_dump()),
        idle=tuple(IdleStep(**step.model_dump()) for step in spec.idle),
        max_duration_s=spec.max_duration_s,
        duration_warning=DurationWarning(**spec.duration_warning.model_dump()) if spec.duration_warning else None,
        last_resort=_last_resort(spec, folder),
    )


def _model(spec: AgentSpec, folder: Path, environment: Mapping[str, str], models: OpenModels) -> LastingModel:
    usual = session_config(spec)
    candidates = []
    for choice in spec.choices():
        config = session_config(choice)
        own = {each.name: getattr(config, each.name) for each in fields(config)}
        own = {name: value for name, value in own.items() if value != getattr(usual, name)}
        candidates.append(Candidate(_opened(choice, folder, environment, models), own))
    return LastingModel(candidates)


def _opened(spec: AgentSpec, folder: Path, environment: Mapping[str, str], models: OpenModels) -> RealtimeModel:
    """The model of this choice: another agent's where it is the same. One with parts of its own is never the same."""
    opened = provider(spec.provider).open_model
    if any(getattr(spec, part) is not None for part in PARTS_OF):
        return opened(spec, folder, environment)
    name = (spec.model, spec.base_url)
    if name not in models:
        models[name] = opened(spec, folder, environment)
    return models[name]


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
