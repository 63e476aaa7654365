"""What a SessionConfig is on AssemblyAI's Voice Agent wire: the session object, whole at first and in parts later."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from agents.errors import NotSupportedError
from agents.providers import Fault
from agents.providers.wire_json import JsonObject, merged, without_none
from agents.realtime import (
    PCM,
    PCMU,
    AudioFormat,
    Past,
    PastMessage,
    PastToolCall,
    SessionConfig,
    Transcription,
    TurnDetection,
)

INLINE: Final = "voice-agent"
"""The model's name for an agent that our own file describes; any other is the id of one stored at AssemblyAI."""

ENCODINGS: Final[Mapping[AudioFormat, str]] = {PCM: "audio/pcm", PCMU: "audio/pcmu"}
"""At 24000 and at 8000 Hz."""

MAX_KEYTERMS: Final = 100

_MUTABLE_INPUT: Final = ("turn_detection", "keyterms", "voice_focus")
"""What of the input can change after a session has begun; of the output only the volume can."""


def session_object(config: SessionConfig, history: Iterable[Past] = (), notes: Sequence[str] = ()) -> JsonObject:
    """The `session` of the first `session.update`, for an agent that our file describes.

    With a history it says no greeting. Raises NotSupportedError for what the wire cannot say.
    """
    for fault in faults_of(config):
        raise NotSupportedError(f"{'.'.join(map(str, fault.path))}: found {fault.found}; {fault.right}")
    history = tuple(history)
    session: JsonObject = {
        "input": {"format": {"encoding": ENCODINGS[config.input_format]}} | _input(config),
        "output": {"format": {"encoding": ENCODINGS[config.output_format]}} | without_none(voice=config.voice.voice_id),
        "tools": _tools(config),
    }
    session |= without_none(
        system_prompt=prompt(config, history, notes) or None, greeting=None if history else config.greeting
    )
    return merged(session, config.provider_options)


def opening(config: SessionConfig, agent_id: str | None, history: Iterable[Past], resume: str | None) -> JsonObject:
    """The first message. A stored agent takes nothing but its id in it. Raises NotSupportedError as above."""
    session = session_object(config, history)
    for fault in faults_of_stored(config) if agent_id else ():
        raise NotSupportedError(f"{'.'.join(map(str, fault.path))}: found {fault.found}; {fault.right}")
    if resume:
        return {"type": "session.resume", "session_id": resume}
    return {"type": "session.update", "session": {"agent_id": agent_id} if agent_id else session}


def told_later(config: SessionConfig, history: Sequence[Past]) -> Iterator[JsonObject]:
    """What a stored agent is told once it is there."""
    mutable = SessionConfig(
        tools=config.tools,
        turn_detection=config.turn_detection,
        transcription=config.transcription,
        noise_reduction=config.noise_reduction,
    )
    session = changes(SessionConfig(), mutable)
    if config.instructions:
        session["system_prompt"] = prompt(config, history, ())
    if session:
        yield {"type": "session.update", "session": session}
    if history and not config.instructions:
        yield {"type": "conversation.message", "role": "system", "content": prompt(SessionConfig(), history, ())}


def changes(before: SessionConfig, after: SessionConfig) -> JsonObject:
    """What of the session changes, but for the prompt. Raises NotSupportedError for what cannot any more."""
    session_object(after)
    for name, was, is_ in (
        ("input_format", before.input_format, after.input_format),
        ("output_format", before.output_format, after.output_format),
        ("voice", before.voice, after.voice),
    ):
        if was != is_:
            raise NotSupportedError(f"AssemblyAI keeps the {name} that a session began with")
    old, new = _input(before), _input(after)
    changed = {name: new[name] for name in _MUTABLE_INPUT if name in new and new[name] != old.get(name)}
    session: JsonObject = {"input": changed} if changed else {}
    if _tools(after) != _tools(before):
        session["tools"] = _tools(after)
    return session


def everything(config: SessionConfig, *, is_stored: bool) -> JsonObject:
    """All that can change, but for the prompt, as it is to be: for a session of which nobody knows what it was told.

    A stored agent without tools from here keeps its own.
    """
    session = session_object(config)
    mutable = {name: session["input"][name] for name in _MUTABLE_INPUT if name in session["input"]}
    told: JsonObject = {"input": mutable} if mutable else {}
    return told if is_stored and not config.tools else told | {"tools": session["tools"]}


def prompt(config: SessionConfig, history: Iterable[Past], notes: Sequence[str]) -> str:
    """The instructions; after them what was said before, and what became known during the call."""
    parts = [config.instructions or ""]
    if told := [line for past in history if (line := _line(past))]:
        parts.append("The conversation has begun already. Go on with it, without greeting again:\n" + "\n".join(told))
    if notes:
        parts.append("What has become known meanwhile:\n" + "\n".join(notes))
    return "\n\n".join(part for part in parts if part)


def found_since(history: Iterable[Past]) -> list[str]:
    """What tools have answered since the caller's last words."""
    found: list[str] = []
    for past in history:
        if isinstance(past, PastMessage):
            found = [] if past.role == "user" else found
        elif line := _line(past):
            found.append(line)
    return found


