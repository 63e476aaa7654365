"""Which provider answers to which name in `model: provider/...`; loaded when an agent first asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

from agents.realtime import RealtimeModel
from agents.schema import AgentSpec


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in an agent's file that this provider cannot do: the field's path, what was found, what is right."""

    path: tuple[str | int, ...]
    found: str
    right: str


class Provider(Protocol):
    """What a provider's module offers."""

    def faults(self, spec: AgentSpec, folder: Path) -> list[Fault]:
        """Everything in the file that the provider would refuse. `folder` is where relative paths start."""

    def missing_key(self, spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
        """The environment variable that must be set for a call, and is not."""

    def open_model(self, spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> RealtimeModel:
        """The model that a spec without faults names. Opens nothing yet; raises ConfigError when it cannot be made."""


_MODULES: Final = {
    **dict.fromkeys(
        ("azure", "azure-voice-live", "inworld", "localai", "qwen", "speaches", "speech-to-speech", "vllm-omni", "xai"),
        "agents.providers.openai",  # which has their dialects
    ),
    "assemblyai": "agents.providers.assemblyai",
    "cascade": "agents.cascade",
    "deepgram": "agents.providers.deepgram",
    "elevenlabs": "agents.providers.elevenlabs",
    "gemini": "agents.providers.gemini",
    "local": "agents.local",
    "openai": "agents.providers.openai",
    "openai-live": "agents.providers.openai_live",
    "scripted": "agents.providers.scripted",
}

PROVIDERS: Final = tuple(_MODULES)


def provider(name: str) -> Provider:
    """The provider of that name. Raises KeyError for one we do not have."""
    return cast(Provider, import_module(_MODULES[name]))
