"""OpenAI's realtime models, and servers that speak the same (GA) protocol."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp
import orjson

from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import SessionUpdate
from agents.providers import Fault
from agents.providers.openai_session import misplaced, session_object
from agents.providers.openai_wire import OpenAICodec
from agents.providers.socket import SocketConnection, open_socket, refused
from agents.realtime import (
    PCM,
    PCMU,
    SPEC,
    ApiKey,
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    TokenCredential,
    UrlCredential,
    refuse_expired,
)
from agents.schema import AgentSpec

BASE_URL: Final = "https://api.openai.com/v1"
KEY_NAME: Final = "OPENAI_API_KEY"
BASE_URL_NAME: Final = "OPENAI_BASE_URL"

VOICES: Final = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")

KEY_TIMEOUT_S: Final = 5.0
"""A function that fetches the key may ask another machine; a caller is waiting."""

AUTHENTICATE_TIMEOUT_S: Final = 10.0
"""A browser waits for its credential."""

MAX_ANSWER_BYTES: Final = 256 * 1024
"""The answer to a request for a credential repeats the session: a few kilobytes."""

TTL_RANGE_S: Final = (10, 7200)
"""How long OpenAI lets a client secret live."""


class OpenAIModel:
    """A realtime model at OpenAI, or at `base_url`. Raises ConfigError for a `base_url` that is none.

    `base_url` is http(s) or ws(s), with or without the final `/realtime`. The key is asked for at each connect and
    held nowhere else.
    """

    spec: Final = SPEC
    provider: Final = "openai"
    capabilities: Final = Capabilities(
        input_formats=(PCM, PCMU), output_formats=(PCM, PCMU), max_connection_s=3600, max_session_s=3600
    )

    def __init__(self, model_id: str, *, api_key: ApiKey | None = None, base_url: str = BASE_URL) -> None:
        self.model_id: Final = model_id
        self._api_key = api_key
        self._base_url = base_url
        self._address({}, secure="wss", plain="ws")

    async def connect(self, options: RealtimeConnectOptions | None = None) -> SocketConnection:
        options = options or RealtimeConnectOptions()
        if options.resume is not None:
            raise NotSupportedError("OpenAI cannot resume a session; start a new one without resume")
        if options.session_config is not None:
            session_object(options.session_config)  # what it refuses is refused before there is a socket
        url = self._address(options.provider_options, secure="wss", plain="ws")
        token = await self._token(options.credential, options.api_key)
        socket = await open_socket(url, _authorization(token), options, key_name=KEY_NAME)
        connection = SocketConnection(socket, OpenAICodec())
        async with AsyncExitStack() as unless_ready:
            unless_ready.push_async_callback(connection.close)
            if options.session_config is not None:
                await connection.send(SessionUpdate(options.session_config))
            unless_ready.pop_all()
        return connection

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> TokenCredential:
        """A client secret for sessions with this model. `ttl_s` is 10 to 7200, 600 when unset."""
        options = options or RealtimeAuthenticateOptions()
        if options.agent_id is not None:
            raise NotSupportedError("OpenAI keeps no agents: authenticate takes no agent_id")
        body: dict[str, Any] = {"session": {"type": "realtime", "model": self.model_id}}
        if options.ttl_s is not None:
            shortest, longest = TTL_RANGE_S
            if not shortest <= options.ttl_s <= longest:
                raise ConfigError(f"ttl_s should be {shortest} to {longest}; found {options.ttl_s}")
            body["expires_after"] = {"anchor": "created_at", "seconds": options.ttl_s}
        headers = _authorization(await self._token(None, options.api_key))
        url = self._address({}, secure="https", plain="http", below="/client_secrets")
        return _credential(await _post(url, headers, orjson.dumps(body)))

    async def _token(self, credential: ClientCredential | None, api_key: ApiKey | None) -> str:
        match credential:
            case TokenCredential(token):
                refuse_expired(credential)
                return token
            case UrlCredential(kind=kind):
                raise NotSupportedError(f"OpenAI takes a token credential, not a {kind} credential")
            case None:
                return await _key(self._api_key if api_key is None else api_key)

    def _address(self, query: Mapping[str, Any], *, secure: str, plain: str, below: str = "") -> str:
        try:
            parts = urlsplit(self._base_url)
            scheme = {"https": secure, "wss": secure, "http": plain, "ws": plain}[parts.scheme]
            if not parts.hostname or parts.port == 0:
                raise ValueError
        except (KeyError, ValueError):
            raise ConfigError(f"the base URL should be like {BASE_URL}, or start with wss://") from None
        path = parts.path.rstrip("/").removesuffix("/realtime") + "/realtime" + below
        if below:
            return urlunsplit((scheme, parts.netloc, path, parts.query, ""))
        given = dict(parse_qsl(parts.query)) | {key: _query_value(key, value) for key, value in query.items()}
        return urlunsplit((scheme, parts.netloc, path, urlencode({"model": self.model_id} | given), ""))


# ---- what the provider table asks of this module ----


def faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    found = [
        Fault((name,), f"a {name}", f"{name} is for model: local/...; OpenAI's models follow instructions")
        for name in ("script", "brain")
        if getattr(spec, name) is not None
    ]
    found += [
        Fault(("turn_detection", name), f"{name} with mode {spec.turn_detection.mode}", f"{name} is for mode {mode}")
        for name, mode in misplaced(spec.turn_detection)
    ]
    found += [
        Fault(
            ("provider_options",), f"audio.{way}.format", "leave the format out: the session and the line agree on it"
        )
        for way in ("input", "output")
        if _has(spec.provider_options, "audio", way, "format")
    ]
    elsewhere = spec.base_url is not None  # where there may be other voices
    if spec.voice is not None and not elsewhere and spec.voice not in VOICES and not spec.voice.startswith("voice_"):
        right = f"one of {', '.join(VOICES)}, or a custom voice's id (voice_...)"
        found.append(Fault(("voice",), repr(spec.voice), right))
    return found


def missing_key(spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
    return None if environment.get(KEY_NAME, "").strip() else KEY_NAME


def open_model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> OpenAIModel:
    """The file's `base_url` wins over OPENAI_BASE_URL."""
    base_url = spec.base_url or environment.get(BASE_URL_NAME) or BASE_URL
    return OpenAIModel(spec.model_id, api_key=environment.get(KEY_NAME), base_url=base_url)


