"""What an agent's file may ask of OpenAI's models, and of those of each dialect."""

from collections.abc import Iterator
from typing import Final

from agents.providers import Fault
from agents.providers.openai.dialect import Dialect
from agents.providers.openai.session import misplaced, option_faults, refused
from agents.schema import AgentSpec

_WEIGHING: Final = ("protect_greeting", "min_speech_ms", "min_words", "resume_after_ms")
"""The rules of interruption with which the gateway stops and answers in the model's place."""


def faults_of(spec: AgentSpec, dialect: Dialect) -> list[Fault]:
    return [
        *_voice(spec, dialect),
        *_turns(spec, dialect),
        *_lacking(spec, dialect),
        *option_faults(spec.provider_options, dialect),
    ]


def _voice(spec: AgentSpec, dialect: Dialect) -> Iterator[Fault]:
    elsewhere = spec.base_url is not None  # where there may be other voices
    if spec.voice is None or elsewhere or not dialect.voices:
        return
    if spec.voice not in dialect.voices and not spec.voice.startswith("voice_"):
        right = f"one of {', '.join(dialect.voices)}, or a custom voice's id (voice_...)"
        yield Fault(("voice",), repr(spec.voice), right)


def _turns(spec: AgentSpec, dialect: Dialect) -> Iterator[Fault]:
    turns = spec.turn_detection
    for name, mode in misplaced(turns):
        yield Fault(("turn_detection", name), f"{name} with mode {turns.mode}", f"{name} is for mode {mode}")
    rules = [name for name in _WEIGHING if getattr(spec.interruption, name)]
    if rules and dialect.lacks & {"create_response", "interrupt_response"}:
        right = f"leave them out: {dialect.title} stops and answers by itself at any voice"
        yield Fault(("interruption",), " and ".join(rules), right)


def _lacking(spec: AgentSpec, dialect: Dialect) -> Iterator[Fault]:
    for path, found in refused(
        dialect,
        turns=spec.turn_detection,
        transcription=spec.transcription,
        noise_reduction=spec.noise_reduction,
        speed=spec.speed,
        max_output_tokens=spec.max_output_tokens,
    ):
        right = f"leave it out: {dialect.title} has no {found}"
        if path in (("speed",), ("max_output_tokens",), ("noise_reduction",)):
            right += ", or not by that name: provider_options reach its session as they are"
        yield Fault(path, found, right)
