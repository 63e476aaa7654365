"""The agent's replies in an ElevenLabs conversation, which seldom says where one begins or ends. Pure."""

import itertools
from dataclasses import dataclass, field
from typing import Final

from agents.events import (
    AudioOutputDelta,
    AudioOutputDone,
    ItemCreated,
    ItemTruncated,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    ResponseStatus,
    ServerEvent,
    ToolCall,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.providers.wire_audio import WireAudio
from agents.realtime import AudioFormat

Events = list[ServerEvent]

GAP_S: Final = 1.0
"""A reply is over when so long no more of it came: audio comes faster than it is played, sentence after sentence."""

ANNOUNCED_S: Final = 5.0
"""The same where more was announced: text before its audio, audio or text that says that it is not the last."""

ENDED_S: Final = 0.2
"""The same once the platform said that it is complete: the last audio may be on its way."""

ANSWER_S: Final = 15.0
"""Longest that an answer may take to begin. One that did not is an empty one: the conversation can go on."""


@dataclass(slots=True)
class _Reply:
    """`last_event` is the highest event id of it so far; `parts` is text that came in pieces and not yet as a whole."""

    response_id: str
    item_id: str
    last_event: int = -1
    texts: list[str] = field(default_factory=list)
    parts: str = ""
    audio_bytes: int = 0
    is_more_announced: bool = False
    is_complete: bool = False
    is_overtaken: bool = False
    has_item: bool = False

    @property
    def text(self) -> str:
        return " ".join([*self.texts, self.parts] if self.parts else self.texts)

    @property
    def patience_s(self) -> float:
        if self.is_complete:
            return ENDED_S
        is_text_ahead = bool(self.text) and not self.audio_bytes
        return ANNOUNCED_S if self.is_more_announced or is_text_ahead else GAP_S


class AgentSide:
    """What the agent says, as responses: one after the other, each from `ResponseCreated` to `ResponseDone`.

    A reply begins with the first sign of it and is over when the platform says so, when the caller or a tool's answer
    made it the past, or when `patience_s` went by. `wire` is the format that audio comes in, `wanted` the session's.
    """

    def __init__(self, name: str, wire: AudioFormat, wanted: AudioFormat) -> None:
        self._name = name
        self._bytes_per_ms = wanted.bytes_per_ms
        self._voice = WireAudio(wire, wanted)
        self._numbers = itertools.count(1)
        self._reply: _Reply | None = None
        self._last: _Reply | None = None
        self._gone_below = -1
        self._gone = -1
        self._tools: dict[str, bool] = {}
        self._is_asked = False
        self._is_tool_owed = False
        self._is_turn_owed = False
        self._is_ahead = False
        self.changes = 0

    # ---- what is waited for ----

    @property
    def is_replying(self) -> bool:
        return self._reply is not None

    @property
    def is_fading(self) -> bool:
        """Whether all of a reply may have come: it has sound, and nothing announces more."""
        return self._reply is not None and self._reply.audio_bytes > 0 and not self._reply.is_more_announced

    @property
    def is_asked(self) -> bool:
        """True while a request waits for its reply to begin."""
        return self._is_asked

    @property
    def patience_s(self) -> float | None:
        """How long to wait for more, from the last of `changes` on, before `gave_up`; None when nothing is expected."""
        if self._reply is not None:
            return self._reply.patience_s
        return ANSWER_S if self._is_asked else None

    def gave_up(self) -> Events:
        """Nothing more came in time."""
        return self.end() if self._reply is not None else self.empty()

    # ---- asking ----

    def ask(self) -> None:
        """A request went out: the next reply answers it."""
        self._is_asked = True
        self._is_ahead = False
        self.changes += 1

    @property
    def answers_by_itself(self) -> bool:
        """Whether a reply is to come that nobody needs to ask for: to the caller's turn, or to a tool's answer."""
        return self._is_tool_owed or self._is_turn_owed

    def take_ahead(self) -> bool:
        """Whether the last tool's result was answered before anybody asked for that: True once."""
        was_ahead, self._is_ahead = self._is_ahead, False
        return was_ahead

    def empty(self, status: ResponseStatus = "incomplete", reason: str = "no answer") -> Events:
        """A reply without anything in it."""
        self._is_asked = self._is_tool_owed = self._is_turn_owed = False
        self.changes += 1
        response_id = self._new().response_id
        return [ResponseCreated(response_id), ResponseDone(response_id, status, reason=reason)]

    def turn_ended(self) -> None:
        """The caller said something, which will be answered by itself."""
        self._is_turn_owed, self._is_ahead = True, False
        if self._reply is not None:
            self._reply.is_overtaken = True

    def tool_answered(self, call_id: str) -> Events:
        """A tool's result goes out. The reply that called is over with the last of them."""
        self._is_tool_owed |= self._tools.pop(call_id, True)
        return [] if self._tools or self._reply is None else self.end()

    # ---- what comes ----

    def text(self, text: str, event_id: int | None) -> Events:
        """The text of a reply, or of its next sentences, whole."""
        if not text or self._is_old_text(event_id):
            return []
        last = self._last
        if self._reply is None and last and not last.texts and event_id is not None and event_id <= last.last_event:
            last.texts.append(text)
            return [TranscriptOutput(last.response_id, last.item_id, text)]
        events, reply = self._current(event_id)
        delta = "" if reply.parts else f" {text}" if reply.texts else text
        reply.parts = ""
        reply.texts.append(text)
        return [*events, *self._wrote(reply, delta)]

    def part(self, kind: str, text: str, event_id: int | None) -> Events:
        """A piece of text; `kind` is start, delta or stop."""
        if self._is_gone(event_id) or (self._reply is None and not text):
            return []
        events, reply = self._current(event_id)
        reply.is_more_announced = kind != "stop"
        delta = f" {text}" if text and reply.texts and not reply.parts else text
        reply.parts += text
        return [*events, *self._wrote(reply, delta)]

    def audio(self, audio: bytes, event_id: int | None, is_final: bool | None) -> Events:
        """Audio of a reply; `is_final` None where the platform does not say whether more comes."""
        if self._is_gone(event_id) or (self._reply is None and not audio):
            return []
        events, reply = self._current(event_id)
        reply.is_more_announced = is_final is False
        reply.is_complete |= is_final is True
        return [*events, *self._sounded(reply, self._voice.feed(audio))]

    def call(self, call: tuple[str, str, str], event_id: int | None, *, expects_result: bool) -> Events:
        """The agent calls a tool: id, name, arguments."""
        events, reply = self._current(event_id)
        self._tools[call[0]] = expects_result
        return [*events, ToolCall(reply.response_id, *call)]

    def complete(self, event_id: int | None) -> None:
        """The platform says that a reply is complete."""
        if self._reply is not None and not self._is_gone(event_id):
            self._reply.is_complete = True
            self.changes += 1

    def interrupted(self, event_id: int | None) -> Events:
        """The platform stopped the agent: what still comes of that reply has no event id above this one.

        Its clients differ in what they do with the very same id: it is of the next reply, unless we know it from the
        last one.
        """
        if event_id is not None:
            self._gone_below = max(self._gone_below, event_id)
        reply = self._reply or self._last
        self._gone = max(self._gone, reply.last_event if reply else -1)
        return self.end("interrupted", "interruption")

    def corrected(self, original: str, corrected: str) -> Events:
        """After an interruption: what the platform believes was heard, and keeps, of what the agent said."""
        reply, said = self._last, original.strip()
        if reply is None or not said:
            return []
        events: Events = [] if reply.text else [TranscriptOutput(reply.response_id, reply.item_id, said)]
        share = min(1.0, len(corrected.strip()) / len(said))
        return [*events, ItemTruncated(reply.item_id, round(share * reply.audio_bytes / self._bytes_per_ms))]

    def failed(self, code: str) -> Events:
        """The platform cannot reply, or cannot go on."""
        if self._reply is not None:
            return self.end("failed", code)
        return self.empty("failed", code) if self._is_asked else []

    def end(self, status: ResponseStatus = "completed", reason: str = "") -> Events:
        """The reply is over, if there is one."""
        reply, self._reply = self._reply, None
        if reply is None:
            return []
        self._last = reply
        self.changes += 1
        events: Events = []
        if status == "interrupted":
            self._voice.reset()
        else:
            tail = self._voice.flush()
            events += self._sounded(reply, tail) if tail else []
            if reply.audio_bytes:
                events.append(AudioOutputDone(reply.response_id, reply.item_id, 0))
        if reply.text:
            events.append(TranscriptOutput(reply.response_id, reply.item_id, reply.text))
        if status == "interrupted":
            events.append(ResponseInterrupted(reply.response_id))
        return [*events, ResponseDone(reply.response_id, status, reason=reason)]

    # ---- replies ----

    def _current(self, event_id: int | None) -> tuple[Events, _Reply]:
        """The reply that this is part of, and what its beginning says."""
        events: Events = []
        reply = self._reply
        if reply is not None and reply.is_overtaken and (event_id is None or event_id > reply.last_event):
            events += self.end()
            reply = None
        if reply is None:
            reply = self._reply = self._new()
            events.append(ResponseCreated(reply.response_id))
            self._is_ahead = self._is_tool_owed and not self._is_asked
            self._is_asked = self._is_tool_owed = self._is_turn_owed = False
        reply.last_event = max(reply.last_event, -1 if event_id is None else event_id)
        self.changes += 1
        return events, reply

    def _new(self) -> _Reply:
        number = next(self._numbers)
        return _Reply(f"{self._name}-response-{number}", f"{self._name}-item-{number}")

    def _wrote(self, reply: _Reply, delta: str) -> Events:
        written = [TranscriptOutputDelta(reply.response_id, reply.item_id, delta)] if delta else []
        return [*self._item(reply), *written]

    def _sounded(self, reply: _Reply, pcm: bytes) -> Events:
        reply.audio_bytes += len(pcm)
        sound = [AudioOutputDelta(reply.response_id, reply.item_id, 0, pcm)] if pcm else []
        return [*self._item(reply), *sound]

    def _item(self, reply: _Reply) -> Events:
        if reply.has_item:
            return []
        reply.has_item = True
        return [ItemCreated(reply.item_id, "assistant")]

    # ---- what was interrupted ----

    def _is_gone(self, event_id: int | None) -> bool:
        """Whether it is of a reply that was interrupted."""
        return event_id is not None and (event_id < self._gone_below or event_id <= self._gone)

    def _is_old_text(self, event_id: int | None) -> bool:
        """The same of a text. One with the id of the interrupted reply, which has its text, is the next reply's."""
        if event_id is None or event_id < self._gone_below:
            return event_id is not None
        if event_id <= self._gone and self._last is not None and self._last.texts:
            self._gone = event_id - 1
        return event_id <= self._gone
