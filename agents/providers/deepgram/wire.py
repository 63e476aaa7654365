"""Deepgram's Voice Agent wire (V1): JSON text beside raw audio, both ways."""

from collections import deque
from collections.abc import Iterator
from typing import Final

from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    AudioInputCommit,
    ClientEvent,
    ItemCreate,
    RawEvent,
    ResponseCreate,
    ServerEvent,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    ToolResult,
)
from agents.providers.deepgram import errors as errors
from agents.providers.deepgram.exchange import Exchange
from agents.providers.deepgram.settings import Thinker, is_flux, listen, listen_model, notes_of, settings, speak, think
from agents.providers.socket import Answer, Codec, KeepAlive, Wait, WireError
from agents.providers.wire_json import JsonObject, Message, optional_text, read_object, write
from agents.realtime import Past, SessionConfig

KEEPALIVE_S: Final = 8.0
"""Deepgram ends a session that hears nothing for about ten seconds."""

MAX_HELD_AUDIO_MS: Final = 5_000
"""Of the caller's audio that waits for the settings to be applied, the latest: nobody is answered later than that."""

MAX_HELD_EVENTS: Final = 100
"""Other events that wait for it; a session asks for a handful."""

MAX_NOTES: Final = 100
"""Of what became known during the call, the latest that the prompt holds."""

GO_ON: Final = "Please go on."
"""What the model is told when it is asked for an answer and there is nothing new to answer."""

ROUTINE: Final = frozenset({"History", "LatencyReport"})
"""Message types that say nothing that others do not; latencies come with every frame of audio."""

_UPDATED: Final = frozenset({"ListenUpdated", "PromptUpdated", "SpeakUpdated", "ThinkLiveUpdated", "ThinkUpdated"})


