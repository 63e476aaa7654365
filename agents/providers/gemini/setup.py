"""The setup message of Gemini Live: what a SessionConfig is on that wire, and what that wire has no words for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agents.errors import ConfigError, NotSupportedError
from agents.providers import Fault
from agents.providers.gemini.message import in_camel_case
from agents.providers.wire_json import JsonObject, Message, merged, without_none
from agents.realtime import PCM, UNSET, SessionConfig, Transcription, TurnDetection

BLOCKING: Final = "BLOCKING"
NON_BLOCKING: Final = "NON_BLOCKING"

SILENT: Final = "SILENT"
SCHEDULES: Final = ("INTERRUPT", "WHEN_IDLE", SILENT)
"""When the model speaks of what a NON_BLOCKING function answered."""

OWN_OPTIONS: Final = ("apiVersion", "functions")
"""Keys of provider_options that are ours, and no part of the setup."""

_MANUAL_HAS_NO: Final = ("silence_duration_ms", "prefix_padding_ms", "interrupt_response")


@dataclass(frozen=True, slots=True)
class FunctionRule:
    """How one function is called: `scheduling` is for NON_BLOCKING ones."""

    behavior: str = BLOCKING
    scheduling: str | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """A setup and what follows from it for the rest of the conversation."""

    message: JsonObject
    functions: Mapping[str, FunctionRule] = field(default_factory=dict)
    api_version: str | None = None

    @property
    def is_manual(self) -> bool:
        """True when we say where the caller's turns begin and end."""
        return _at(self.message, "realtimeInputConfig", "automaticActivityDetection", "disabled") is True

    @property
    def interrupts(self) -> bool:
        """True when the caller's voice stops the model."""
        handling: object = _at(self.message, "realtimeInputConfig", "activityHandling")
        return handling != "NO_INTERRUPTION"

    @property
    def transcribes(self) -> bool:
        """True when the caller's words are written down."""
        return self.message.get("inputAudioTranscription") is not None

    @property
    def is_text(self) -> bool:
        return "AUDIO" not in (_at(self.message, "generationConfig", "responseModalities") or ())

    @property
    def begins_with_history(self) -> bool:
        """True when the first content is what was said before, for which no answer is generated."""
        return bool(_at(self.message, "historyConfig", "initialHistoryInClientContent"))


def make_setup(model_id: str, config: SessionConfig, *, handle: str | None = None, has_history: bool = False) -> Setup:
    """Keys nobody set are absent. Raises NotSupportedError for what the wire cannot say, ConfigError for wrong options.

    Transcripts of the agent's voice, handles to resume with and a sliding context are always asked for; a null in
    `provider_options` takes away what this puts there.
    """
    for fault in unsayable(config):
        raise NotSupportedError(f"{'.'.join(map(str, fault.path))}: {fault.found}; {fault.right}")
    options = options_of(config.provider_options)
    for fault in option_faults(options):
        raise ConfigError(f"provider_options: found {fault.found}; {fault.right}")
    functions = function_rules(options.get("functions"))
    _refuse_strangers(functions, config)
    is_text = "audio" not in config.modalities
    session: JsonObject = {
        "model": model_id if "/" in model_id else f"models/{model_id}",
        "generationConfig": {"responseModalities": ["TEXT" if is_text else "AUDIO"]}
        | without_none(maxOutputTokens=config.max_output_tokens, speechConfig=_speech(config)),
        "sessionResumption": {},
        "contextWindowCompression": {"slidingWindow": {}},
    }
    if config.instructions:
        session["systemInstruction"] = _instruction(config.instructions)
    if tools := _tools(config, functions, options):
        session["tools"] = tools
    if listening := _listening(config):
        session["realtimeInputConfig"] = listening
    if isinstance(config.transcription, Transcription):
        session["inputAudioTranscription"] = _transcription(config.transcription)
    if not is_text:
        session["outputAudioTranscription"] = {}
    if has_history:
        session["historyConfig"] = {"initialHistoryInClientContent": True}
    rest = {key: value for key, value in options.items() if key not in (*OWN_OPTIONS, "tools")}
    session = {key: value for key, value in merged(session, rest).items() if value is not None}
    if handle is not None:
        session["sessionResumption"] = {**session.get("sessionResumption", {}), "handle": handle}
    return Setup(session, functions, _api_version(options.get("apiVersion")))


