"""ElevenLabs' agents: what they are is set on the platform, and here only what shall be otherwise."""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import orjson

from agents.barge_in import BargeInRules
from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import SessionUpdate
from agents.providers import Fault, access
from agents.providers.elevenlabs.start import PLATFORM, SPEED_RANGE, misplaced, option_faults
from agents.providers.elevenlabs.wire import ElevenLabsCodec
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
    UrlCredential,
    refuse_expired,
)
from agents.schema import AgentSpec

BASE_URL: Final = "https://api.elevenlabs.io"
KEY_NAME: Final = "ELEVENLABS_API_KEY"
BASE_URL_NAME: Final = "ELEVENLABS_BASE_URL"

CONVERSATION: Final = "/v1/convai/conversation"

SIGNED_URL_S: Final = 900
"""How long a signed address lets a conversation begin: the platform's own figure, a quarter of an hour."""

OF_SIGNING: Final = frozenset({"branch_id", "environment", "version_id"})
"""Query parameters that belong to the request for a signed address, where there is one."""


class Ask(Protocol):
    """A request with a key, as `access.ask` makes them: gives the answer's body, raises ProviderError."""

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, key_name: str
    ) -> Awaitable[bytes]: ...


class ElevenLabsModel:
    """An agent at ElevenLabs. Raises ConfigError for a `base_url` that is none.

    Each connect asks for a signed address with the key, which is held nowhere else. An agent that the operator says is
    public (`public: true` in provider_options) needs none. `base_url` is that of another region, with or without /v1.
    `ask` makes the requests.
    """

    spec: Final = SPEC
    provider: Final = "elevenlabs"
    capabilities: Final = Capabilities(
        input_formats=(PCM, PCMU),
        output_formats=(PCM, PCMU),
        truncate=False,
        cancel=False,
        delete=False,
        answers_tools_by_itself=True,
        update_instructions=False,
        update_tools=False,
    )

    def __init__(
        self, agent_id: str, *, api_key: ApiKey | None = None, base_url: str = BASE_URL, ask: Ask = access.ask
    ) -> None:
        self.model_id: Final = agent_id
        self._api_key = api_key
        self._base_url = base_url.rstrip("/").removesuffix("/v1")
        self._ask = ask
        access.socket_url(self._base_url, CONVERSATION, like=BASE_URL)

    async def connect(self, options: RealtimeConnectOptions | None = None) -> SocketConnection:
        options = options or RealtimeConnectOptions()
        if options.resume is not None:
            raise NotSupportedError("ElevenLabs cannot resume a conversation; begin a new one with its history")
        config = options.session_config or SessionConfig()
        codec = ElevenLabsCodec(config, options.history, name=f"el-{uuid4().hex[:12]}")
        url = await _unless_aborted(self._address(options, is_public=is_public(config.provider_options)), options)
        connection = SocketConnection(await open_socket(url, {}, options, key_name=KEY_NAME), codec)
        async with AsyncExitStack() as unless_ready:
            unless_ready.push_async_callback(connection.close)
            await connection.send(SessionUpdate(config))
            unless_ready.pop_all()
        return connection

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> UrlCredential:
        """A signed address for a conversation with this agent, or with `agent_id`, to begin within 15 minutes."""
        options = options or RealtimeAuthenticateOptions()
        if options.ttl_s not in (None, SIGNED_URL_S):
            raise NotSupportedError(f"ElevenLabs' addresses live for {SIGNED_URL_S} s; leave ttl_s out")
        expires_at = datetime.now(UTC) + timedelta(seconds=SIGNED_URL_S)
        url = await self._signed(options.agent_id or self.model_id, {}, options.api_key)
        return UrlCredential(url, expires_at)

    async def _address(self, options: RealtimeConnectOptions, *, is_public: bool) -> str:
        query = options.provider_options
        if "agent_id" in query:
            raise ConfigError("provider_options.agent_id is not set there: the agent is the model's name")
        match options.credential:
            case UrlCredential(url):
                refuse_expired(options.credential)
                wrong = ConfigError("the url credential should begin with wss:// and have no # in it")
                return _with_query(_checked(url, wrong), query)
            case TokenCredential():
                raise NotSupportedError("ElevenLabs takes a url credential, not a token credential")
        if is_public and options.api_key is None:
            return access.socket_url(self._base_url, CONVERSATION, {"agent_id": self.model_id, **query}, like=BASE_URL)
        signing = {key: value for key, value in query.items() if key in OF_SIGNING}
        rest = {key: value for key, value in query.items() if key not in OF_SIGNING}
        return _with_query(await self._signed(self.model_id, signing, options.api_key), rest)

    async def _signed(self, agent_id: str, query: Mapping[str, Any], api_key: ApiKey | None) -> str:
        given = self._api_key if api_key is None else api_key
        key = await access.resolve_key(given, whose="ElevenLabs", variable=KEY_NAME)
        query = {"agent_id": agent_id, **query}
        url = access.http_url(self._base_url, f"{CONVERSATION}/get-signed-url", query, like=BASE_URL)
        answer = await self._ask("GET", url, {"xi-api-key": key}, key_name=KEY_NAME)
        malformed = ProviderError("ElevenLabs' answer has no signed address", code="malformed", retryable=False)
        try:
            match orjson.loads(answer):
                case {"signed_url": str(signed)} if url.startswith("http://") or signed.startswith("wss://"):
                    return _checked(signed, malformed)
        except orjson.JSONDecodeError:
            pass  # said below: the answer itself holds the secret
        raise malformed


