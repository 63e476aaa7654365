"""What AssemblyAI's errors and closed connections mean."""

import re
from typing import Final

from agents.errors import ErrorCategory, ProviderError
from agents.events import SessionError
from agents.providers.socket import MAX_CODE_CHARS, MAX_EXPLANATION_CHARS, usual_loss

_PERMANENT: Final = frozenset[ErrorCategory]({"auth", "quota", "invalid_request"})

TRY_AGAIN_LATER: Final = frozenset({1011, 1012, 1013, 1014})
"""Close codes of a server that is there and cannot serve now."""

_BY_WORDS: Final[tuple[tuple[re.Pattern[str], ErrorCategory], ...]] = (
    (re.compile(r"session (not found|forbidden|expired)|max\w*.{0,12}(session|duration)"), "session_limit"),
    (re.compile(r"too many|rate limit|concurren"), "rate"),
    (re.compile(r"payment|credit|quota|balance|billing|funds"), "quota"),
    (re.compile(r"unauthori[sz]ed|forbidden|api key|token"), "auth"),
    (re.compile(r"invalid|immutable|unsupported|unknown"), "invalid_request"),
)
"""What the words of a code and its message stand for, the first that fits. A session that cannot be resumed is over:
a new one goes on, whoever it belonged to.
"""

_ENDING: Final = frozenset({"unauthorized", "forbidden", "internal_error"})
"""Codes that the server closes the connection after, beside those of a session that is over."""


def category_of(code: str, message: str = "") -> ErrorCategory:
    said = f"{code} {message}".lower().replace("_", " ")
    return next((category for pattern, category in _BY_WORDS if pattern.search(said)), "unavailable")


def ends_session(code: str) -> bool:
    return code.lower() in _ENDING or category_of(code) == "session_limit"


def failure(code: str, message: str) -> ProviderError:
    """An error after which there is no session."""
    category = category_of(code)
    if category not in ("invalid_request", "session_limit"):  # a code of refusals may stand for several reasons
        category = category_of(code, message)
    problem = f"AssemblyAI ended the session: {code}: {message}"[:MAX_EXPLANATION_CHARS]
    return ProviderError(problem, code=code[:MAX_CODE_CHARS], retryable=category not in _PERMANENT, category=category)


def complaint(code: str, message: str) -> SessionError:
    """An error that the session survives."""
    category = category_of(code)
    return SessionError(
        code[:MAX_CODE_CHARS],
        message[:MAX_EXPLANATION_CHARS],
        retryable=category not in _PERMANENT,
        category=category,
    )


def loss(code: int | None, reason: str) -> ProviderError | None:
    """The end of a connection without an error before it."""
    found = usual_loss(code, reason)
    category = category_of("", reason) if reason and code is not None else "unavailable"
    if category == "session_limit" or (found and category != "unavailable"):
        return _closed(code, reason, category)
    if found and code in TRY_AGAIN_LATER:
        return ProviderError(str(found), code=found.code, retryable=True, category="unavailable")
    return found


def _closed(code: int | None, reason: str, category: ErrorCategory) -> ProviderError:
    said = f"AssemblyAI closed the connection with {code} {reason!r}"
    name = "session_expired" if category == "session_limit" else category
    return ProviderError(said, code=name, retryable=category not in _PERMANENT, category=category)
