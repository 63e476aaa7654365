"""AssemblyAI's Voice Agent API: agents that our own file describes, or that are stored there."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from agents.assemble import session_config
from agents.barge_in import BargeInRules
from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import SessionUpdate
from agents.providers import Fault
from agents.providers.access import ask, http_url, resolve_key, socket_url, token_of
from agents.providers.assemblyai.session import INLINE, faults_of, faults_of_stored
from agents.providers.assemblyai.wire import AssemblyAICodec
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

BASE_URL: Final = "https://agents.assemblyai.com"
KEY_NAME: Final = "ASSEMBLYAI_API_KEY"
BASE_URL_NAME: Final = "ASSEMBLYAI_BASE_URL"

LONGEST_S: Final = 10_800.0
"""AssemblyAI keeps a session for three hours at most."""

TTL_RANGE_S: Final = (1, 600)
USUAL_TTL_S: Final = 300
"""How long a token may be redeemed for, which AssemblyAI wants to be told, and what it is when nobody says."""


class AssemblyAIModel:
    """An agent at AssemblyAI, or at `base_url`: one described by each session (`voice-agent`), or a stored one's id.

    Raises ConfigError for a base URL that is none. The key is asked for at each connect and held nowhere else.
    """

    spec: Final = SPEC
    provider: Final = "assemblyai"
    capabilities: Final = Capabilities(
        input_formats=(PCM, PCMU),
        output_formats=(PCM, PCMU),
        truncate=False,
        cancel=False,
        delete=False,
        resume="handle",
        one_connection=True,
        cancels_tools=True,
        answers_tools_by_itself=True,
        max_session_s=LONGEST_S,
    )

    def __init__(self, model_id: str, *, api_key: ApiKey | None = None, base_url: str = BASE_URL) -> None:
        self.model_id: Final = model_id
        self._api_key = api_key
        self._base_url = base_url
        self._socket_url({})

    async def connect(self, options: RealtimeConnectOptions | None = None) -> SocketConnection:
        """A session can be resumed within 30 seconds of a lost connection; then it is over, with a ProviderError."""
        options = options or RealtimeConnectOptions()
        config = options.session_config or SessionConfig()
        codec = AssemblyAICodec(
            config,
            agent_id=None if self.model_id == INLINE else self.model_id,
            history=options.history,
            resume=options.resume.handle if options.resume else None,
        )
        token = token_of(options.credential, whose="AssemblyAI")
        url = self._socket_url({**options.provider_options, **({"token": token} if token else {})})
        headers = {} if token else {"Authorization": f"Bearer {await self._key(options.api_key)}"}
        connection = SocketConnection(await open_socket(url, headers, options, key_name=KEY_NAME), codec)
        async with AsyncExitStack() as unless_ready:
            unless_ready.push_async_callback(connection.close)
            await connection.send(SessionUpdate(config))
            unless_ready.pop_all()
        return connection

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> TokenCredential:
        """A token for one session, with any agent. `ttl_s`, until when it begins, is 1 to 600, 300 when unset."""
        options = options or RealtimeAuthenticateOptions()
        if options.agent_id is not None:
            raise NotSupportedError("AssemblyAI's tokens are for any agent: authenticate takes no agent_id")
        shortest, longest = TTL_RANGE_S
        ttl_s = USUAL_TTL_S if options.ttl_s is None else options.ttl_s
        if not shortest <= ttl_s <= longest:
            raise ConfigError(f"ttl_s should be {shortest} to {longest}; found {ttl_s}")
        url = http_url(self._base_url, "/v1/token", {"expires_in_seconds": ttl_s}, like=BASE_URL)
        headers = {"Authorization": f"Bearer {await self._key(options.api_key)}"}
        return _credential(await ask("GET", url, headers, key_name=KEY_NAME), ttl_s)

    async def _key(self, api_key: ApiKey | None) -> str:
        return await resolve_key(self._api_key if api_key is None else api_key, whose="AssemblyAI", variable=KEY_NAME)

    def _socket_url(self, query: Mapping[str, object]) -> str:
        return socket_url(self._base_url, "/v1/ws", query, like=BASE_URL)


def _credential(answer: bytes, ttl_s: int) -> TokenCredential:
    now = datetime.now(UTC)
    try:
        match orjson.loads(answer):
            case {"token": str(token), **rest} if token:
                lasts = rest.get("expires_in_seconds")
                lasts_s = lasts if isinstance(lasts, int | float) and lasts > 0 else ttl_s
                return TokenCredential(token, now + timedelta(seconds=lasts_s))
    except (orjson.JSONDecodeError, OverflowError):
        pass  # said below: the answer itself holds the secret
    raise ProviderError("AssemblyAI's answer has no token", code="malformed", retryable=False)


# ---- what the provider table asks of this module ----


def faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    found: list[Fault] = []
    if BargeInRules(**spec.interruption.model_dump()).weigh_voice:
        right = "AssemblyAI answers every turn by itself: leave protect_greeting, min_* and resume_after_ms out"
        found.append(Fault(("interruption",), "rules about the caller's voice", right))
    wanted = replace(session_config(spec), greeting=spec.greeting)
    return found + faults_of(wanted) + ([] if spec.model_id == INLINE else faults_of_stored(wanted))


def missing_key(spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
    return None if environment.get(KEY_NAME, "").strip() else KEY_NAME


def open_model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> AssemblyAIModel:
    """The file's `base_url` wins over ASSEMBLYAI_BASE_URL."""
    base_url = spec.base_url or environment.get(BASE_URL_NAME) or BASE_URL
    return AssemblyAIModel(spec.model_id, api_key=environment.get(KEY_NAME), base_url=base_url)