def is_public(provider_options: Mapping[str, Any]) -> bool:
    """Whether the operator says that the agent is open to everyone."""
    return provider_options.get("public") is True


# ---- what the provider table asks of this module ----


def faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    found: list[Fault] = []
    found += [Fault(("turn_detection", name), name, f"{name} {PLATFORM}") for name in misplaced(spec.turn_detection)]
    found += _weighing_faults(spec)
    if spec.transcription is not None and spec.transcription.model is not None:
        found.append(Fault(("transcription", "model"), repr(spec.transcription.model), f"the model {PLATFORM}"))
    found += [
        Fault((name,), str(getattr(spec, name)), f"{name} {PLATFORM}")
        for name in ("noise_reduction", "max_output_tokens")
        if getattr(spec, name) is not None
    ]
    slowest, fastest = SPEED_RANGE
    if spec.speed is not None and not slowest <= spec.speed <= fastest:
        found.append(Fault(("speed",), f"{spec.speed:g}", f"ElevenLabs speaks at {slowest:g} to {fastest:g}"))
    return [*found, *option_faults(spec.provider_options, spec.greeting)]


def missing_key(spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
    has_key = bool(environment.get(KEY_NAME, "").strip())
    return None if has_key or is_public(spec.provider_options) else KEY_NAME


def open_model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> ElevenLabsModel:
    """The file's `base_url` wins over ELEVENLABS_BASE_URL."""
    base_url = spec.base_url or environment.get(BASE_URL_NAME) or BASE_URL
    return ElevenLabsModel(spec.model_id, api_key=environment.get(KEY_NAME), base_url=base_url)


def _weighing_faults(spec: AgentSpec) -> list[Fault]:
    """Rules with which we would weigh the caller's voice: an agent at ElevenLabs stops and answers by itself."""
    if not BargeInRules(**spec.interruption.model_dump()).weigh_voice:
        return []
    return [
        Fault(("interruption", name), name, f"what stops the agent {PLATFORM}")
        for name in ("protect_greeting", "min_speech_ms", "min_words", "resume_after_ms")
        if getattr(spec.interruption, name)
    ]


# ---- addresses ----


def _checked(url: str, wrong: Exception) -> str:
    try:
        is_address = urlsplit(url).scheme in ("ws", "wss") and bool(urlsplit(url).hostname) and "#" not in url
    except ValueError:
        is_address = False
    if not is_address:
        raise wrong
    return url


def _with_query(url: str, query: Mapping[str, Any]) -> str:
    """The address with more parameters. What is signed stays as it is, letter by letter."""
    if not query:
        return url
    extra = urlsplit(access.socket_url("wss://any", "", query, like=BASE_URL)).query
    return f"{url}{'&' if urlsplit(url).query else '?'}{extra}"


async def _unless_aborted(address: Awaitable[str], options: RealtimeConnectOptions) -> str:
    """Waits for the address, or raises ProviderError as soon as the options' `abort` is set."""
    abort = options.abort or asyncio.Event()

    async def give_up(deadline: asyncio.Timeout) -> None:
        await abort.wait()
        if not deadline.expired():
            deadline.reschedule(asyncio.get_running_loop().time())

    try:
        async with asyncio.timeout(None) as deadline, asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(give_up(deadline), name="abort of a signed address")
            url = await address
            watch.cancel()
    except TimeoutError:
        raise ProviderError("connecting to ElevenLabs was aborted", code="aborted", retryable=False) from None
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return url
