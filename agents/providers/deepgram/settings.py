"""What a SessionConfig is on Deepgram's wire: the Settings message, and the parts of it that change in mid-call."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.errors import ConfigError, NotSupportedError
from agents.providers import Fault
from agents.providers.wire_json import JsonObject, merged, without_none
from agents.realtime import PCM, PCMU, Past, PastMessage, PastToolCall, SessionConfig, Transcription, TurnDetection

THINK_TYPES: Final = ("open_ai", "anthropic", "google", "groq", "aws_bedrock", "deepgram")
"""Whose models Deepgram lets think."""

VOICE: Final = "aura-2-thalia-en"
"""Speaks when nobody names a voice: named, so that it stays when Deepgram changes its own default."""

LISTEN_MODEL: Final = "nova-3"
SEMANTIC_LISTEN_MODEL: Final = "flux-general-en"
MULTILINGUAL_LISTEN_MODEL: Final = "flux-general-multi"
"""Who listens when nobody names a model: Nova ends turns by silence, Flux by what was said."""

SPEEDS: Final = (0.7, 1.5)
FLUX_SPEEDS: Final = (0.5, 1.5)
"""What an Aura voice can do, and what one of Flux."""

SHORTEST_SILENCE_MS: Final = 500
"""Flux waits no less before it ends a turn that did not sound complete."""

AUDIO: Final = {
    PCM: {"encoding": "linear16", "sample_rate": 24_000},
    PCMU: {"encoding": "mulaw", "sample_rate": 8_000},
}


@dataclass(frozen=True, slots=True)
class Thinker:
    """The model that thinks: `type` is one of THINK_TYPES."""

    type: str
    model: str


def thinker(model_id: str) -> Thinker:
    """Who thinks by a name such as gpt-4o-mini (at OpenAI) or anthropic/claude-haiku-4-5. Raises ConfigError."""
    type_, slash, model = model_id.partition("/")
    if not slash:
        return Thinker("open_ai", model_id)
    if type_ not in THINK_TYPES or not model:
        right = f"deepgram/<model of OpenAI> or deepgram/<type>/<model>, the type one of {', '.join(THINK_TYPES)}"
        raise ConfigError(f"the model should be {right}; found deepgram/{model_id}")
    return Thinker(type_, model)


def settings(config: SessionConfig, thinks: Thinker, history: Iterable[Past] = ()) -> JsonObject:
    """The Settings message. Raises NotSupportedError for what the wire cannot say."""
    for fault in faults_of(config):
        raise NotSupportedError(f"{'.'.join(map(str, fault.path))}: found {fault.found}; {fault.right}")
    agent: JsonObject = {
        "listen": listen(config),
        "think": think(config, thinks, notes_of(history)),
        "speak": speak(config),
    }
    if messages := _messages(history):
        agent["context"] = {"messages": messages}
    audio = {"input": AUDIO[config.input_format], "output": AUDIO[config.output_format] | {"container": "none"}}
    rest = {key: value for key, value in config.provider_options.items() if key != "agent"}
    own = {
        key: value
        for key, value in _agent_options(config).items()
        if key not in ("listen", "think", "speak")  # these are merged above
    }
    return merged({"type": "Settings", "audio": audio, "agent": merged(agent, own)}, rest)


def listen(config: SessionConfig) -> JsonObject:
    wanted = _transcription(config)
    model = listen_model(config)
    provider: JsonObject = {"type": "deepgram", "version": "v2" if is_flux(model) else "v1", "model": model}
    if keyterms := [term.strip() for term in re.split(r"[,\n]", wanted.prompt or "") if term.strip()]:
        provider["keyterms"] = keyterms
    if not is_flux(model):
        provider |= without_none(language=wanted.language)
    elif wanted.language and model == MULTILINGUAL_LISTEN_MODEL:
        provider["language_hints"] = [wanted.language]
    if isinstance(config.turn_detection, TurnDetection) and is_flux(model):
        provider |= without_none(eot_timeout_ms=config.turn_detection.silence_duration_ms)
    given = _agent_options(config).get("listen")
    return merged({"provider": provider}, given if isinstance(given, Mapping) else {})


def think(config: SessionConfig, thinks: Thinker, notes: Sequence[str] = ()) -> JsonObject | list[JsonObject]:
    """Who thinks, of what, with which tools. `notes` are what became known during the call."""
    prompt = "\n\n".join((config.instructions or "", *notes)).strip()
    base: JsonObject = {"provider": {"type": thinks.type, "model": thinks.model}}
    base |= without_none(prompt=prompt or None)
    if config.tools:
        base["functions"] = [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in config.tools
        ]
    return _with_fallbacks(base, _agent_options(config).get("think"))


def speak(config: SessionConfig) -> JsonObject | list[JsonObject]:
    voice = config.voice.voice_id or VOICE
    provider: JsonObject = {"type": "deepgram", "model": voice} | without_none(speed=config.voice.speed)
    if is_flux(voice):
        provider["version"] = "v2"
    return _with_fallbacks({"provider": provider}, _agent_options(config).get("speak"))


def listen_model(config: SessionConfig) -> str:
    turns, wanted = config.turn_detection, _transcription(config)
    if wanted.model:
        return wanted.model
    if not isinstance(turns, TurnDetection) or turns.mode != "semantic_vad":
        return LISTEN_MODEL
    is_english = wanted.language is None or wanted.language.lower().startswith("en")
    return SEMANTIC_LISTEN_MODEL if is_english else MULTILINGUAL_LISTEN_MODEL


def is_flux(model: str) -> bool:
    return model.startswith("flux-")


def notes_of(history: Iterable[Past]) -> tuple[str, ...]:
    """What the history of this wire has no place for: only callers and agents speak in it."""
    return tuple(past.text for past in history if isinstance(past, PastMessage) and past.role == "system")


def _messages(history: Iterable[Past]) -> list[JsonObject]:
    messages: list[JsonObject] = []
    for past in history:
        match past:
            case PastMessage(_, "user" | "assistant" as role, text):
                messages.append({"type": "History", "role": role, "content": text})
            case PastToolCall(call_id, name, arguments, str(output)):
                call = {"id": call_id, "name": name, "client_side": True, "arguments": arguments, "response": output}
                messages.append({"type": "History", "function_calls": [call]})
    return messages


def _with_fallbacks(base: JsonObject, given: object) -> JsonObject | list[JsonObject]:
    """A part of the settings with what the operator gives over it: of a list, each is tried after the one before."""
    if isinstance(given, Sequence) and not isinstance(given, str):
        return [merged(base, each) if isinstance(each, Mapping) else base for each in given]
    return merged(base, given) if isinstance(given, Mapping) else base


def _agent_options(config: SessionConfig) -> Mapping[str, object]:
    given = config.provider_options.get("agent")
    return given if isinstance(given, Mapping) else {}


def _transcription(config: SessionConfig) -> Transcription:
    return config.transcription if isinstance(config.transcription, Transcription) else Transcription()


# ---- what cannot be had ----


def faults_of(config: SessionConfig) -> list[Fault]:
    """Everything in the configuration that Deepgram would refuse or ignore, by the names of an agent's file."""
    found = [*_turn_faults(config), *_option_faults(config)]
    for way, wanted in (("input_format", config.input_format), ("output_format", config.output_format)):
        if wanted not in AUDIO:
            found.append(Fault((way,), str(wanted), "Deepgram is spoken to in PCM at 24000 Hz or mu-law at 8000 Hz"))
    if "audio" not in config.modalities:
        found.append(Fault(("modalities",), "text alone", "Deepgram's agents speak"))
    slowest, fastest = FLUX_SPEEDS if is_flux(config.voice.voice_id or VOICE) else SPEEDS
    if config.voice.speed is not None and not slowest <= config.voice.speed <= fastest:
        found.append(Fault(("speed",), f"{config.voice.speed:g}", f"this voice takes {slowest} to {fastest}"))
    if config.noise_reduction in ("near_field", "far_field"):
        found.append(Fault(("noise_reduction",), str(config.noise_reduction), "Deepgram has none; remove it"))
    if config.max_output_tokens is not None:
        right = "Deepgram has no such limit; say in the instructions how long answers should be"
        found.append(Fault(("max_output_tokens",), str(config.max_output_tokens), right))
    if config.tool_choice not in (None, "auto"):
        found.append(Fault(("tool_choice",), config.tool_choice, "Deepgram's models choose by themselves"))
    return found


