"""The contract between an agent's session, a provider's model and the line a caller is on.

Names follow the seeds people know (kernl's realtime protocol, openai-agents' session options), in snake_case.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, Self, runtime_checkable

from agents.errors import ConfigError
from agents.events import ChannelEvent, ClientEvent, EndReason, Heard, ServerEvent

if TYPE_CHECKING:
    from agents.call_control import CallControl
    from agents.guardrails.contract import Guardrail, OutputGuardrailSettings
    from agents.tracing.telemetry import Telemetry

SPEC: Final = "1.0"
"""The version of this contract, as in the seeds."""


class Unset(Enum):
    """The mark of an option nobody set, where None already means "off"."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


# ---- credentials ----


@dataclass(frozen=True, slots=True)
class TokenCredential:
    """A short-lived secret to connect with in place of the API key. `expires_at` is timezone-aware."""

    token: str = field(repr=False)
    expires_at: datetime
    kind: Literal["token"] = "token"


@dataclass(frozen=True, slots=True)
class UrlCredential:
    """A short-lived, already authorised address to connect to."""

    url: str = field(repr=False)
    expires_at: datetime
    kind: Literal["url"] = "url"


ClientCredential = TokenCredential | UrlCredential


def refuse_expired(credential: ClientCredential, now: datetime | None = None) -> None:
    """Raises ConfigError when the credential's time is over."""
    if credential.expires_at <= (now or datetime.now(UTC)):
        raise ConfigError(f"the {credential.kind} credential expired at {credential.expires_at.isoformat()}")


ApiKey = str | Callable[[], str | Awaitable[str]]
"""A key, or a sync or async function that is asked for it at each connect."""


# ---- what a session is configured with ----


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSchema:
    """A tool as a model is told of it. `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    voice_id: str | None = None
    speed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    mime_type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    sample_rate: int = 24_000

    def __str__(self) -> str:
        return f"{self.mime_type} at {self.sample_rate} Hz"

    @property
    def bytes_per_ms(self) -> int:
        """Bytes of one millisecond, at a rate that is a multiple of 1000 Hz, as all are that we speak."""
        return self.sample_rate // 1000 * (2 if self.mime_type == "audio/pcm" else 1)

    def silence(self, size: int) -> bytes:
        """So many bytes in which nothing is to be heard."""
        return _SILENCE[self.mime_type] * size


_SILENCE: Final[Mapping[str, bytes]] = {"audio/pcm": b"\x00", "audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}
"""Of G.711 it is the code of the smallest positive level, as encoders have it."""


PCM: Final = AudioFormat()
"""PCM16 mono little-endian 24 kHz: the one audio format inside."""

PCMU: Final = AudioFormat(mime_type="audio/pcmu", sample_rate=8_000)
"""The telephone's mu-law, which passes through untouched where an agent asks for it and its model takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDetection:
    """Who decides that the caller's turn begins and ends. Unset fields leave the provider's default.

    `manual` means nobody but `session.commit()`. Times are milliseconds; `threshold` is 0..1.
    """

    mode: Literal["server_vad", "semantic_vad", "manual"] = "server_vad"
    threshold: float | None = None
    silence_duration_ms: int | None = None
    prefix_padding_ms: int | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    idle_timeout_ms: int | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcription:
    """How the caller's speech is written down."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """How a provider's own trace of a session is named, what it belongs to, and what else is told of it."""

    workflow_name: str
    group_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Everything a model is told before the first word. UNSET leaves the provider's default, None turns off."""

    instructions: str | None = None
    tools: tuple[ToolSchema, ...] = ()
    tool_choice: Literal["auto", "none", "required"] | None = None
    modalities: tuple[Literal["audio", "text"], ...] = ("audio",)
    voice: Voice = Voice()
    input_format: AudioFormat = PCM
    output_format: AudioFormat = PCM
    turn_detection: TurnDetection | Unset | None = UNSET
    transcription: Transcription | Unset | None = UNSET
    noise_reduction: Literal["near_field", "far_field"] | Unset | None = UNSET
    max_output_tokens: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    """Facts of this call for templates that the model's side fills in (the embedded script's answers)."""
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    """Merged, key by key and deep, into the provider's own session object."""
    greeting: str | None = None
    """What the session will ask the model to say first (a `ResponseCreate` with `say`), for those that must know it
    before they connect. None once it was said.
    """
    tracing: Tracing | Literal["auto"] | Unset | None = UNSET
    """The provider's own trace. It is for the first configuration of a connection; providers that keep none, or are not
    known to, are not told.
    """


# ---- what a conversation is made of when it goes on elsewhere ----


@dataclass(frozen=True, slots=True)
class PastMessage:
    """Something that was said: by the agent only what the caller heard."""

    item_id: str
    role: Literal["user", "assistant", "system"]
    text: str


@dataclass(frozen=True, slots=True)
class PastToolCall:
    """A tool that was called, `arguments` being JSON text, and what it answered; None while it runs."""

    call_id: str
    name: str
    arguments: str
    output: str | None


Past = PastMessage | PastToolCall