def _has(options: object, *path: str) -> bool:
    for name in path:
        if not isinstance(options, Mapping) or name not in options:
            return False
        options = options[name]
    return True


# ---- keys, addresses, credentials ----


async def _key(api_key: ApiKey | None) -> str:
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
        raise ConfigError(f"there is no OpenAI key: set {KEY_NAME}, or pass api_key or a credential")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"the OpenAI key has characters that no key has; check {KEY_NAME}")
    return key


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _query_value(key: str, value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float() if key != "model":
            return str(value)
        case _:
            raise ConfigError(f"provider_options.{key} should be a text or a number; the model is not set there")


async def _post(url: str, headers: Mapping[str, str], body: bytes) -> bytes:
    peer = urlsplit(url).netloc.rpartition("@")[2]
    waiting = aiohttp.ClientTimeout(total=AUTHENTICATE_TIMEOUT_S)
    headers = {**headers, "Content-Type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession(timeout=waiting, trust_env=True) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            answer = b""
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise ProviderError(f"{peer} answered without end", code="malformed", retryable=False)
            if response.status != 200:
                raise refused(response.status, answer, peer, KEY_NAME, secrets=headers.values())
            return answer
    except TimeoutError as error:
        problem = f"{peer} gave no credential within {AUTHENTICATE_TIMEOUT_S:g} s"
        raise ProviderError(problem, code="timeout", retryable=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise ProviderError(f"cannot reach {peer}: {error}", code="network", retryable=True) from error


def _credential(answer: bytes) -> TokenCredential:
    try:
        match orjson.loads(answer):
            case {"value": str(token), "expires_at": int() | float() as expires_at}:
                return TokenCredential(token, datetime.fromtimestamp(expires_at, UTC))
    except (orjson.JSONDecodeError, ValueError, OverflowError, OSError):
        pass  # said below: the answer itself holds the secret
    raise ProviderError("OpenAI's answer has no client secret with its time", code="malformed", retryable=False)
