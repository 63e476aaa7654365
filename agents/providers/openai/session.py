"""The session object of OpenAI Realtime and its dialects: what a SessionConfig is on each wire."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.errors import NotSupportedError
from agents.providers import Fault
from agents.providers.openai.dialect import Dialect, Lack
from agents.providers.wire_json import JsonObject, merged, without_none
from agents.realtime import PCM, AudioFormat, SessionConfig, ToolSchema, Tracing, Transcription, TurnDetection, Unset
from agents.schema import TranscriptionSpec, TurnDetectionSpec

_ONLY_IN: Final[Mapping[str, str]] = {
    "threshold": "server_vad",
    "silence_duration_ms": "server_vad",
    "prefix_padding_ms": "server_vad",
    "idle_timeout_ms": "server_vad",
    "eagerness": "semantic_vad",
}
"""Each field of turn detection that one mode has and the others have not."""

_FORMATS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "nested": (("audio", "input", "format"), ("audio", "output", "format")),
    "xai": (("audio", "input", "format"), ("audio", "output", "format")),
    "flat": (("input_audio_format",), ("input_audio_sampling_rate",), ("output_audio_format",)),
}
"""Where each layout has the formats of audio."""

Turns = TurnDetection | TurnDetectionSpec | Unset | None
Writing = Transcription | TranscriptionSpec | Unset | None


def session_object(config: SessionConfig, dialect: Dialect, model_id: str) -> JsonObject:
    """The `session` of `session.update`. Keys nobody set are absent; tools are always there, to take old ones away.

    Audio always comes with its transcript, so audio and text together are asked for as audio. `variables` and
    `greeting` have no place here: instructions come filled in, and the session asks for the greeting. Tools among the
    `provider_options` come after the agent's. A dialect that keeps no traces is told of none. Raises NotSupportedError
    for what the wire cannot say.
    """
    for path, found in refused(
        dialect,
        turns=config.turn_detection,
        transcription=config.transcription,
        noise_reduction=config.noise_reduction,
        speed=config.voice.speed,
        max_output_tokens=config.max_output_tokens,
        tool_choice=config.tool_choice,
        is_text="audio" not in config.modalities,
    ):
        raise NotSupportedError(f"{dialect.title} has no {found} ({'.'.join(path)})")
    for fault in option_faults(config.provider_options, dialect):
        raise NotSupportedError(f"{'.'.join(map(str, fault.path))}: found {fault.found}; {fault.right}")
    session = _LAYOUTS[dialect.layout](config, dialect)
    session["tools"] = [_tool(tool, nested=dialect.nested_tools) for tool in config.tools]
    session |= without_none(instructions=config.instructions, tool_choice=config.tool_choice)
    if dialect.model_in_session:
        session["model"] = model_id
    if dialect.has_tracing and not isinstance(config.tracing, Unset):
        session["tracing"] = _tracing(config.tracing)
    tools = config.provider_options.get("tools")
    if isinstance(tools, list | tuple):
        session["tools"] += tools
    return merged(session, {key: value for key, value in config.provider_options.items() if key != "tools"})


def wire_format(formats: Mapping[AudioFormat, object], wanted: AudioFormat, dialect: Dialect) -> AudioFormat:
    """What the wire takes or gives for audio of the session's: the same, or for PCM the best it has.

    Raises NotSupportedError where there is neither.
    """
    if wanted in formats:
        return wanted
    if wanted == PCM:
        return next(each for each in formats if each.mime_type == "audio/pcm")
    known = ", ".join(str(each) for each in dialect.capabilities.input_formats)
    raise NotSupportedError(f"{dialect.title} takes {known}; not {wanted}")


# ---- what a wire cannot say ----


def refused(
    dialect: Dialect,
    *,
    turns: Turns,
    transcription: Writing,
    noise_reduction: str | Unset | None,
    speed: float | None,
    max_output_tokens: int | None,
    tool_choice: str | None = None,
    is_text: bool = False,
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each thing that is asked for and that the dialect lacks: the path to its field, and what it is."""
    wanted: dict[tuple[str, ...], tuple[Lack, bool]] = {
        ("noise_reduction",): ("noise_reduction", isinstance(noise_reduction, str)),
        ("speed",): ("speed", speed is not None),
        ("max_output_tokens",): ("max_output_tokens", max_output_tokens is not None),
        ("tool_choice",): ("tool_choice", tool_choice is not None),
        ("modalities",): ("text", is_text),
    }
    if isinstance(transcription, Transcription | TranscriptionSpec):
        wanted[("transcription", "prompt")] = ("prompt", transcription.prompt is not None)
    if isinstance(turns, TurnDetection | TurnDetectionSpec):
        at = "turn_detection"
        wanted[at, "mode"] = ("semantic_vad", turns.mode == "semantic_vad")
        wanted[at, "eagerness"] = ("eagerness", turns.eagerness is not None)
        wanted[at, "idle_timeout_ms"] = ("idle_timeout_ms", turns.idle_timeout_ms is not None)
        if turns.mode != "manual":
            wanted[at, "interrupt_response"] = ("interrupt_response", turns.interrupt_response is False)
            wanted[at, "create_response"] = ("create_response", getattr(turns, "create_response", None) is False)
    for path, (lack, is_wanted) in wanted.items():
        if is_wanted and lack in dialect.lacks:
            yield path, _CALLED.get(lack, lack)


