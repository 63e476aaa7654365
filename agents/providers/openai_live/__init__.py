"""OpenAI's live models: one that hears and speaks at the same time, and a backend that it hands work to."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agents.errors import NotSupportedError
from agents.events import SessionUpdate
from agents.providers import Fault
from agents.providers.access import resolve_key, socket_url, token_of
from agents.providers.openai_live.session import FIXED_TURNS, delegation_of, has_audio_format, session_object
from agents.providers.openai_live.wire import ALIVE_MS, LiveCodec
from agents.providers.socket import SocketConnection, open_socket
from agents.realtime import (
    PCM,
    PCMU,
    SPEC,
    ApiKey,
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    SessionConfig,
)
from agents.schema import AgentSpec

BASE_URL: Final = "https://api.openai.com/v1"
KEY_NAME: Final = "OPENAI_API_KEY"
BASE_URL_NAME: Final = "OPENAI_BASE_URL"

SESSION_S: Final = 7_200.0
"""How long a session lives, by those who saw its `expires_at`; each says its own."""

_WEIGHED: Final = ("protect_greeting", "min_speech_ms", "min_words", "resume_after_ms")
"""Rules of interruption for which the gateway would have to decide who speaks when."""


class LiveModel:
    """A live model at OpenAI, or at `base_url`. Raises ConfigError for a `base_url` that is none.

    `base_url` is http(s) or ws(s), with or without the final `/live/sessions`; at a host of Azure's it ends with
    `/openai/v1`. The key is asked for at each connect and held nowhere else.
    """

    spec: Final = SPEC
    provider: Final = "openai-live"
    capabilities: Final = Capabilities(
        input_formats=(PCM, PCMU),
        output_formats=(PCM, PCMU),
        truncate=False,
        cancel=False,
        delete=False,
        answers_tools_by_itself=True,
        update_instructions=False,
        keepalive_s=ALIVE_MS / 1000,
        max_connection_s=SESSION_S,
        max_session_s=SESSION_S,
    )

    def __init__(self, model_id: str, *, api_key: ApiKey | None = None, base_url: str = BASE_URL) -> None:
        self.model_id: Final = model_id
        self._api_key = api_key
        self._base_url = base_url.rstrip("/").removesuffix("/sessions").removesuffix("/live")
        socket_url(self._base_url, "/live/sessions", like=BASE_URL)

    async def connect(self, options: RealtimeConnectOptions | None = None) -> SocketConnection:
        options = options or RealtimeConnectOptions()
        if options.resume is not None:
            raise NotSupportedError("OpenAI Live cannot resume a session; start a new one with history")
        config = options.session_config or SessionConfig()
        session_object(self.model_id, config, options.history)  # what it refuses is refused before there is a socket
        url = socket_url(self._base_url, "/live/sessions", options.provider_options, like=BASE_URL)
        headers = await self._authorization(options.credential, options.api_key)
        socket = await open_socket(url, headers, options, key_name=KEY_NAME)
        connection = SocketConnection(socket, LiveCodec(self.model_id, config, options.history))
        async with AsyncExitStack() as unless_started:
            unless_started.push_async_callback(connection.close)
            await connection.send(SessionUpdate(config))
            unless_started.pop_all()
        return connection

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        raise NotSupportedError("OpenAI Live has no client secrets: a browser's session is made by a server")

    async def _authorization(self, credential: ClientCredential | None, api_key: ApiKey | None) -> dict[str, str]:
        token = token_of(credential, whose="OpenAI Live")
        if token is not None:
            return {"Authorization": f"Bearer {token}"}
        key = await resolve_key(self._api_key if api_key is None else api_key, whose="OpenAI", variable=KEY_NAME)
        host = urlsplit(self._base_url).hostname or ""
        return {"api-key": key} if host.endswith(".azure.com") else {"Authorization": f"Bearer {key}"}


# ---- what the provider table asks of this module ----


def faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    found: list[Fault] = []
    found += _of_turns(spec)
    if spec.transcription is not None:
        found += [
            Fault(("transcription", name), repr(value), "leave it out: the model writes words down in its own way")
            for name, value in spec.transcription.model_dump().items()
            if value is not None
        ]
    if spec.noise_reduction is not None:
        found.append(Fault(("noise_reduction",), spec.noise_reduction, "leave it out: OpenAI Live has none"))
    if spec.speed is not None:
        found.append(Fault(("speed",), f"{spec.speed:g}", "leave it out: OpenAI Live has none; instructions may ask"))
    if has_audio_format(spec.provider_options):
        right = "leave the format out: the session and the line agree on it"
        found.append(Fault(("provider_options",), "audio.format", right))
    if delegation_of(spec.provider_options) != "responses":
        right = "delegation of type responses, or no {}: only that has a model which they are for"
        found += [
            Fault((name,), f"{name} with delegation of type {delegation_of(spec.provider_options)}", right.format(name))
            for name in ("tools", "max_output_tokens")
            if getattr(spec, name)
        ]
    return found


def _of_turns(spec: AgentSpec) -> list[Fault]:
    """What the file says of who speaks when: nothing but the model decides that."""
    turns, found = spec.turn_detection, []
    if turns.mode != "server_vad":
        found.append(Fault(("turn_detection", "mode"), turns.mode, "leave it out: the model takes turns by itself"))
    found += [
        Fault(("turn_detection", name), f"{getattr(turns, name)}", f"leave it out: {why}")
        for name, why in FIXED_TURNS.items()
        if getattr(turns, name) is not None
    ]
    if turns.interrupt_response is False:
        right = "leave it out: the model listens while it speaks, and decides by itself when to stop"
        found.append(Fault(("turn_detection", "interrupt_response"), "false", right))
    found += [
        Fault(
            ("interruption", name),
            f"{getattr(spec.interruption, name)}",
            f"no {name}: the model decides by itself what interrupts it; instructions may ask for more patience",
        )
        for name in _WEIGHED
        if getattr(spec.interruption, name)
    ]
    return found


def missing_key(spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
    return None if environment.get(KEY_NAME, "").strip() else KEY_NAME


def open_model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> LiveModel:
    """The file's `base_url` wins over OPENAI_BASE_URL."""
    base_url = spec.base_url or environment.get(BASE_URL_NAME) or BASE_URL
    return LiveModel(spec.model_id, api_key=environment.get(KEY_NAME), base_url=base_url)
