"""Deepgram's Voice Agent API: listening and speaking at Deepgram, thinking at a model of anybody's."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from agents.assemble import session_config
from agents.barge_in import BargeInRules
from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.providers import Fault
from agents.providers.access import ask, http_url, resolve_key, socket_url, token_of
from agents.providers.deepgram.settings import faults_of, thinker
from agents.providers.deepgram.wire import KEEPALIVE_S, DeepgramCodec
from agents.providers.socket import SocketConnection, open_socket
from agents.realtime import (
    PCM,
    PCMU,
    SPEC,
    ApiKey,
    Capabilities,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    SessionConfig,
    TokenCredential,
)
from agents.schema import AgentSpec

BASE_URL: Final = "https://agent.deepgram.com"
GRANT_BASE_URL: Final = "https://api.deepgram.com"
"""Where Deepgram's agents are, and where its credentials come from; elsewhere one address has both."""

KEY_NAME: Final = "DEEPGRAM_API_KEY"
BASE_URL_NAME: Final = "DEEPGRAM_BASE_URL"

LONGEST_S: Final = 7200.0
"""Deepgram keeps a session for two hours; nothing extends it."""

TTL_RANGE_S: Final = (1, 3600)
USUAL_TTL_S: Final = 30
"""How long Deepgram lets a temporary token live, and how long when nobody says."""


class DeepgramModel:
    """An agent at Deepgram, or at `base_url`, that thinks with `model_id` (see `deepgram_settings.thinker`).

    Raises ConfigError for a model or a base URL that is none. The key is asked for at each connect and held nowhere
    else.
    """

    spec: Final = SPEC
    provider: Final = "deepgram"
    capabilities: Final = Capabilities(
        input_formats=(PCM, PCMU),
        output_formats=(PCM, PCMU),
        binary_audio=True,
        truncate=False,
        cancel=False,
        delete=False,
        cancels_tools=True,
        answers_tools_by_itself=True,
        say="verbatim",
        keepalive_s=KEEPALIVE_S,
        max_connection_s=LONGEST_S,
        max_session_s=LONGEST_S,
    )

    def __init__(self, model_id: str, *, api_key: ApiKey | None = None, base_url: str = BASE_URL) -> None:
        self.model_id: Final = model_id
        self._thinks = thinker(model_id)
        self._api_key = api_key
        self._base_url = base_url
        self._socket_url({})

    async def connect(self, options: RealtimeConnectOptions | None = None) -> SocketConnection:
        options = options or RealtimeConnectOptions()
        if options.resume is not None:
            raise NotSupportedError("Deepgram cannot resume a session; begin a new one with history")
        codec = DeepgramCodec(options.session_config or SessionConfig(), self._thinks, options.history)
        url = self._socket_url(options.provider_options)
        token = token_of(options.credential, whose="Deepgram")
        scheme = "Bearer" if token else "Token"
        token = token or await self._key(options.api_key)
        headers = {"Authorization": f"{scheme} {token}"}
        return SocketConnection(await open_socket(url, headers, options, key_name=KEY_NAME), codec)

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> TokenCredential:
        """A temporary token, for any of Deepgram's models. `ttl_s` is 1 to 3600, 30 when unset.

        It needs a key of the role Member or higher.
        """
        options = options or RealtimeAuthenticateOptions()
        if options.agent_id is not None:
            raise NotSupportedError("Deepgram's tokens are for no agent of their own: authenticate takes no agent_id")
        shortest, longest = TTL_RANGE_S
        if options.ttl_s is not None and not shortest <= options.ttl_s <= longest:
            raise ConfigError(f"ttl_s should be {shortest} to {longest}; found {options.ttl_s}")
        base_url = GRANT_BASE_URL if self._base_url == BASE_URL else self._base_url
        url = http_url(base_url, "/v1/auth/grant", like=GRANT_BASE_URL)
        body = orjson.dumps({} if options.ttl_s is None else {"ttl_seconds": options.ttl_s})
        headers = {"Authorization": f"Token {await self._key(options.api_key)}"}
        return _credential(await ask("POST", url, headers, body, key_name=KEY_NAME), options.ttl_s or USUAL_TTL_S)

    async def _key(self, api_key: ApiKey | None) -> str:
        return await resolve_key(self._api_key if api_key is None else api_key, whose="Deepgram", variable=KEY_NAME)

    def _socket_url(self, query: Mapping[str, object]) -> str:
        return socket_url(self._base_url, "/v1/agent/converse", query, like=BASE_URL)


def _credential(answer: bytes, usual_ttl_s: int) -> TokenCredential:
    now = datetime.now(UTC)
    try:
        match orjson.loads(answer):
            case {"access_token": str(token), **rest} if token:
                lasts = rest.get("expires_in")
                lasts_s = lasts if isinstance(lasts, int | float) and lasts > 0 else usual_ttl_s
                return TokenCredential(token, now + timedelta(seconds=lasts_s))
    except (orjson.JSONDecodeError, OverflowError):
        pass  # said below: the answer itself holds the secret
    raise ProviderError("Deepgram's answer has no access token", code="malformed", retryable=False)


# ---- what the provider table asks of this module ----


def faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    found: list[Fault] = []
    try:
        thinker(spec.model_id)
    except ConfigError as error:
        found.append(Fault(("model",), f"deepgram/{spec.model_id}", str(error)))
    if BargeInRules(**spec.interruption.model_dump()).weigh_voice:
        right = "Deepgram stops and answers by itself: leave protect_greeting, min_* and resume_after_ms out"
        found.append(Fault(("interruption",), "rules about the caller's voice", right))
    return found + faults_of(session_config(spec))


def missing_key(spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
    return None if environment.get(KEY_NAME, "").strip() else KEY_NAME


def open_model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> DeepgramModel:
    """The file's `base_url` wins over DEEPGRAM_BASE_URL."""
    base_url = spec.base_url or environment.get(BASE_URL_NAME) or BASE_URL
    return DeepgramModel(spec.model_id, api_key=environment.get(KEY_NAME), base_url=base_url)