def past_id(past: Past) -> str:
    """The id of the message, or of the call."""
    return past.call_id if isinstance(past, PastToolCall) else past.item_id


# ---- what a model can do ----


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a provider's wire can do, so that nobody has to find it out in mid-call.

    input_formats, output_formats   what may stand in `SessionConfig.input_format` and `output_format`; PCM always may:
                                    the provider's module makes of it what the wire takes
    binary_audio                    audio travels in binary messages, not as base64 in JSON
    truncate                        the model can be told how much of an item was heard
    cancel                          a response can be cancelled; else it goes on unheard
    delete                          items can be taken out of the conversation
    resume                          "handle": a connection goes on with the session of another, by the handle of
                                    `SessionResumable`; "history": it begins with `RealtimeConnectOptions.history`;
                                    "none": it begins from nothing
    one_connection                  the old connection must end before another may resume its session
    cancels_tools                   the model may take a tool call back
    answers_tools_by_itself         after a tool's result the model goes on without a `ResponseCreate`
    update_instructions             instructions can change during a connection
    update_tools                    tools can
    follows_instructions            it answers to what it is told; a script says its own words, and only to the caller
    say                             "verbatim": the wire has a message for words to speak; "asked": the model is asked
                                    to, and mostly does
    keepalive_s                     the codec sends something after so long without audio; None where nothing is needed
    max_connection_s                how long the provider keeps one connection; None where it has no known limit
    max_session_s                   how long it keeps one session, over any number of connections
    """

    input_formats: tuple[AudioFormat, ...] = (PCM,)
    output_formats: tuple[AudioFormat, ...] = (PCM,)
    binary_audio: bool = False
    truncate: bool = True
    cancel: bool = True
    delete: bool = True
    resume: Literal["handle", "history", "none"] = "history"
    one_connection: bool = False
    cancels_tools: bool = False
    answers_tools_by_itself: bool = False
    update_instructions: bool = True
    update_tools: bool = True
    follows_instructions: bool = True
    say: Literal["verbatim", "asked"] = "asked"
    keepalive_s: float | None = None
    max_connection_s: float | None = None
    max_session_s: float | None = None


# ---- options of connecting ----


@dataclass(frozen=True, slots=True)
class SessionResumeConfig:
    handle: str


WebSocketFactory = Callable[[str, Mapping[str, str]], Awaitable[Any]]
"""Opens a socket to a URL with headers: gives an object with `send`, `recv` and `close` like websockets' client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeConnectOptions:
    """`abort` is honoured until the connection is open. Options a provider cannot honour raise NotSupportedError."""

    session_config: SessionConfig | None = None
    resume: SessionResumeConfig | None = None
    abort: asyncio.Event | None = None
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    """Query parameters of the provider's connection address, beside its own."""
    credential: ClientCredential | None = None
    api_key: ApiKey | None = field(default=None, repr=False)
    websocket: WebSocketFactory | None = None
    history: tuple[Past, ...] = ()
    """What was said before, in order: the model begins with it and says nothing about it. With `resume` the resumed
    session knows it already.
    """
    call: "OngoingCall | None" = None
    """The conversation that asks, for a model that outlives its connections."""


class OngoingCall(Protocol):
    """What a model that outlives its connections asks of the conversation."""

    @property
    def past(self) -> Sequence[Past]:
        """What was said so far, in order: of the agent's words those that were heard or will be.

        What a connection began with in `history` is there as well, as it stands now, where it is of this conversation;
        so are tool calls of agents who had it before.
        """

    @property
    def is_quiet(self) -> bool:
        """True while nobody speaks, nothing is owed and no tool runs: nobody hears a change of connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeAuthenticateOptions:
    """`ttl_s`: how long the credential shall live, where the provider lets us choose."""

    ttl_s: int | None = None
    agent_id: str | None = None
    api_key: ApiKey | None = field(default=None, repr=False)


# ---- the model's side ----


class RealtimeConnection(Protocol):
    """One live conversation with a model: opened by `connect()`, run inside `async with`, over when iteration ends.

    The first event is `SessionCreated`, once the model is ready; what was sent before it waits for that.

    Iterating gives what the model says, in order. It ends when the model's side closes in good order; it
    raises ProviderError when that side fails. `send` returns once the event is on its way (it waits for a slow peer);
    it raises ProviderError on a connection that is over. `close()` works in any state, any number of times, and ends
    the iteration.
    """

    @property
    def session_id(self) -> str | None:
        """The provider's name for the session; None until its `SessionCreated` was iterated over."""

    async def send(self, event: ClientEvent) -> None: ...

    def __aiter__(self) -> AsyncIterator[ServerEvent]: ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None: ...


