"""Google's Gemini Live models, at the Gemini API."""

import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import orjson

from agents.barge_in import BargeInRules
from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import SessionUpdate
from agents.providers import Fault
from agents.providers.access import ask, http_url, resolve_key, socket_url, token_of
from agents.providers.gemini.contents import history_contents
from agents.providers.gemini.errors import sharpened
from agents.providers.gemini.setup import Setup, function_rules, make_setup, option_faults, options_of, unsayable
from agents.providers.gemini.wire import GeminiCodec
from agents.providers.socket import SocketConnection, open_socket
from agents.realtime import (
    SPEC,
    ApiKey,
    Capabilities,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    SessionConfig,
    TokenCredential,
    Transcription,
    TurnDetection,
    Voice,
)
from agents.schema import AgentSpec
from agents.tools.faults import tool_names

BASE_URL: Final = "https://generativelanguage.googleapis.com"
KEY_NAME: Final = "GEMINI_API_KEY"
OTHER_KEY_NAME: Final = "GOOGLE_API_KEY"
"""Read where the first is unset, as Google's own client does."""

BASE_URL_NAME: Final = "GOOGLE_GEMINI_BASE_URL"

API_VERSION: Final = "v1beta"
TOKEN_API_VERSION: Final = "v1alpha"
"""The version that has ephemeral tokens, which are asked for and connected with there."""

# fmt: off
VOICES: Final = (
    "Achernar", "Achird", "Algenib", "Algieba", "Alnilam", "Aoede", "Autonoe", "Callirrhoe", "Charon", "Despina",
    "Enceladus", "Erinome", "Fenrir", "Gacrux", "Iapetus", "Kore", "Laomedeia", "Leda", "Orus", "Puck", "Pulcherrima",
    "Rasalgethi", "Sadachbia", "Sadaltager", "Schedar", "Sulafat", "Umbriel", "Vindemiatrix", "Zephyr",
    "Zubenelgenubi",
)
# fmt: on

PING_TIMEOUT_S: Final = 60.0
"""Gemini answers pings up to half a minute late while it works; a peer that is gone is missed by the audio sooner."""

LONGEST_CONNECTION_S: Final = 600
"""About as long as Google keeps one connection; it announces the end a minute before."""

TTL_S: Final = 60
"""How long a token may begin sessions when nobody chooses: Google's default."""

TTL_RANGE_S: Final = (1, 19 * 3600)
TOKEN_SESSION_S: Final = 3600
"""How long a session goes on that a token began: both times together must end within 20 hours."""

_UPDATABLE: Final = (3, 8)
"""The first version of Gemini that takes new instructions and tools during a connection."""


class GeminiModel:
    """A Gemini Live model, at Google or at `base_url`. Raises ConfigError for a `base_url` that is none.

    `base_url` is http(s) or ws(s), with or without a final version such as `/v1alpha`, which then counts. The key is
    asked for at each connect and held nowhere else.
    """

    spec: Final = SPEC
    provider: Final = "gemini"

    def __init__(self, model_id: str, *, api_key: ApiKey | None = None, base_url: str = BASE_URL) -> None:
        self.model_id: Final = model_id
        self._api_key = api_key
        self._base_url, self._version = _split_version(base_url)
        self._can_update = _version_of(model_id) >= _UPDATABLE
        self.capabilities: Final = Capabilities(
            truncate=False,
            cancel=False,
            delete=False,
            resume="handle",
            one_connection=True,
            cancels_tools=True,
            answers_tools_by_itself=True,
            update_instructions=self._can_update,
            update_tools=self._can_update,
            max_connection_s=LONGEST_CONNECTION_S,
        )
        socket_url(self._base_url, "", like=BASE_URL)

    async def connect(self, options: RealtimeConnectOptions | None = None) -> SocketConnection:
        """A session that is resumed has its history: `history` is told to new ones only."""
        options = options or RealtimeConnectOptions()
        config = options.session_config or SessionConfig()
        handle = options.resume.handle if options.resume else None
        history = () if handle else options.history
        setup = make_setup(self.model_id, config, handle=handle, has_history=bool(history_contents(history)))
        token = token_of(options.credential, whose="Gemini")
        url = self._socket_url(options.provider_options, setup, token)
        if token is None:
            headers = {"x-goog-api-key": await self._key(options.api_key)}
        else:
            headers = {"Authorization": f"{'Token' if _is_ephemeral(token) else 'Bearer'} {token}"}
        codec = GeminiCodec(
            f"gemini-{uuid4().hex[:12]}",
            setup,
            config,
            history=history,
            is_resumed=handle is not None,
            can_update=self._can_update,
        )
        try:
            socket = await open_socket(url, headers, options, key_name=KEY_NAME, ping_timeout_s=PING_TIMEOUT_S)
        except ProviderError as error:
            raise sharpened(error) from error
        connection = SocketConnection(socket, codec)
        async with AsyncExitStack() as unless_open:
            unless_open.push_async_callback(connection.close)
            await connection.send(SessionUpdate(config))
            unless_open.pop_all()
        return connection

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> TokenCredential:
        """A token for one session with this model, which must begin within `ttl_s` (60 when unset)."""
        options = options or RealtimeAuthenticateOptions()
        if options.agent_id is not None:
            raise NotSupportedError("Gemini keeps no agents: authenticate takes no agent_id")
        ttl_s = TTL_S if options.ttl_s is None else options.ttl_s
        shortest, longest = TTL_RANGE_S
        if not shortest <= ttl_s <= longest:
            raise ConfigError(f"ttl_s should be {shortest} to {longest}; found {ttl_s}")
        headers = {"x-goog-api-key": await self._key(options.api_key)}
        begin_by = datetime.now(UTC) + timedelta(seconds=ttl_s)
        body = {
            "uses": 1,
            "expireTime": (begin_by + timedelta(seconds=TOKEN_SESSION_S)).isoformat(),
            "newSessionExpireTime": begin_by.isoformat(),
            "bidiGenerateContentSetup": {"model": make_setup(self.model_id, SessionConfig()).message["model"]},
            "fieldMask": "model",  # what else the session is set up with is the browser's affair
        }
        url = http_url(self._base_url, f"/{self._version or TOKEN_API_VERSION}/auth_tokens", like=BASE_URL)
        try:
            answer = await ask("POST", url, headers, orjson.dumps(body), key_name=KEY_NAME)
        except ProviderError as error:
            raise sharpened(error) from error
        return _credential(answer, begin_by)

    async def _key(self, api_key: ApiKey | None) -> str:
        return await resolve_key(self._api_key if api_key is None else api_key, whose="Gemini", variable=KEY_NAME)

    def _socket_url(self, query: Mapping[str, Any], setup: Setup, token: str | None) -> str:
        is_ephemeral = token is not None and _is_ephemeral(token)
        version = setup.api_version or self._version or (TOKEN_API_VERSION if is_ephemeral else API_VERSION)
        method = "BidiGenerateContentConstrained" if is_ephemeral else "BidiGenerateContent"
        path = f"/ws/google.ai.generativelanguage.{version}.GenerativeService.{method}"
        return socket_url(self._base_url, path, query, like=BASE_URL)