def _line(past: Past) -> str:
    match past:
        case PastMessage(_, role, text):
            return f"{ {'user': 'Caller', 'assistant': 'You', 'system': 'Note'}[role] }: {text}"
        case PastToolCall(_, name, arguments, str(output)):
            return f"(You called {name} with {arguments}; it answered: {output})"
        case _:
            return ""


def _input(config: SessionConfig) -> JsonObject:
    wanted: JsonObject = {}
    turns = config.turn_detection
    if isinstance(turns, TurnDetection):
        found = without_none(
            vad_threshold=turns.threshold,
            min_silence=turns.silence_duration_ms,
            interrupt_response=turns.interrupt_response,
        )
        wanted |= {"turn_detection": found} if found else {}
    said = config.transcription.prompt if isinstance(config.transcription, Transcription) else None
    if keyterms := [term.strip() for term in re.split(r"[,\n]", said or "") if term.strip()]:
        wanted["keyterms"] = keyterms[:MAX_KEYTERMS]
    if isinstance(config.noise_reduction, str):
        wanted["voice_focus"] = config.noise_reduction.replace("_", "-")
    return wanted


def _tools(config: SessionConfig) -> list[JsonObject]:
    return [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description or tool.name,
            "parameters": tool.parameters,
        }
        for tool in config.tools
    ]


# ---- what cannot be had ----


def faults_of(config: SessionConfig) -> list[Fault]:
    """Everything in the configuration that AssemblyAI would refuse or ignore, by the names of an agent's file."""
    found = [*_turn_faults(config), *_transcription_faults(config)]
    for way, wanted in (("input_format", config.input_format), ("output_format", config.output_format)):
        if wanted not in ENCODINGS:
            found.append(Fault((way,), str(wanted), "AssemblyAI is spoken to in PCM at 24000 Hz or mu-law at 8000 Hz"))
    if "audio" not in config.modalities:
        found.append(Fault(("modalities",), "text alone", "AssemblyAI's agents speak"))
    if config.voice.speed is not None:
        found.append(Fault(("speed",), f"{config.voice.speed:g}", "AssemblyAI's voices have one speed; remove it"))
    if config.max_output_tokens is not None:
        right = "AssemblyAI has no such limit; say in the instructions how long answers should be"
        found.append(Fault(("max_output_tokens",), str(config.max_output_tokens), right))
    if config.tool_choice not in (None, "auto"):
        found.append(Fault(("tool_choice",), config.tool_choice, "AssemblyAI's models choose by themselves"))
    for way in ("input", "output"):
        part = config.provider_options.get(way)
        if isinstance(part, Mapping) and "format" in part:
            right = "leave the format out: the session and the line agree on it"
            found.append(Fault(("provider_options", way), f"{way}.format", right))
    for name, right in (
        ("agent_id", f"write model: assemblyai/<the id> in place of assemblyai/{INLINE}"),
        ("greeting", "write greeting beside model"),
        ("system_prompt", "write instructions beside model"),
    ):
        if name in config.provider_options:
            found.append(Fault(("provider_options",), name, right))
    return found


def faults_of_stored(config: SessionConfig) -> list[Fault]:
    """What else there is no place for when the agent is stored at AssemblyAI: it has its own."""
    own = "the stored agent has its own: remove it here, or use model: assemblyai/" + INLINE
    given = {"greeting": config.greeting, "voice": config.voice.voice_id}
    found = [Fault((name,), repr(value), own) for name, value in given.items() if value is not None]
    if config.provider_options:
        found.append(Fault(("provider_options",), ", ".join(config.provider_options), own))
    return found


def _turn_faults(config: SessionConfig) -> list[Fault]:
    turns = config.turn_detection
    at = "turn_detection"
    if turns is None or (isinstance(turns, TurnDetection) and turns.mode == "manual"):
        return [Fault((at, "mode"), "manual", "AssemblyAI takes turns by itself: server_vad or semantic_vad")]
    if not isinstance(turns, TurnDetection):
        return []
    found = []
    for name in ("prefix_padding_ms", "eagerness", "idle_timeout_ms"):
        value = getattr(turns, name)
        if value is not None and value != "auto":
            found.append(Fault((at, name), str(value), "AssemblyAI has none; remove it"))
    if turns.create_response is False:
        found.append(Fault((at, "create_response"), "false", "AssemblyAI answers every turn by itself"))
    return found


def _transcription_faults(config: SessionConfig) -> list[Fault]:
    wanted = config.transcription
    if not isinstance(wanted, Transcription):
        return []
    at = "transcription"
    found = [
        Fault((at, name), str(value), right)
        for name, value, right in (
            ("model", wanted.model, "AssemblyAI listens with its own model; remove it"),
            ("language", wanted.language, "AssemblyAI finds the language out; or set provider_options.input"),
        )
        if value is not None
    ]
    terms = [term for term in re.split(r"[,\n]", wanted.prompt or "") if term.strip()]
    if len(terms) > MAX_KEYTERMS:
        found.append(Fault((at, "prompt"), f"{len(terms)} terms", f"at most {MAX_KEYTERMS} are listened for"))
    return found
