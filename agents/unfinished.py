"""What a connection to a model would leave undone if it ended now, and what another one must do about it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agents.events import (
    AudioInputAppend,
    AudioInputCleared,
    AudioInputCommit,
    AudioInputCommitted,
    AudioOutputDelta,
    ClientEvent,
    ItemDeleted,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    ServerEvent,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TextOutputDelta,
    ToolCall,
    ToolCancelled,
    ToolResult,
    TranscriptInput,
    TranscriptOutputDelta,
)
from agents.realtime import Past, PastToolCall, SessionConfig, TurnDetection, past_id

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
    turn: "_Turn | None"
    has_sounded: bool = False
    has_called: bool = False
    is_unwanted: bool = False


@dataclass(slots=True)
class _Turn:
    """The caller's, which no later connection knows of yet. `item_id` is empty before it has one."""

    item_id: str
    is_committed: bool = False
    is_written: bool = False
    is_taken_up: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """What follows from the loss of a connection.

    told    what the session is told at once: the caller's turn is over, and gone, as the next connection hears it again
    ended   the response that broke off; it is told when another begins in its place, or nothing is to come of it
    again   what to ask the next connection for in its place, before anything else
    wanted  what was asked for and had not begun
    """

    told: tuple[ServerEvent, ...]
    ended: ResponseDone | None
    again: ResponseCreate | None
    wanted: tuple[ClientEvent, ...]


