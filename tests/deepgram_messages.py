"""What a client may send to Deepgram's Voice Agent (V1), field by field, as its published types have it."""

from typing import Any, Final

from tests.wire_shape import ANYTHING, Is, Maybe, Or

_ENDPOINT: Final = {"url": str, "headers": Maybe(ANYTHING)}
_LISTEN: Final = Or(
    {
        "type": Is("deepgram"),
        "version": Is("v1"),
        "model": str,
        "language": Maybe(str),
        "keyterms": Maybe([str]),
        "smart_format": Maybe(bool),
    },
    {
        "type": Is("deepgram"),
        "version": Is("v2"),
        "model": str,
        "language_hints": Maybe([str]),
        "keyterms": Maybe([str]),
        "eot_threshold": Maybe(float),
        "eager_eot_threshold": Maybe(float),
        "eot_timeout_ms": Maybe(int),
    },
)
_THINK: Final = {
    "provider": {
        "type": Is("open_ai", "anthropic", "google", "groq", "aws_bedrock", "deepgram"),
        "model": str,
        "version": Maybe(str),
        "temperature": Maybe(float),
        "reasoning_mode": Maybe(str),
    },
    "endpoint": Maybe(_ENDPOINT),
    "prompt": Maybe(str),
    "context_length": Maybe(Or(int, Is("max"))),
    "functions": Maybe(
        [
            {
                "name": str,
                "description": Maybe(str),
                "parameters": Maybe(ANYTHING),
                "endpoint": Maybe(_ENDPOINT),
                "defer_until_eot": Maybe(bool),
            }
        ]
    ),
}
_SPEAK: Final = {
    "provider": Or(
        {
            "type": Is("deepgram"),
            "version": Maybe(Is("v1", "v2")),
            "model": str,
            "speed": Maybe(float),
            "expressivity": Maybe(int),
        },
        {"type": Is("eleven_labs"), "model_id": str, "version": Maybe(str), "language_code": Maybe(str)},
        {"type": Is("cartesia"), "model_id": str, "version": Maybe(str), "voice": ANYTHING, "language": Maybe(str)},
        {"type": Is("open_ai"), "model": str, "voice": str, "version": Maybe(str)},
    ),
    "endpoint": Maybe(_ENDPOINT),
}
_CALL: Final = {"id": str, "name": str, "client_side": bool, "arguments": str, "response": str}
_PAST: Final = Or(
    {"type": Is("History"), "role": Is("user", "assistant"), "content": str},
    {"type": Is("History"), "function_calls": [_CALL]},
)

MESSAGES: Final[dict[str, Any]] = {
    "Settings": {
        "type": str,
        "tags": Maybe([str]),
        "experimental": Maybe(bool),
        "mip_opt_out": Maybe(bool),
        "flags": Maybe({"history": Maybe(bool)}),
        "audio": {
            "input": {"encoding": Is("linear16", "mulaw"), "sample_rate": int},
            "output": {
                "encoding": Is("linear16", "mulaw"),
                "sample_rate": int,
                "container": Is("none"),
            },
        },
        "agent": {
            "language": Maybe(str),
            "listen": Maybe({"provider": _LISTEN}),
            "think": Maybe(Or(_THINK, [_THINK])),
            "speak": Maybe(Or(_SPEAK, [_SPEAK])),
            "greeting": Maybe(str),
            "context": Maybe({"messages": [_PAST]}),
        },
    },
    "KeepAlive": {"type": str},
    "UpdatePrompt": {"type": str, "prompt": str},
    "UpdateSpeak": {"type": str, "speak": Or(_SPEAK, [_SPEAK])},
    "UpdateThink": {"type": str, "think": Or(_THINK, [_THINK])},
    "UpdateListen": {"type": str, "listen": {"provider": _LISTEN}},
    "InjectAgentMessage": {"type": str, "message": str, "behavior": Maybe(Is("default", "queue", "interrupt"))},
    "InjectUserMessage": {"type": str, "content": str},
    "FunctionCallResponse": {"type": str, "id": str, "name": str, "content": str},
    "ForceEndTurn": {"type": str},
}
