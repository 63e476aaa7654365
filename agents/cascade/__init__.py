"""The cascade: a realtime model of three parts, each chosen for itself, in the block `cascade` of an agent's file.

One hears (a streaming recogniser), one thinks (a chat endpoint or a script), one speaks (a streaming voice); any of
them may be on this machine. What comes after the slash of `cascade/...` is a name of the operator's choice.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from agents.assemble import session_config
from agents.cascade.model import CascadeModel, key_names
from agents.cascade.refusals import config_faults, is_local, spec_faults
from agents.cascade_spec import ThinkSpec
from agents.errors import ConfigError
from agents.local.brain import Brain
from agents.local.chat import open_chat
from agents.local.refusals import missing_packages
from agents.providers import Fault
from agents.schema import AgentSpec, BrainSpec


def faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    """Everything in the file that the parts cannot do, the lack of packages for this machine's parts included."""
    if spec.cascade is None:
        return [Fault(("cascade",), "nothing", f"{spec.model} needs a block cascade, with listen, think and speak")]
    return [*spec_faults(spec, spec.cascade, folder), *config_faults(spec.cascade, session_config(spec))]


def missing_key(spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
    """The first variable that a part needs, and that is not set."""
    if spec.cascade is None:
        return None
    names = [*key_names(spec.cascade), *filter(None, [spec.cascade.think.api_key_env])]
    return next((name for name in names if not environment.get(name, "").strip()), None)


def open_model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> CascadeModel:
    """The model; it opens and loads nothing until it is entered or connected. Raises ConfigError when it cannot be."""
    cascade = spec.cascade
    if cascade is None:
        raise ConfigError(f"{spec.model} needs a block cascade")
    workers = 1
    if is_local(cascade):
        if missing := missing_packages():
            raise ConfigError(f"{', '.join(missing)} not installed: pip install 'voice-gateway[local]'")
        from agents.local.model import workers_in

        workers = workers_in(environment)
    return CascadeModel(
        spec.model_id,
        cascade,
        _chat(cascade.think, environment) if cascade.think.provider == "chat" else _script(spec),
        keys={name: environment.get(name) for name in key_names(cascade)},
        workers=workers,
    )


def _chat(think: ThinkSpec, environment: Mapping[str, str]) -> Callable[[], AbstractAsyncContextManager[Brain]]:
    if think.url is None or think.model is None:
        raise ConfigError("a chat endpoint needs url and model")
    brain = BrainSpec(
        url=think.url,
        model=think.model,
        api_key_env=think.api_key_env,
        temperature=think.temperature,
        max_tokens=think.max_tokens,
    )
    key_name = think.api_key_env
    api_key = environment.get(key_name) if key_name else None
    if key_name and not api_key:
        raise ConfigError(f"the chat endpoint's key is missing: set the environment variable {key_name}")
    return lambda: open_chat(brain, api_key)


def _script(spec: AgentSpec) -> Callable[[], AbstractAsyncContextManager[Brain]]:
    from agents.local.matching import Matcher
    from agents.local.script import ScriptBrain

    if spec.script is None:
        raise ConfigError("think.provider: script needs a script")
    script, variables = spec.script, dict(spec.variables)
    matcher = Matcher(script.intents, script.threshold)
    return lambda: nullcontext(ScriptBrain(script, matcher, variables))
