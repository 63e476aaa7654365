"""What is said inside a call: frozen facts and requests, in four unions.

    ChannelEvent    what a channel yields: the line is there, the caller's audio, keys pressed
    ClientEvent     what a model accepts
    ServerEvent     what a model says
    SessionEvent    what a session tells its observers

Code matches on classes. `kind` is the dotted name for logs, `on()` and JSON. `pcm` is PCM16 mono little-endian 24 kHz.
`..._ms` counts milliseconds of audio, never of the wall clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from agents.errors import ErrorCategory, category_of

if TYPE_CHECKING:
    from agents.history import HistoryItem
    from agents.realtime import SessionConfig

ResponseStatus = Literal["completed", "interrupted", "cancelled", "incomplete", "failed"]
ConnectionStatus = Literal["connecting", "connected", "closed"]
EndReason = Literal["caller", "agent", "transferred", "provider", "line", "time-limit", "idle", "closed", "error"]


# ---- what a channel yields ----


@dataclass(frozen=True, slots=True)
class ChannelStarted:
    """The far side is there: audio sent from now on is heard. Comes once, first."""

    kind: ClassVar[str] = "channel.started"


@dataclass(frozen=True, slots=True)
class ChannelAudio:
    """Audio from the caller. `pcm` may be of any length, whole samples only."""

    kind: ClassVar[str] = "channel.audio"
    pcm: bytes


@dataclass(frozen=True, slots=True)
class ChannelCommit:
    """The far side says that the caller's turn is over (push-to-talk channels)."""

    kind: ClassVar[str] = "channel.commit"


@dataclass(frozen=True, slots=True)
class ChannelInterrupt:
    """The far side asks to stop the agent (a stop button, a key)."""

    kind: ClassVar[str] = "channel.interrupt"


@dataclass(frozen=True, slots=True)
class ChannelDigit:
    """The caller pressed a key: one of `0-9 A-D * #`. It may be part of a secret: `repr` leaves it out."""

    kind: ClassVar[str] = "channel.digit"
    digit: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChannelHeard:
    """The caller has heard an item to its end."""

    kind: ClassVar[str] = "channel.heard"
    heard: "Heard"


@dataclass(frozen=True, slots=True)
class ChannelAway:
    """The line is elsewhere for a while, at the request of our side: nothing is heard or said until it is back."""

    kind: ClassVar[str] = "channel.away"


@dataclass(frozen=True, slots=True)
class ChannelBack:
    """The line is back. What had not been heard when it left was dropped."""

    kind: ClassVar[str] = "channel.back"


ChannelEvent = (
    ChannelStarted
    | ChannelAudio
    | ChannelCommit
    | ChannelInterrupt
    | ChannelDigit
    | ChannelHeard
    | ChannelAway
    | ChannelBack
)


# ---- what a model accepts ----


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """Sets the whole session configuration."""

    kind: ClassVar[str] = "session.update"
    config: "SessionConfig"


FIRST: Final = "root"
"""In place of a previous item's id: before all items."""


@dataclass(frozen=True, slots=True)
class ItemCreate:
    """Adds a text message to the conversation, after `previous_item_id` or at the end."""

    kind: ClassVar[str] = "item.create"
    role: Literal["user", "assistant", "system"]
    text: str
    item_id: str | None = None
    previous_item_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemDelete:
    kind: ClassVar[str] = "item.delete"
    item_id: str


@dataclass(frozen=True, slots=True)
class ItemTruncate:
    """Tells the model how much of a spoken item the caller heard: never more than was received."""

    kind: ClassVar[str] = "item.truncate"
    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class AudioInputAppend:
    """Audio from the caller for the model to hear."""

    kind: ClassVar[str] = "audio.input.append"
    pcm: bytes


@dataclass(frozen=True, slots=True)
class AudioInputCommit:
    kind: ClassVar[str] = "audio.input.commit"


@dataclass(frozen=True, slots=True)
class AudioInputClear:
    kind: ClassVar[str] = "audio.input.clear"


@dataclass(frozen=True, slots=True)
class ActivityStart:
    """The caller's turn begins (manual turn detection of models that want to be told)."""

    kind: ClassVar[str] = "activity.start"


@dataclass(frozen=True, slots=True)
class ActivityEnd:
    kind: ClassVar[str] = "activity.end"


