"""What passes between a model and a line once both are there: audio, turns, keys, tools."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from agents.callers_voice import CallersVoice
from agents.emitter import Emitter
from agents.errors import ChannelError, ConfigError, NotSupportedError, ProviderError, ToolError
from agents.events import (
    AudioInputAppend,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ChannelAudio,
    ChannelAway,
    ChannelBack,
    ChannelCommit,
    ChannelDigit,
    ChannelEvent,
    ChannelHeard,
    ChannelInterrupt,
    ChannelStarted,
    ClientEvent,
    Closed,
    DigitsEntered,
    EndReason,
    Error,
    History,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TextOutputDelta,
    ToolCall,
    ToolCancelled,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutputDelta,
    Usage,
)
from agents.floor import Floor
from agents.goodbye import Goodbye
from agents.guardrails.watching import Guardrails
from agents.handing_over import HandingOver
from agents.handoffs import Handoff, reachable_agents
from agents.history import CallHistory, HistoryItem
from agents.history_audio import HistoryAudio
from agents.hold import Hold
from agents.keypad import Keypad
from agents.opening import Opening
from agents.realtime import (
    PastMessage,
    RealtimeChannel,
    RealtimeConnection,
    SessionConfig,
    SpokenItem,
    Transcription,
)
from agents.replies import BUSY
from agents.reporting import report
from agents.requests import Requests
from agents.speaking import Speaking, tell_changed
from agents.switched_connection import SwitchedConnection
from agents.tools.approvals import Approvals
from agents.tools.calls import ToolCalls
from agents.tools.fillers import Fillers
from agents.tools.results import Results
from agents.watch import Watch

if TYPE_CHECKING:
    from agents.agent import RealtimeAgent
    from agents.session import RealtimeSession
    from agents.tools.contract import ToolContext

log = logging.getLogger(__name__)


class _Ended(Exception):
    """Ends the conversation's task group from inside."""


