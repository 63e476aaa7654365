"""From the facts of Gemini Live to the events of a conversation: responses with a beginning and an end. Pure.

The wire has no responses: the model answers voices, words and tools' results by itself, in turns that it ends.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Final

from agents.events import (
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    ServerEvent,
    SessionError,
    ToolCall,
    ToolCancelled,
    Usage,
)
from agents.heard_text import MAX_TEXT_CHARS
from agents.providers.gemini.caller import Caller
from agents.providers.gemini.facts import (
    Call,
    Ended,
    Fact,
    Failed,
    Generated,
    Heard,
    HeardSomething,
    Interrupted,
    Paused,
    Said,
    Sound,
    Spent,
    TakenBack,
    Voice,
    Waiting,
    Wrote,
)
from agents.providers.gemini.reply import Reply, WireVoice

BUSY: Final = "conversation_already_has_active_response"
"""What a request is refused with while the model speaks of its own accord: it would cut the model off."""

LONGEST_PLAYBACK_MS: Final = 10_000
"""The server ends a turn when it believes it played. Of longer speech the end is told when it was generated: who waits
for a model gives it up after 20 seconds without a word."""

MAX_OWED: Final = 64
"""Events that wait to be told, at most: they are told at once, each before much else is said."""

_FINE: Final = frozenset({"", "TURN_COMPLETE_REASON_UNSPECIFIED", "NEED_MORE_INPUT"})
"""Reasons of an end that are none to worry about."""


class Turns:
    """The responses of one connection. Ids begin with `prefix`. What gives events must be taken to its end.

    `interrupts`: the caller's voice stops the model.
    """

    def __init__(self, prefix: str, caller: Caller, *, interrupts: bool) -> None:
        self._prefix = prefix
        self._caller = caller
        self._interrupts = interrupts
        self._voice = WireVoice()
        self._responses = self._items = 0
        self._reply: Reply | None = None
        self._last: Reply | None = None
        self._requested: str | None = None
        self._cuts = False  # whether what was requested stops what is being played
        self._plays = False  # the reply is over for us, and not for the server
        self._is_told = False  # the end of the server's turn is news no more
        self._is_cut = False  # what comes is the rest of what was interrupted
        self._early_text = ""
        self._tools_answered = False
        self._credit = False
        self._usage = Usage()
        self._late_usage = Usage()
        self._owed: deque[ServerEvent] = deque(maxlen=MAX_OWED)

    @property
    def is_busy(self) -> bool:
        """True while the model answers, is asked to, or is believed to be heard: what is said then cuts it off."""
        return self._reply is not None or self._requested is not None or self._plays

    # ---- what we say ----

    def ask(self, event_id: str, *, has_words: bool) -> bool:
        """A response is asked for, to words of its own or to what was said. False when the wire need not be told.

        The model goes on after a tool's result by itself: what is asked for then is that answer, also when it was
        given already.
        """
        if self._reply is not None:
            self.owe(SessionError(BUSY, "the model is speaking", retryable=True, event_id=event_id))
            return False
        is_answered, self._credit = self._credit, False
        if is_answered and not has_words:
            response_id = self._new_response_id()
            self._owed += (ResponseCreated(response_id), ResponseDone(response_id, "completed"))
            return False
        self._requested = event_id
        self._cuts = has_words or not self._tools_answered
        return self._cuts

    def tools_answered(self, *, goes_on: bool) -> None:
        """The model was sent what it waited for, and goes on by itself, or says nothing of it."""
        self._tools_answered |= goes_on
        self._credit = not self._tools_answered

    def committed(self) -> None:
        """We ended the caller's turn."""
        self._credit = False
        self._owed.extend(self._caller.committed())

    def owe(self, event: ServerEvent) -> None:
        """Something is to be told that follows from what we said."""
        self._owed.append(event)

    @property
    def is_owing(self) -> bool:
        return bool(self._owed)

    def owed(self) -> Iterator[ServerEvent]:
        """What follows from what we said, once."""
        while self._owed:
            yield self._owed.popleft()

    # ---- what the server says ----

    def take(self, fact: Fact) -> Iterator[ServerEvent]:
        match fact:
            case Sound(pcm, rate_hz) if pcm and not self._is_cut:
                reply = yield from self._begin()
                yield from reply.sounds(pcm, rate_hz)
            case Said() if not self._is_cut:
                yield from self._said(fact)
            case Wrote(text) if not self._is_cut:
                reply = yield from self._begin()
                yield from reply.writes(text)
            case Voice() | Heard() | HeardSomething():
                yield from self._heard(fact)
            case Interrupted():
                yield from self._interrupted()
            case Generated():
                yield from self._generated()
            case Paused() if self._reply:
                yield from self._reply.end_item()
            case Waiting() if self._requested is not None and self._reply is None:
                yield from self._begin()
                yield from self._end("completed")
            case Ended(reason):
                yield from self._ended(reason)
            case Spent(usage) if self._reply:
                self._usage = usage
            case Spent(usage):
                self._late_usage += usage
            case TakenBack(call_ids):
                yield from (ToolCancelled(call_id) for call_id in call_ids)
            case Failed(error):
                yield replace(error, event_id=self._requested)
                self._requested = None

    def called(self, calls: Iterable[tuple[str, Call]]) -> Iterator[ServerEvent]:
        """The model calls functions: its response ends with that, and the next one begins with their results."""
        self._is_cut = False
        reply = yield from self._begin()
        yield from reply.end_item()
        for call_id, call in calls:
            yield ToolCall(reply.response_id, call_id, call.name, call.arguments)
        yield from self._caller.answered()
        yield from self._end("completed")

    def _heard(self, fact: Voice | Heard | HeardSomething) -> Iterator[ServerEvent]:
        """Where the model can be interrupted it says so itself: the caller's words alone stop nothing."""
        may_begin = not self._interrupts or (self._reply is None and not self._plays)
        match fact:
            case Voice(is_active, at_ms):
                self._is_cut &= is_active  # what comes after the voice is the answer to it
                yield from self._caller.sounded(is_active, at_ms)
            case Heard(text, is_final):
                self._is_cut &= not is_final
                yield from self._caller.heard(text, is_final=is_final, may_begin=may_begin)
            case HeardSomething() if may_begin and not self._caller.is_waiting:
                yield from self._caller.sounded(True)

    def _said(self, said: Said) -> Iterator[ServerEvent]:
        """Words of the voice: they may come before it, and after its end."""
        if said.is_beside_voice or self._reply is not None:
            reply = yield from self._begin()
            yield from reply.says(said.text)
        elif self._requested is not None or self._caller.is_waiting or self._last is None:
            self._early_text = (self._early_text + said.text)[:MAX_TEXT_CHARS]
        else:
            yield from self._last.said_late(said.text)

    # ---- beginnings and ends ----

    def _begin(self) -> Generator[ServerEvent, None, Reply]:
        """The response under way; a new one when there is none, which is what was asked for, if anything was."""
        if self._reply is not None:
            return self._reply
        response_id = self._new_response_id()
        self._reply = self._last = reply = Reply(response_id, self._voice, self._new_item_id)
        self._credit = self._tools_answered and self._requested is None
        self._requested = None
        self._tools_answered = self._plays = self._is_told = False
        yield from self._caller.taken_up()
        yield ResponseCreated(response_id)
        early, self._early_text = self._early_text, ""
        if early:
            yield from reply.says(early)
        return reply

    def _interrupted(self) -> Iterator[ServerEvent]:
        """The model was stopped. What still comes of its turn is not for the caller, up to the turn's end."""
        is_ours = self._requested is not None and self._cuts and self._plays
        self._is_cut = self._is_told = True
        self._plays, self._early_text = False, ""
        if not is_ours:
            yield from self._caller.began()
        yield from self._end("interrupted")

    def _generated(self) -> Iterator[ServerEvent]:
        """Nothing more comes of the turn; the server ends it when it believes that it was heard."""
        self._is_cut = False  # a turn that was cut is never generated whole: this is a later one
        reply = self._reply
        if reply is None:
            return
        yield from reply.play_out()
        yield from self._caller.answered()
        if reply.audio_ms > LONGEST_PLAYBACK_MS:
            yield from self._end("completed")
            self._plays = self._is_told = True

    def _ended(self, reason: str) -> Iterator[ServerEvent]:
        """The turn is over. One in which the model said nothing is an answer as well, to what waits for one."""
        is_news = not self._is_told
        self._is_cut = self._is_told = self._plays = False
        is_fine = reason in _FINE
        is_awaited = self._requested is not None or self._tools_answered or self._caller.is_waiting
        if self._reply is None and is_news and (is_awaited or not is_fine):
            yield from self._begin()
        has_said = self._reply is not None and self._reply.has_said
        status: ResponseStatus = "completed" if is_fine else "incomplete" if has_said else "failed"
        yield from self._end(status, "" if is_fine else reason)
        yield from self._caller.answered()

    def _end(self, status: ResponseStatus, reason: str = "") -> Iterator[ServerEvent]:
        reply, self._reply = self._reply, None
        if reply is not None:
            usage = self._late_usage + self._usage
            self._usage = self._late_usage = Usage()
            yield from reply.end(status, usage, reason)

    # ---- names ----

    def _new_response_id(self) -> str:
        self._responses += 1
        return f"{self._prefix}-r{self._responses}"

    def _new_item_id(self) -> str:
        self._items += 1
        return f"{self._prefix}-a{self._items}"
