"""The OpenAI Realtime wire (GA) and its dialects: events to and from JSON text. One codec for each connection.

What only an observer could want (MCP, SIP keys, the idle timeout) comes as RawEvent, like types we do not know.
A tool call is passed on when its item is done and complete, not when its arguments are: those also end when the
response is cut off in their middle.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from agents.errors import ProviderError
from agents.events import (
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    ItemCreate,
    ItemCreated,
    ItemDelete,
    ItemTruncate,
    RawEvent,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionUpdate,
    ToolResult,
    TranscriptInputDelta,
    TranscriptOutputDelta,
)
from agents.providers.openai.asking import append, message_of, past_messages
from agents.providers.openai.dialect import Dialect
from agents.providers.openai.dialects import OPENAI
from agents.providers.openai.errors import is_final, loss_after
from agents.providers.openai.gaps import Gaps
from agents.providers.openai.meaning import MEANINGFUL, OLD_NAMES, Events, end_in, meaning
from agents.providers.openai.session import wire_format
from agents.providers.socket import Codec, WireError
from agents.providers.wire_audio import WireAudio
from agents.providers.wire_json import JsonObject, Message, optional_object, optional_text, read_object, write
from agents.realtime import AudioFormat, Past, PastMessage, SessionConfig

MAX_ID_CHARS: Final = 32
"""Longer ids of items and calls are refused. Other providers give longer ones."""

MAX_PAST: Final = 300
"""Of a longer history the newest are passed on: the two answers to each are read only after the last of them, and so
many fit the buffers of a socket.
"""

ROUTINE: Final = frozenset(
    {
        "conversation.created",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.segment",
        "conversation.item.retrieved",
        "output_audio_buffer.cleared",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.function_call_arguments.done",
    }
)
"""Message types that healthy conversations are full of, and that say nothing that other types do not."""

_REWRITTEN: Final = "conversation.item.input_audio_transcription.updated"
"""xAI's in place of deltas: the whole transcript so far, which may be other words than before."""