def _turn_faults(config: SessionConfig) -> list[Fault]:
    turns = config.turn_detection
    at = "turn_detection"
    if turns is None or (isinstance(turns, TurnDetection) and turns.mode == "manual"):
        return [Fault((at, "mode"), "manual", "Deepgram takes turns by itself: server_vad or semantic_vad")]
    found = []
    language = _transcription(config).language
    model = listen_model(config)
    if is_flux(model) and model != MULTILINGUAL_LISTEN_MODEL and language and not language.lower().startswith("en"):
        right = f"{model} hears English; use transcription.model: {MULTILINGUAL_LISTEN_MODEL}"
        found.append(Fault(("transcription", "language"), language, right))
    if not isinstance(turns, TurnDetection):
        return found
    for name, right in _NO_PLACE.items():
        value = getattr(turns, name)
        if value is not None and value != "auto":
            found.append(Fault((at, name), str(value), right))
    for name in ("interrupt_response", "create_response"):
        if getattr(turns, name) is False:
            found.append(Fault((at, name), "false", "Deepgram answers and is interrupted by itself; remove it"))
    silence_ms = turns.silence_duration_ms
    if silence_ms is not None and not is_flux(model):
        right = f"{model} has its own; use turn_detection.mode: semantic_vad, or remove it"
        found.append(Fault((at, "silence_duration_ms"), str(silence_ms), right))
    elif silence_ms is not None and silence_ms < SHORTEST_SILENCE_MS:
        right = f"{model} waits at least {SHORTEST_SILENCE_MS} ms"
        found.append(Fault((at, "silence_duration_ms"), str(silence_ms), right))
    return found


_NO_PLACE: Final = {
    "threshold": "Deepgram has none for a voice; for a turn, provider_options.agent.listen.provider.eot_threshold",
    "prefix_padding_ms": "Deepgram hears everything; remove it",
    "eagerness": "set provider_options.agent.listen.provider.eager_eot_threshold, or remove it",
    "idle_timeout_ms": "Deepgram does not speak up by itself; use idle",
}


def _option_faults(config: SessionConfig) -> list[Fault]:
    options = config.provider_options
    at = "provider_options"
    found = [
        Fault((at,), name, right)
        for name, right in (
            ("audio", "leave the format out: the session and the line agree on it"),
            ("type", "the settings have their own"),
        )
        if name in options
    ]
    if "agent" in options and not isinstance(options["agent"], Mapping):
        found.append(Fault((at, "agent"), type(options["agent"]).__name__, "an object of listen, think and speak"))
    found += [
        Fault((at, "agent"), name, right)
        for name, right in (
            ("greeting", "write greeting beside model"),
            ("context", "the conversation itself is the context"),
        )
        if name in _agent_options(config)
    ]
    return found
