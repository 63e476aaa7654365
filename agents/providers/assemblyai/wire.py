"""AssemblyAI's Voice Agent wire: JSON text, with audio as base64."""

from collections import deque
from collections.abc import Iterator
from typing import Final

from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    ClientEvent,
    ItemCreate,
    RawEvent,
    ResponseCreate,
    ServerEvent,
    SessionCreated,
    SessionResumable,
    SessionUpdate,
    SessionUpdated,
    ToolResult,
)
from agents.providers.assemblyai import errors as errors
from agents.providers.assemblyai.early import EarlyEvents
from agents.providers.assemblyai.exchange import Exchange
from agents.providers.assemblyai.fields import arguments, encoding, heard, text
from agents.providers.assemblyai.greeting import Greeting
from agents.providers.assemblyai.session import ENCODINGS, changes, everything, found_since, opening, prompt, told_later
from agents.providers.socket import Answer, Codec, Wait
from agents.providers.wire_audio import WireAudio
from agents.providers.wire_json import (
    JsonObject,
    Message,
    from_base64,
    optional_object,
    optional_text,
    read_object,
    write,
)
from agents.realtime import PCM, AudioFormat, Past, SessionConfig, TurnDetection

MAX_NOTES: Final = 100
"""Of what became known during the call, the latest that the prompt holds."""

HOLD_S: Final = 3.0
"""How long a tool's result or a request is held back for the reply to a turn, which a noise does not get."""

_FORMATS: Final = {encoding: audio_format for audio_format, encoding in ENCODINGS.items()}


