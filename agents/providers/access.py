"""What every provider needs before there is a socket: a key, an address, an ephemeral credential."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp

from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.providers.socket import fit_for_log, refused, secrets_of
from agents.realtime import ApiKey, ClientCredential, TokenCredential, refuse_expired

KEY_TIMEOUT_S: Final = 5.0
"""A function that fetches the key may ask another machine; a caller is waiting."""

AUTHENTICATE_TIMEOUT_S: Final = 10.0
"""A browser waits for its credential."""

MAX_ANSWER_BYTES: Final = 256 * 1024
"""The answer to a request for a credential repeats the session: a few kilobytes."""


async def resolve_key(api_key: ApiKey | None, *, whose: str, variable: str) -> str:
    """The key, asked for now. Raises ConfigError that names the environment variable when there is none."""
    if callable(api_key):
        try:
            async with asyncio.timeout(KEY_TIMEOUT_S):
                answer = api_key()
                key = answer if isinstance(answer, str) else await answer
        except TimeoutError as error:
            raise ConfigError(f"the api_key function gave no key within {KEY_TIMEOUT_S:g} s") from error
    else:
        key = api_key or ""
    key = key.strip()
    if not key:
        raise ConfigError(f"there is no {whose} key: set {variable}, or pass api_key or a credential")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"the {whose} key has characters that no key has; check {variable}")
    return key


def token_of(credential: ClientCredential | None, *, whose: str) -> str | None:
    """The token of a fresh token credential; None without any. Raises NotSupportedError for another kind."""
    match credential:
        case None:
            return None
        case TokenCredential(token):
            refuse_expired(credential)
            return token
        case _:
            raise NotSupportedError(f"{whose} takes a token credential, not a {credential.kind} credential")


def socket_url(base_url: str, path: str, query: Mapping[str, Any] | None = None, *, like: str) -> str:
    """The ws(s) address of `path` at a base that is http(s) or ws(s), its own query kept, `query` over it.

    Raises ConfigError, with an example in `like`, for a base that is none, and for query values that are no text,
    number or truth.
    """
    return _url(base_url, path, query, {"https": "wss", "wss": "wss", "http": "ws", "ws": "ws"}, like)


def http_url(base_url: str, path: str, query: Mapping[str, Any] | None = None, *, like: str) -> str:
    """The http(s) address beside it, as `socket_url` says."""
    return _url(base_url, path, query, {"https": "https", "wss": "https", "http": "http", "ws": "http"}, like)


def _url(base_url: str, path: str, query: Mapping[str, Any] | None, schemes: Mapping[str, str], like: str) -> str:
    try:
        parts = urlsplit(base_url)
        scheme = schemes[parts.scheme]
        if not parts.hostname or parts.port == 0:
            raise ValueError
    except (KeyError, ValueError):
        raise ConfigError(f"the base URL should be like {like}, or start with wss://") from None
    given = dict(parse_qsl(parts.query)) | {key: _query_value(key, value) for key, value in (query or {}).items()}
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + path, urlencode(given), ""))


def _query_value(key: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            raise ConfigError(f"provider_options.{key} should be a text or a number")


async def ask(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, key_name: str) -> bytes:
    """The answer (status 200 or 201) to a request that needs a key. Follows no redirect.

    Raises ProviderError: `auth`, `timeout`, `network`, `malformed`, or what the peer refused.
    """
    peer = urlsplit(url).netloc.rpartition("@")[2]
    secrets = secrets_of(url, headers)
    waiting = aiohttp.ClientTimeout(total=AUTHENTICATE_TIMEOUT_S)
    if body is not None:
        headers = {**headers, "Content-Type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession(timeout=waiting, trust_env=True) as session,
            session.request(method, url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            answer = b""
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise ProviderError(f"{peer} answered without end", code="malformed", retryable=False)
            if response.status not in (200, 201):
                raise refused(response.status, answer, peer, key_name, secrets=secrets)
            return answer
    except TimeoutError as error:
        problem = f"{peer} gave no credential within {AUTHENTICATE_TIMEOUT_S:g} s"
        raise ProviderError(problem, code="timeout", retryable=True) from error
    except (aiohttp.ClientError, OSError) as error:
        problem = f"cannot reach {peer}: {fit_for_log(str(error), secrets)}"
        raise ProviderError(problem, code="network", retryable=True) from error
