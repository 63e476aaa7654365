"""The OpenAI Live wire: a session that both sides fill with sound all the time, and text beside it.

It has no turns, responses and items: those are made here, of levels, pauses and transcripts. The clock is the model's
output, which goes on as long as it hears something; so it is given silence when there is no caller to hear.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import uuid4

from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    ClientEvent,
    ItemCreate,
    RawEvent,
    ResponseCreate,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionUpdate,
    SessionUpdated,
    ToolResult,
)
from agents.providers.openai_live.appends import append, message, request
from agents.providers.openai_live.backend import LiveBackend, failure_of, usage_of
from agents.providers.openai_live.errors import ending, error_of
from agents.providers.openai_live.replies import PATIENCE_MS, LiveReplies
from agents.providers.openai_live.session import session_object, tools_hint, update_object, wire_format
from agents.providers.openai_live.sound import LOUD, Sound
from agents.providers.openai_live.turns import LiveTurns
from agents.providers.socket import Answer, Codec, KeepAlive, WireError, usual_loss
from agents.providers.wire_audio import WireAudio
from agents.providers.wire_json import JsonObject, Message, from_base64, optional_text, read_object, to_base64, write
from agents.realtime import Past, SessionConfig

ALIVE_MS: Final = 480
"""Silence that the model is given each time it heard nothing for as long. Without sound it neither speaks nor lives:
its session is over after half a minute. More often would add to a caller's audio that is only late.
"""

MAX_EARLY_MS: Final = 3_000
"""The caller's audio from before the session began, at most: that takes a second, and the model hears it late."""

NOBODY: Final = "Nobody can do this now. Answer from what you know, or tell the caller that you cannot."
"""What becomes of work that the model delegates to an application: there is none here."""

ROUTINE: Final = frozenset(f"session.{kind}.appended" for kind in ("commentary", "instructions", "thinking"))
"""Message types that answer ours, and say nothing else."""

Said = Iterator[ServerEvent | Answer | ProviderError]


