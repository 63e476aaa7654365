"""The errors that cross a room's wall.

GatewayError
  ConfigError       the operator's file, environment or call of our API is wrong
    NotSupportedError   asked for something that this model, channel or version cannot do
  ProviderError     the model's side failed
  ChannelError      the line broke in a way that is not hanging up
  ToolError         raised by a tool, for the model to read
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

ErrorCategory = Literal["auth", "quota", "rate", "invalid_request", "session_limit", "network", "unavailable"]
"""What went wrong on the model's side, in the same words for every provider:

    auth             the key or credential is not accepted; the operator must act
    quota            nothing is left to spend; the operator must act
    rate             too much at once; later it will do
    invalid_request  we asked for something that cannot be; asking again cannot help
    session_limit    the provider's longest session is over; a new one goes on
    network          the way there broke
    unavailable      the provider is there and cannot serve now
"""

_CATEGORIES: Final[Mapping[str, ErrorCategory]] = {
    "account_deactivated": "auth",
    "aborted": "invalid_request",
    "auth": "auth",
    "billing_hard_limit_reached": "quota",
    "closed": "network",
    "credit_balance_exhausted": "quota",
    "insufficient_quota": "quota",
    "invalid_api_key": "auth",
    "network": "network",
    "quota": "quota",
    "quota_exceeded": "quota",
    "rate_limit_error": "rate",
    "rate_limit_exceeded": "rate",
    "session_expired": "session_limit",
}


def category_of(code: str, retryable: bool) -> ErrorCategory:
    """What a code stands for; of one nobody knows, whether it may pass by itself says it."""
    return _CATEGORIES.get(code) or ("unavailable" if retryable else "invalid_request")


class GatewayError(Exception):
    """Every error that this project raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in an operator's file: where, what was found, what would be right.

    `line` counts from 1; None when the file as a whole is meant. `field` is a dotted path, empty for the whole file.
    """

    file: Path
    line: int | None
    field: str
    found: str
    right: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        field = f" {self.field}:" if self.field else ""
        return f"{place}:{field} found {self.found}; {self.right}"


class ConfigError(GatewayError):
    """The operator's file or environment, or a caller's use of our API, is wrong. `problems` has every place."""

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class NotSupportedError(ConfigError):
    """Something real was asked for that this model, channel or version cannot do: refused, never ignored."""


class ProviderError(GatewayError):
    """The model's side failed.

    `code` is the provider's own code, or ours for what happens before the provider speaks: `auth`, `network`,
    `timeout`, `closed`. `retryable` says whether the same request may succeed later, unchanged. `category` follows
    from both, unless the provider's module knows better.
    """

    def __init__(self, message: str, *, code: str, retryable: bool, category: ErrorCategory | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.category: ErrorCategory = category or category_of(code, retryable)


class ChannelError(GatewayError):
    """The line broke in a way that is not hanging up, or said something that no healthy line says."""


class ToolError(GatewayError):
    """Raised by a tool to tell the model, in the message, what went wrong."""
