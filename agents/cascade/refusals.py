"""What of an agent's file or a session's configuration a cascade cannot honour, and would be silent about."""

from collections.abc import Iterator
from pathlib import Path

from agents.cascade.listening import hearing_faults, listen_faults
from agents.cascade.voices import speak_faults, speaking_faults
from agents.cascade_spec import CascadeSpec
from agents.errors import NotSupportedError
from agents.local.action_faults import action_faults
from agents.local.refusals import missing_packages, script_faults
from agents.providers import Fault
from agents.realtime import PCM, PCMU, RealtimeConnectOptions, SessionConfig
from agents.schema import AgentSpec


def spec_faults(spec: AgentSpec, cascade: CascadeSpec, folder: Path) -> Iterator[Fault]:
    """What is wrong with the parts themselves, and with what stands beside them in the file."""
    if spec.base_url is not None:
        right = "each part has its own: cascade.listen.base_url, cascade.think.url, cascade.speak.base_url"
        yield Fault(("base_url",), spec.base_url, right)
    if spec.brain is not None:
        yield Fault(("brain",), "a brain", "in a cascade it is cascade.think")
    is_script = cascade.think.provider == "script"
    if is_script and spec.script is None:
        yield Fault(("script",), "nothing", "cascade.think.provider: script needs a script with intents and answers")
    if spec.script is not None and not is_script:
        yield Fault(("script",), "a script", "nobody follows it: write cascade.think.provider: script")
    if is_script and spec.script is not None:
        yield from action_faults(spec, spec.script, folder)
    if is_local(cascade) and (missing := missing_packages()):
        right = "install the parts for this machine: pip install 'voice-gateway[local]'"
        yield Fault(("cascade",), f"a part on this machine, without {', '.join(missing)}", right)
    yield from listen_faults(cascade.listen)
    yield from speak_faults(cascade.speak, spec.voice)


def is_local(cascade: CascadeSpec) -> bool:
    """Whether any part needs the packages of the embedded agent."""
    return "local" in (cascade.listen.provider, cascade.speak.provider) or cascade.think.provider == "script"


def config_faults(cascade: CascadeSpec, config: SessionConfig) -> Iterator[Fault]:
    """What of the configuration cannot be honoured; paths are those of an agent's file where it has the field."""
    if config.noise_reduction in ("near_field", "far_field"):
        yield Fault(("noise_reduction",), config.noise_reduction, "a cascade has none: remove the field")
    if config.modalities != ("audio",):
        yield Fault(("modalities",), ", ".join(config.modalities), "a cascade speaks: audio")
    for way, audio_format, part in (
        ("hears", config.input_format, cascade.listen.provider),
        ("speaks", config.output_format, cascade.speak.provider),
    ):
        known = (PCM,) if part == "local" else (PCM, PCMU)
        if audio_format not in known:
            yield Fault(("audio",), f"a part that {way} {audio_format}", f"{part} {way} {' or '.join(map(str, known))}")
    yield from hearing_faults(cascade.listen, config)
    yield from speaking_faults(cascade.speak, config)
    if cascade.think.provider == "script":
        yield from script_faults(config)


def refuse_config(cascade: CascadeSpec, config: SessionConfig) -> None:
    """Raises NotSupportedError that names everything in the configuration that cannot be honoured."""
    if faults := list(config_faults(cascade, config)):
        raise NotSupportedError("; ".join(f"{'.'.join(map(str, f.path))}: found {f.found}; {f.right}" for f in faults))


def refuse_options(options: RealtimeConnectOptions) -> None:
    """Raises NotSupportedError for an option of connecting that does not say which part it is for."""
    given = {
        "credential": options.credential is not None,
        "api_key": options.api_key is not None,
        "provider_options": bool(options.provider_options),
    }
    if refused := [name for name, is_given in given.items() if is_given]:
        raise NotSupportedError(
            f"a cascade has three parts, each with its own key and options: it takes no {', '.join(refused)}"
        )
    if options.resume is not None:
        raise NotSupportedError("a cascade cannot resume a session; give it the history")
