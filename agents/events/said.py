"""What a model says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from agents.errors import ErrorCategory, category_of

ResponseStatus = Literal["completed", "interrupted", "cancelled", "incomplete", "failed"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one response, or their sum over a session. Details are subsets of input and output."""

    input_tokens: int = 0
    output_tokens: int = 0
    input_audio_tokens: int = 0
    input_cached_tokens: int = 0
    output_audio_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.input_audio_tokens + other.input_audio_tokens,
            self.input_cached_tokens + other.input_cached_tokens,
            self.output_audio_tokens + other.output_audio_tokens,
        )


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """The model's session exists. `expires_at` is Unix seconds, None when the provider does not say."""

    kind: ClassVar[str] = "session.created"
    session_id: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    kind: ClassVar[str] = "session.updated"


@dataclass(frozen=True, slots=True)
class SessionError:
    """The provider reports an error; the session goes on unless the connection then ends.

    `benign` errors are answers to a race that the session expects (cancel of a response just finished). `category`
    follows from `code` and `retryable` when it is not given.
    """

    kind: ClassVar[str] = "session.error"
    code: str
    message: str
    retryable: bool = False
    benign: bool = False
    event_id: str | None = None
    category: ErrorCategory | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "category", self.category or category_of(self.code, self.retryable))


@dataclass(frozen=True, slots=True)
class SessionExpiring:
    """The provider will end this connection in `left_s` seconds; None when it does not say how soon."""

    kind: ClassVar[str] = "session.expiring"
    left_s: float | None = None


@dataclass(frozen=True, slots=True)
class SessionResumable:
    """With this handle the session can be resumed on another connection; None while it cannot."""

    kind: ClassVar[str] = "session.resumable"
    handle: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ItemCreated:
    kind: ClassVar[str] = "item.created"
    item_id: str
    role: str
    previous_item_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    kind: ClassVar[str] = "item.deleted"
    item_id: str


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    kind: ClassVar[str] = "item.truncated"
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class AudioInputCommitted:
    kind: ClassVar[str] = "audio.input.committed"
    item_id: str


@dataclass(frozen=True, slots=True)
class AudioInputCleared:
    kind: ClassVar[str] = "audio.input.cleared"


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The model heard the caller begin to speak, `audio_start_ms` into the audio that it was sent."""

    kind: ClassVar[str] = "speech.started"
    item_id: str
    audio_start_ms: int = 0


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    kind: ClassVar[str] = "speech.stopped"
    item_id: str
    audio_end_ms: int = 0


@dataclass(frozen=True, slots=True)
class AudioOutputDelta:
    """A piece of the agent's voice. `pcm` may end in half a sample: the other byte comes with the next piece."""

    kind: ClassVar[str] = "audio.output.delta"
    response_id: str
    item_id: str
    content_index: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class AudioOutputDone:
    """The item's audio was generated whole; the caller may still be listening to it."""

    kind: ClassVar[str] = "audio.output.done"
    response_id: str
    item_id: str
    content_index: int


@dataclass(frozen=True, slots=True)
class TextOutputDelta:
    kind: ClassVar[str] = "text.output.delta"
    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TextOutput:
    kind: ClassVar[str] = "text.output"
    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptInputDelta:
    kind: ClassVar[str] = "transcript.input.delta"
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptInput:
    """What the caller said in one turn. Empty when nothing usable was heard."""

    kind: ClassVar[str] = "transcript.input"
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptOutputDelta:
    kind: ClassVar[str] = "transcript.output.delta"
    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptOutput:
    kind: ClassVar[str] = "transcript.output"
    response_id: str
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ResponseCreated:
    kind: ClassVar[str] = "response.created"
    response_id: str


@dataclass(frozen=True, slots=True)
class ResponseInterrupted:
    """The provider stopped the response by itself, before its `ResponseDone`."""

    kind: ClassVar[str] = "response.interrupted"
    response_id: str


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """The response ended, whatever the end. `reason` is the provider's word for anything but completed."""

    kind: ClassVar[str] = "response.done"
    response_id: str
    status: ResponseStatus
    usage: Usage = field(default_factory=Usage)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ToolStart:
    kind: ClassVar[str] = "tool.start"
    response_id: str
    call_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolDelta:
    kind: ClassVar[str] = "tool.delta"
    response_id: str
    call_id: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model calls a tool. `arguments` is the model's JSON text, not yet trusted."""

    kind: ClassVar[str] = "tool.call"
    response_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCancelled:
    kind: ClassVar[str] = "tool.cancelled"
    call_id: str


@dataclass(frozen=True, slots=True)
class ModelStep:
    """What becomes of a conversation whose model's connection ends before the conversation does.

        failed    this model's connection ended, or could not be opened; `detail` says why
        renewed   a new connection to the same model goes on with the conversation, before the old one had to end
        resumed   a new connection to the same model goes on with it, after the old one was lost
        replaced  this model goes on with it in place of another

    `model` is provider/model. It is an event for the session and for its observers.
    """

    kind: ClassVar[str] = "model"
    step: Literal["failed", "renewed", "resumed", "replaced"]
    model: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """A message that our codec does not know: counted, shown to observers, otherwise ignored."""

    kind: ClassVar[str] = "raw"
    type: str
    payload: Mapping[str, Any]


ServerEvent = (
    SessionCreated
    | SessionUpdated
    | SessionError
    | SessionExpiring
    | SessionResumable
    | ModelStep
    | ItemCreated
    | ItemDeleted
    | ItemTruncated
    | AudioInputCommitted
    | AudioInputCleared
    | SpeechStarted
    | SpeechStopped
    | AudioOutputDelta
    | AudioOutputDone
    | TextOutputDelta
    | TextOutput
    | TranscriptInputDelta
    | TranscriptInput
    | TranscriptOutputDelta
    | TranscriptOutput
    | ResponseCreated
    | ResponseInterrupted
    | ResponseDone
    | ToolStart
    | ToolDelta
    | ToolCall
    | ToolCancelled
    | RawEvent
)
