"""The ElevenLabs Agents wire: one conversation's codec, from the first message on."""

from collections.abc import Sequence
from typing import Final

from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    AudioOutputDelta,
    ClientEvent,
    ItemCreate,
    RawEvent,
    ResponseCreate,
    ResponseCreated,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionUpdate,
    ToolResult,
)
from agents.providers.elevenlabs.agent import AgentSide
from agents.providers.elevenlabs.asking import Asking, context
from agents.providers.elevenlabs.caller import VOICE_SCORE, CallerSide
from agents.providers.elevenlabs.early import EarlyEvents
from agents.providers.elevenlabs.errors import loss
from agents.providers.elevenlabs.greeting import Greeting, Said
from agents.providers.elevenlabs.meaning import (
    AgentComplete,
    AgentSound,
    AgentText,
    AgentTextPart,
    CallerMaySay,
    CallerSaid,
    ClientToolCall,
    Correction,
    Fact,
    Interruption,
    OfCaller,
    Ping,
    Ready,
    Routine,
    Unknown,
    VoiceScore,
    read,
)
from agents.providers.elevenlabs.start import audio_format, first_message, history_text, initiation, wrong_format
from agents.providers.socket import Answer, Codec, Wait, WireError
from agents.providers.wire_audio import WireAudio
from agents.providers.wire_json import to_base64, write
from agents.realtime import PCMU, Past, SessionConfig

HELD_TEXT_S: Final = 1.0
"""A message for which no answer was asked for so long, while the agent could have answered, is for it to know only."""


