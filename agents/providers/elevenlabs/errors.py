"""What goes wrong at ElevenLabs, in our words."""

import re
from collections.abc import Mapping
from typing import Final

from agents.errors import ErrorCategory, ProviderError
from agents.events import SessionError
from agents.providers.socket import MAX_CODE_CHARS, MAX_EXPLANATION_CHARS, WireError, usual_loss
from agents.providers.wire_json import Message, optional_object, optional_text

_CATEGORIES: Final[Mapping[str, ErrorCategory]] = {
    "invalid_message": "invalid_request",
    "max_duration_exceeded": "session_limit",
    "missing_dynamic_variable": "invalid_request",
    "missing_dynamic_variable_transfer": "invalid_request",
    "missing_fields": "invalid_request",
    "override_error": "invalid_request",
    "safety_violation": "invalid_request",
    "telephony_agent_error": "invalid_request",
    "transport_receive_timeout": "network",
    "value_error": "invalid_request",
    "websocket_disconnect": "network",
}
"""By `error_type`. All others are failures of a part of the service: it cannot serve now."""

_WORDS: Final[tuple[tuple[ErrorCategory, re.Pattern[str]], ...]] = (
    ("quota", re.compile("quota|credits|subscription")),
    ("auth", re.compile("authori|authenticat|api key|signature|signed url")),
    ("rate", re.compile("concurren|too many|rate limit|queue|busy")),
    ("session_limit", re.compile("duration")),
    ("invalid_request", re.compile("override|dynamic variable|not allowed|not found")),
)
"""What explanations say where there is no type, and where a type says less than they do."""

_TRANSIENT: Final = frozenset({"rate", "session_limit", "network", "unavailable"})

_OVERRIDDEN: Final = re.compile(r"field '([\w.]+)'")

_FIELDS: Final = {
    "first_message": "greeting",
    "prompt": "instructions",
    "voice_id": "voice",
    "speed": "speed",
    "language": "transcription.language",
    "keywords": "transcription.prompt",
}
"""The agent file's name of each field that we override by ourselves."""

QUEUE_TIMED_OUT: Final = 4300
"""The close code of a connection that waited in vain for one of the account's places."""


def session_error(fields: Message) -> SessionError:
    """The error of an `error` or `client_error` message. Raises WireError for a broken one."""
    event = optional_object(fields, "error_event") or fields
    number = event.get("code")
    if not isinstance(number, int | None):
        raise WireError("error_event.code should be a whole number")
    named = optional_text(event, "error_type") or optional_text(event, "error_name")
    code = (named or (str(number)[:MAX_CODE_CHARS] if number is not None else "error"))[:MAX_CODE_CHARS]
    texts = (optional_text(event, key) for key in ("message", "reason", "debug_message"))
    said = next((text for text in texts if text), "no explanation")[:MAX_EXPLANATION_CHARS]
    category = _CATEGORIES.get(code) or _by_words(said) or ("invalid_request" if number == 1008 else "unavailable")
    return SessionError(code, _with_cure(code, said), retryable=category in _TRANSIENT, category=category)


def loss(code: int | None, reason: str, told: SessionError | None) -> ProviderError | None:
    """What the end of a connection means, whose last word may have been an error."""
    if told is not None:
        problem = f"ElevenLabs ended the conversation: {told.message}"
        return ProviderError(problem, code=told.code, retryable=told.retryable, category=told.category)
    category: ErrorCategory | None = "rate" if code == QUEUE_TIMED_OUT else _by_words(reason) if code else None
    if code is None or category is None:
        return usual_loss(code, reason)
    if code in (1000, 1001, 1005) and category != "session_limit":
        return None
    said = f"ElevenLabs closed the connection with {code} {_with_cure('', reason)!r}"
    codes = {"session_limit": "session_expired", "invalid_request": "closed"}
    return ProviderError(said, code=codes.get(category, category), retryable=category in _TRANSIENT, category=category)


def _by_words(said: str) -> ErrorCategory | None:
    said = said.lower()
    return next((category for category, words in _WORDS if words.search(said)), None)


def _with_cure(code: str, said: str) -> str:
    if code != "override_error" and not said.startswith("Override for"):
        return said
    field = _OVERRIDDEN.search(said)
    ours = _FIELDS.get(field[1].rpartition(".")[2], "it") if field else "it"
    return f"{said}; allow this override in the agent's security settings at ElevenLabs, or leave {ours} out"