def context_update(old: SessionConfig, new: SessionConfig, setup: Setup) -> JsonObject | None:
    """What changes the instructions and the tools of a conversation under way; None when nothing changes.

    Raises NotSupportedError for other changes.
    """
    for name in SessionConfig.__dataclass_fields__:
        if name not in ("instructions", "tools", "variables", "greeting") and getattr(old, name) != getattr(new, name):
            raise NotSupportedError(f"Gemini cannot change {name} during a connection")
    update: JsonObject = {}
    if old.instructions != new.instructions:
        update["systemInstruction"] = _instruction(new.instructions or "")
    if old.tools != new.tools:
        update["tools"] = {"tools": _tools(new, setup.functions, options_of(new.provider_options))}
    return {"contextUpdate": update} if update else None


# ---- what the wire cannot say ----


def unsayable(config: SessionConfig) -> list[Fault]:
    """Everything in a configuration that Gemini has no words for, by the field's name in an agent's file."""
    found: list[Fault] = []
    if config.input_format != PCM or config.output_format != PCM:
        found.append(Fault(("audio",), "audio that is not PCM16", "leave it out: Gemini takes PCM16 only"))
    if config.voice.speed is not None:
        right = "leave it out and say it in the instructions, such as: speak slowly"
        found.append(Fault(("speed",), f"{config.voice.speed:g}", right))
    if isinstance(config.turn_detection, TurnDetection):
        found += _unsayable_turns(config.turn_detection)
    if isinstance(config.transcription, Transcription) and config.transcription.model is not None:
        right = "leave it out: the model itself writes the caller's words down"
        found.append(Fault(("transcription", "model"), repr(config.transcription.model), right))
    if config.noise_reduction is not UNSET and config.noise_reduction is not None:
        found.append(Fault(("noise_reduction",), config.noise_reduction, "leave it out: Gemini has none to choose"))
    if config.tool_choice == "required":
        found.append(Fault(("tool_choice",), "required", "auto or none: Gemini cannot be made to call a tool"))
    return found


def _unsayable_turns(turns: TurnDetection) -> list[Fault]:
    found: list[Fault] = []
    if turns.mode == "semantic_vad":
        found.append(Fault(("turn_detection", "mode"), turns.mode, "server_vad or manual: Gemini goes by silence"))
    if turns.threshold is not None:
        where = "provider_options.realtimeInputConfig.automaticActivityDetection"
        right = f"{where}.startOfSpeechSensitivity: START_SENSITIVITY_HIGH or START_SENSITIVITY_LOW"
        found.append(Fault(("turn_detection", "threshold"), f"{turns.threshold:g}", right))
    if turns.eagerness is not None:
        where = "provider_options.realtimeInputConfig.automaticActivityDetection"
        right = f"{where}.endOfSpeechSensitivity: END_SENSITIVITY_HIGH or END_SENSITIVITY_LOW"
        found.append(Fault(("turn_detection", "eagerness"), turns.eagerness, right))
    if turns.idle_timeout_ms is not None:
        right = "leave it out and use idle: Gemini does not speak up by itself"
        found.append(Fault(("turn_detection", "idle_timeout_ms"), str(turns.idle_timeout_ms), right))
    if turns.create_response is False:
        right = "leave it out: Gemini answers every turn of the caller's by itself"
        found.append(Fault(("turn_detection", "create_response"), "false", right))
    if turns.mode == "manual":
        found += [
            Fault(("turn_detection", name), f"{name} with mode manual", f"{name} is for mode server_vad")
            for name in _MANUAL_HAS_NO
            if getattr(turns, name) not in (None, False)
        ]
    return found


# ---- the provider's own options ----


def options_of(given: Mapping[str, Any]) -> JsonObject:
    """The provider's own options, spelled as the wire spells them."""
    return in_camel_case(given)