class Conversation:
    """One model's connection and one line, from the first word to the last.

    `run()` lives until `end()` is called, by either side's ending or from outside. Audio is passed on first; observers
    are told after.
    """

    def __init__(
        self,
        session: "RealtimeSession",
        opening: Opening,
        connection: RealtimeConnection,
        config: SessionConfig,
        emitter: Emitter,
        learn_id: Callable[[str], None],
        learn_agent: Callable[["RealtimeAgent"], None],
    ) -> None:
        self._session = session
        self._agent = agent = session.agent
        self._connection = connection
        self._channel: RealtimeChannel | None = session.channel
        self._emitter = emitter
        self._emit = emitter.emit
        self._learn_id = learn_id
        self._learn_agent = learn_agent
        self._tasks = asyncio.TaskGroup()
        self._input_format = config.input_format
        self._history = CallHistory(
            knows_heard=self._channel is not None,
            bytes_per_ms=config.output_format.bytes_per_ms,
            audio=HistoryAudio(config) if session.stores_audio else None,
            is_told=partial(emitter.is_watched, History.kind),
        )
        self._speaking = Speaking(
            self._channel,
            self.send,
            emitter,
            self._history,
            self._start_task,
            keeps_audio=any(each.barge_in.resume_after_ms is not None for each in reachable_agents(agent)),
        )
        self._ending = asyncio.Event()
        self._goodbye = Goodbye(self._speaking)
        self.requests = Requests(
            self._speaking,
            self._history,
            emitter,
            self._goodbye,
            send=self.send,
            spawn=self._start_task,
            is_over=self._ending.is_set,
            end=self.end,
        )
        self._keypad = Keypad(agent.keys, emitter.emit, self.requests.ask, self._on_key(agent))
        self._trace = session.trace
        self._watch = Watch(
            agent,
            session.context,
            self._speaking,
            has_transcripts=isinstance(config.transcription, Transcription),
            audio_format=config.input_format,
            send=self.send,
            look_at_keys=self._keypad.look,
            end=self.end,
            fail=self._fail,
        )
        self._guardrails = Guardrails(
            session, self._speaking, spawn=self._start_task, tell=emitter.emit, note=self.requests.add_note
        )
        self.hold = Hold(self._speaking, self._start_task, config.output_format, self.requests.remind)
        self._voice = CallersVoice(
            agent.barge_in, config, self._speaking, self._watch, self._goodbye, self._start_task, emitter.emit
        )
        self._handing_over: HandingOver | None = None
        if isinstance(connection, SwitchedConnection):
            self._handing_over = HandingOver(
                opening,
                agent,
                config,
                connection,
                self._speaking,
                self._history,
                spawn=self._start_task,
                tell=emitter.emit,
                send=self.send,
                become=self._become,
            )
        self._closed = Closed("error")
        self._floor = Floor(self._speaking, self._start_task)
        self._results = Results(
            self._speaking,
            self._floor,
            send=self.send,
            add=self.requests.add_note,
            tell=emitter.emit,
            is_over=self._ending.is_set,
            answered=self._watch.tool_answered,
        )
        fillers = Fillers(self._speaking, self._floor, config.output_format)
        self._tool_calls = ToolCalls(session, self._speaking, fillers, self._results, self._start_task, emitter.emit)
        self._tool_calls.before, self._tool_calls.after = self._guardrails.before, self._guardrails.after
        self._speaking.on_stop = self._tool_calls.note_interruptible
        self.is_muted = False

    @property
    def usage(self) -> Usage:
        return self._speaking.usage

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        return self._history.items

    @property
    def past(self) -> tuple[PastMessage, ...]:
        """What was said so far, for a model to begin with: of the agent's words those that were or will be heard."""
        return self._history.past

    @property
    def is_quiet(self) -> bool:
        """True while nobody speaks, nothing is owed and no tool runs; and while the line is elsewhere."""
        speaking = self._speaking
        if speaking.is_away:
            return True
        is_speaking = not speaking.is_settled or speaking.is_heard or speaking.is_at_work
        return not (is_speaking or self._voice.is_active or self._watch.may_be_answered)

    @property
    def worst_silence_ms(self) -> int:
        return self._watch.dead_air.worst_ms

    # ---- its life ----

    async def run(self) -> Closed:
        """Carries the conversation until it is over, and says how it ended. Nothing that it started is left then."""
        try:
            async with self._tasks:
                self._start_task(self._hear_model, "model")
                self._start_task(self._watch.run, "time limits")
                self._start_task(self._hear_line if self._channel else self._start, "line")
                try:
                    await self._ending.wait()
                finally:
                    self._ending.set()  # nothing is started while the tasks are being cancelled
                raise _Ended
        except* _Ended:
            pass
        except* Exception as group:
            log.error("the conversation broke", exc_info=group)
            self._closed = Closed("error", str(group.exceptions[0]))
        self._watch.stopped()
        return self._closed

    async def close_line(self) -> None:
        await self._speaking.close()

    async def settle(self) -> None:
        """Says what the caller heard of the last words, once the line is closed."""
        await self._speaking.settle()

    def end(self, reason: EndReason, detail: str = "") -> None:
        """Lets `run()` finish. The first reason counts."""
        if not self._ending.is_set():
            self._closed = Closed(reason, detail)
            self._ending.set()

    def _start_task(self, run: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[None] | None:
        """Runs a part of the conversation beside the others. None once it is ending."""
        if self._ending.is_set():
            return None
        return self._tasks.create_task(self._guarded(run), name=name)

    async def _guarded(self, run: Callable[[], Awaitable[None]]) -> None:
        """Whichever part of the conversation meets a side that broke: that ends it."""
        try:
            await run()
        except ChannelError as error:
            self.end("line", str(error))
        except ProviderError as error:
            self._fail(error)

    async def _hear_line(self) -> None:
        if self._channel:
            async for event in self._channel:
                await self._hear_line_event(event)
            self.end("caller")

    async def _hear_model(self) -> None:
        async for event in self._connection:
            self._watch.model_spoke()
            if self._trace:
                self._trace.model_said(event)
            await self._hear_model_event(event)
        self.end("provider", "the model's side closed the conversation")

    def _fail(self, error: ProviderError) -> None:
        if not self._ending.is_set():
            self._emit(Error(error.code, str(error), error.retryable, error.category))
        self.end("provider", f"{error.code}: {error}")

    async def _start(self) -> None:
        self._watch.line_started()
        if greeting := self._agent.greeting_for(self._session.context):
            await self._speaking.greet(greeting)

    # ---- from the line ----

    async def _hear_line_event(self, event: ChannelEvent) -> None:
        match event:
            case ChannelAudio(pcm):
                await self.hear_caller(pcm)
            case ChannelHeard(heard):
                self._speaking.heard(heard)
            case ChannelStarted():
                await self._start()
            case ChannelAway():
                self._watch.line_left()
                await self._speaking.leave()
            case ChannelBack():
                self._watch.line_back()
                await self._speaking.come_back()
            case ChannelCommit():
                await self._session.commit()
            case ChannelInterrupt():
                await self._speaking.give_way(cancel=True)
            case ChannelDigit(digit):
                self._watch.key_pressed()
                await self._keypad.press(digit)

    async def hear_caller(self, pcm: bytes) -> None:
        """Lets the model hear the caller, or silence in place of a muted caller who was in mid-speech."""
        self._watch.audio_came()
        is_unheard = self.is_muted or self.hold.is_on
        if is_unheard and not self._voice.is_active:
            return
        if is_unheard or self._keypad.is_secret:
            pcm = self._input_format.silence(len(pcm))
        self._voice.sounds(pcm)
        await self.send(AudioInputAppend(pcm))

    # ---- from the model ----

    async def _hear_model_event(self, event: ServerEvent) -> None:
        match event:
            case AudioOutputDelta():
                await self._play(event)
                return
            case TranscriptOutputDelta() | TextOutputDelta():
                tell_changed(self._emitter, self._history.take(event))
                self._guardrails.take(event)
                return
            case AudioOutputDone(response_id, item_id, content_index):
                await self._speaking.end_item(SpokenItem(response_id, item_id, content_index))
            case SpeechStarted() | SpeechStopped() | AudioInputCommitted() | TranscriptInputDelta() | TranscriptInput():
                self._floor.hear(event)
                await self._voice.take(event)
            case ResponseCreated(response_id):
                self._goodbye.response_began()
                self._tool_calls.response_began(response_id)
                await self._speaking.created(response_id)
                await self._floor.response_began()
            case ResponseDone():
                await self._speaking.done(event)
                self._watch.response_done()
            case ToolCall():
                self._tool_calls.start(event)
            case ToolCancelled(call_id):
                await self._tool_calls.cancel(call_id)
            case SessionError():
                await self._hear_error(event)
        tell_changed(self._emitter, self._history.take(event))
        if isinstance(event, SessionCreated):
            self._learn_id(event.session_id)
        if told := report(event):
            self._emit(told)
        self._guardrails.take(event)

    async def _play(self, delta: AudioOutputDelta) -> None:
        if self.hold.is_on and not self._speaking.is_silenced(delta.response_id):
            await self.hold.end()
        if await self._speaking.play(delta):
            self._watch.agent_sounds()

    async def _hear_error(self, error: SessionError) -> None:
        await self._speaking.refused(error)
        if error.benign or error.code == BUSY:
            log.debug("expected refusal: %s %s", error.code, error.message)
        else:
            self._emit(Error(error.code, error.message, error.retryable, error.category))

    # ---- from the program ----

    async def collect_digits(self, first_key_s: float, typing_s: float) -> DigitsEntered | None:
        """What the caller types next, as `Keypad.collect` says; the agent is asking for it until it was heard out.

        None also when the caller says something instead, and when the call ends.
        """
        speaking = self._speaking
        turns = speaking.turns

        def is_asking() -> bool:
            nonlocal turns
            turns = speaking.turns
            return not speaking.is_settled or speaking.is_heard

        return await self._keypad.collect(
            first_key_s, typing_s, is_asking, lambda: speaking.turns != turns or self._ending.is_set()
        )

    @property
    def is_caller_speaking(self) -> bool:
        """Whether the model hears the caller's voice."""
        return self._voice.is_active

    def end_when_played(self, reason: EndReason, timeout_s: float) -> None:
        """Ends the conversation when the caller has heard all. Tools' answers are not spoken any more."""
        self._results.may_respond = False
        self.requests.end_when_played(reason, timeout_s)

    def say_last(self, text: str, reason: EndReason, timeout_s: float) -> None:
        """Has a text said to somebody who is not heard any more, and ends the conversation when they have heard it.

        Does nothing once there are last words, or what is being said is the last.
        """
        if not self._speaking.has_last_words:
            self.is_muted, self._results.may_respond = True, False
            self.requests.end_when_played(reason, timeout_s, text)

    @property
    def approvals(self) -> Approvals:
        """The calls of tools that wait to be approved. Raises ConfigError once the conversation is over."""
        if self._ending.is_set():
            raise ConfigError("the session is over: nothing is approved or rejected any more")
        return self._tool_calls.approvals

    # ---- other agents ----

    async def hand_over(self, to: Handoff, call: "ToolContext", reason: str) -> object:
        """Lets another agent go on, as `HandingOver.hand_over` says."""
        if self._handing_over is None:
            raise ToolError(f"{self._agent.name} hands over to nobody.")
        return await self._handing_over.hand_over(to, call, reason)

    def _become(self, agent: "RealtimeAgent", config: SessionConfig) -> None:
        """The rules of another agent hold from here on."""
        self._agent = agent
        self._learn_agent(agent)
        self._tool_calls.use(agent)
        self._guardrails.use(agent)
        self._keypad.use(agent.keys, self._on_key(agent))
        has_transcripts = isinstance(config.transcription, Transcription)
        self._watch.use(agent, self._session.context, has_transcripts=has_transcripts)
        self._voice.use(agent.barge_in, config)

    def _on_key(self, agent: "RealtimeAgent") -> Callable[[], Awaitable[object]] | None:
        """What a key does to the agent while it speaks."""
        return partial(self._speaking.give_way, cancel=True) if agent.barge_in.on_key else None

    # ---- to the model ----

    async def send(self, event: ClientEvent) -> None:
        """Sends to the model. A model's side that fails ends the conversation instead of raising here.

        One that knows no cancelling or truncating is not told: the line is silent, which is what the caller wants.
        """
        if isinstance(event, AudioInputAppend):
            self._history.caller_sounds(event.pcm)
        elif isinstance(event, ResponseCreate):
            self._watch.asked()
            if self._trace:
                self._trace.model_asked(event)
        try:
            await self._connection.send(event)
        except ProviderError as error:
            self._fail(error)
        except NotSupportedError as error:
            if not isinstance(event, (ResponseCancel, ItemTruncate)):
                raise
            log.debug("the model is not told of the interruption: %s", error)