class RealtimeModel(Protocol):
    """A provider's model. Reusable: every `connect()` makes a new connection.

    A model that needs warming up is an async context manager as well; the service enters it at start.
    """

    @property
    def spec(self) -> str: ...

    @property
    def provider(self) -> str: ...

    @property
    def model_id(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    async def connect(self, options: RealtimeConnectOptions | None = None) -> RealtimeConnection:
        """Opens a connection, and sends `session_config` as its first message when there is one.

        Raises ConfigError (before any socket) for what the operator can mend, ProviderError for what the other side
        did.
        """

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        """Asks the provider for an ephemeral credential, for a browser to connect with."""


class RealtimeTransport(Protocol):
    """A way to a model's connection other than `model.connect()`: for prepared and for wrapped connections."""

    @property
    def handles_audio(self) -> bool:
        """True when audio flows beside the session (WebRTC): then the session takes no channel."""

    async def connect(self, model: RealtimeModel, options: RealtimeConnectOptions) -> RealtimeConnection: ...


# ---- the line's side ----


class SpokenItem(NamedTuple):
    """The name of one piece of the agent's speech: which response, which item of it, which content part.

    A tuple, since it is made, compared and looked up with every piece of audio.
    """

    response_id: str
    item_id: str
    content_index: int = 0


@runtime_checkable
class RealtimeChannel(Protocol):
    """The line a caller is on. Iterating gives what comes from it and ends when the far side hangs up.

    The first event is `ChannelStarted`; audio sent before it waits. Iteration raises ChannelError when the line breaks
    or nobody comes. Every method may be called after the end, without effect.
    """

    def __aiter__(self) -> AsyncIterator[ChannelEvent]: ...

    async def send_audio(self, pcm: bytes, item: SpokenItem) -> None:
        """Plays audio after all that was sent before. Pieces of any length; half a sample is kept for the next."""

    async def end_audio(self, item: SpokenItem) -> None:
        """Says that no more of this item comes: what filters and frames still hold is flushed."""

    async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
        """Silences the line at once and drops what is unplayed. None, and nothing is sent, when nothing was playing.

        What to await gives each item not heard to its end, oldest first: the first at its position, later ones at 0.
        It takes as long as the line needs to tell, at most about a second, and nothing once the line is over: then
        nothing is sent either. It may be empty: all was heard by the time the line fell silent.
        """

    @property
    def audio_format(self) -> AudioFormat:
        """What the audio is that it takes and gives: PCM, or PCMU for a line that passes it through."""

    @property
    def is_playing(self) -> bool:
        """True while the caller has not heard all that was sent."""

    async def wait_played(self, timeout_s: float) -> bool:
        """Waits until all that was sent has been heard or dropped, or the line is over. False when the time ran out.

        A line that stops telling what it plays is believed to have played what its time was enough for.
        """

    async def close(self) -> None: ...


# ---- the session's options ----


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeSessionOptions:
    """The options of both seeds. Each has an effect, or is refused; none is accepted and ignored.

    model               overrides the agent's model for this session
    channel             the line; not together with a transport that handles audio
    transport           "websocket" (the default: `model.connect()`), or an object
    context             any object; reaches instructions and tools
    credential          before `connect_options.credential`, before `api_key`, before the model's own key
    config              fields of SessionConfig that win over the agent's; not instructions, tools and variables
    call_control        what can be done with the call beside talking, for tools that do it
    history_store_audio     whether the history keeps the audio of each item, up to MAX_AUDIO_BYTES of it
    output_guardrails       checks of what the agent says, beside those of the agent
    output_guardrail_settings   when they are made
    workflow_name, group_id, trace_metadata     what a trace is named, what it belongs to, and what else is told of it
    tracing_disabled        neither we nor the provider traces this session
    telemetry               where our spans and figures go; without it, to the providers of OpenTelemetry that the
                            process has, if any
    """

    model: RealtimeModel | None = None
    channel: RealtimeChannel | None = None
    transport: RealtimeTransport | Literal["websocket", "webrtc"] = "websocket"
    context: object = None
    credential: ClientCredential | None = None
    connect_options: RealtimeConnectOptions | None = None
    api_key: ApiKey | None = field(default=None, repr=False)
    config: Mapping[str, Any] = field(default_factory=dict)
    call_control: "CallControl | None" = None
    group_id: str | None = None
    history_store_audio: bool = False
    output_guardrails: "Sequence[Guardrail]" = ()
    output_guardrail_settings: "OutputGuardrailSettings | None" = None
    trace_metadata: Mapping[str, Any] | None = None
    tracing_disabled: bool = False
    workflow_name: str | None = None
    telemetry: "Telemetry | None" = None


__all__ = [
    "PCM",
    "PCMU",
    "SPEC",
    "UNSET",
    "ApiKey",
    "AudioFormat",
    "Capabilities",
    "ClientCredential",
    "EndReason",
    "OngoingCall",
    "Past",
    "PastMessage",
    "PastToolCall",
    "RealtimeAuthenticateOptions",
    "RealtimeChannel",
    "RealtimeConnectOptions",
    "RealtimeConnection",
    "RealtimeModel",
    "RealtimeSessionOptions",
    "RealtimeTransport",
    "SessionConfig",
    "SessionResumeConfig",
    "SpokenItem",
    "TokenCredential",
    "ToolSchema",
    "Tracing",
    "Transcription",
    "TurnDetection",
    "Unset",
    "UrlCredential",
    "Voice",
    "WebSocketFactory",
    "refuse_expired",
]
