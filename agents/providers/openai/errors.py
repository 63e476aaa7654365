"""What the errors of an OpenAI Realtime server mean: which pass by themselves, which are nothing, which are final."""

import re
from collections.abc import Mapping
from typing import Final

from agents.errors import ErrorCategory, ProviderError
from agents.events import SessionError
from agents.providers.socket import MAX_CODE_CHARS, MAX_EXPLANATION_CHARS, usual_loss
from agents.providers.wire_json import Message, optional_text

_CATEGORIES: Final[Mapping[str, ErrorCategory]] = {
    "account_deactivated": "auth",
    "authentication_error": "auth",
    "invalid_api_key": "auth",
    "permission_error": "auth",
    "billing_hard_limit_reached": "quota",
    "credit_balance_exhausted": "quota",
    "insufficient_quota": "quota",
    "rate_limit_error": "rate",
    "rate_limit_exceeded": "rate",
    "session_expired": "session_limit",
    "server_error": "unavailable",
    "service_unavailable": "unavailable",
}
"""By an error's code or, of a code that says less, its type."""

_LATER: Final[frozenset[ErrorCategory]] = frozenset({"rate", "session_limit", "unavailable"})
"""What passes by itself, or with a new session."""

_FINAL: Final[frozenset[ErrorCategory | None]] = frozenset({"auth", "quota", "session_limit"})
"""After such an error the server ends the connection, whatever it says then."""

_BUSY: Final = "conversation_already_has_active_response"

_BENIGN: Final = frozenset(
    {
        "response_cancel_not_active",  # it ended while our cancel was under way
        "input_audio_buffer_commit_empty",  # voice detection committed first, or there was nothing to hear
    }
)
_TRUNCATED_TOO_LATE: Final = "already shorter than"  # has no code; the server truncates all the same
_AT_ITS_LONGEST: Final = "maximum duration"
_KEY: Final = re.compile(r"\b[se]k[-_][\w*-]{4,}")


def session_error(error: Message, otherwise: str = "error") -> SessionError:
    """The event of an error object; `otherwise` is its code when it has none. Raises WireError for a broken one."""
    kind, code = optional_text(error, "type"), optional_text(error, "code")
    message = _KEY.sub("…", optional_text(error, "message") or "")
    if not code and _AT_ITS_LONGEST in message:
        code = "session_expired"
    code = code or kind or otherwise
    of_kind = _CATEGORIES.get(kind or "")
    category = of_kind if of_kind in ("auth", "quota") else _CATEGORIES.get(code) or of_kind
    return SessionError(
        code[:MAX_CODE_CHARS],
        message[:MAX_EXPLANATION_CHARS],
        retryable=category in _LATER or code == _BUSY,
        benign=code in _BENIGN or _TRUNCATED_TOO_LATE in message,
        event_id=optional_text(error, "event_id"),
        category=category,
    )


def is_final(error: SessionError) -> bool:
    """Whether the session ends with this error: nothing that is asked of it will be answered."""
    return error.category in _FINAL


def loss_after(error: SessionError | None, code: int | None, reason: str) -> ProviderError | None:
    """What the end of a connection means whose last final error, if any, was this one."""
    loss = usual_loss(code, reason)
    if error is None or (loss is not None and loss.code in ("auth", "session_expired")):
        return loss
    said = f"the model's side ended the session: {error.message or error.code}"
    return ProviderError(said, code=error.code, retryable=error.retryable, category=error.category)