class ElevenLabsCodec(Codec):
    """One conversation with an agent. `name` makes its ids unique in the process.

    The first event to encode is a `SessionUpdate`, for the opening message, which is made of `config` and `history`
    when the codec is: NotSupportedError says what cannot be. Further ones are refused: nothing changes in mid-call.

    A greeting is the agent's first message, which it says by itself: it is held back until it is asked for.
    """

    def __init__(self, config: SessionConfig, history: Sequence[Past] = (), *, name: str) -> None:
        self._config = config
        self._history = history
        self._name = name
        message = initiation(config, has_history=bool(history))
        self._opening: str | None = write(message)
        greeting = config.greeting if first_message(message) == config.greeting else None
        self._greeting = Greeting(greeting, config.output_format.bytes_per_ms)
        has_transcripts = config.transcription is not None
        self._caller = CallerSide(name, config.input_format.bytes_per_ms, has_transcripts=has_transcripts)
        self._early = EarlyEvents(config.input_format.bytes_per_ms)
        self._ear: WireAudio | None = None
        self._agent: AgentSide | None = None
        self._sounds_until_ms = 0.0
        self._asking = Asking()
        self._due: Said = []
        self._error: SessionError | None = None
        self._waits_for: tuple[object, ...] = ()

    # ---- what we say ----

    def encode(self, event: ClientEvent) -> tuple[str, ...]:
        if isinstance(event, SessionUpdate) and self._opening is not None:
            opening, self._opening = self._opening, None
            return (opening,)
        _refuse(event)
        if self._ear is None or self._agent is None:
            self._early.hold(event)
            return ()
        messages = self._encode(event, self._ear, self._agent)
        self._mind_wait()
        return messages

    def _encode(self, event: ClientEvent, ear: WireAudio, agent: AgentSide) -> tuple[str, ...]:
        match event:
            case AudioInputAppend(pcm):  # 50 a second, and base64 needs no escapes
                self._caller.sent(len(pcm))
                audio = ear.feed(pcm)
                return (f'{{"user_audio_chunk":"{to_base64(audio)}"}}',) if audio else ()
            case ItemCreate("user", text):
                self._asking.write(text)
                return ()
            case ItemCreate("assistant", text):
                return (context(f"You said: {text}"),)
            case ItemCreate(_, text):
                return (context(text),)
            case ResponseCreate():
                return self._ask(event, agent)
            case ToolResult(call_id, output):
                self._due += agent.tool_answered(call_id)
                result = {"tool_call_id": call_id, "result": output, "is_error": output.startswith("Error:")}
                return (write({"type": "client_tool_result"} | result),)
            case _:
                raise NotSupportedError(f"ElevenLabs has no words for {event.kind}")

    def _ask(self, create: ResponseCreate, agent: AgentSide) -> tuple[str, ...]:
        if self._greeting.is_asked_for(create.say):
            if not (agent.is_replying or self._greeting.has_begun):
                agent.ask()
            self._due += self._greeting.let_go() or ([] if agent.is_asked or agent.is_replying else agent.empty())
            return ()
        self._due += self._greeting.let_go()
        messages, said = self._asking.ask(create, agent)
        self._due += said
        return messages

    # ---- what it says ----

    def decode(self, message: str | bytes) -> Said:
        fact = read(message)
        due, self._due = self._due, []
        said = self._greeting.hold([*due, *self._meaning(fact)])
        self._mind_wait()
        return said

    def waited(self) -> Said:
        said, self._due = self._due, []
        if not said and self._agent is not None and self._agent.patience_s is not None:
            said = self._greeting.hold([*self._agent.gave_up()])
        elif not said:
            said = [Answer(message) for message in self._asking.unasked()]
        self._mind_wait()
        return said

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        return loss(code, reason, self._error)

    def _meaning(self, fact: Fact) -> Said:
        match fact:
            case Ping(ping_id):
                return [Answer(write({"type": "pong", "event_id": ping_id})), *self._caller.passed()]
            case Routine():
                return []
            case Ready():
                return [] if self._agent else self._ready(fact)
        if self._agent is None:
            return self._too_early(fact)
        if isinstance(fact, SessionError):
            self._error = fact
            return [fact, *self._agent.failed(fact.code)]
        self._error = None  # what came before was not the end
        match fact:
            case Unknown(kind, fields):
                return [RawEvent(kind, fields)]
            case CallerSaid() | CallerMaySay() | VoiceScore():
                return [*self._of_caller(fact, self._agent)]
            case Interruption(event_id):
                return self._interruption(event_id, self._agent)
            case _:
                return self._of_agent(fact, self._agent)

    def _too_early(self, fact: Fact) -> Said:
        """What comes before the conversation begins is no part of it; an error is its end."""
        match fact:
            case SessionError():
                self._error = fact
                error = loss(None, "", fact)
                return [error] if error else []
            case Unknown():
                return []
            case _:
                raise WireError("expected conversation_initiation_metadata first")

    def _ready(self, ready: Ready) -> Said:
        heard, spoken = audio_format(ready.heard_format), audio_format(ready.spoken_format)
        ours_in, ours_out = self._config.input_format, self._config.output_format
        if heard is None or (ours_in == PCMU and heard != PCMU):
            return [wrong_format("user_input_audio_format", ready.heard_format, ours_in)]
        if spoken is None or (ours_out == PCMU and spoken != PCMU):
            return [wrong_format("agent_output_audio_format", ready.spoken_format, ours_out)]
        self._ear = WireAudio(ours_in, heard)
        self._agent = AgentSide(self._name, spoken, ours_out)
        said: Said = []
        if self._history:
            said.append(Answer(context(history_text(self._history))))
        for each in self._early.take():
            said += [Answer(text) for text in self._encode(each, self._ear, self._agent)]
        return [*said, SessionCreated(ready.session_id or self._name)]

    def _of_caller(self, fact: OfCaller, agent: AgentSide) -> list[ServerEvent]:
        match fact:
            case CallerSaid(text) if self._asking.is_echo(text):
                return []
            case CallerMaySay(""):
                return []
            case VoiceScore(score) if score < VOICE_SCORE:
                return self._caller.quiet()
        is_sounding = self._caller.sent_ms < self._sounds_until_ms
        ended = agent.end() if agent.is_fading and not is_sounding else []
        is_agent_on = is_sounding or agent.is_replying
        if isinstance(fact, CallerSaid):
            agent.turn_ended()
            return [*ended, *self._caller.said(fact.text, is_agent_on=is_agent_on)]
        return [*ended, *self._caller.voice(is_agent_on=is_agent_on)]

    def _interruption(self, event_id: int | None, agent: AgentSide) -> Said:
        is_ours = agent.is_asked and not agent.is_replying  # a message of ours takes the turn, not the caller
        started = [] if is_ours else self._caller.interrupts()
        self._sounds_until_ms = self._caller.sent_ms
        return [*started, *agent.interrupted(event_id)]

    def _of_agent(self, fact: Fact, agent: AgentSide) -> Said:
        said: list[ServerEvent] = []
        match fact:
            case AgentSound(audio, event_id, is_final):
                said = agent.audio(audio, event_id, is_final)
                self._sounds(said)
            case AgentText(text, event_id):
                said = agent.text(text, event_id)
            case AgentTextPart(kind, text, event_id):
                said = agent.part(kind, text, event_id)
            case AgentComplete(event_id):
                agent.complete(event_id)
            case Correction(original, corrected):
                said = agent.corrected(original, corrected)
            case ClientToolCall(call_id, name, arguments, event_id, expects_result):
                said = agent.call((call_id, name, arguments), event_id, expects_result=expects_result)
        if any(isinstance(each, ResponseCreated) for each in said):
            return [*self._caller.answered(), *said]
        return [*said]

    def _sounds(self, said: list[ServerEvent]) -> None:
        """Reckons until when the caller hears this, on the clock of the caller's own audio."""
        size = sum(len(each.pcm) for each in said if isinstance(each, AudioOutputDelta))
        begins_ms = max(self._sounds_until_ms, self._caller.sent_ms)
        self._sounds_until_ms = begins_ms + size / self._config.output_format.bytes_per_ms

    # ---- what waits ----

    def _mind_wait(self) -> None:
        """Begins a new wait when something else is waited for than before."""
        waits_for: tuple[object, ...] = ()
        wait_s: float | None = None
        if self._due:
            waits_for, wait_s = ("due",), 0.0
        elif self._agent is not None and (wait_s := self._agent.patience_s) is not None:
            waits_for = ("agent", self._agent.changes)
        elif self._asking.waiting:
            waits_for, wait_s = ("texts", self._asking.waiting), HELD_TEXT_S
        if waits_for != self._waits_for:
            self._waits_for = waits_for
            self.wait = None if wait_s is None else Wait(wait_s)


def _refuse(event: ClientEvent) -> None:
    """Raises NotSupportedError for what the wire cannot say, now or later."""
    match event:
        case AudioInputAppend() | ResponseCreate() | ToolResult():
            return
        case ItemCreate():
            if event.previous_item_id is None:
                return
            raise NotSupportedError("ElevenLabs takes messages at the end of the conversation only")
        case SessionUpdate():
            raise NotSupportedError("ElevenLabs changes nothing in mid-conversation")
        case _:
            raise NotSupportedError(f"ElevenLabs has no words for {event.kind}")
