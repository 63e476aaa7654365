"""The embedded agent: a realtime model made of packages that carry their models; needs no key and no network.

`local/script` answers by a script's intents; `local/chat` lets an OpenAI-compatible chat endpoint think. Both hear and
speak on this machine. Imports without the speech packages, which `faults` then asks for.
"""

from collections.abc import Mapping
from pathlib import Path

from agents.assemble import session_config
from agents.errors import ConfigError
from agents.local.refusals import config_faults, missing_packages, model_faults
from agents.providers import Fault
from agents.realtime import RealtimeModel
from agents.schema import AgentSpec


def faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    """Everything in the file that the embedded model cannot do, the lack of its packages included."""
    return [*model_faults(spec, folder), *config_faults(session_config(spec), spec.model_id)]


def missing_key(spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
    """The variable that the brain's `api_key_env` names, when it is not set."""
    name = spec.brain.api_key_env if spec.brain and spec.model_id == "chat" else None
    return name if name and not environment.get(name) else None


def open_model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> RealtimeModel:
    """The model; it loads nothing until it is entered or one of its connections is."""
    if missing := missing_packages():
        raise ConfigError(f"{', '.join(missing)} not installed: pip install 'voice-gateway[local]'")
    from agents.local.model import chat_model, script_model, workers_in

    workers = workers_in(environment)
    return chat_model(spec, environment, workers) if spec.model_id == "chat" else script_model(spec, workers)
