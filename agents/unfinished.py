"""What a connection to a model would leave undone if it ended now, and what another one must do about it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from agents.events import (
    AudioInputCleared,
    AudioOutputDelta,
    ClientEvent,
    ItemDeleted,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolCancelled,
    ToolResult,
    TranscriptInput,
)
from agents.realtime import Past, PastMessage, PastToolCall

LOST: Final = "connection lost"
"""The reason of a response that its connection took along."""

GO_ON: Final = (
    "Your last words were cut off in the middle by a technical fault, and the caller heard them up to there. "
    "Go on from exactly that point: no greeting, no apology, no repetition."
)

MAX_TOOL_CALLS: Final = 100
"""Tool calls that a new connection is told of, at most: the latest."""


@dataclass(slots=True)
class _Reply:
    """The response under way."""

    response_id: str
    request: ResponseCreate | None
    has_sounded: bool = False
    has_called: bool = False
    is_unwanted: bool = False


@dataclass(slots=True)
class Unfinished:
    """Follows both directions of a conversation over all its connections."""

    tool_calls: dict[str, PastToolCall] = field(default_factory=dict)
    """By call id, with `output` None while the tool runs."""
    _called_after: dict[str, str | None] = field(default_factory=dict)
    _latest_item: str | None = None
    _requested: ResponseCreate | None = None
    _reply: _Reply | None = None
    _turn: str | None = None
    _is_voice_active: bool = False
    _calls_here: set[str] = field(default_factory=set)

    @property
    def is_turn_open(self) -> bool:
        """True from the caller's first sound until a response takes the turn up."""
        return self._turn is not None

    @property
    def is_asked(self) -> bool:
        """True while a response that was asked for has not begun."""
        return self._requested is not None

    @property
    def is_at_work(self) -> bool:
        """True while a response is asked for or under way, a turn is not taken up, or a tool runs."""
        is_calling = any(call.output is None for call in self.tool_calls.values())
        return is_calling or any(open is not None for open in (self._requested, self._reply, self._turn))

    def is_ours(self, call_id: str) -> bool:
        """Whether the present connection knows of this tool call."""
        return call_id in self._calls_here

    def with_tool_calls(self, past: Sequence[PastMessage]) -> tuple[Past, ...]:
        """What was said, and among it the tool calls that were answered, each where it was made."""
        told: list[Past] = []
        answered = {call_id: call for call_id, call in self.tool_calls.items() if call.output is not None}
        known = {message.item_id for message in past}
        for message in past:
            told.append(message)
            told += [call for id_, call in answered.items() if self._called_after.get(id_) == message.item_id]
        return (*(call for id_, call in answered.items() if self._called_after.get(id_) not in known), *told)

    # ---- what passes ----

    def sent(self, event: ClientEvent) -> None:
        match event:
            case ResponseCreate():
                self._requested = event
            case ResponseCancel() if self._reply:
                self._reply.is_unwanted = True
            case ToolResult(call_id, output) if call := self.tool_calls.get(call_id):
                self.tool_calls[call_id] = PastToolCall(call_id, call.name, call.arguments, output)

    def came(self, event: ServerEvent) -> None:
        match event:
            case AudioOutputDelta(response_id, item_id) if self._reply and self._reply.response_id == response_id:
                self._reply.has_sounded = True
                self._latest_item = item_id
            case SpeechStarted(item_id):
                self._turn, self._is_voice_active = item_id, True
                self._latest_item = item_id
                if self._reply:
                    self._reply.is_unwanted = True
            case SpeechStopped():
                self._is_voice_active = False
            case AudioInputCleared():
                self._turn = None
            case ItemDeleted(item_id) | TranscriptInput(item_id, "") if item_id == self._turn:
                self._turn = None
            case ResponseCreated(response_id):
                self._reply = _Reply(response_id, self._requested)
                self._requested = self._turn = None
            case ResponseDone(response_id) if self._reply and self._reply.response_id == response_id:
                self._reply = None
            case ToolCall(response_id, call_id, name, arguments):
                self._tool_called(PastToolCall(call_id, name, arguments, None))
            case ToolCancelled(call_id):
                self.tool_calls.pop(call_id, None)
            case SessionError(event_id=str(event_id)) if self._requested and self._requested.event_id == event_id:
                self._requested = None

    def _tool_called(self, call: PastToolCall) -> None:
        self._calls_here.add(call.call_id)
        self.tool_calls[call.call_id] = call
        self._called_after[call.call_id] = self._latest_item
        while len(self.tool_calls) > MAX_TOOL_CALLS:
            forgotten = next(iter(self.tool_calls))
            del self.tool_calls[forgotten]
            self._called_after.pop(forgotten, None)
            self._calls_here.discard(forgotten)
        if self._reply:
            self._reply.has_called = True

    # ---- when the connection ends ----

    def lost(self) -> tuple[tuple[ServerEvent, ...], ResponseCreate | None]:
        """The connection is over: what the session must be told, and what to ask the next one for.

        A turn that nobody took up is told to be over, and gone, as the next connection hears it again.
        """
        told: list[ServerEvent] = []
        wanted, self._requested = self._requested, None
        if self._turn is not None:
            if self._is_voice_active:
                told.append(SpeechStopped(self._turn))
            told.append(ItemDeleted(self._turn))
        if reply := self._reply:
            told.append(ResponseDone(reply.response_id, "incomplete", reason=LOST))
            if not (reply.is_unwanted or reply.has_called):
                wanted = wanted or _again(reply)
        self._reply = self._turn = None
        self._is_voice_active = False
        self._calls_here.clear()
        return tuple(told), wanted


def _again(reply: _Reply) -> ResponseCreate:
    """What to ask for in place of a response that broke off."""
    if not reply.has_sounded and reply.request:
        return reply.request
    instructions = GO_ON if reply.has_sounded else None
    return ResponseCreate(f"go-on-after-{reply.response_id}", instructions)
