"""What passes between a model and a line once both are there: audio, turns, keys, tools."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from agents.callers_voice import CallersVoice
from agents.emitter import Emitter
from agents.errors import ChannelError, NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ChannelAudio,
    ChannelCommit,
    ChannelDigit,
    ChannelEvent,
    ChannelHeard,
    ChannelInterrupt,
    ChannelStarted,
    ClientEvent,
    Closed,
    EndReason,
    Error,
    ItemCreate,
    ItemTruncate,
    ModelStep,
    Raw,
    RawEvent,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    Text,
    TextOutput,
    Tool,
    ToolCall,
    ToolCancelled,
    ToolResult,
    Transcript,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutput,
    Usage,
)
from agents.goodbye import Goodbye
from agents.history import CallHistory, HistoryItem
from agents.keypad import Keypad
from agents.realtime import (
    PastMessage,
    RealtimeChannel,
    RealtimeConnection,
    SessionConfig,
    SpokenItem,
    Transcription,
)
from agents.replies import BUSY
from agents.speaking import Speaking, tell_changed
from agents.tool_calls import ToolCalls
from agents.watch import Watch

if TYPE_CHECKING:
    from agents.session import RealtimeSession

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
        connection: RealtimeConnection,
        config: SessionConfig,
        emitter: Emitter,
        learn_id: Callable[[str], None],
    ) -> None:
        self._session = session
        self._agent = agent = session.agent
        self._connection = connection
        self._channel: RealtimeChannel | None = session.channel
        self._emitter = emitter
        self._emit = emitter.emit
        self._learn_id = learn_id
        self._tasks = asyncio.TaskGroup()
        self._tool_calls = ToolCalls(session, self._answer)
        self._input_format = config.input_format
        self._history = CallHistory(
            knows_heard=self._channel is not None, bytes_per_ms=config.output_format.bytes_per_ms
        )
        self._speaking = Speaking(
            self._channel,
            self.send,
            emitter,
            self._history,
            self._start_task,
            keeps_audio=agent.barge_in.resume_after_ms is not None,
        )
        stop = partial(self._speaking.stop, cancel=True) if agent.barge_in.on_key else None
        self._keypad = Keypad(agent.keys, emitter.emit, self._ask, stop)
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
        self._goodbye = Goodbye(self._speaking)
        self._voice = CallersVoice(
            agent.barge_in, config, self._speaking, self._watch, self._goodbye, self._start_task, emitter.emit
        )
        self._ending = asyncio.Event()
        self._closed = Closed("error")
        self._is_closing = False
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
        """True while nobody speaks, nothing is owed and no tool runs."""
        speaking = self._speaking
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
            case ChannelCommit():
                await self._session.commit()
            case ChannelInterrupt():
                await self._speaking.stop(cancel=True)
            case ChannelDigit(digit):
                self._watch.key_pressed()
                await self._keypad.press(digit)

    async def hear_caller(self, pcm: bytes) -> None:
        """Lets the model hear the caller, or silence in place of a muted caller who was in mid-speech."""
        self._watch.audio_came()
        if self.is_muted and not self._voice.is_active:
            return
        if self.is_muted or self._keypad.is_secret:
            pcm = self._input_format.silence(len(pcm))
        self._voice.sounds(pcm)
        await self.send(AudioInputAppend(pcm))

    # ---- from the model ----

    async def _hear_model_event(self, event: ServerEvent) -> None:
        match event:
            case AudioOutputDelta():
                await self._play(event)
                return
            case AudioOutputDone(response_id, item_id, content_index):
                await self._speaking.end_item(SpokenItem(response_id, item_id, content_index))
            case SpeechStarted() | SpeechStopped() | AudioInputCommitted() | TranscriptInputDelta() | TranscriptInput():
                await self._voice.take(event)
            case ResponseCreated(response_id):
                self._goodbye.response_began()
                await self._speaking.created(response_id)
            case ResponseDone():
                await self._speaking.done(event)
                self._watch.response_done()
            case ToolCall():
                self._call_tool(event)
            case ToolCancelled(call_id):
                await self._cancel_tool(call_id)
            case SessionError():
                await self._hear_error(event)
        tell_changed(self._emitter, self._history.take(event))
        self._report(event)

    async def _play(self, delta: AudioOutputDelta) -> None:
        if await self._speaking.play(delta):
            self._watch.agent_sounds()

    def _report(self, event: ServerEvent) -> None:
        match event:
            case TranscriptInput(item_id, text):
                self._emit(Transcript("user", item_id, text))
            case TranscriptOutput(_, item_id, text):
                self._emit(Transcript("assistant", item_id, text))
            case TextOutput(_, item_id, text):
                self._emit(Text(item_id, text))
            case RawEvent(type_, payload):
                self._emit(Raw(type_, payload))
            case ModelStep():
                self._emit(event)
            case SessionCreated(session_id):
                self._learn_id(session_id)

    async def _hear_error(self, error: SessionError) -> None:
        await self._speaking.refused(error)
        if error.benign or error.code == BUSY:
            log.debug("expected refusal: %s %s", error.code, error.message)
        else:
            self._emit(Error(error.code, error.message, error.retryable, error.category))

    # ---- from the program ----

    async def add_message(self, text: str) -> None:
        """Adds a message of the caller's, as text. Asks for no response."""
        if self._ending.is_set():
            return
        item_id = f"msg_{uuid4().hex[:24]}"
        await self.send(ItemCreate("user", text, item_id))
        tell_changed(self._emitter, self._history.add(item_id, "user", text))

    async def request(self) -> None:
        if not self._ending.is_set():
            await self._speaking.request()

    async def _ask(self, text: str) -> None:
        await self.add_message(text)
        await self.request()

    async def interrupt(self) -> None:
        """Stops the agent, and returns when the model knows what was heard. Does nothing when the agent is silent.

        Who is cancelled while waiting for it has stopped the agent all the same.
        """
        if stopping := self._start_task(self._stop, "interrupt"):
            await asyncio.wait({stopping})

    async def _stop(self) -> None:
        if truncating := await self._speaking.stop(cancel=True):
            await asyncio.wait({truncating})

    async def wait_played(self, timeout_s: float) -> bool:
        """Waits, at most so long, until the agent has no more to say and the caller heard it all.

        False when the caller interrupted meanwhile.
        """
        return await self._speaking.wait_played(timeout_s)

    async def wait_goodbye(self, response_id: str | None, timeout_s: float) -> bool:
        """Waits until the caller heard the agent out and has nothing to add, as `Goodbye.wait` says."""
        return await self._goodbye.wait(response_id, timeout_s)

    def end_when_played(self, reason: EndReason, timeout_s: float) -> None:
        """Ends the conversation when `wait_played` would return. Tools' answers are not spoken any more."""

        async def wait() -> None:
            await self.wait_played(timeout_s)
            self.end(reason)

        self._is_closing = True
        self._start_task(wait, "closing")

    # ---- tools ----

    def _call_tool(self, call: ToolCall) -> None:
        if self._tool_calls.start(call, self._tasks):
            self._speaking.tool_called(call.call_id)
            self._emit(Tool(call.call_id, call.name, call.arguments))

    async def _answer(self, call: ToolCall, output: str) -> None:
        if self._ending.is_set():
            return
        await self.send(ToolResult(call.call_id, output))
        self._emit(Tool(call.call_id, call.name, call.arguments, output))
        self._watch.tool_answered()
        await self._speaking.tool_answered(call.call_id, respond=not self._is_closing)

    async def _cancel_tool(self, call_id: str) -> None:
        if self._tool_calls.cancel(call_id):
            await self._speaking.tool_answered(call_id, respond=False)

    # ---- to the model ----

    async def send(self, event: ClientEvent) -> None:
        """Sends to the model. A model's side that fails ends the conversation instead of raising here.

        One that knows no cancelling or truncating is not told: the line is silent, which is what the caller wants.
        """
        if isinstance(event, ResponseCreate):
            self._watch.asked()
        try:
            await self._connection.send(event)
        except ProviderError as error:
            self._fail(error)
        except NotSupportedError as error:
            if not isinstance(event, (ResponseCancel, ItemTruncate)):
                raise
            log.debug("the model is not told of the interruption: %s", error)