class Unfinished:
    """Follows both directions of a conversation over all its connections."""

    def __init__(self, config: SessionConfig) -> None:
        self.configure(config)
        self.tool_calls: dict[str, PastToolCall] = {}
        """By call id, with `output` None while the tool runs."""
        self._called_after: dict[str, str | None] = {}
        self._latest_item: str | None = None
        self._requested: ResponseCreate | None = None
        self._reply: _Reply | None = None
        self._turn: _Turn | None = None
        self._voice: str | None = None
        self._calls_here: set[str] = set()

    def configure(self, config: SessionConfig) -> None:
        """Who ends, answers and is stopped by the caller's turns, from here on."""
        turns = config.turn_detection
        self.is_manual = turns is None or (isinstance(turns, TurnDetection) and turns.mode == "manual")
        self._interrupts = not (isinstance(turns, TurnDetection) and turns.interrupt_response is False)
        self._answers = not (isinstance(turns, TurnDetection) and turns.create_response is False)

    @property
    def is_turn_open(self) -> bool:
        """True from the caller's first sound until a response took the turn up and its words are known."""
        return self._turn is not None

    @property
    def open_item(self) -> str | None:
        """The caller's turn that another connection would hear again; None when there is none, or it has no id yet."""
        return (self._turn.item_id or None) if self._turn else None

    @property
    def is_asked(self) -> bool:
        """True while a response that was asked for has not begun."""
        return self._requested is not None

    @property
    def is_replying(self) -> bool:
        """True in the middle of a response that somebody waits for."""
        return self._reply is not None and not (self._reply.has_called or self._reply.is_unwanted)

    @property
    def is_at_work(self) -> bool:
        """True while a response is asked for or under way, a turn is not taken up, or a tool runs."""
        is_calling = any(call.output is None for call in self.tool_calls.values())
        is_turn = self._turn is not None and not self.is_manual
        return is_calling or is_turn or self._requested is not None or self._reply is not None

    def is_ours(self, call_id: str) -> bool:
        """Whether the present connection knows of this tool call."""
        return call_id in self._calls_here

    def with_tool_calls(self, past: Sequence[Past]) -> tuple[Past, ...]:
        """What was said, and among it the tool calls that were answered, each where it was made, unless it is there."""
        told: list[Past] = []
        known = {past_id(each) for each in past}
        answered = {
            call_id: call
            for call_id, call in self.tool_calls.items()
            if call.output is not None and call_id not in known
        }
        for each in past:
            told.append(each)
            told += [call for id_, call in answered.items() if self._called_after.get(id_) == past_id(each)]
        return (*(call for id_, call in answered.items() if self._called_after.get(id_) not in known), *told)

    # ---- what passes ----

    def sent(self, event: ClientEvent) -> None:
        match event:
            case AudioInputAppend() if self.is_manual and self._turn is None:
                self._turn = _Turn("")
            case AudioInputCommit() if self._turn:
                self._turn.is_committed = True
            case ResponseCreate():
                self._requested = event
            case ResponseCancel() if self._reply:
                self._reply.is_unwanted = True
            case ToolResult(call_id, output) if call := self.tool_calls.get(call_id):
                self.tool_calls[call_id] = PastToolCall(call_id, call.name, call.arguments, output)

    def came(self, event: ServerEvent) -> None:
        match event:
            case AudioOutputDelta(response_id, item_id):
                self._latest_item = item_id
                if self._reply and self._reply.response_id == response_id:
                    self._reply.has_sounded = True
            case TranscriptOutputDelta() | TextOutputDelta():
                pass  # often, and it leaves nothing undone
            case ResponseCreated(response_id):
                turn = None if self._voice else self._turn
                self._reply = _Reply(response_id, self._requested, turn)
                self._requested = None
                if turn:
                    turn.is_taken_up = True
                    self._close_turn()
            case ResponseInterrupted(response_id) if self._reply and self._reply.response_id == response_id:
                self._reply.is_unwanted = True
            case ResponseDone(response_id) if self._reply and self._reply.response_id == response_id:
                if self._turn is self._reply.turn:
                    self._turn = None
                self._reply = None
            case ToolCall(response_id, call_id, name, arguments):
                self._tool_called(PastToolCall(call_id, name, arguments, None))
            case ToolCancelled(call_id):
                self.tool_calls.pop(call_id, None)
            case SessionError(event_id=str(event_id)) if self._requested and self._requested.event_id == event_id:
                self._requested = None
            case _:
                self._caller(event)

    def _caller(self, event: ServerEvent) -> None:
        match event:
            case SpeechStarted(item_id):
                self._turn, self._voice, self._latest_item = _Turn(item_id), item_id, item_id
                if self._reply and self._interrupts:
                    self._reply.is_unwanted = True
            case SpeechStopped():
                self._voice = None
                self._close_turn()
            case AudioInputCommitted(item_id) if self._turn and not self._turn.item_id:
                self._turn.item_id = self._latest_item = item_id
            case TranscriptInput(item_id, text) if self._turn and self._turn.item_id == item_id:
                self._turn.is_written = True
                if text.strip() or self._voice:
                    self._close_turn()
                else:
                    self._turn = None
            case ItemDeleted(item_id) if self._turn and self._turn.item_id == item_id:
                self._turn = None
            case AudioInputCleared():
                self._turn = None

    def _close_turn(self) -> None:
        """Forgets the turn once its words are known and somebody answers them: the model now, or who decides here."""
        turn = self._turn
        if turn is None or self._voice or not turn.is_written:
            return
        if turn.is_taken_up or self.is_manual or not self._answers:
            self._turn = None

    def _tool_called(self, call: PastToolCall) -> None:
        self._calls_here.add(call.call_id)
        known = self.tool_calls.get(call.call_id)
        if known is None or known.output is None:
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

    def lost(self) -> Lost:
        """The connection is over."""
        turn, reply, requested = self._turn, self._reply, self._requested
        told: list[ServerEvent] = [SpeechStopped(self._voice)] if self._voice else []
        told += [ItemDeleted(turn.item_id)] if turn and turn.item_id else []
        ended = ResponseDone(reply.response_id, "incomplete", reason=LOST) if reply else None
        is_heard_again = turn is not None and reply is not None and reply.turn is turn
        is_gone = reply is None or reply.is_unwanted or reply.has_called or is_heard_again
        again = None if is_gone or reply is None else _again(reply)
        wanted: list[ClientEvent] = []
        if turn and turn.is_committed:
            wanted.append(AudioInputCommit())
            requested = requested or (reply.request if reply and is_heard_again else None)
        wanted += [requested] if requested else []
        self._turn = self._reply = self._requested = self._voice = None
        self._calls_here.clear()
        return Lost(tuple(told), ended, again, tuple(wanted))


def _again(reply: _Reply) -> ResponseCreate:
    """What to ask for in place of a response that broke off."""
    if not reply.has_sounded and reply.request:
        return reply.request
    return ResponseCreate(f"go-on-after-{reply.response_id}", GO_ON if reply.has_sounded else None)