class DeepgramCodec(Codec):
    """One connection, which begins with what was said before: `history`."""

    def __init__(self, config: SessionConfig, thinks: Thinker, history: tuple[Past, ...] = ()) -> None:
        """Raises NotSupportedError for what the wire cannot say."""
        self._config = config
        self._thinks = thinks
        self._notes = deque(notes_of(history), maxlen=MAX_NOTES)
        self._settings: str | None = write(settings(config, thinks, history))
        self._session_id = ""
        self._is_ready = False
        self._held: deque[ClientEvent] = deque(maxlen=MAX_HELD_EVENTS)
        self._held_audio = bytearray()
        self._unsaid: deque[str] = deque(maxlen=MAX_NOTES)
        self._moot = 0
        self._exchange = Exchange(has_transcripts=config.transcription is not None)

    # ---- to Deepgram ----

    def encode(self, event: ClientEvent) -> tuple[str | bytes, ...]:
        if isinstance(event, AudioInputAppend):
            return self._audio(event.pcm)
        self._refuse_unspeakable(event)
        if self._is_ready:
            return tuple(map(write, self._messages(event)))
        self._held.append(event)
        return ()

    def _audio(self, audio: bytes) -> tuple[bytes, ...]:
        if self._is_ready:
            return (audio,)
        self._held_audio += audio
        del self._held_audio[: -MAX_HELD_AUDIO_MS * self._config.input_format.bytes_per_ms]
        return ()

    def _refuse_unspeakable(self, event: ClientEvent) -> None:
        match event:
            case SessionUpdate(config):
                settings(config, self._thinks)
                formats = (config.input_format, config.output_format)
                if formats != (self._config.input_format, self._config.output_format):
                    raise NotSupportedError("Deepgram keeps the audio formats that a session began with")
            case AudioInputCommit() if not is_flux(listen_model(self._config)):
                raise NotSupportedError("only Deepgram's Flux can be told that a turn is over: use mode semantic_vad")
            case ItemCreate() | ResponseCreate() | ToolResult() | AudioInputCommit():
                pass
            case _:
                raise NotSupportedError(f"Deepgram has no {event.kind}")

    def _messages(self, event: ClientEvent) -> Iterator[JsonObject]:
        match event:
            case SessionUpdate(config):
                yield from self._update(config)
            case ItemCreate("user", text):
                self._unsaid.append(text)
            case ItemCreate(role, text):
                yield self._note(text if role == "system" else f"Before, you said: {text}")
            case ResponseCreate():
                yield from self._respond(event)
            case ToolResult(call_id, output):
                name = self._exchange.tool_answered(call_id)
                if name is not None:  # else Deepgram took the call back, and wants no answer
                    yield {"type": "FunctionCallResponse", "id": call_id, "name": name, "content": output}
            case AudioInputCommit():
                yield {"type": "ForceEndTurn"}

    def _respond(self, event: ResponseCreate) -> Iterator[JsonObject]:
        """Words to say are injected as the agent's; words to answer as the caller's, as there is no other way."""
        if event.say is not None:
            self._exchange.will_say(event)
            yield {"type": "InjectAgentMessage", "message": event.say, "behavior": "queue"}
            return
        said = [*self._unsaid]
        self._unsaid.clear()
        if event.instructions:
            said.append(f"(Not the caller's words, but instructions for your next answer: {event.instructions})")
        if not said and self._exchange.answers_anyway(event):
            return
        if not said and self._exchange.has_answered_unasked:
            self._exchange.has_answered_unasked = False
            self._moot += 1
            self.wait = Wait(0)
            return
        content = "\n".join(said) or GO_ON
        self._exchange.was_told(event, content)
        yield {"type": "InjectUserMessage", "content": content}

    def _update(self, config: SessionConfig) -> Iterator[JsonObject]:
        """What differs; each part whole."""
        before, self._config = self._config, config
        notes = tuple(self._notes)
        if (thinking := think(config, self._thinks, notes)) != think(before, self._thinks, notes):
            yield {"type": "UpdateThink", "think": thinking}
        if (speaking := speak(config)) != speak(before):
            yield {"type": "UpdateSpeak", "speak": speaking}
        if (listening := listen(config)) != listen(before):
            yield {"type": "UpdateListen", "listen": listening}

    def _note(self, text: str) -> JsonObject:
        """Lets the model know something without an answer to it. UpdateThink replaces the prompt, however long ago."""
        self._notes.append(text)
        return {"type": "UpdateThink", "think": think(self._config, self._thinks, tuple(self._notes))}

    # ---- from Deepgram ----

    def decode(self, message: str | bytes) -> Iterator[ServerEvent | Answer | ProviderError]:
        if isinstance(message, bytes):
            if self._is_ready:
                yield from self._exchange.audio(message)
            return
        fields = read_object(message)
        kind = _text(fields, "type")
        match kind:
            case "Welcome":
                yield from self._welcomed(_text(fields, "request_id"))
            case "SettingsApplied":
                yield from self._ready()
            case "Error":
                yield errors.fatal(_text(fields, "code"), _text(fields, "description"))
            case "Warning":
                yield from self._warned(_text(fields, "code"), optional_text(fields, "description") or "")
            case _ if kind in ROUTINE:
                return
            case _ if self._is_ready:
                yield from self._said(kind, fields)
            case _:
                yield RawEvent(kind, fields)

    def waited(self) -> Iterator[ServerEvent]:
        """Requests that were answered before they were made."""
        self.wait = None
        moot, self._moot = self._moot, 0
        for _ in range(moot):
            yield from self._exchange.nothing_to_answer()

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        return errors.loss(code, reason)

    def _welcomed(self, session_id: str) -> Iterator[Answer]:
        self._session_id = session_id
        if self._settings is not None:
            settings_text, self._settings = self._settings, None
            yield Answer(settings_text)

    def _ready(self) -> Iterator[ServerEvent | Answer]:
        if self._is_ready:
            return
        self._is_ready = True
        self.keepalive = KeepAlive('{"type":"KeepAlive"}', KEEPALIVE_S)
        if self._held_audio:
            yield Answer(bytes(self._held_audio))
            self._held_audio.clear()
        while self._held:
            for message in self._messages(self._held.popleft()):
                yield Answer(write(message))
        yield SessionCreated(self._session_id)

    def _warned(self, code: str, description: str) -> Iterator[ServerEvent]:
        if code in errors.REFUSED_INJECTIONS:
            yield from self._exchange.refused_to_say(description)
        else:
            yield errors.warning(code, description)

    def _said(self, kind: str, fields: Message) -> Iterator[ServerEvent | Answer]:
        exchange = self._exchange
        match kind:
            case "UserStartedSpeaking":
                yield from exchange.user_started()
                while self._unsaid:  # the answer will be to the caller's voice: it should know this too
                    yield Answer(write(self._note(f"The caller wrote: {self._unsaid.popleft()}")))
            case "ConversationText":
                said = exchange.user_said if _role(fields) == "user" else exchange.agent_said
                yield from said(_text(fields, "content"))
            case "EndOfTurn":
                yield from exchange.turn_ended()
            case "AgentStartedSpeaking":
                yield from exchange.agent_stirs()
            case "AgentAudioDone":
                yield from exchange.audio_done()
            case "FunctionCallRequest":
                yield from self._called(fields)
            case "FunctionCallCancelled":
                yield from exchange.took_back([_text(each, "id") for each in _functions(fields)])
            case "InjectionRefused":
                yield from exchange.refused_to_say(optional_text(fields, "message") or "")
            case _ if kind in _UPDATED:
                yield SessionUpdated()
            case _:
                if kind == "AgentThinking":
                    exchange.agent_thinks()
                yield RawEvent(kind, fields)

    def _called(self, fields: Message) -> Iterator[ServerEvent]:
        """Those that are ours to run; the others are run by Deepgram, and tell of themselves."""
        functions = _functions(fields)
        calls = [
            (_text(each, "id"), _text(each, "name"), optional_text(each, "arguments") or "{}")
            for each in functions
            if each.get("client_side") is not False
        ]
        if calls:
            yield from self._exchange.called(calls)
        else:
            yield RawEvent("FunctionCallRequest", fields)


def _text(fields: Message, key: str) -> str:
    match fields.get(key):
        case str() as text:
            return text
        case _:
            raise WireError(f"{key} should be text")


def _role(fields: Message) -> str:
    role = _text(fields, "role")
    if role not in ("user", "assistant"):
        raise WireError("role should be user or assistant")
    return role


def _functions(fields: Message) -> list[Message]:
    match fields.get("functions"):
        case list() as functions if all(isinstance(each, dict) for each in functions):
            return functions
        case _:
            raise WireError("functions should be a list of objects")