_CALLED: Final[Mapping[Lack, str]] = {
    "create_response": "create_response: false",
    "interrupt_response": "interrupt_response: false",
    "prompt": "prompt for transcription",
    "text": "answers in text alone",
}


def misplaced(turns: TurnDetection | TurnDetectionSpec) -> list[tuple[str, str]]:
    """Each field that is set and that the chosen mode does not have, with the mode that has it."""
    return [(name, mode) for name, mode in _ONLY_IN.items() if turns.mode != mode and getattr(turns, name) is not None]


def option_faults(options: Mapping[str, Any], dialect: Dialect) -> Iterator[Fault]:
    """Everything that provider options may not say."""
    for path in _FORMATS[dialect.layout]:
        if _has(options, *path):
            right = "leave the format out: the session and the line agree on it"
            yield Fault(("provider_options",), ".".join(path), right)
    tools = options.get("tools")
    for tool in tools if isinstance(tools, list | tuple) else ():
        match tool:
            case {"type": "mcp", "require_approval": "never"}:
                pass
            case {"type": "mcp"}:
                right = "set require_approval: never: during a call there is nobody to approve"
                yield Fault(("provider_options", "tools"), "an mcp tool that asks for approval", right)


def _has(options: object, *path: str) -> bool:
    for name in path:
        if not isinstance(options, Mapping) or name not in options:
            return False
        options = options[name]
    return True


# ---- layouts ----


def _nested(config: SessionConfig, dialect: Dialect) -> JsonObject:
    heard: JsonObject = {"format": _format(dialect.input_formats, config.input_format, dialect)}
    heard |= _hearing(config, dialect)
    spoken: JsonObject = {"format": _format(dialect.output_formats, config.output_format, dialect)}
    spoken |= _voice(config, dialect) | without_none(speed=config.voice.speed)
    session: JsonObject = {
        "type": "realtime",
        "output_modalities": ["audio"] if "audio" in config.modalities else ["text"],
        "audio": {"input": heard, "output": spoken},
    }
    return session | without_none(max_output_tokens=config.max_output_tokens)


def _flat(config: SessionConfig, dialect: Dialect) -> JsonObject:
    heard = _hearing(config, dialect)
    session: JsonObject = {
        "modalities": ["text", "audio"] if "audio" in config.modalities else ["text"],
        "input_audio_format": _format(dialect.input_formats, config.input_format, dialect),
        "output_audio_format": _format(dialect.output_formats, config.output_format, dialect),
    }
    session |= {key if key == "turn_detection" else f"input_audio_{key}": value for key, value in heard.items()}
    session |= _voice(config, dialect) | without_none(speed=config.voice.speed)
    return session | without_none(max_response_output_tokens=config.max_output_tokens)


