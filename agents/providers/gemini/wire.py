"""The Gemini Live wire: one object for each connection, which says the setup first and waits until it is accepted."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    ActivityEnd,
    ActivityStart,
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    ClientEvent,
    ItemCreate,
    ItemDelete,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    ServerEvent,
    SessionCreated,
    SessionExpiring,
    SessionUpdate,
    SessionUpdated,
    ToolResult,
)
from agents.providers.gemini.caller import Caller
from agents.providers.gemini.contents import history_contents, message_content, note, user
from agents.providers.gemini.errors import loss
from agents.providers.gemini.facts import Called, Fact, Failed, Ready, TakenBack
from agents.providers.gemini.message import read
from agents.providers.gemini.setup import Setup, context_update
from agents.providers.gemini.tools import OpenCalls, goes_on_after
from agents.providers.gemini.turns import Turns
from agents.providers.socket import Answer, Codec, Wait
from agents.providers.wire_audio import WireAudio
from agents.providers.wire_json import JsonObject, to_base64, write
from agents.realtime import PCM, AudioFormat, Past, SessionConfig

WIRE_RATE_HZ: Final = 16_000
"""What Gemini listens to; it would resample anything else."""

WIRE: Final = AudioFormat(sample_rate=WIRE_RATE_HZ)

MAX_HELD_AUDIO_MS: Final = 3000
"""Of the caller's audio that comes before the model is ready: it takes one second. The oldest is dropped."""


