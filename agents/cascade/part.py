"""Opens what one part of a cascade talks over, and says which part it was that failed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from websockets.exceptions import InvalidStatus

from agents.errors import ConfigError, ErrorCategory, ProviderError
from agents.providers.access import socket_url
from agents.providers.socket import Codec, SocketConnection, open_socket
from agents.realtime import RealtimeConnectOptions

_SPENT: Final = (b"PAYMENT_REQUIRED", b"quota_exceeded", b"insufficient")
"""What stands in the refusal of an account that has nothing left to spend, whatever its status is."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a part is reached. `part` is its name in errors, `key_name` the variable that holds its key."""

    part: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    key_name: str

    async def open(self, codec: Codec, options: RealtimeConnectOptions) -> SocketConnection:
        """A connection that speaks through this codec. Raises ProviderError that names the part."""
        with naming(self.part):
            return SocketConnection(await open_socket(self.url, self.headers, options, key_name=self.key_name), codec)


def address(base_url: str, path: str, query: Mapping[str, Any], *, like: str) -> str:
    """The address of a part. A list in the query is said once for each of its entries; raises ConfigError."""
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if not isinstance(each, (str, int, float)):
                raise ConfigError(f"the option {name} should be a text, a number, true or false, or a list of them")
            pairs.append((name, str(each).lower() if isinstance(each, bool) else str(each)))
    url = socket_url(base_url, path, like=like)
    return f"{url}{'&' if '?' in url else '?'}{urlencode(pairs)}" if pairs else url


@contextmanager
def naming(part: str) -> Iterator[None]:
    """Lets each ProviderError say which part failed; a refusal that is about money is one of quota."""
    try:
        yield
    except ProviderError as error:
        raise named(part, error) from error


def named(part: str, error: ProviderError) -> ProviderError:
    code, is_retryable, category = error.code, error.retryable, error.category
    if _is_spent(error.__cause__):
        code, is_retryable, category = "quota", False, _QUOTA
    return ProviderError(f"{part}: {error}", code=code, retryable=is_retryable, category=category)


_QUOTA: Final[ErrorCategory] = "quota"


def _is_spent(cause: BaseException | None) -> bool:
    if not isinstance(cause, InvalidStatus):
        return False
    body = cause.response.body or b""
    return cause.response.status_code == 402 or any(word in body for word in _SPENT)