def option_faults(options: Message) -> list[Fault]:
    """What the options, spelled as the wire spells them, may not say."""
    return [Fault(("provider_options",), "model", "say it in model: gemini/...")] if "model" in options else []


def function_rules(given: object) -> dict[str, FunctionRule]:
    """How functions are called, as in `{"lookup": {"behavior": "NON_BLOCKING"}}`. Raises ConfigError for wrong ones."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError("provider_options.functions should have a rule for each function's name")
    return {str(name): _rule(str(name), rule) for name, rule in given.items()}


def _api_version(given: object) -> str | None:
    if given is None or (isinstance(given, str) and re.fullmatch(r"v\d\w*", given)):
        return given
    raise ConfigError(f"provider_options.apiVersion should be like v1beta; found {given!r}")


def _rule(name: str, rule: object) -> FunctionRule:
    where = f"provider_options.functions.{name}"
    if not isinstance(rule, Mapping) or rule.keys() - {"behavior", "scheduling"}:
        raise ConfigError(f"{where} should have behavior, scheduling, or both")
    behavior, scheduling = rule.get("behavior", BLOCKING), rule.get("scheduling")
    if behavior not in (BLOCKING, NON_BLOCKING):
        raise ConfigError(f"{where}.behavior should be {BLOCKING} or {NON_BLOCKING}; found {behavior!r}")
    if scheduling is not None and (behavior != NON_BLOCKING or scheduling not in SCHEDULES):
        raise ConfigError(
            f"{where}.scheduling should be {' or '.join(SCHEDULES)}, with behavior {NON_BLOCKING}; found {scheduling!r}"
        )
    return FunctionRule(behavior, scheduling)


def _refuse_strangers(functions: Mapping[str, FunctionRule], config: SessionConfig) -> None:
    strangers = sorted(functions.keys() - {tool.name for tool in config.tools})
    if strangers:
        raise ConfigError(f"provider_options.functions has rules for tools that there are not: {', '.join(strangers)}")


# ---- parts of the setup ----


def _instruction(text: str) -> JsonObject:
    return {"parts": [{"text": text}]}


def _speech(config: SessionConfig) -> JsonObject | None:
    voice = config.voice.voice_id
    return None if voice is None else {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}


def _tools(config: SessionConfig, functions: Mapping[str, FunctionRule], options: Message) -> list[JsonObject]:
    """The agent's functions, which block unless a rule says otherwise, and the provider's own tools after them."""
    declared = [
        {
            "name": tool.name,
            "description": tool.description,
            "parametersJsonSchema": tool.parameters,
            "behavior": functions.get(tool.name, FunctionRule()).behavior,
        }
        for tool in config.tools
        if config.tool_choice != "none"
    ]
    others = options.get("tools") or []
    if not isinstance(others, Sequence) or isinstance(others, str):
        raise ConfigError("provider_options.tools should be a list")
    return [*([{"functionDeclarations": declared}] if declared else []), *others]


def _listening(config: SessionConfig) -> JsonObject:
    turns = config.turn_detection
    if turns is UNSET:
        return {}
    if not isinstance(turns, TurnDetection) or turns.mode == "manual":
        # A line is never silent: its next piece of audio would interrupt the answer to the turn just ended.
        return {"automaticActivityDetection": {"disabled": True}, "activityHandling": "NO_INTERRUPTION"}
    listening: JsonObject = {}
    detection = without_none(silenceDurationMs=turns.silence_duration_ms, prefixPaddingMs=turns.prefix_padding_ms)
    if detection:
        listening["automaticActivityDetection"] = detection
    if turns.interrupt_response is not None:
        handling = "START_OF_ACTIVITY_INTERRUPTS" if turns.interrupt_response else "NO_INTERRUPTION"
        listening["activityHandling"] = handling
    return listening


def _transcription(wanted: Transcription) -> JsonObject:
    phrases = [each.strip() for each in re.split(r"[,;\n]", wanted.prompt or "") if each.strip()]
    return without_none(languageCodes=[wanted.language] if wanted.language else None, customVocabulary=phrases or None)


def _at(fields: object, *path: str) -> Any:
    for name in path:
        fields = fields.get(name) if isinstance(fields, Mapping) else None
    return fields
