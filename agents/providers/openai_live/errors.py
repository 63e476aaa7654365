"""What goes wrong with a live session, in our words."""

import re
from collections.abc import Mapping
from typing import Any, Final

from agents.errors import ErrorCategory, ProviderError
from agents.events import SessionError
from agents.providers.openai_live.appends import asked_by
from agents.providers.socket import MAX_CODE_CHARS, MAX_EXPLANATION_CHARS, PERMANENT_CODES
from agents.providers.wire_json import optional_text

_BENIGN: Final = frozenset(
    {
        "context_injection_incomplete",  # at the end: what was appended last came too late to be spoken of
    }
)

_RETRYABLE: Final = frozenset({"rate_limit_error", "rate_limit_exceeded", "server_error", "session_expired"})

_CATEGORIES: Final[Mapping[str, ErrorCategory]] = {
    "authentication_error": "auth",
    "permission_error": "auth",
    "insufficient_permissions": "auth",
    "model_not_found": "auth",  # the key's project has no access to it; no other request helps
}

_KEY: Final = re.compile(r"\b[se]k[-_][\w*-]{4,}")


def error_of(fields: Mapping[str, Any]) -> SessionError:
    """An `error` object. `event_id` is that of the request which it refuses."""
    kind = optional_text(fields, "type") or ""
    code = optional_text(fields, "code") or kind or "error"
    message = _KEY.sub("…", optional_text(fields, "message") or "")
    refused = optional_text(fields, "client_event_id")
    return SessionError(
        code[:MAX_CODE_CHARS],
        message[:MAX_EXPLANATION_CHARS],
        retryable=code not in PERMANENT_CODES and (code in _RETRYABLE or kind in _RETRYABLE),
        benign=code in _BENIGN,
        event_id=None if refused is None else asked_by(refused),
        category=_CATEGORIES.get(code) or _CATEGORIES.get(kind),
    )


def ending(reason: str) -> ProviderError | None:
    """What the reason of `session.closed` means; None for an end in good order."""
    match reason:
        case "close_requested" | "remote_hangup":
            return None
        case "expired":
            said = "the session is over: its time is up, or it heard nothing for half a minute"
            return ProviderError(said, code="session_expired", retryable=True)
        case "content":
            said = "the model's side ended the session for what was said in it"
            return ProviderError(said, code="content", retryable=False, category="invalid_request")
        case "connection_lost":
            return ProviderError("the model's side lost the session", code="connection_lost", retryable=True)
        case _:
            said = f"the model's side ended the session: {reason[:MAX_EXPLANATION_CHARS]}"
            return ProviderError(said, code="closed", retryable=True)
