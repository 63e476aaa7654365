"""The messages of an ElevenLabs Agents conversation, as its published schema has them, and a strict eye for them.

A field that ends in ? may be left out. `is_final` of audio, `response_id`, `expects_response` and the payload of
`agent_response_complete` are not in that schema: they are what others report from the wire.
"""

from collections.abc import Mapping
from types import UnionType
from typing import Any

Shape = Mapping[str, Any] | type | UnionType | tuple[Any, ...] | list[Any] | None

FORMATS = ("pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100", "pcm_48000", "ulaw_8000")
ERROR_CODES = (1000, 1002, 1008, 1011)

OVERRIDES: Shape = {
    "agent?": {
        "prompt?": {"prompt?": str, "llm?": str},
        "first_message?": str,
        "language?": str,
        "native_mcp_server_ids?": [str],
    },
    "tts?": {"voice_id?": str, "stability?": int | float, "speed?": int | float, "similarity_boost?": int | float},
    "asr?": {"keywords?": [str]},
    "conversation?": {"text_only?": bool, "client_events?": [str]},
}

CLIENT: Mapping[str, Shape] = {
    "conversation_initiation_client_data": {
        "conversation_config_override?": OVERRIDES,
        "custom_llm_extra_body?": None,
        "dynamic_variables?": None,
        "user_id?": str,
        "branch_id?": str,
        "environment?": str,
        "source_info?": {"source?": str, "version?": str},
        "tool_mock_config?": None,
    },
    "pong": {"event_id": int},
    "client_tool_result": {"tool_call_id": str, "result": str, "is_error": bool},
    "contextual_update": {"text": str, "context_id?": str},
    "user_message": {"text": str},
    "user_activity": {},
    "feedback": {"event_id": int, "score": ("like", "dislike", None)},
    "mcp_tool_approval_result": {"tool_call_id": str, "is_approved": bool},
}

TOOL: Shape = {
    "tool_name": str,
    "tool_call_id": str,
    "parameters": None,
    "event_id": int,
    "expects_response?": bool,
}

SERVER: Mapping[str, Shape] = {
    "conversation_initiation_metadata": {
        "conversation_initiation_metadata_event": {
            "conversation_id": str,
            "agent_output_audio_format": FORMATS,
            "user_input_audio_format": FORMATS,
        }
    },
    "audio": {
        "audio_event": {"audio_base_64": str, "event_id": int, "alignment?": None, "is_final?": bool},
    },
    "user_transcript": {"user_transcription_event": {"user_transcript": str, "event_id": int}},
    "tentative_user_transcript": {"tentative_user_transcription_event": {"user_transcript": str, "event_id": int}},
    "agent_response": {"agent_response_event": {"agent_response": str, "event_id": int, "response_id?": str}},
    "agent_chat_response_part": {
        "text_response_part": {"text": str, "type": ("start", "delta", "stop"), "event_id?": int},
    },
    "agent_response_complete": {"agent_response_complete_event": {"event_id": int}},
    "agent_response_correction": {
        "agent_response_correction_event": {
            "original_agent_response": str,
            "corrected_agent_response": str,
            "event_id": int,
        }
    },
    "interruption": {"interruption_event": {"event_id": int}},
    "ping": {"ping_event": {"event_id": int, "ping_ms?": int}},
    "client_tool_call": {"client_tool_call": TOOL},
    "vad_score": {"vad_score_event": {"vad_score": int | float}},
    "error": {
        "error_event": {
            "code": ERROR_CODES,
            "message?": str,
            "error_type?": str,
            "reason?": str,
            "debug_message?": str,
            "details?": None,
        }
    },
}


def client_faults(message: Any) -> list[str]:
    """What the platform would refuse about a client's message."""
    if isinstance(message, dict) and "user_audio_chunk" in message:
        return faults(message, {"user_audio_chunk": str}, "user_audio_chunk")
    return _faults_of_kind(message, CLIENT)


def server_faults(message: Any) -> list[str]:
    """What is wrong with a message of the fake's own."""
    return _faults_of_kind(message, SERVER)


def _faults_of_kind(message: Any, known: Mapping[str, Shape]) -> list[str]:
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in known:
        return [f"no message is of type {kind!r}"]
    return faults({key: value for key, value in message.items() if key != "type"}, known[kind], kind)


def faults(value: Any, shape: Shape, at: str) -> list[str]:
    """Where the value differs from the shape: None is anything, a tuple is a choice, a list is of one shape."""
    match shape:
        case None:
            return []
        case tuple():
            return [] if value in shape else [f"{at} is none of {shape}"]
        case [each]:
            if not isinstance(value, list):
                return [f"{at} is no list"]
            return [fault for item in value for fault in faults(item, each, at)]
        case Mapping():
            return _faults_of_fields(value, shape, at)
        case _:
            is_right = isinstance(value, shape) and not (shape is int and isinstance(value, bool))  # type: ignore[arg-type]
            return [] if is_right else [f"{at} is no {shape}"]


def _faults_of_fields(value: Any, shape: Mapping[str, Any], at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at} is no object"]
    fields = {key.rstrip("?"): each for key, each in shape.items()}
    found = [f"{at}.{key} is unknown" for key in value.keys() - fields.keys()]
    found += [f"{at}.{key} is missing" for key in shape if not key.endswith("?") and key not in value]
    return found + [
        fault for key in value.keys() & fields.keys() for fault in faults(value[key], fields[key], f"{at}.{key}")
    ]
