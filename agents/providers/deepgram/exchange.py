"""Who speaks on a Deepgram connection: its responses, items and turns, which the wire itself does not have. Pure."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from agents.events import (
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ItemCreated,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    ServerEvent,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolCancelled,
    TranscriptInput,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.providers.socket import MAX_EXPLANATION_CHARS

MAX_CALLS: Final = 100
"""Tool calls without an answer that are remembered; more than a few at once are a mistake of the model's."""

MAX_WORDS: Final = 16
"""Words of ours whose echo may still come."""

INJECTION_REFUSED: Final = "InjectionRefused"

Events = Iterator[ServerEvent]


@dataclass(slots=True)
class _Response:
    response_id: str
    item_id: str
    texts: list[str] = field(default_factory=list)
    has_audio: bool = False
    has_called: bool = False


@dataclass(slots=True)
class _Turn:
    item_id: str
    is_over: bool = False


class Exchange:
    """One conversation. A response begins with the first sign of the agent's answer.

    It ends with `audio_done`; with tool calls that nothing was said before; or with `user_started`. What still comes of
    one that was broken off is dropped until a sign of the next.
    """

    def __init__(self, *, has_transcripts: bool = True) -> None:
        self._has_transcripts = has_transcripts
        self._prefix = f"dg_{uuid4().hex[:12]}"
        self._count = 0
        self._active: _Response | None = None
        self._asked: ResponseCreate | None = None
        self._turn: _Turn | None = None
        self._is_dropping = False
        self._calls: OrderedDict[str, str] = OrderedDict()
        self._is_answer_owed = False
        self._sayings: deque[ResponseCreate] = deque(maxlen=MAX_WORDS)
        self._echoes: deque[str] = deque(maxlen=MAX_WORDS)
        self.has_answered_unasked = False
        """True when the model has answered a tool's result before it was asked to, which is still to come then."""

    # ---- what it is told by us ----

    def will_say(self, asked: ResponseCreate) -> None:
        """Words that the agent is to speak are on their way."""
        self._sayings.append(asked)
        self._asked = self._asked if self._active else asked

    def was_told(self, asked: ResponseCreate, content: str) -> None:
        """Words that the agent is to answer are on their way; they come back as if the caller had said them."""
        self._echoes.append(content)
        self._asked = self._asked if self._active else asked

    def answers_anyway(self, asked: ResponseCreate) -> bool:
        """Whether an answer is under way, or owed after a tool's result: then nothing needs to be said to get it."""
        if self._is_answer_owed and not self._active:
            self._asked = asked
        return self._is_answer_owed or self._active is not None

    def tool_answered(self, call_id: str) -> str | None:
        """The name of the tool that was called; None for a call that was taken back, or never made."""
        name = self._calls.pop(call_id, None)
        self._is_answer_owed |= name is not None
        return name

    # ---- the caller ----

    def user_started(self) -> Events:
        """The caller begins to speak: the agent is broken off, and what it was asked for will not come."""
        if self._turn is None or self._turn.is_over:
            self._turn = _Turn(self._new_id("user"))
        yield SpeechStarted(self._turn.item_id)
        if self._asked and not self._active:
            yield from self._began()
        if self._active:
            self._is_dropping = True
            yield from self._interrupted(self._active)
        self._is_answer_owed = self.has_answered_unasked = False

    def turn_ended(self) -> Events:
        """The caller's turn is over: an answer follows."""
        self._is_dropping = False
        yield from self._turn_over()

    def user_said(self, text: str) -> Events:
        if text in self._echoes:
            self._echoes.remove(text)
            self._is_dropping = False
            return
        self._turn = turn = self._turn or _Turn(self._new_id("user"))
        if turn.is_over:
            self._is_dropping = False
        else:
            yield from self.turn_ended()
        if self._has_transcripts:
            yield TranscriptInput(turn.item_id, text)
        self._turn = None

    def _turn_over(self) -> Events:
        turn = self._turn
        if turn and not turn.is_over:
            turn.is_over = True
            yield SpeechStopped(turn.item_id)
            yield AudioInputCommitted(turn.item_id)

    # ---- the agent ----

    def agent_said(self, text: str) -> Events:
        """A piece of what the agent says, before or while it sounds."""
        said = next((asked for asked in self._sayings if asked.say == text), None)
        if self._is_dropping and not (said or self._asked or self._is_answer_owed):
            return
        if said:
            self._sayings.remove(said)
        yield from self.agent_stirs()
        if self._active:
            piece = f" {text}" if self._active.texts else text
            self._active.texts.append(text)
            yield TranscriptOutputDelta(self._active.response_id, self._active.item_id, piece)

    def agent_stirs(self) -> Events:
        """The agent's next answer begins, if it has not."""
        self._is_dropping = False
        if self._active and self._active.has_called and self._is_answer_owed:
            yield from self._done(self._active)
        yield from self._turn_over()
        yield from self._began()

    def agent_thinks(self) -> None:
        """What comes from here on is of the next answer."""
        self._is_dropping = False

    def audio(self, audio: bytes) -> Events:
        if self._is_dropping:
            return
        if self._active is None:
            yield from self._turn_over()
            yield from self._began()
        if self._active:
            self._active.has_audio = True
            yield AudioOutputDelta(self._active.response_id, self._active.item_id, 0, audio)

    def audio_done(self) -> Events:
        if self._active and not self._is_dropping:
            yield from self._done(self._active)

    def called(self, calls: list[tuple[str, str, str]]) -> Events:
        """The model calls tools: id, name and JSON arguments of each."""
        yield from self.agent_stirs()
        if self._active is None:
            return
        for call_id, name, arguments in calls:
            self._calls[call_id] = name
            yield ToolCall(self._active.response_id, call_id, name, arguments)
        while len(self._calls) > MAX_CALLS:
            self._calls.popitem(last=False)
        self._active.has_called = True
        if not (self._active.has_audio or self._active.texts):
            yield from self._done(self._active)

    def took_back(self, call_ids: list[str]) -> Events:
        for call_id in call_ids:
            if self._calls.pop(call_id, None) is not None:
                yield ToolCancelled(call_id)

    def refused_to_say(self, reason: str) -> Events:
        """The oldest words that were to be spoken will not be."""
        if not self._sayings:
            return
        refused = self._sayings.popleft()
        if self._asked is refused:
            self._asked = None
        problem = reason[:MAX_EXPLANATION_CHARS] or "the words could not be spoken at this moment"
        yield SessionError(INJECTION_REFUSED, problem, retryable=True, event_id=refused.event_id)

    # ---- responses ----

    def nothing_to_answer(self) -> Events:
        """A response without words, for who asked for one that was there before."""
        if self._active is None:
            yield from self._began()
            if self._active:
                yield from self._done(self._active)

    def _began(self) -> Events:
        if self._active:
            return
        self._active = active = _Response(self._new_id("response"), self._new_id("item"))
        self.has_answered_unasked |= self._is_answer_owed and self._asked is None
        self._asked, self._is_answer_owed = None, False
        yield ResponseCreated(active.response_id)
        yield ItemCreated(active.item_id, "assistant")

    def _done(self, active: _Response) -> Events:
        self._active = None
        if active.has_audio:
            yield AudioOutputDone(active.response_id, active.item_id, 0)
        if active.texts:
            yield TranscriptOutput(active.response_id, active.item_id, " ".join(active.texts))
        yield ResponseDone(active.response_id, "completed")

    def _interrupted(self, active: _Response) -> Events:
        self._active = None
        yield ResponseInterrupted(active.response_id)
        yield ResponseDone(active.response_id, "interrupted", reason="turn_detected")

    def _new_id(self, kind: str) -> str:
        self._count += 1
        return f"{self._prefix}_{kind}_{self._count}"
