"""OpenAI's realtime models, and the services and servers that speak the same protocol or a dialect of it."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import orjson

from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import SessionUpdate
from agents.providers import Fault
from agents.providers.access import ask, http_url, resolve_key, socket_url, token_of
from agents.providers.openai.dialect import Dialect
from agents.providers.openai.dialects import DIALECTS, OPENAI
from agents.providers.openai.faults import faults_of
from agents.providers.openai.session import session_object
from agents.providers.openai.wire import OpenAICodec
from agents.providers.socket import SocketConnection, open_socket
from agents.realtime import (
    SPEC,
    ApiKey,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    SessionConfig,
    TokenCredential,
)
from agents.schema import AgentSpec

TTL_RANGE_S: Final = (10, 7200)
"""How long OpenAI lets a client secret live."""

TTL_S: Final = 600
"""How long it lives when nobody says."""


class OpenAIModel:
    """A realtime model at OpenAI, or at a service whose `dialect` is another. Raises ConfigError for a bad base URL.

    `base_url` is http(s) or ws(s), with or without the dialect's own path; None is the dialect's, where it has one.
    The key is asked for at each connect and held nowhere else. `headers` go with every request.
    """

    spec: Final = SPEC

    def __init__(
        self,
        model_id: str,
        *,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        dialect: Dialect = OPENAI,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.model_id: Final = model_id
        self.provider: Final = dialect.name
        self.capabilities: Final = dialect.capabilities
        self._dialect = dialect
        self._api_key = api_key
        self._headers = dict(headers)
        known = base_url or dialect.base_url
        if known is None:
            where = f"set {dialect.base_url_variable}, or base_url in the agent's file"
            raise ConfigError(f"there is no address of {dialect.title}: {where}, to {dialect.base_url_example}")
        self._base_url = known
        self._address({})

    async def connect(self, options: RealtimeConnectOptions | None = None) -> SocketConnection:
        options = options or RealtimeConnectOptions()
        if options.resume is not None:
            raise NotSupportedError(f"{self._dialect.title} cannot resume a session; start a new one without resume")
        codec = OpenAICodec(self._dialect, self.model_id, options.history)
        config = options.session_config
        if config is None and options.history:
            config = SessionConfig()
        if config is not None:
            session_object(config, self._dialect, self.model_id)  # refuses before there is a socket
        url = self._address(options.provider_options)
        headers = await self._authorization(options.credential, options.api_key)
        socket = await open_socket(url, headers, options, key_name=self._dialect.key_variable)
        connection = SocketConnection(socket, codec)
        async with AsyncExitStack() as unless_ready:
            unless_ready.push_async_callback(connection.close)
            if config is not None:
                await connection.send(SessionUpdate(config))
            unless_ready.pop_all()
        return connection

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> TokenCredential:
        """A client secret for sessions with this model. `ttl_s` is 10 to 7200, 600 when unset.

        Raises NotSupportedError for dialects without client secrets.
        """
        options, dialect = options or RealtimeAuthenticateOptions(), self._dialect
        if dialect.secrets is None:
            raise NotSupportedError(f"{dialect.title} gives no client secrets that we know of")
        if options.agent_id is not None:
            raise NotSupportedError(f"{dialect.title} keeps no agents: authenticate takes no agent_id")
        shortest, longest = TTL_RANGE_S
        if options.ttl_s is not None and not shortest <= options.ttl_s <= longest:
            raise ConfigError(f"ttl_s should be {shortest} to {longest}; found {options.ttl_s}")
        body: dict[str, Any]
        if dialect.secrets == "openai":
            body = {"session": {"type": "realtime", "model": self.model_id}}
            if options.ttl_s is not None:
                body["expires_after"] = {"anchor": "created_at", "seconds": options.ttl_s}
        else:
            body = {"expires_after": {"seconds": options.ttl_s or TTL_S}}
        headers = await self._authorization(None, options.api_key)
        url = http_url(self._base_url, self._path() + "/client_secrets", like=dialect.base_url_example)
        answer = await ask("POST", url, headers, orjson.dumps(body), key_name=dialect.key_variable)
        return _credential(answer, dialect.title)

    async def _authorization(self, credential: ClientCredential | None, api_key: ApiKey | None) -> dict[str, str]:
        dialect = self._dialect
        token = token_of(credential, whose=dialect.title)
        if token is not None:
            return {"Authorization": f"Bearer {token}"} | self._headers
        own = self._api_key if api_key is None else api_key
        if not own and not dialect.needs_key:
            return dict(self._headers)
        key = await resolve_key(own, whose=dialect.title, variable=dialect.key_variable)
        match dialect.auth:
            case "bearer":
                return {"Authorization": f"Bearer {key}"} | self._headers
            case "basic":
                return {"Authorization": f"Basic {key}"} | self._headers
            case "api-key":
                return {"api-key": key} | self._headers

    def _address(self, query: Mapping[str, Any]) -> str:
        if "model" in query:
            raise ConfigError("provider_options.model is not for the address: the model is set in the agent's file")
        url = socket_url(self._base_url, self._path(), like=self._dialect.base_url_example)
        given = parse_qs(urlsplit(url).query, keep_blank_values=True).keys() | query.keys()
        filled = {"model": self.model_id, "unique": uuid4().hex}
        own = {name: value.format(**filled) for name, value in self._dialect.query.items() if name not in given}
        if self._dialect.instead_of_model & given:
            own.pop("model", None)
        return socket_url(self._base_url, self._path(), own | dict(query), like=self._dialect.base_url_example)

    def _path(self) -> str:
        """What of the dialect's path the base URL does not have yet."""
        try:
            have = urlsplit(self._base_url).path.rstrip("/")
        except ValueError:
            return ""  # it is refused where it is used
        path = self._dialect.path
        ends = (end for end in range(len(path), 0, -1) if path[end : end + 1] in ("", "/"))
        return next((path[end:] for end in ends if have.endswith(path[:end])), path)


# ---- what the provider table asks of this module ----


def faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    return faults_of(spec, DIALECTS[spec.provider])


def missing_key(spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
    dialect = DIALECTS[spec.provider]
    if dialect.needs_key and not environment.get(dialect.key_variable, "").strip():
        return dialect.key_variable
    has_address = spec.base_url or environment.get(dialect.base_url_variable) or dialect.base_url
    return None if has_address else dialect.base_url_variable


def open_model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> OpenAIModel:
    """The file's `base_url` wins over the environment's, and that over the dialect's own."""
    dialect = DIALECTS[spec.provider]
    named = {header: environment.get(variable) for header, variable in dialect.header_variables.items()}
    return OpenAIModel(
        spec.model_id,
        api_key=environment.get(dialect.key_variable),
        base_url=spec.base_url or environment.get(dialect.base_url_variable),
        dialect=dialect,
        headers={header: value for header, value in named.items() if value},
    )


def _credential(answer: bytes, whose: str) -> TokenCredential:
    try:
        known = orjson.loads(answer)
        match known.get("client_secret", known) if isinstance(known, dict) else None:
            case {"value": str(token), "expires_at": int() | float() as expires_at}:
                return TokenCredential(token, datetime.fromtimestamp(expires_at, UTC))
    except (orjson.JSONDecodeError, ValueError, OverflowError, OSError):
        pass  # said below: the answer itself holds the secret
    raise ProviderError(f"{whose}'s answer has no client secret with its time", code="malformed", retryable=False)