class OpenAICodec(Codec):
    """The wire of one connection to `model_id`. `history` follows the first session configuration."""

    def __init__(self, dialect: Dialect = OPENAI, model_id: str = "", history: Sequence[Past] = ()) -> None:
        self._dialect = dialect
        self._model_id = model_id
        self._history = tuple(history[-MAX_PAST:])
        self._unique = uuid4().hex[:12]
        self._seeded: dict[str, str] = {}  # ids of the history, with those that the wire knows in their place
        self._originals: dict[str, str] = {}
        self._gaps = Gaps(self._unique) if dialect.is_loose else None
        self._has_begun = False
        self._owed: Events = ()
        self._asked: str | None = None
        self._truncations = 0
        self._so_far = ("", "")
        self._final: SessionError | None = None
        self._config: SessionConfig | None = None
        self._is_configured = False
        self._ears: tuple[AudioFormat, AudioFormat] | None = None
        self._mouth: tuple[AudioFormat, AudioFormat] | None = None
        self._hears: WireAudio | None = None
        self._speaks: WireAudio | None = None
        self._set_formats(SessionConfig())

    # ---- to the server ----

    def encode(self, event: ClientEvent) -> tuple[str, ...]:
        match event:
            case AudioInputAppend(audio):
                audio = self._hears.feed(audio) if self._hears else audio
                return (append(audio),) if audio else ()
            case AudioInputCommit() if self._hears and (tail := self._hears.flush()):
                return (append(tail), self._write(event))
            case AudioInputClear() if self._hears:
                self._hears.reset()
            case SessionUpdate(config):
                update = self._write(event)
                self._is_configured = True
                self._set_formats(config)
                past, self._history = self._history, ()
                return (update, *(write(message) for each in past for message in self._past(each)))
            case ResponseCreate(event_id):
                self._asked = event_id
        return (self._write(event),)

    def _write(self, event: ClientEvent) -> str:
        match event:
            case ItemDelete(item_id) | ItemTruncate(item_id):
                event = replace(event, item_id=self._seeded.get(item_id, item_id))
            case ItemCreate(previous_item_id=str(previous)):
                event = replace(event, previous_item_id=self._seeded.get(previous, previous))
            case ToolResult(call_id):
                event = replace(event, call_id=self._seeded.get(call_id, call_id))
            case ResponseCreate(instructions=str(own), say=None) if self._config and self._config.instructions:
                event = replace(event, instructions=f"{self._config.instructions}\n\n{own}")  # the wire's replace them
        message = message_of(event, self._dialect, self._model_id)
        if isinstance(event, SessionUpdate) and self._is_configured:
            message["session"].pop("tracing", None)  # what a server traces by it does not let be changed
        if isinstance(event, ItemTruncate) and self._dialect.truncate_may_fail:
            self._truncations += 1
            message["event_id"] = f"truncate-{self._unique}-{self._truncations}"
        return write(message)

    def _past(self, past: Past) -> list[JsonObject]:
        if isinstance(past, PastMessage):
            return past_messages(past, self._fitting(past.item_id), "", self._dialect) if past.text else []
        return past_messages(past, None, self._fitting(past.call_id), self._dialect)

    def _fitting(self, own_id: str) -> str:
        if own_id and len(own_id) <= MAX_ID_CHARS:
            return own_id
        own_id = own_id or uuid4().hex
        if own_id not in self._seeded:
            self._seeded[own_id] = shorter = uuid4().hex
            self._originals[shorter] = own_id
        return self._seeded[own_id]

    def _set_formats(self, config: SessionConfig) -> None:
        known, self._config = self._config, config
        if known and (known.input_format, known.output_format) == (config.input_format, config.output_format):
            return  # what the server said of its rates since then still holds
        dialect = self._dialect
        heard = wire_format(dialect.input_formats, config.input_format, dialect)
        spoken = wire_format(dialect.output_formats, config.output_format, dialect)
        self._take_formats(heard=heard, spoken=spoken)

    def _take_formats(self, *, heard: AudioFormat | None = None, spoken: AudioFormat | None = None) -> None:
        """What the wire takes and gives from now on. What is not given, or is as it was, goes on."""
        ours = self._config or SessionConfig()
        if heard is not None and (heard, ours.input_format) != self._ears:
            self._ears = (heard, ours.input_format)
            self._hears = None if heard == ours.input_format else WireAudio(ours.input_format, heard)
        if spoken is not None and (spoken, ours.output_format) != self._mouth:
            self._mouth = (spoken, ours.output_format)
            self._speaks = None if spoken == ours.output_format else WireAudio(spoken, ours.output_format)

    # ---- from the server ----

    def decode(self, message: str | bytes) -> tuple[ServerEvent, ...]:
        fields = read_object(message)
        said = fields.get("type")
        if not isinstance(said, str):
            raise WireError("expected a JSON object with a type")
        kind = OLD_NAMES.get(said, said)
        if kind != said:
            fields["type"] = kind
        events = self._events(kind, fields)
        if len(events) == 1:
            return self._heed(events[0])
        return tuple(heeded for event in events for heeded in self._heed(event))

    def _events(self, kind: str, fields: JsonObject) -> Events:
        """What the message says, and what is owed before and after it."""
        after: Events = ()
        whole: JsonObject | None = fields
        try:
            if not self._has_begun:
                self._begin(kind, fields)
            if self._gaps is not None and (kind in MEANINGFUL or kind == _REWRITTEN):
                before, whole, after = self._gaps.mend(kind, fields)
                self._owed += before
            said_now = self._meaning(kind, whole) if whole else ()
        except WireError:
            self._owed += (*end_in(kind, whole), *after)
            raise
        if not (self._owed or after):
            return said_now
        owed, self._owed = self._owed, ()
        return (*owed, *said_now, *after)

    def _begin(self, kind: str, fields: Message) -> None:
        """The session is there with the first message that says so, whichever it is."""
        if kind in self._dialect.ready and kind != "session.created":
            known = optional_text(optional_object(fields, kind.partition(".")[0]), "id")
            self._owed += (SessionCreated(known or f"session-{self._unique}"),)

    def _meaning(self, kind: str, fields: Message) -> Events:
        if kind in MEANINGFUL:
            events = meaning(kind, fields)
            if kind == "session.updated":
                self._learn_rates(fields["session"])
            elif kind == "error":
                events = tuple(self._attributed(e) if isinstance(e, SessionError) else e for e in events)
            return events
        if kind == _REWRITTEN:
            return self._written_so_far(optional_text(fields, "item_id") or "", optional_text(fields, "transcript"))
        return () if kind in ROUTINE or kind in self._dialect.ignored else (RawEvent(kind, fields),)

    def _written_so_far(self, item_id: str, text: str | None) -> Events:
        """What is new of a transcript that comes whole each time. Words that change wait for the final one."""
        known_id, known = self._so_far
        self._so_far = (item_id, text or "")
        if known_id != item_id:
            known = ""
        new = self._so_far[1].removeprefix(known) if self._so_far[1].startswith(known) else ""
        return (TranscriptInputDelta(item_id, new),) if new else ()

    def _learn_rates(self, session: Message) -> None:
        """A loose server may go on with rates of its own: what it says of them counts, not what it was asked for."""
        if self._gaps is None or self._dialect.layout == "flat":
            return
        audio = session.get("audio")
        match audio:
            case {"input": {"format": {"type": "audio/pcm", "rate": int(rate)}}} if _is_rate(rate):
                self._take_formats(heard=AudioFormat(sample_rate=rate))
        match audio:
            case {"output": {"format": {"type": "audio/pcm", "rate": int(rate)}}} if _is_rate(rate):
                self._take_formats(spoken=AudioFormat(sample_rate=rate))

    def _heed(self, event: ServerEvent) -> Events:
        """The event as the session is to have it, and what belongs before it."""
        match event:
            case AudioOutputDelta() | TranscriptOutputDelta() if self._speaks is None:
                pass
            case AudioOutputDelta(pcm=pcm) if self._speaks:
                ours = self._speaks.feed(pcm)
                return (replace(event, pcm=ours),) if ours else ()
            case AudioOutputDone(response_id, item_id, index) if self._speaks and (tail := self._speaks.flush()):
                return (AudioOutputDelta(response_id, item_id, index, tail), event)
            case SessionCreated():
                if self._has_begun:
                    return ()
                self._has_begun, self._final = True, None
            case ResponseCreated():
                self._asked = None
            case ResponseDone(status=status):
                if self._speaks:
                    self._speaks.reset()
                if status == "completed":
                    self._final = None
            case ItemCreated(item_id):
                if self._originals:
                    previous = event.previous_item_id or ""
                    event = replace(
                        event,
                        item_id=self._originals.get(item_id, item_id),
                        previous_item_id=self._originals.get(previous, event.previous_item_id),
                    )
            case SessionError():
                if is_final(event) or not self._has_begun:
                    self._final = event
        return (event,)

    def _attributed(self, error: SessionError) -> SessionError:
        """An error that names nothing is about what was asked for last, with servers that answer so loosely."""
        named = error.event_id or ""
        if self._dialect.truncate_may_fail and ("truncate" in error.message or named.startswith("truncate-")):
            return replace(error, benign=True)
        if self._gaps is None or named or error.benign:
            return error
        asked, self._asked = self._asked, None
        return replace(error, event_id=asked)

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        return loss_after(self._final, code, reason)


def _is_rate(rate: int) -> bool:
    return 8_000 <= rate <= 48_000 and rate % 1000 == 0