@dataclass(frozen=True, slots=True)
class ResponseCreate:
    """Asks for a response. `say` is a text to speak word for word; `instructions` hold for this response only, beside
    those of the session.

    `event_id` comes back in the `SessionError` of a refused request.
    """

    kind: ClassVar[str] = "response.create"
    event_id: str
    instructions: str | None = None
    say: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseCancel:
    kind: ClassVar[str] = "response.cancel"
    response_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to a `ToolCall`: `output` is JSON, or plain text; errors are text for the model to read.

    `has_failed` says for who does not read: the tool did not do it, as it failed, was refused or was stopped.
    """

    kind: ClassVar[str] = "tool.result"
    call_id: str
    output: str
    has_failed: bool = False


ClientEvent = (
    SessionUpdate
    | ItemCreate
    | ItemDelete
    | ItemTruncate
    | AudioInputAppend
    | AudioInputCommit
    | AudioInputClear
    | ActivityStart
    | ActivityEnd
    | ResponseCreate
    | ResponseCancel
    | ToolResult
)


# ---- what a model says ----


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


# ---- what a session tells its observers: the seeds' five, and the finer ones people need ----


@dataclass(frozen=True, slots=True)
class Audio:
    """The agent's audio as the model sent it; `pcm` is empty and `done` true when the item's audio is complete."""

    kind: ClassVar[str] = "audio"
    item_id: str
    pcm: bytes
    done: bool = False


@dataclass(frozen=True, slots=True)
class Transcript:
    """What one side said, once final."""

    kind: ClassVar[str] = "transcript"
    role: Literal["user", "assistant"]
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    kind: ClassVar[str] = "text"
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Error:
    kind: ClassVar[str] = "error"
    code: str
    message: str
    retryable: bool = False
    category: ErrorCategory | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "category", self.category or category_of(self.code, self.retryable))


@dataclass(frozen=True, slots=True)
class Status:
    kind: ClassVar[str] = "status"
    status: ConnectionStatus


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of one spoken item the caller heard: `heard_ms` of the `sent_ms` that went to the line."""

    item_id: str
    content_index: int
    heard_ms: int
    sent_ms: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The agent was stopped; `heard` has each item that the caller had not heard to its end, oldest first.

    `text` is what the caller heard of the item that was cut: whole words, empty when there are none or nobody knows.
    """

    kind: ClassVar[str] = "interrupted"
    heard: tuple[Heard, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """The agent was silenced by a sound that was no interruption, and goes on from where it was heard."""

    kind: ClassVar[str] = "resumed"


@dataclass(frozen=True, slots=True)
class History:
    """An item of the call's history is new or is not what it was: `item` is as it is now."""

    kind: ClassVar[str] = "history"
    item: "HistoryItem"


@dataclass(frozen=True, slots=True)
class HistoryUpdated:
    """The whole history at once: empty when the session is connected, and as it is after each `update_history()`.

    In between each item that changes is a `History`.
    """

    kind: ClassVar[str] = "history_updated"
    items: "tuple[HistoryItem, ...]"


@dataclass(frozen=True, slots=True)
class AudioStarted:
    """The first audio of a response came. Once per response that sounds."""

    kind: ClassVar[str] = "audio_start"
    response_id: str


@dataclass(frozen=True, slots=True)
class AudioStopped:
    """No more audio of the response comes: it was generated, or broken off. The caller may still be listening to it."""

    kind: ClassVar[str] = "audio_stopped"
    response_id: str


@dataclass(frozen=True, slots=True)
class AudioHeard:
    """The caller has heard the response to its end. One that was interrupted is an `Interrupted` instead."""

    kind: ClassVar[str] = "audio_heard"
    response_id: str


@dataclass(frozen=True, slots=True)
class Speech:
    """The caller began (`active`) or stopped speaking, as the model heard it."""

    kind: ClassVar[str] = "speech"
    active: bool


@dataclass(frozen=True, slots=True)
class Response:
    """A response began (`status` None) or ended."""

    kind: ClassVar[str] = "response"
    response_id: str
    status: ResponseStatus | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Tokens of the response just ended, and of the session so far."""

    kind: ClassVar[str] = "usage"
    response: Usage
    total: Usage


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool was called, or its call is over: `output` is what the model is told of it.

    `failure` says why the tool did not do it: it broke or took too long, it was not allowed, or the caller's voice
    stopped it. With a failure and no output the call is over and the model is told nothing.
    """

    kind: ClassVar[str] = "tool"
    call_id: str
    name: str
    arguments: str
    output: str | None = None
    failure: Literal["error", "timeout", "refused", "stopped"] | None = None


@dataclass(frozen=True, slots=True)
class ToolApproval:
    """A tool waits for somebody to decide: `session.approve(call_id)` or `session.reject(call_id)`."""

    kind: ClassVar[str] = "tool_approval"
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class HandedOff:
    """Another agent goes on with the conversation. Agents by their names."""

    kind: ClassVar[str] = "handoff"
    from_agent: str
    to_agent: str


@dataclass(frozen=True, slots=True)
class GuardrailTripped:
    """A guardrail objects to what was said, or is to be done, by whom `stage` says.

    `name` is the guardrail's. `response_id` and `item_id` say what tripped it, `call_id` which tool; empty where that
    is not what it was. `detail` is for people.
    """

    kind: ClassVar[str] = "guardrail"
    name: str
    stage: Literal["output", "input", "tool_call", "tool_result"]
    detail: str = ""
    response_id: str = ""
    item_id: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class TransferStep:
    """What becomes of putting the caller through to a destination, by its name. `began` comes first, the rest once."""

    kind: ClassVar[str] = "transfer"
    to: str
    step: Literal["began", "answered", "accepted", "declined", "no-answer", "busy", "failed"]
    is_warm: bool = False


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed a key. `repr`, and with it every log line, leaves it out; `sensitive` keys are secrets."""

    kind: ClassVar[str] = "dtmf"
    digit: str = field(repr=False)
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class DigitsEntered:
    """The caller's keys made a complete entry: `digits` without the terminator, empty when it came alone.

    `repr`, and with it every log line, leaves them out; `sensitive` ones are secrets that no model is told.
    """

    kind: ClassVar[str] = "digits"
    digits: str = field(repr=False)
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """A provider message without a neutral meaning, as it came."""

    kind: ClassVar[str] = "raw"
    type: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over; nothing follows."""

    kind: ClassVar[str] = "closed"
    reason: EndReason
    detail: str = ""


SessionEvent = (
    Audio
    | Transcript
    | Text
    | Error
    | Status
    | Interrupted
    | Resumed
    | History
    | HistoryUpdated
    | AudioStarted
    | AudioStopped
    | AudioHeard
    | Speech
    | Response
    | UsageReport
    | Tool
    | ToolApproval
    | HandedOff
    | GuardrailTripped
    | TransferStep
    | Dtmf
    | DigitsEntered
    | ModelStep
    | Raw
    | Closed
)