# ---- what the provider table asks of this module ----


def faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    found: list[Fault] = []
    if BargeInRules(**spec.interruption.model_dump()).weigh_voice:
        right = "leave its rules out: Gemini itself decides when the caller's voice stops it, and answers every turn"
        found.append(Fault(("interruption",), "rules that weigh the caller's voice", right))
    if spec.voice is not None and spec.base_url is None and spec.voice not in VOICES:
        found.append(Fault(("voice",), repr(spec.voice), f"one of {', '.join(VOICES)}"))
    return [*found, *unsayable(_config(spec)), *_wrong_options(spec)]


def missing_key(spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
    """GEMINI_API_KEY, unless it or GOOGLE_API_KEY is set."""
    return None if _key_in(environment) else KEY_NAME


def open_model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> GeminiModel:
    """The file's `base_url` wins over GOOGLE_GEMINI_BASE_URL."""
    base_url = spec.base_url or environment.get(BASE_URL_NAME) or BASE_URL
    return GeminiModel(spec.model_id, api_key=_key_in(environment), base_url=base_url)


def _key_in(environment: Mapping[str, str]) -> str | None:
    found = (environment.get(name, "").strip() for name in (KEY_NAME, OTHER_KEY_NAME))
    return next((key for key in found if key), None)


def _config(spec: AgentSpec) -> SessionConfig:
    """What the file says to the wire, as far as the wire may have no words for it."""
    return SessionConfig(
        voice=Voice(voice_id=spec.voice, speed=spec.speed),
        turn_detection=TurnDetection(**spec.turn_detection.model_dump()),
        transcription=Transcription(**spec.transcription.model_dump()) if spec.transcription else None,
        noise_reduction=spec.noise_reduction,
    )


def _wrong_options(spec: AgentSpec) -> list[Fault]:
    where = ("provider_options",)
    try:
        given = options_of(spec.provider_options)
        rules = function_rules(given.get("functions"))
        rest = {key: value for key, value in given.items() if key not in ("functions", "model")}
        make_setup(spec.model_id, SessionConfig(provider_options=rest))
    except ConfigError as error:
        return [Fault(where, "an option that has no effect", str(error))]
    found = option_faults(given)
    known = tool_names(spec)
    if known is not None and (strangers := sorted(rules.keys() - known)):
        right = f"rules for functions that tools names; of these it names none: {', '.join(strangers)}"
        found.append(Fault(where, "functions", right))
    return found


# ---- addresses and credentials ----


def _split_version(base_url: str) -> tuple[str, str | None]:
    """The address without its final version, and that."""
    try:
        parts = urlsplit(base_url)
    except ValueError:
        return base_url, None  # no address at all, which is said elsewhere
    found = re.fullmatch(r"(.*)/(v\d\w*)/?", parts.path)
    return (urlunsplit(parts._replace(path=found[1])), found[2]) if found else (base_url, None)


def _version_of(model_id: str) -> tuple[int, int]:
    """As in gemini-3.8-live; (0, 0) for a name that says none."""
    found = re.search(r"gemini-(\d+)(?:\.(\d+))?", model_id)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def _is_ephemeral(token: str) -> bool:
    return token.startswith("auth_tokens/")


def _credential(answer: bytes, begin_by: datetime) -> TokenCredential:
    """The token of Google's answer, good for beginning a session until `begin_by`, or until it says."""
    try:
        match orjson.loads(answer):
            case {"name": str(token), **rest} if _is_ephemeral(token):
                told = rest.get("newSessionExpireTime")
                expires_at = datetime.fromisoformat(told) if isinstance(told, str) else begin_by
                return TokenCredential(token, expires_at if expires_at.tzinfo else expires_at.replace(tzinfo=UTC))
    except (orjson.JSONDecodeError, ValueError):
        pass  # said below: the answer itself holds the secret
    raise ProviderError("Google's answer has no ephemeral token", code="malformed", retryable=False)
