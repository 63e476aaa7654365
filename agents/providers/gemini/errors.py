"""What goes wrong with Gemini Live: the ends of connections and the refusals of requests, in our categories.

Google says most of it in words: one close code stands for a wrong key, an empty account and a field that is none.
"""

import re
from collections.abc import Mapping
from typing import Final

from agents.errors import ErrorCategory, ProviderError
from agents.events import SessionError
from agents.providers.socket import MAX_CODE_CHARS, MAX_EXPLANATION_CHARS, WireError, usual_loss
from agents.providers.wire_json import Message, optional_text

_WORDS: Final[tuple[tuple[re.Pattern[str], ErrorCategory], ...]] = (
    (re.compile(r"go ?away", re.I), "session_limit"),
    (re.compile(r"per minute|per second|retry in|too many|rate.?limit", re.I), "rate"),
    (re.compile(r"current quota|billing|credits|prepa(y|id)|insufficient.quota|quota exceeded", re.I), "quota"),
    (re.compile(r"resource.(has been )?exhausted", re.I), "rate"),
    (re.compile(r"quota", re.I), "quota"),
    (
        re.compile(r"api.?key|unauthenticated|unregistered callers|permission|credential|auth.?token", re.I),
        "auth",
    ),
    (re.compile(r"unavailable|overloaded|operation was aborted|deadline|internal error", re.I), "unavailable"),
)
"""What the words of a refusal stand for; the first that is found counts."""

_BY_CLOSE_CODE: Final[Mapping[int, ErrorCategory]] = {
    1000: "unavailable",
    1001: "unavailable",
    1005: "unavailable",
    1007: "invalid_request",
    1008: "invalid_request",
    1009: "invalid_request",
    1011: "unavailable",
    1012: "unavailable",
    1013: "unavailable",
    1014: "unavailable",
}
"""What a close code stands for when its words say nothing. Gemini never ends a conversation of its own accord, so that
closing in good order (1000, 1001) is the end of a connection and not of the conversation."""

_PASSING: Final[frozenset[ErrorCategory]] = frozenset({"rate", "session_limit", "network", "unavailable"})
_SECRET: Final = re.compile(r"\b(AIza[\w-]{6,}|auth_tokens/[\w-]+)")


def category_in(words: str) -> ErrorCategory | None:
    """What the words of a refusal stand for; None when they say nothing of it."""
    return next((category for pattern, category in _WORDS if pattern.search(words)), None)


def sharpened(error: ProviderError) -> ProviderError:
    """A refusal over HTTP with the category that its words tell: a wrong key is a 400, an empty account a 429."""
    told = category_in(str(error))
    is_an_answer = error.category in ("invalid_request", "rate", "quota")
    if told is None or told == error.category or error.code == "aborted" or not is_an_answer:
        return error
    return ProviderError(str(error), code=error.code, retryable=told in _PASSING, category=told)


def loss(code: int | None, reason: str, *, is_leaving: bool, is_resuming: bool) -> ProviderError:
    """What the end of a connection means that we did not end.

    `is_leaving`: the end was announced. `is_resuming`: the session that should be resumed was not taken up yet; what is
    refused then is its handle, and a new session goes on.
    """
    if code is None:
        found = usual_loss(None, reason)
        if found is not None and not is_leaving:
            return found
    category = category_in(reason) or _BY_CLOSE_CODE.get(code or 1006, "unavailable")
    if (is_leaving and category == "unavailable") or (is_resuming and category == "invalid_request"):
        category = "session_limit"
    said = f"Gemini closed the connection with {code or 1006} {without_secrets(reason)!r}"
    return ProviderError(said, code=str(code or 1006), retryable=category in _PASSING, category=category)


def session_error(error: Message) -> SessionError:
    """An error in JSON. Raises WireError for one that says neither code nor status."""
    status, number = optional_text(error, "status"), error.get("code")
    code = status or (str(number) if isinstance(number, int | str) else "")
    if not code:
        raise WireError("an error should have a code or a status")
    words = optional_text(error, "message") or ""
    category = category_in(words) or category_in(code.replace("_", " ")) or _of_number(number)
    return SessionError(
        code[:MAX_CODE_CHARS],
        without_secrets(words)[:MAX_EXPLANATION_CHARS],
        retryable=category in _PASSING,
        category=category,
    )


def without_secrets(words: str) -> str:
    return _SECRET.sub("…", words)


def _of_number(number: object) -> ErrorCategory:
    match number:
        case 401 | 403:
            return "auth"
        case 429:
            return "rate"
        case int() if number >= 500:
            return "unavailable"
        case _:
            return "invalid_request"