def _xai(config: SessionConfig, dialect: Dialect) -> JsonObject:
    heard: JsonObject = {"format": _format(dialect.input_formats, config.input_format, dialect)}
    heard |= _hearing(config, dialect)
    spoken: JsonObject = {"format": _format(dialect.output_formats, config.output_format, dialect)}
    spoken |= without_none(speed=config.voice.speed)
    session = _voice(config, dialect)
    session["turn_detection"] = heard.pop("turn_detection")
    return session | {"audio": {"input": heard, "output": spoken}}


_LAYOUTS: Final = {"nested": _nested, "flat": _flat, "xai": _xai}


def _hearing(config: SessionConfig, dialect: Dialect) -> JsonObject:
    """What there is to say of how the caller is heard; None turns off."""
    heard: JsonObject = {}
    turns, transcription, noise = config.turn_detection, config.transcription, config.noise_reduction
    if turns is None:
        heard["turn_detection"] = None
    elif isinstance(turns, TurnDetection):
        heard["turn_detection"] = _turn_detection(turns, dialect)
    elif dialect.says_turns:
        heard["turn_detection"] = _turn_detection(TurnDetection(), dialect)
    if transcription is None:
        heard["transcription"] = None
    elif isinstance(transcription, Transcription) and (written := _transcription(transcription, dialect)):
        heard["transcription"] = written
    if not isinstance(noise, Unset) and "noise_reduction" not in dialect.lacks:
        heard["noise_reduction"] = None if noise is None else {"type": noise}
    return heard


def _turn_detection(turns: TurnDetection, dialect: Dialect) -> JsonObject | None:
    for name, mode in misplaced(turns):
        raise NotSupportedError(f"turn_detection.{name} belongs to mode {mode}; the mode is {turns.mode}")
    if turns.mode == "manual":
        return None
    creates, interrupts = turns.create_response, turns.interrupt_response
    if dialect.says_turns and creates is None:
        creates = True
    return {"type": dialect.modes.get(turns.mode, turns.mode)} | without_none(
        threshold=turns.threshold,
        silence_duration_ms=turns.silence_duration_ms,
        prefix_padding_ms=turns.prefix_padding_ms,
        eagerness=turns.eagerness,
        idle_timeout_ms=turns.idle_timeout_ms,
        create_response=None if "create_response" in dialect.lacks else creates,
        interrupt_response=None if "interrupt_response" in dialect.lacks else interrupts,
    )


def _transcription(wanted: Transcription, dialect: Dialect) -> JsonObject:
    """Empty where nothing is to be said: a server of its own then writes in its own way."""
    said = without_none(
        model=wanted.model or dialect.transcription_model, language=wanted.language, prompt=wanted.prompt
    )
    return {dialect.renamed.get(key, key): value for key, value in said.items()}


def _voice(config: SessionConfig, dialect: Dialect) -> JsonObject:
    return {} if config.voice.voice_id is None else {"voice": dialect.voice(config.voice.voice_id)}


def _tracing(wanted: Tracing | str | None) -> object:
    """None turns it off."""
    if not isinstance(wanted, Tracing):
        return wanted
    named = {"workflow_name": wanted.workflow_name} | without_none(group_id=wanted.group_id)
    return named | ({"metadata": dict(wanted.metadata)} if wanted.metadata else {})


def _format(formats: Mapping[AudioFormat, object], wanted: AudioFormat, dialect: Dialect) -> Any:
    return formats[wire_format(formats, wanted, dialect)]


def _tool(tool: ToolSchema, *, nested: bool) -> JsonObject:
    function: JsonObject = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function} if nested else {"type": "function", **function}