class LiveCodec(Codec):
    """One session. The first `SessionUpdate` starts it; the others change what can be changed."""

    def __init__(self, model_id: str, config: SessionConfig, past: Sequence[Past] = ()) -> None:
        self._model_id = model_id
        self._config: SessionConfig | None = None
        self._past = past
        prefix = f"live_{uuid4().hex[:12]}"
        self._wire = wire = wire_format(config)
        self._ears = WireAudio(config.input_format, wire)
        self._sound = Sound(wire)
        self._replies = LiveReplies(wire, config.output_format, prefix)
        self._turns = LiveTurns(self._replies, prefix, writes=config.transcription is not None)
        self._backend = LiveBackend()
        self._early: deque[ClientEvent] = deque()
        self._early_audio = b""
        self._is_ready = False
        self._closed_for: str | None = None
        self._asked_by: str | None = None
        self._has_text = False
        self._has_results = False
        self._is_going_on = False
        self._went_on_at_ms: int | None = None

    # ---- to the model ----

    def encode(self, event: ClientEvent) -> Iterator[str]:
        """The messages of the event; none yet for what must wait until the session has begun."""
        match event:
            case SessionUpdate(config) if self._config is None:
                self._config = config
                session = session_object(self._model_id, config, self._past)
                yield write({"type": "session.start", "session": session})
            case AudioInputAppend(audio) if not self._is_ready:
                most = MAX_EARLY_MS * self._wire.bytes_per_ms
                self._early_audio = (self._early_audio + self._ears.feed(audio))[-most:]
            case AudioInputAppend(audio):
                if wire := self._ears.feed(audio):
                    yield _audio(wire)
            case _ if not self._is_ready:
                _refuse(event)
                self._early.append(event)
            case _:
                yield from map(write, self._messages(event))

    def _messages(self, event: ClientEvent) -> Iterator[JsonObject]:
        match event:
            case SessionUpdate(config):
                yield from self._update(config)
            case ItemCreate():
                self._has_text = True
                yield from message(event)
            case ResponseCreate():
                yield from self._ask(event)
            case ToolResult(call_id, output):
                self._has_results = self._has_results or self._backend.awaits(call_id)
                self._went_on_at_ms = None
                item = {"type": "function_call_output", "call_id": call_id, "output": output}
                yield {"type": "response.item.create", "item": item}
                if self._backend.answered(call_id):
                    yield self._go_on()
            case _:
                _refuse(event)

    def _update(self, config: SessionConfig) -> Iterator[JsonObject]:
        before = self._config or config
        yield {"type": "session.update", "session": update_object(before, config)}
        if config.tools != before.tools and (hint := tools_hint(config.tools)):
            yield from append("instructions", hint)
        self._config = config

    def _ask(self, event: ResponseCreate) -> Iterator[JsonObject]:
        """Asks for a reply. After a tool's result the model goes on by itself, and may have spoken already."""
        self._asked_by = event.event_id
        if event.say is None:
            was_told, self._has_text = self._has_text or event.instructions is not None, False
            has_results, self._has_results = self._has_results, False
            if has_results and not was_told:
                went_on_at_ms = self._went_on_at_ms
                was_said = went_on_at_ms is not None and self._replies.loud_until_ms > went_on_at_ms
                self._replies.ask(0 if was_said else PATIENCE_MS)
                return
        self._replies.ask()
        yield from request(event)

    def _go_on(self) -> JsonObject:
        """Lets the backend go on with the results of its tools."""
        self._is_going_on = True
        return {"type": "response.create"}

    def farewell(self) -> Iterator[str]:
        """Ends the session, which else would be paid for until it expires."""
        if self._is_ready and self._closed_for is None:
            yield write({"type": "session.close"})

    # ---- from the model ----

    def decode(self, message: str | bytes) -> Said:
        fields = read_object(message)
        match fields.get("type"):
            case str(kind):
                yield from self._meaning(kind, fields)
                yield from self._replies.due()
            case _:
                raise WireError("expected a JSON object with a type")

    def _meaning(self, kind: str, fields: JsonObject) -> Said:
        match kind, fields:
            case "session.output_audio.delta", {"delta": str(audio)}:
                yield from self._hear(from_base64(audio))
            case "session.output_transcript.delta", {"delta": str(text)}:
                yield from self._wrote(text, _place(fields, "end_ms"))
            case "session.input_transcript.delta", {"delta": str(text)}:
                yield from self._turns.wrote(text, _place(fields, "start_ms"), _place(fields, "end_ms"))
            case "response.event", {"event": {"type": str(inner)} as event}:
                yield from self._backend_says(inner, event, optional_text(fields, "delegation_id"))
            case "session.started", {"session": {"id": str(session_id)} as session}:
                yield from self._started(session_id, session)
            case "session.updated", {"session": {}}:
                yield SessionUpdated()
            case "session.delegation.created", {"delegation": {"id": str(delegation_id), "target": str(target)}}:
                if target == "client":
                    yield from map(Answer, map(write, append("commentary", NOBODY, delegation_id=delegation_id)))
                yield RawEvent(kind, fields)
            case "session.closed", {"reason": str(reason)}:
                yield from self._closed(reason)
                yield RawEvent(kind, fields)
                if (failure := ending(reason)) is not None:
                    yield failure
            case "error", {"error": {} as error}:
                yield from self._failed(error_of(error))
            case _ if kind in _NEEDED:
                raise WireError(f"{kind} lacks a field, or has one of a wrong type")
            case _ if kind not in ROUTINE:
                yield RawEvent(kind, fields)

    def _hear(self, audio: bytes) -> Said:
        for window, level in self._sound.windows(audio):
            if level >= LOUD and self._replies.sounds_since_ms is None:
                yield from self._turns.agent_begins()
            yield from self._replies.hear(window, level)
            yield from self._turns.time_passed()
        yield from self._replies.flush()

    def _wrote(self, text: str, end_ms: int | None) -> Said:
        if self._replies.sounds_since_ms is None and not self._replies.is_late(end_ms):
            yield from self._turns.agent_begins()
        yield from self._replies.wrote(text, end_ms)

    def _started(self, session_id: str, session: Message) -> Said:
        if self._is_ready:
            return
        self._is_ready = True
        silence = self._wire.silence(ALIVE_MS * self._wire.bytes_per_ms)
        self.keepalive = KeepAlive(_audio(silence), ALIVE_MS / 1000)
        if self._early_audio:
            yield Answer(_audio(self._early_audio))
        for event in self._early:
            yield from map(Answer, map(write, self._messages(event)))
        self._early.clear()
        self._early_audio = b""
        expires_at = session.get("expires_at")
        yield SessionCreated(session_id, float(expires_at) if isinstance(expires_at, int | float) else None)

    def _backend_says(self, kind: str, event: Message, delegation_id: str | None) -> Said:
        match kind:
            case "response.output_item.done":
                if call := self._backend.called(delegation_id, event):
                    yield from self._replies.called(call.call_id, call.name, call.arguments)
            case "response.completed":
                self._replies.spent(usage_of(event))
                self._went_on()
                if self._backend.finished(delegation_id):
                    yield Answer(write(self._go_on()))
            case "response.failed" | "response.incomplete" | "error":
                failure = failure_of(event)
                self._backend.failed(delegation_id)
                self._has_results = False  # who asks for a reply now must ask the model itself
                self._went_on()
                yield failure

    def _went_on(self) -> None:
        if self._is_going_on:
            self._is_going_on = False
            self._went_on_at_ms = self._replies.now_ms

    def _closed(self, reason: str) -> Said:
        self._closed_for = reason
        yield from self._turns.end()
        yield from self._replies.end("incomplete", reason)

    def _failed(self, error: SessionError) -> Said:
        """An error: before the session has begun, its end; else one that refuses a request ends what began for it."""
        if not self._is_ready:
            yield ProviderError(error.message, code=error.code, retryable=error.retryable, category=error.category)
            return
        yield error
        is_refusal = error.event_id is not None and error.event_id == self._asked_by and not error.benign
        if is_refusal and not self._replies.forget_ask() and self._replies.sounds_since_ms is None:
            yield from self._replies.end("failed", error.code)

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        return usual_loss(code, reason) if self._closed_for is None else ending(self._closed_for)


_NEEDED: Final = frozenset(
    {
        "error",
        "response.event",
        "session.closed",
        "session.delegation.created",
        "session.input_transcript.delta",
        "session.output_audio.delta",
        "session.output_transcript.delta",
        "session.started",
        "session.updated",
    }
)
"""Message types that mean something, and need their fields for it."""


def _audio(audio: bytes) -> str:
    return f'{{"type":"session.input_audio.append","audio":"{to_base64(audio)}"}}'


def _place(fields: Message, key: str) -> int | None:
    """A place on the session's timeline, in milliseconds. Raises WireError for what is neither absent nor a number."""
    match fields.get(key):
        case None:
            return None
        case int() | float() as ms:
            return round(ms)
        case _:
            raise WireError(f"{key} should be a number")


def _refuse(event: ClientEvent) -> None:
    """Raises NotSupportedError for what this wire has no words for."""
    if not isinstance(event, SessionUpdate | ItemCreate | ResponseCreate | ToolResult):
        raise NotSupportedError(f"OpenAI Live has no {event.kind}: the model listens and speaks all the time")
