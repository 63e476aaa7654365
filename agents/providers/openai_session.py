"""The session object of OpenAI Realtime (GA): what a SessionConfig is on that wire."""

from collections.abc import Mapping
from typing import Any, Final

from agents.errors import NotSupportedError
from agents.realtime import UNSET, AudioFormat, SessionConfig, Transcription, TurnDetection
from agents.schema import TurnDetectionSpec

TRANSCRIPTION_MODEL: Final = "gpt-transcribe"
"""Writes down the caller's words when nobody names another; the provider has no default of its own."""

_ONLY_IN: Final[Mapping[str, str]] = {
    "threshold": "server_vad",
    "silence_duration_ms": "server_vad",
    "prefix_padding_ms": "server_vad",
    "idle_timeout_ms": "server_vad",
    "eagerness": "semantic_vad",
}
"""Each field of turn detection that one mode has and the others have not."""

JsonObject = dict[str, Any]


def session_object(config: SessionConfig) -> JsonObject:
    """The `session` of `session.update`. Keys nobody set are absent; tools are always there, to take old ones away.

    Audio always comes with its transcript, so audio and text together are asked for as audio. `variables` have no
    place here: instructions come filled in. Raises NotSupportedError for what the wire cannot say.
    """
    turns = config.turn_detection
    heard: JsonObject = {"format": _format(config.input_format)}
    if turns is not UNSET:
        heard["turn_detection"] = None if turns is None else _turn_detection(turns)
    if config.transcription is not UNSET:
        heard["transcription"] = None if config.transcription is None else _transcription(config.transcription)
    if config.noise_reduction is not UNSET:
        heard["noise_reduction"] = None if config.noise_reduction is None else {"type": config.noise_reduction}

    spoken: JsonObject = {"format": _format(config.output_format)}
    if config.voice.voice_id is not None:
        custom = config.voice.voice_id.startswith("voice_")
        spoken["voice"] = {"id": config.voice.voice_id} if custom else config.voice.voice_id
    if config.voice.speed is not None:
        spoken["speed"] = config.voice.speed

    session: JsonObject = {
        "type": "realtime",
        "output_modalities": ["audio"] if "audio" in config.modalities else ["text"],
        "audio": {"input": heard, "output": spoken},
        "tools": [
            {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in config.tools
        ],
    }
    session |= _set(
        instructions=config.instructions,
        tool_choice=config.tool_choice,
        max_output_tokens=config.max_output_tokens,
    )
    return _merged(session, config.provider_options)


def misplaced(turns: TurnDetection | TurnDetectionSpec) -> list[tuple[str, str]]:
    """Each field that is set and that the chosen mode does not have, with the mode that has it."""
    return [(name, mode) for name, mode in _ONLY_IN.items() if turns.mode != mode and getattr(turns, name) is not None]


def _turn_detection(turns: TurnDetection) -> JsonObject | None:
    for name, mode in misplaced(turns):
        raise NotSupportedError(f"turn_detection.{name} belongs to mode {mode}; the mode is {turns.mode}")
    if turns.mode == "manual":
        return None
    return {"type": turns.mode} | _set(
        threshold=turns.threshold,
        silence_duration_ms=turns.silence_duration_ms,
        prefix_padding_ms=turns.prefix_padding_ms,
        eagerness=turns.eagerness,
        idle_timeout_ms=turns.idle_timeout_ms,
        create_response=turns.create_response,
        interrupt_response=turns.interrupt_response,
    )


def _transcription(wanted: Transcription) -> JsonObject:
    return {"model": wanted.model or TRANSCRIPTION_MODEL} | _set(language=wanted.language, prompt=wanted.prompt)


def _format(wanted: AudioFormat) -> JsonObject:
    match wanted:
        case AudioFormat(mime_type="audio/pcm", sample_rate=24_000):
            return {"type": "audio/pcm", "rate": 24_000}
        case AudioFormat(mime_type="audio/pcmu" | "audio/pcma", sample_rate=8_000):
            return {"type": wanted.mime_type}
        case _:
            raise NotSupportedError(
                f"OpenAI takes audio/pcm at 24000 Hz, audio/pcmu and audio/pcma at 8000 Hz; "
                f"not {wanted.mime_type} at {wanted.sample_rate} Hz"
            )


def _set(**values: object) -> JsonObject:
    return {key: value for key, value in values.items() if value is not None}


def _merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> JsonObject:
    """`base` with `extra` over it, objects key by key unless they name another type; anything else is replaced."""
    merged = dict(base)
    for key, value in extra.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and value.get("type") in (None, below.get("type")):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged
