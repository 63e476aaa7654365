"""Who speaks on an AssemblyAI connection, and when it may be told what: replies, turns and tool calls. Pure."""

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
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolCancelled,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.providers.wire_audio import WireAudio
from agents.providers.wire_json import JsonObject

MAX_CALLS: Final = 100
"""Tool calls without an answer that are remembered; more than a few at once are a mistake of the model's."""

MAX_REQUESTS: Final = 16
"""Requests for a reply that wait for a good moment, at most: the latest."""

Events = Iterator[ServerEvent]


@dataclass(slots=True)
class _Reply:
    reply_id: str
    item_id: str
    words: list[str] = field(default_factory=list)
    text: str | None = None
    has_audio: bool = False


@dataclass(slots=True)
class _Turn:
    item_id: str
    is_over: bool = False
    text: str = ""


class Exchange:
    """One conversation. `voice` is the agent's, from the wire's format to the session's.

    Results of tools go out when no reply is under way or to come, and all tools have answered; a request for a reply
    after them. Both are taken by `due`. Results for a reply that the caller broke off are dropped.
    """

    def __init__(self, voice: WireAudio, *, interrupts: bool = True, has_transcripts: bool = True) -> None:
        self.voice = voice
        self._interrupts = interrupts
        self._has_transcripts = has_transcripts
        self._prefix = f"aai_{uuid4().hex[:12]}"
        self._count = 0
        self._reply: _Reply | None = None
        self._is_open = False
        self._asked: ResponseCreate | None = None
        self._turn: _Turn | None = None
        self._is_speaking = False
        self._is_turn_unanswered = False
        self._is_reply_due = False
        self._is_result_unanswered = False
        self._calls: OrderedDict[str, str | None] = OrderedDict()
        self._results: dict[str, str] = {}
        self._requests: deque[JsonObject] = deque(maxlen=MAX_REQUESTS)
        self.ignores_next_reply = False
        """True when what is said next was not wanted: the greeting of a stored agent that has spoken before."""
        self.has_answered_unasked = False
        """True when the model has said something before it was asked to, and the request is still to come."""

    # ---- what it is told by us ----

    def ask(self, asked: ResponseCreate, request: JsonObject | None = None) -> None:
        """A reply is wanted: with a request for it, or without where one comes by itself."""
        self._asked = self._asked if self._reply else asked
        if request is not None:
            self._requests.append(request)

    @property
    def answers_anyway(self) -> bool:
        """Whether a reply is under way or will come without being asked for."""
        return self._reply is not None or self._is_result_unanswered or bool(self._results)

    def tool_answered(self, call_id: str, output: str) -> None:
        """A result of a call that was taken back is dropped."""
        if call_id in self._calls:
            self._results[call_id] = output

    @property
    def is_held_up(self) -> bool:
        """True when something waits to be sent, and only for a reply that may never come."""
        waits = bool(self._results or self._requests)
        return waits and not (self._is_open or self._is_speaking or self._is_clear)

    def hold_no_longer(self) -> None:
        """The reply that was waited for does not come."""
        self._is_turn_unanswered = self._is_reply_due = False

    def due(self) -> Iterator[JsonObject]:
        """What may be sent now."""
        if not self._is_clear:
            return
        if self._results and self._calls.keys() <= self._results.keys():
            for call_id, output in self._results.items():
                yield {"type": "tool.result", "call_id": call_id, "result": output}
            self._results.clear()
            self._calls.clear()
            self._is_reply_due = self._is_result_unanswered = True
        elif self._requests:
            self._is_reply_due = True
            yield self._requests.popleft()

    @property
    def _is_clear(self) -> bool:
        return not (self._is_open or self._is_speaking or self._is_turn_unanswered or self._is_reply_due)

    # ---- the caller ----

    def speech_started(self) -> Events:
        if self._turn is None or self._turn.is_over:
            self._turn = _Turn(self._new_id("user"))
        self._is_speaking = self._is_turn_unanswered = True
        self._is_reply_due = self.has_answered_unasked = self.ignores_next_reply = False
        yield SpeechStarted(self._turn.item_id)
        if self._interrupts:
            self._requests.clear()
            if self._asked and not self._reply:
                yield from self._began(self._new_id("reply"))
                yield from self._interrupted()

    def speech_stopped(self) -> Events:
        self._is_speaking = False
        if self._turn and not self._turn.is_over:
            self._turn.is_over = True
            yield SpeechStopped(self._turn.item_id)
            yield AudioInputCommitted(self._turn.item_id)

    def user_wrote(self, text: str) -> Events:
        """All that was understood of the turn so far; what is new of it is passed on."""
        turn = self._turn
        if turn and self._has_transcripts and text.startswith(turn.text) and len(text) > len(turn.text):
            yield TranscriptInputDelta(turn.item_id, text[len(turn.text) :])
            turn.text = text

    def user_said(self, text: str) -> Events:
        """All of the turn."""
        turn = self._turn
        if turn is None:
            turn = _Turn(self._new_id("user"))
            yield AudioInputCommitted(turn.item_id)
        yield from self.speech_stopped()
        self._turn = None
        self._is_turn_unanswered &= bool(text.strip())
        if self._has_transcripts:
            yield TranscriptInput(turn.item_id, text)

    # ---- the agent ----

    def reply_started(self, reply_id: str) -> Events:
        if self._reply:
            yield from self._done()
        self._is_open = True
        self._is_turn_unanswered = self._is_reply_due = False
        for call_id, of_reply in self._calls.items():
            self._calls[call_id] = of_reply or reply_id
        if self.ignores_next_reply:
            self.ignores_next_reply = False
            return
        yield from self._began(reply_id)

    def audio(self, audio: bytes) -> Events:
        if self._reply:
            self._reply.has_audio = True
            if pcm := self.voice.feed(audio):
                yield AudioOutputDelta(self._reply.reply_id, self._reply.item_id, 0, pcm)

    def agent_wrote(self, word: str) -> Events:
        if self._reply and word:
            piece = word if not self._reply.words or word[0].isspace() else f" {word}"
            self._reply.words.append(piece)
            yield TranscriptOutputDelta(self._reply.reply_id, self._reply.item_id, piece)

    def agent_said(self, text: str) -> Events:
        """All of the reply, or all that was said of it before it was broken off."""
        if self._reply:
            self._reply.text = text
            if not self._reply.words:
                yield from self.agent_wrote(text)

    def called(self, call_id: str, name: str, arguments: str) -> Events:
        """The model calls a tool: in the course of a reply, or before it."""
        is_before = self._reply is None
        if is_before:
            yield from self._began(self._new_id("reply"))
        if self._reply:
            self._calls[call_id] = None if is_before else self._reply.reply_id
            while len(self._calls) > MAX_CALLS:
                self._results.pop(self._calls.popitem(last=False)[0], None)
            yield ToolCall(self._reply.reply_id, call_id, name, arguments)
        if is_before:
            yield from self._done()

    def reply_done(self, *, is_interrupted: bool) -> Events:
        self._is_open = False
        reply = self._reply
        if reply is None:
            return
        if not is_interrupted:
            yield from self._done()
            return
        yield from self._interrupted()
        for call_id in [call_id for call_id, of_reply in self._calls.items() if of_reply == reply.reply_id]:
            del self._calls[call_id]
            self._results.pop(call_id, None)
            yield ToolCancelled(call_id)

    def nothing_to_say(self) -> Events:
        """A response without words, for who asked for one that was there before."""
        if self._reply is None:
            yield from self._began(self._new_id("reply"))
            yield from self._done()

    # ---- responses ----

    def _began(self, reply_id: str) -> Events:
        yield from self.speech_stopped() if not self._is_speaking else ()
        self._reply = reply = _Reply(reply_id, f"{reply_id}_item")
        self.has_answered_unasked |= self._is_result_unanswered and self._asked is None
        self._asked, self._is_result_unanswered = None, False
        yield ResponseCreated(reply.reply_id)
        yield ItemCreated(reply.item_id, "assistant")

    def _done(self) -> Events:
        reply, self._reply = self._reply, None
        if reply is None:
            return
        if reply.has_audio:
            if tail := self.voice.flush():
                yield AudioOutputDelta(reply.reply_id, reply.item_id, 0, tail)
            yield AudioOutputDone(reply.reply_id, reply.item_id, 0)
        if text := reply.text or "".join(reply.words):
            yield TranscriptOutput(reply.reply_id, reply.item_id, text)
        yield ResponseDone(reply.reply_id, "completed")

    def _interrupted(self) -> Events:
        reply, self._reply = self._reply, None
        self.voice.reset()
        if reply:
            yield ResponseInterrupted(reply.reply_id)
            yield ResponseDone(reply.reply_id, "interrupted", reason="turn_detected")

    def _new_id(self, kind: str) -> str:
        self._count += 1
        return f"{self._prefix}_{kind}_{self._count}"
