"""The session object of OpenAI Live: what a SessionConfig and a history are on that wire.

Two models share a session: the live one speaks, and hands what needs thought or tools to a backend. An agent's
instructions go to both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from agents.errors import NotSupportedError
from agents.providers.wire_json import JsonObject, merged, without_none
from agents.realtime import (
    PCM,
    PCMU,
    AudioFormat,
    Past,
    PastMessage,
    PastToolCall,
    SessionConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
    Unset,
)

BACKEND_MODEL: Final = "gpt-6-luna"
"""The backend when nobody names another; the provider has no default of its own."""

TOOLS_HINT: Final = "Delegate to your backend whatever one of its tools is for:"
"""What the live model is told of tools that only its backend knows."""

MAX_PAST_MESSAGES: Final = 128
"""What a session may begin with, in messages."""

MAX_PAST_BYTES: Final = 16_000
"""And in text: 8192 tokens with what surrounds it, where a token of any language is two and a half bytes or more."""

_OWN_TURNS: Final = "the model takes turns by itself"

FIXED_TURNS: Final[Mapping[str, str]] = {
    "threshold": _OWN_TURNS,
    "silence_duration_ms": _OWN_TURNS,
    "prefix_padding_ms": _OWN_TURNS,
    "eagerness": _OWN_TURNS,
    "idle_timeout_ms": "the model speaks up by itself; idle says what the agent does after a silence",
}
"""Fields of turn detection that this wire has not, and why."""


def wire_format(config: SessionConfig) -> AudioFormat:
    """What both directions of the wire carry: mu-law where the line carries it both ways."""
    for wanted in (config.input_format, config.output_format):
        if wanted not in (PCM, PCMU):
            raise NotSupportedError(f"OpenAI Live takes {PCM} and {PCMU} from us; not {wanted}")
    return PCMU if config.input_format == config.output_format == PCMU else PCM


def session_object(model_id: str, config: SessionConfig, past: Sequence[Past] = ()) -> JsonObject:
    """The `session` of `session.start`. Raises NotSupportedError for what the wire cannot say."""
    _refuse(config)
    audio_format = wire_format(config)
    audio: JsonObject = {"format": {"type": audio_format.mime_type, "rate": audio_format.sample_rate}}
    if config.voice.voice_id is not None:
        custom = config.voice.voice_id.startswith("voice_")
        audio["output"] = {"voice": {"id": config.voice.voice_id} if custom else config.voice.voice_id}
    backend: JsonObject = {"model": BACKEND_MODEL} | without_none(instructions=config.instructions)
    backend |= _of_backend(config)
    session: JsonObject = {"model": model_id, "audio": audio, "delegation": {"type": "responses", "responses": backend}}
    instructions = "\n\n".join(filter(None, (config.instructions, tools_hint(config.tools))))
    session |= without_none(instructions=instructions or None, input=_input(past) or None)
    return merged(session, config.provider_options)


def update_object(before: SessionConfig, after: SessionConfig) -> JsonObject:
    """The `session` of `session.update`. Raises NotSupportedError for what cannot change once a session began."""
    changeable = ("tools", "tool_choice", "max_output_tokens", "greeting", "variables")
    if replace(after, **{name: getattr(before, name) for name in changeable}) != before:
        raise NotSupportedError("OpenAI Live can change tools, tool_choice and max_output_tokens once it began")
    _refuse(after)
    if delegation_of(after.provider_options) != "responses":
        raise NotSupportedError("only provider_options.delegation.type responses has anything that could change")
    return {"delegation": {"type": "responses", "responses": _of_backend(after)}}


def tools_hint(tools: Sequence[ToolSchema]) -> str:
    return "\n".join((TOOLS_HINT, *(f"- {tool.name}: {tool.description}" for tool in tools))) if tools else ""


def has_audio_format(options: Mapping[str, Any]) -> bool:
    """Whether options of the session's name a format, which is for the line and the session to agree on."""
    audio = options.get("audio")
    return isinstance(audio, Mapping) and "format" in audio


def delegation_of(options: Mapping[str, Any]) -> str:
    """Who gets what the model delegates: `responses`, unless the options of the session say otherwise."""
    delegation = options.get("delegation", {})
    return str(delegation.get("type", "responses")) if isinstance(delegation, Mapping) else "client"


def tool_note(call: PastToolCall) -> str:
    """A tool's call in words: history has none."""
    answered = "has not answered yet" if call.output is None else f"answered {call.output}"
    return f"The tool {call.name} was called with {call.arguments} and {answered}"


def _of_backend(config: SessionConfig) -> JsonObject:
    """What of the configuration is the backend's, tools always: to take old ones away."""
    tools = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "strict": False,  # strictly, a schema must name all of its fields as required
        }
        for tool in config.tools
    ]
    return {"tools": tools} | without_none(tool_choice=config.tool_choice, max_output_tokens=config.max_output_tokens)


def _input(past: Sequence[Past]) -> list[JsonObject]:
    """The newest of the past that a session may begin with."""
    items: list[JsonObject] = []
    left = MAX_PAST_BYTES
    for each in reversed(past):
        role, text = ("system", tool_note(each)) if isinstance(each, PastToolCall) else _said(each)
        left -= len(text.encode())
        if left < 0 or len(items) == MAX_PAST_MESSAGES:
            break
        if text.strip():
            part = "output_text" if role == "assistant" else "input_text"
            role = "developer" if role == "system" else role
            items.append({"type": "message", "role": role, "content": [{"type": part, "text": text}]})
    return items[::-1]


def _said(message: PastMessage) -> tuple[str, str]:
    return message.role, message.text


def _refuse(config: SessionConfig) -> None:
    turns = config.turn_detection
    if turns is None or (isinstance(turns, TurnDetection) and turns.mode != "server_vad"):
        raise NotSupportedError(f"OpenAI Live has no mode of turn detection: {_OWN_TURNS}")
    if isinstance(turns, TurnDetection):
        for name, why in FIXED_TURNS.items():
            if getattr(turns, name) is not None:
                raise NotSupportedError(f"OpenAI Live has no turn_detection.{name}: {why}")
        if turns.interrupt_response is False or turns.create_response is False:
            raise NotSupportedError("OpenAI Live decides by itself when the caller interrupts, and when to answer")
    if isinstance(config.transcription, Transcription) and config.transcription != Transcription():
        raise NotSupportedError("OpenAI Live writes words down in its own way: no model, language or prompt for it")
    if config.noise_reduction is not None and not isinstance(config.noise_reduction, Unset):
        raise NotSupportedError("OpenAI Live has no noise_reduction")
    if config.voice.speed is not None:
        raise NotSupportedError("OpenAI Live has no speed")
    if "audio" not in config.modalities:
        raise NotSupportedError("OpenAI Live always speaks: modalities must have audio")
    if has_audio_format(config.provider_options):
        raise NotSupportedError("provider_options.audio.format: the session and the line agree on the format")
    wants_backend = config.tools or config.tool_choice is not None or config.max_output_tokens is not None
    if wants_backend and delegation_of(config.provider_options) != "responses":
        raise NotSupportedError(
            "tools, tool_choice and max_output_tokens need provider_options.delegation.type responses"
        )
