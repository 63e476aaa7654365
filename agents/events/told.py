"""What a session tells its observers: the seeds' five, and the finer ones people need."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from agents.errors import ErrorCategory, category_of
from agents.events.line import Heard
from agents.events.said import ModelStep, ResponseStatus, Usage

if TYPE_CHECKING:
    from agents.history import HistoryItem

ConnectionStatus = Literal["connecting", "connected", "closed"]
EndReason = Literal["caller", "agent", "transferred", "provider", "line", "time-limit", "idle", "closed", "error"]


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
