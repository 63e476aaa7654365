"""What Deepgram's errors, warnings and closed connections mean."""

import re
from collections.abc import Mapping
from typing import Final

from agents.errors import ErrorCategory, ProviderError
from agents.events import SessionError, SessionExpiring
from agents.providers.socket import MAX_CODE_CHARS, MAX_EXPLANATION_CHARS, usual_loss

REFUSED_INJECTIONS: Final = frozenset(
    {"INJECT_AGENT_MESSAGE_DURING_USER_SPEECH", "INJECT_AGENT_MESSAGE_DURING_AGENT_SPEECH"}
)
"""Warnings that say the same as an InjectionRefused."""

_CATEGORIES: Final[Mapping[str, ErrorCategory]] = {
    "AGENT_ID_NOT_SUPPORTED": "invalid_request",
    "INVALID_AGENT_ID": "invalid_request",
    "INVALID_AUTH": "auth",
    "INVALID_SETTINGS": "invalid_request",
    "INSUFFICIENT_PERMISSIONS": "auth",
    "NON_EXISTENT_FUNCTION_CALLED": "invalid_request",
    "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS": "invalid_request",
    "SETTINGS_ALREADY_APPLIED": "invalid_request",
    "UNPARSABLE_CLIENT_MESSAGE": "invalid_request",
    "USER_AUDIO_FORMAT": "invalid_request",
    "CLIENT_MESSAGE_TIMEOUT": "network",
    "ASR_CONNECTION_CLOSED": "unavailable",
    "ASR_DRIVER_TIMEOUT": "unavailable",
    "FAILED_TO_SPEAK": "unavailable",
    "FAILED_TO_START_LISTENING": "unavailable",
    "FAILED_TO_THINK": "unavailable",
    "INTERNAL_SERVER_ERROR": "unavailable",
    "SERVER_GOING_AWAY": "unavailable",
}
_HARMFUL_WARNINGS: Final[Mapping[str, ErrorCategory]] = {
    "FUNCTION_CALL_FAILED": "unavailable",
    "GPT_4O_STREAM_END_ERROR": "unavailable",
    "PROMPT_TOO_LONG": "invalid_request",
    "SPEAK_REQUEST_FAILED": "unavailable",
    "THINK_REQUEST_FAILED": "unavailable",
}
"""Warnings that people should see. The others say that something is slow, or was done otherwise than asked."""

_PERMANENT: Final = frozenset[ErrorCategory]({"auth", "quota", "invalid_request"})
TRY_AGAIN_LATER: Final = frozenset({1011, 1012, 1013, 1014})
"""Close codes of a server that is there and cannot serve now."""

_BY_WORDS: Final[tuple[tuple[re.Pattern[str], ErrorCategory], ...]] = (
    (re.compile(r"payment|credit|quota|balance|billing"), "quota"),
    (re.compile(r"too.many|rate.limit|concurren"), "rate"),
    (
        re.compile(r"max\w*.{0,12}(session|duration|length)|(session|duration).{0,20}(limit|exceed|maximum)"),
        "session_limit",
    ),
    (re.compile(r"unauthori[sz]ed|forbidden|credentials|permission"), "auth"),
)
"""For codes that no documentation has: what their words stand for, the first that fits."""


def category_of(code: str, words: str) -> ErrorCategory:
    if known := _CATEGORIES.get(code):
        return known
    said = f"{code} {words}".lower().replace("_", " ")
    return next((category for pattern, category in _BY_WORDS if pattern.search(said)), "unavailable")


def fatal(code: str, description: str) -> ProviderError:
    """An Error: the session cannot go on."""
    category = category_of(code, description)
    problem = f"Deepgram ended the session: {code}: {description}"[:MAX_EXPLANATION_CHARS]
    return ProviderError(problem, code=code[:MAX_CODE_CHARS], retryable=category not in _PERMANENT, category=category)


def warning(code: str, description: str) -> SessionError | SessionExpiring:
    """A Warning: the session goes on."""
    if category_of(code, description) == "session_limit":
        return SessionExpiring()
    category = _HARMFUL_WARNINGS.get(code)
    if category is None:
        return _error(code, description, "unavailable", retryable=True, benign=True)
    return _error(code, description, category, retryable=category not in _PERMANENT)


def loss(code: int | None, reason: str) -> ProviderError | None:
    """The end of a connection without an Error."""
    found = usual_loss(code, reason)
    category = category_of("", reason) if reason and code is not None else "unavailable"
    if category == "session_limit" or (found and category != "unavailable"):
        return _closed(code, reason, category)
    if found and code in TRY_AGAIN_LATER:
        return ProviderError(str(found), code=found.code, retryable=True, category="unavailable")
    return found


def _closed(code: int | None, reason: str, category: ErrorCategory) -> ProviderError:
    said = f"Deepgram closed the connection with {code} {reason!r}"
    name = "session_expired" if category == "session_limit" else category
    return ProviderError(said, code=name, retryable=category not in _PERMANENT, category=category)


def _error(code: str, message: str, category: ErrorCategory, *, retryable: bool, benign: bool = False) -> SessionError:
    return SessionError(
        code[:MAX_CODE_CHARS] or "error",
        message[:MAX_EXPLANATION_CHARS],
        retryable=retryable,
        benign=benign,
        category=category,
    )
