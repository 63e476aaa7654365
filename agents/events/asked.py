"""What a model accepts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

if TYPE_CHECKING:
    from agents.realtime import SessionConfig


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