class GeminiCodec(Codec):
    """`setup` was made of `config`. Ids begin with `prefix`, which is the connection's own.

    The first event that is encoded is the `SessionUpdate` of that configuration. Everything else waits until the server
    has accepted it; then the history is told, and what waited. `is_resumed`: the setup names a session to go on with.
    """

    def __init__(
        self,
        prefix: str,
        setup: Setup,
        config: SessionConfig,
        *,
        history: Sequence[Past] = (),
        is_resumed: bool = False,
        can_update: bool = False,
    ) -> None:
        self._prefix = prefix
        self._setup = setup
        self._config = config
        self._history = tuple(history)
        self._is_resumed = is_resumed
        self._can_update = can_update
        self._caller = Caller(prefix, transcribes=setup.transcribes, is_manual=setup.is_manual)
        self._turns = Turns(prefix, self._caller, interrupts=setup.interrupts)
        self._calls = OpenCalls(setup.functions)
        self._unnamed_calls = 0
        self._to_wire = WireAudio(config.input_format, WIRE)
        self._has_begun = self._is_ready = self._is_leaving = self._is_active = False
        self._held: list[ClientEvent] = []
        self._contents: list[JsonObject] = []
        self._has_unanswered_words = False
        self._sent_bytes = 0

    # ---- what we say ----

    def encode(self, event: ClientEvent) -> tuple[str, ...]:
        """The messages of the event, none where it waits. Raises NotSupportedError for what the wire cannot say."""
        if isinstance(event, SessionUpdate) and not self._has_begun:
            self._has_begun = True
            return (write({"setup": self._setup.message}),)
        self._refuse(event)
        if not self._is_ready:
            self._hold(event)
            return ()
        messages = tuple(self._messages(event))
        if self._turns.is_owing:
            self.wait = Wait(0)
        return messages

    def waited(self) -> tuple[ServerEvent, ...]:
        """What follows from what we said, without the server's having to say anything."""
        self.wait = None
        return tuple(self._turns.owed())

    def _refuse(self, event: ClientEvent) -> None:
        match event:
            case ItemDelete() | ItemTruncate() | ResponseCancel() | AudioInputClear():
                raise NotSupportedError(f"Gemini has no {event.kind}")
            case ItemCreate(previous_item_id=str()):
                raise NotSupportedError("Gemini adds messages at the end only")
            case ActivityStart() | ActivityEnd() if not self._setup.is_manual:
                raise NotSupportedError(f"{event.kind} is for turn_detection.mode: manual; Gemini listens by itself")
            case SessionUpdate(config):
                if not self._can_update:
                    raise NotSupportedError("this model takes no new configuration during a connection")
                write(context_update(self._config, config, self._setup) or {})

    def _hold(self, event: ClientEvent) -> None:
        if not isinstance(event, AudioInputAppend):
            self._held.append(event)
            return
        if self._held and isinstance(last := self._held[-1], AudioInputAppend):
            self._held[-1] = AudioInputAppend(last.pcm + event.pcm)
        else:
            self._held.append(event)
        limit = MAX_HELD_AUDIO_MS * PCM.sample_rate // 1000 * 2
        excess = sum(len(each.pcm) for each in self._held if isinstance(each, AudioInputAppend)) - limit
        for at, each in enumerate(self._held):
            if excess > 0 and isinstance(each, AudioInputAppend):
                self._held[at] = AudioInputAppend(each.pcm[excess:])
                excess -= len(each.pcm)

    def _messages(self, event: ClientEvent) -> Iterator[str]:
        match event:
            case AudioInputAppend(pcm):
                yield from self._audio(pcm)
            case ActivityStart():
                yield from self._activity_starts()
            case AudioInputCommit() | ActivityEnd():
                yield from self._commit()
            case ItemCreate(role, text):
                self._contents.append(message_content(role, text))
                yield from self._loose_contents()
            case ResponseCreate():
                yield from self._ask(event)
            case ToolResult():
                yield from self._result(event)
            case SessionUpdate(config):
                message = context_update(self._config, config, self._setup)
                self._config = config
                self._turns.owe(SessionUpdated())
                if message:
                    yield write(message)

    def _audio(self, pcm: bytes) -> Iterator[str]:
        if self._setup.is_manual:
            yield from self._activity_starts()
        wire_audio = self._to_wire.feed(pcm)
        if wire_audio:
            yield self._piece(wire_audio)

    def _piece(self, wire_audio: bytes) -> str:
        """50 a second, and base64 needs no escapes."""
        self._sent_bytes += len(wire_audio)
        self._caller.sent_ms = self._sent_bytes // WIRE.bytes_per_ms
        data = to_base64(wire_audio)
        return f'{{"realtimeInput":{{"audio":{{"mimeType":"audio/pcm;rate={WIRE_RATE_HZ}","data":"{data}"}}}}}}'

    def _activity_starts(self) -> Iterator[str]:
        if not self._is_active:
            self._is_active = True
            yield write({"realtimeInput": {"activityStart": {}}})

    def _commit(self) -> Iterator[str]:
        """The caller's turn is over. Where Gemini listens by itself, it hears that no more comes for now."""
        tail = self._to_wire.flush()
        if not self._setup.is_manual:
            yield write({"realtimeInput": {"audioStreamEnd": True}})
        elif self._is_active:
            self._is_active = False
            if tail:
                yield self._piece(tail)
            yield write({"realtimeInput": {"activityEnd": {}}})
            self._turns.committed()

    def _loose_contents(self) -> Iterator[str]:
        """Words that no answer is asked for, as soon as they cut nothing off."""
        if self._contents and not self._turns.is_busy:
            contents, self._contents = self._contents, []
            self._has_unanswered_words = True
            yield write({"clientContent": {"turns": contents, "turnComplete": False}})

    def _ask(self, event: ResponseCreate) -> Iterator[str]:
        words = []
        if event.instructions:
            words.append(note(f"for your next answer only: {event.instructions}"))
        if event.say is not None:
            words.append(user(f"Say exactly the following words, all of them and no others:\n{event.say}"))
        has_words = bool(words or self._contents or self._has_unanswered_words)
        if self._turns.ask(event.event_id, has_words=has_words):
            contents, self._contents = [*self._contents, *words], []
            self._has_unanswered_words = False
            turns = {"turns": contents} if contents else {}
            yield write({"clientContent": {**turns, "turnComplete": True}})

    def _result(self, result: ToolResult) -> Iterator[str]:
        if not self._calls.knows(result.call_id):
            # The call was another connection's, and this one was told of it in words.
            self._contents.append(note(f"the tool call {result.call_id} answered {result.output}"))
            yield from self._loose_contents()
        elif message := self._calls.answered(result.call_id, result.output):
            yield self._answer(message)

    def _answer(self, message: JsonObject) -> str:
        goes_on = goes_on_after(message)
        self._turns.tools_answered(goes_on=goes_on)
        if goes_on:
            self._has_unanswered_words = False  # the answer to the tools is one to them as well
        return write(message)

    # ---- what the server says ----

    def decode(self, message: str | bytes) -> Iterable[ServerEvent | Answer]:
        """What it means for the conversation; nothing of it before the server has accepted the setup."""
        facts = read(message, is_text=self._setup.is_text)
        events: list[ServerEvent | Answer] = []
        if not self._is_ready:
            ready = next((fact for fact in facts if isinstance(fact, Ready)), None)
            if ready:
                events += self._begins(ready)
        if self._is_ready:
            events += self.waited()
        for fact in facts:
            if self._is_ready or isinstance(fact, Failed):
                events += self._take(fact)
        if self._is_ready:
            events += (Answer(text) for text in self._loose_contents())
        return events

    def _begins(self, ready: Ready) -> Iterator[ServerEvent | Answer]:
        """The history first, then what waited, then the news that the model is ready."""
        self._is_ready = True
        contents = history_contents(self._history)
        if contents:
            turns = {"turns": contents, "turnComplete": self._setup.begins_with_history}
            yield Answer(write({"clientContent": turns}))
        held, self._held = self._held, []
        for event in held:
            for text in self._messages(event):
                yield Answer(text)
        yield SessionCreated(ready.session_id or self._prefix)

    def _take(self, fact: Fact | ServerEvent) -> Iterator[ServerEvent | Answer]:
        match fact:
            case Ready():
                pass
            case Called(calls):
                named = [(call.call_id or self._name_call(), call) for call in calls]
                self._calls.called(named)
                yield from self._turns.called(named)
            case TakenBack(call_ids):
                yield from self._turns.take(fact)
                for message in self._calls.taken_back(call_ids):
                    yield Answer(self._answer(message))
            case SessionExpiring():
                self._is_leaving = True
                yield fact
            case _ if isinstance(fact, Fact):
                yield from self._turns.take(fact)
            case _:
                yield fact

    def _name_call(self) -> str:
        self._unnamed_calls += 1
        return f"{self._prefix}-c{self._unnamed_calls}"

    def loss(self, code: int | None, reason: str) -> ProviderError:
        """Gemini never ends a conversation of its own accord: every end is a loss."""
        is_resuming = self._is_resumed and not self._is_ready
        return loss(code, reason, is_leaving=self._is_leaving, is_resuming=is_resuming)