class AssemblyAICodec(Codec):
    """One connection: its first `SessionUpdate` opens the session, whatever it holds.

    `agent_id` is an agent stored at AssemblyAI. `history` is what the conversation begins with; `resume` the id of the
    session that it goes on with: that one knows the history, which is then told again only where a new prompt takes the
    place of one that had it.

    A greeting is spoken by itself: it is held back until it is asked for.
    """

    def __init__(
        self,
        config: SessionConfig,
        *,
        agent_id: str | None = None,
        history: tuple[Past, ...] = (),
        resume: str | None = None,
    ) -> None:
        """Raises NotSupportedError for what the wire cannot say."""
        self._config = config
        self._history = history
        self._notes: deque[str] = deque(maxlen=MAX_NOTES)
        self._is_stored = agent_id is not None
        self._opening: JsonObject | None = opening(config, agent_id, self._history, resume)
        is_greeted = not (history or resume or agent_id) and config.greeting is not None
        self._greeting = Greeting(config.greeting if is_greeted else None, config.output_format.bytes_per_ms)
        self._is_new = self._is_config_known = resume is None
        self._is_ready = self._is_over = False
        self._early = EarlyEvents(config.input_format.bytes_per_ms)
        self._unsaid: deque[str] = deque(maxlen=MAX_NOTES)
        self._found = found_since(history) if resume else []
        self._moot = 0
        self._ear = WireAudio(config.input_format, config.input_format)
        turns = config.turn_detection
        self._exchange = Exchange(
            WireAudio(config.output_format, config.output_format),
            interrupts=not (isinstance(turns, TurnDetection) and turns.interrupt_response is False),
            has_transcripts=config.transcription is not None,
        )

    # ---- to AssemblyAI ----

    def encode(self, event: ClientEvent) -> tuple[str, ...]:
        if self._opening is not None and isinstance(event, SessionUpdate):
            first, self._opening = self._opening, None
            return (write(first),)
        self._refuse_unspeakable(event)
        if not self._is_ready:
            self._early.hold(event)
            return ()
        return tuple(self._encoded(event))

    def farewell(self) -> tuple[str, ...]:
        """What ends the session at once: without it AssemblyAI keeps it, and charges for it, for half a minute."""
        return () if self._is_over or self._opening else ('{"type":"session.end"}',)

    def _encoded(self, event: ClientEvent) -> Iterator[str]:
        if not isinstance(event, AudioInputAppend):
            yield from map(write, self._messages(event))
        elif on_wire := self._ear.feed(event.pcm):
            yield heard(on_wire)

    def _refuse_unspeakable(self, event: ClientEvent) -> None:
        match event:
            case SessionUpdate(config):
                changes(self._config, config)
            case AudioInputAppend() | ItemCreate() | ResponseCreate() | ToolResult():
                pass
            case _:
                raise NotSupportedError(f"AssemblyAI has no {event.kind}")

    def _messages(self, event: ClientEvent) -> Iterator[JsonObject]:
        match event:
            case SessionUpdate(config):
                yield from self._update(config)
            case ItemCreate("user", words):
                self._unsaid.append(words)
                yield self._note(f"The caller wrote: {words}")
            case ItemCreate(role, words):
                yield self._note(words if role == "system" else f"Before, you said: {words}")
            case ResponseCreate():
                self._respond(event)
            case ToolResult(call_id, output):
                self._exchange.tool_answered(call_id, output)
        yield from self._due()

    def _respond(self, event: ResponseCreate) -> None:
        exchange = self._exchange
        is_greeting = self._greeting.is_asked_for(event.say)
        self._greeting.let_go()
        if is_greeting:
            if not self._greeting.has_begun:
                exchange.ask(event)
            elif not self._greeting.is_due:
                self._moot += 1
            return
        wanted = [event.instructions] if event.instructions else []
        if event.say is not None:
            wanted.append(f"Say exactly the following words, all of them and no others:\n{event.say}")
        elif self._unsaid:
            wanted += ["The caller has written this just now; answer it:", *self._unsaid]
            self._unsaid.clear()
        elif self._found:  # a result may have waited for the end of a reply when its connection broke
            wanted += ["Before you answer, know this, if you do not yet:", *self._found]
            self._found = []
        if wanted:
            exchange.ask(event, {"type": "reply.create", "instructions": "\n".join(wanted)})
        elif exchange.answers_anyway:
            exchange.ask(event)
        elif exchange.has_answered_unasked:
            exchange.has_answered_unasked = False
            self._moot += 1
        else:
            exchange.ask(event, {"type": "reply.create"})

    def _update(self, config: SessionConfig) -> Iterator[JsonObject]:
        session = changes(self._config, config)
        notes = tuple(self._notes)
        known = prompt(config, self._history, notes)
        is_known = known == prompt(self._config, self._history, notes)
        if not self._is_config_known:
            session = everything(config, is_stored=self._is_stored)
            is_known = self._is_stored and not config.instructions
        if not is_known:
            session["system_prompt"] = known
        self._config, self._is_config_known = config, True
        if session:
            yield {"type": "session.update", "session": session}

    def _note(self, words: str) -> JsonObject:
        """Lets the model know something without a reply to it. A stored agent's own prompt cannot be added to."""
        self._notes.append(words)
        if self._is_stored and not self._config.instructions:
            return {"type": "conversation.message", "role": "system", "content": words}
        known = prompt(self._config, self._history, tuple(self._notes))
        return {"type": "session.update", "session": {"system_prompt": known}}

    def _due(self) -> Iterator[JsonObject]:
        """What may be sent now; and what may not, but not for ever."""
        yield from self._exchange.due()
        if self._moot or self._greeting.is_due:
            self.wait = Wait(0)
        elif not self._exchange.is_held_up:
            self.wait = None
        elif self.wait is None or not self.wait.after_s:
            self.wait = Wait(HOLD_S)

    # ---- from AssemblyAI ----

    def decode(self, message: str | bytes) -> Iterator[ServerEvent | Answer | ProviderError]:
        fields = read_object(message)
        kind = text(fields, "type")
        match kind:
            case "session.ready":
                yield from self._ready(fields)
            case "session.updated":
                if self._is_ready:
                    yield SessionUpdated()
            case "session.error" | "error":
                code = optional_text(fields, "code") or "error"
                said = optional_text(fields, "message") or ""
                is_fatal = errors.ends_session(code) or not self._is_ready
                yield errors.failure(code, said) if is_fatal else errors.complaint(code, said)
            case "session.ended":
                self._is_over = True
                problem = "AssemblyAI ended the session: it has lasted as long as it may"
                yield SessionResumable(None)
                yield ProviderError(problem, code="session_expired", retryable=True)
            case _ if self._is_ready:
                yield from self._greeting.told(self._said(kind, fields))
                for wanted in self._due():
                    yield Answer(write(wanted))
            case _:
                yield RawEvent(kind, fields)

    def waited(self) -> Iterator[ServerEvent | Answer]:
        self.wait = None
        moot, self._moot = self._moot, 0
        if not (moot or self._greeting.is_due):
            self._exchange.hold_no_longer()
        yield from self._greeting.told()
        for _ in range(moot):
            yield from self._exchange.nothing_to_say()
        for wanted in self._due():
            yield Answer(write(wanted))

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        return errors.loss(code, reason)

    def _ready(self, fields: Message) -> Iterator[ServerEvent | Answer | ProviderError]:
        if self._is_ready:
            return
        session_id = text(fields, "session_id")
        config = optional_object(fields, "config")
        hears, speaks = encoding(config, "input"), encoding(config, "output")
        if "audio/pcma" in (hears, speaks):
            problem = "the stored agent's audio format should be audio/pcm or audio/pcmu; it is audio/pcma"
            yield ProviderError(problem, code="invalid_format", retryable=False, category="invalid_request")
            return
        self._ear = WireAudio(self._config.input_format, self._on_wire(hears, self._config.input_format))
        spoken = self._on_wire(speaks, self._config.output_format)
        self._exchange.voice = WireAudio(spoken, self._config.output_format)
        self._is_ready = True
        yield from map(Answer, map(write, self._own_words()))
        for each in self._early.take():
            yield from map(Answer, self._encoded(each))
        yield SessionCreated(session_id)  # whoever waits for it sends at once
        yield SessionResumable(session_id)

    def _on_wire(self, told: str | None, wanted: AudioFormat) -> AudioFormat:
        """The format of one direction: as the server says, else as it was asked for, or is by default."""
        return _FORMATS.get(told or "") or (PCM if self._is_stored else wanted)

    def _own_words(self) -> Iterator[JsonObject]:
        """What a stored agent is told once it is there; its greeting is not for a conversation that goes on."""
        if self._is_stored and self._is_new:
            self._exchange.ignores_next_reply = bool(self._history)
            yield from told_later(self._config, self._history)

    def _said(self, kind: str, fields: Message) -> Iterator[ServerEvent]:
        exchange = self._exchange
        match kind:
            case "input.speech.started":
                yield from exchange.speech_started()
            case "input.speech.stopped":
                yield from exchange.speech_stopped()
            case "transcript.user.delta":
                yield from exchange.user_wrote(text(fields, "text"))
            case "transcript.user":
                yield from exchange.user_said(text(fields, "text"))
            case "reply.started":
                yield from exchange.reply_started(text(fields, "reply_id"))
            case "reply.audio":
                yield from exchange.audio(from_base64(text(fields, "data")))
            case "transcript.agent.delta":
                yield from exchange.agent_wrote(text(fields, "delta"))
            case "transcript.agent":
                yield from exchange.agent_said(text(fields, "text"))
            case "reply.done":
                yield from exchange.reply_done(is_interrupted=optional_text(fields, "status") == "interrupted")
            case "tool.call":
                yield from exchange.called(text(fields, "call_id"), text(fields, "name"), arguments(fields))
            case _:
                yield RawEvent(kind, fields)
