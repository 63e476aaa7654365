"""What the fake Gemini would not be told: fields that are none, wrong types, unknown words, wrong moments."""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final

Json = dict[str, Any]


class Wrong(Exception):
    """What the client said cannot be. `code` is the close code."""

    def __init__(self, why: str, code: int = 1007) -> None:
        super().__init__(why)
        self.code = code


Kind = type | Mapping[str, Any] | Callable[[Any], bool] | tuple[Any, ...] | list[Any]
"""A type; an object's fields; a test; a choice of words (tuple); a list of one kind (list of one)."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_int64(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdigit())


def _is_free(value: Any) -> bool:
    return isinstance(value, dict)


def is_pcm_16k(value: Any) -> bool:
    return isinstance(value, str) and value == "audio/pcm;rate=16000"


def audio_of(value: str) -> bytes:
    """The bytes of either base64: Google's own client sends the one for addresses. Raises ValueError for others."""
    return b64decode(value.replace("-", "+").replace("_", "/"), validate=True)


def is_whole_samples(value: Any) -> bool:
    try:
        return len(audio_of(value)) % 2 == 0
    except (AttributeError, ValueError):
        return False


def is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z_][\w.:-]{0,127}", value))


TEXT_PART: Final = {"text": str}
CONTENT: Final = {"role": ("user", "model"), "parts": [TEXT_PART]}
INSTRUCTION: Final = {"role": str, "parts": [TEXT_PART]}

FUNCTION: Final = {
    "name": is_name,
    "description": str,
    "parameters": _is_free,
    "parametersJsonSchema": _is_free,
    "behavior": ("BLOCKING", "NON_BLOCKING"),
}
TOOL: Final = {"functionDeclarations": [FUNCTION], "googleSearch": {}}
TRANSCRIPTION: Final = {"languageCodes": [str], "customVocabulary": [str], "mode": ("VERBATIM", "SMART")}

SETUP: Final = {
    "model": lambda value: isinstance(value, str) and value.startswith("models/"),
    "generationConfig": {
        "responseModalities": [("AUDIO", "TEXT")],
        "temperature": _is_number,
        "topP": _is_number,
        "topK": _is_number,
        "seed": int,
        "maxOutputTokens": int,
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": str}}, "languageCode": str},
    },
    "systemInstruction": INSTRUCTION,
    "tools": [TOOL],
    "realtimeInputConfig": {
        "automaticActivityDetection": {
            "disabled": bool,
            "startOfSpeechSensitivity": ("START_SENSITIVITY_HIGH", "START_SENSITIVITY_LOW"),
            "endOfSpeechSensitivity": ("END_SENSITIVITY_HIGH", "END_SENSITIVITY_LOW"),
            "prefixPaddingMs": int,
            "silenceDurationMs": int,
        },
        "activityHandling": ("START_OF_ACTIVITY_INTERRUPTS", "NO_INTERRUPTION"),
        "turnCoverage": ("TURN_INCLUDES_ONLY_ACTIVITY", "TURN_INCLUDES_ALL_INPUT"),
    },
    "sessionResumption": {"handle": str},
    "contextWindowCompression": {"triggerTokens": _is_int64, "slidingWindow": {"targetTokens": _is_int64}},
    "inputAudioTranscription": TRANSCRIPTION,
    "outputAudioTranscription": TRANSCRIPTION,
    "historyConfig": {"initialHistoryInClientContent": bool},
}

MESSAGES: Final = {
    "setup": SETUP,
    "clientContent": {"turns": [CONTENT], "turnComplete": bool},
    "realtimeInput": {
        "audio": {"mimeType": is_pcm_16k, "data": is_whole_samples},
        "text": str,
        "audioStreamEnd": bool,
        "activityStart": {},
        "activityEnd": {},
    },
    "toolResponse": {
        "functionResponses": [
            {"id": str, "name": str, "response": _is_free, "scheduling": ("INTERRUPT", "WHEN_IDLE", "SILENT")}
        ]
    },
    "contextUpdate": {"systemInstruction": INSTRUCTION, "tools": {"tools": [TOOL]}},
}

_FREE: Final = frozenset({"parametersJsonSchema", "parameters", "response", "args"})


def camel(value: Any) -> Any:
    """Keys as the tables have them: the server takes both spellings, and its own client sends a mixture."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {(name := _camel(key)): each if name in _FREE else camel(each) for key, each in value.items()}


def _camel(key: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), key)


def check(value: Any, kind: Any, where: str) -> None:
    """Raises Wrong for what does not fit its kind."""
    match kind:
        case Mapping():
            if not isinstance(value, dict):
                raise Wrong(f"Invalid value at '{where}': expected an object")
            for key, each in value.items():
                if key not in kind:
                    raise Wrong(f"Invalid JSON payload received. Unknown name \"{key}\" at '{where}'")
                check(each, kind[key], f"{where}.{key}")
        case list():
            if not isinstance(value, list):
                raise Wrong(f"Invalid value at '{where}': expected a list")
            for each in value:
                check(each, kind[0], where)
        case tuple():
            if value not in kind:
                raise Wrong(f"Invalid value at '{where}': {value!r}")
        case type():
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise Wrong(f"Invalid value at '{where}': {value!r}")
        case _:
            if not kind(value):
                raise Wrong(f"Request contains an invalid argument: {where}")


def checked(message: Json) -> tuple[str, Json]:
    """The one member of a client's message, and what it holds."""
    fields = camel(message)
    if len(fields) != 1:
        raise Wrong(f"exactly one of the fields should be set; found {sorted(fields)}")
    [(name, value)] = fields.items()
    if name == "realtimeInput" and isinstance(value, dict) and "mediaChunks" in value:
        raise Wrong("realtime_input.media_chunks is deprecated. Use audio, video, or text instead.")
    check(fields, MESSAGES, "message")
    if name == "realtimeInput" and len(value) != 1:
        raise Wrong("realtimeInput should have one member")
    return name, value
