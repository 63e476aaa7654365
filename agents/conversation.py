"""What passes between a model and a line once both are there: audio, turns, interruptions, tools."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from agents.emitter import Emitter
from agents.errors import ChannelError, ProviderError
from agents.events import (
    Audio,
    AudioInputAppend,
    AudioOutputDelta,
    AudioOutputDone,
    ChannelAudio,
    ChannelCommit,
    ChannelDigit,
    ChannelEvent,
    ChannelInterrupt,
    ChannelStarted,
    ClientEvent,
    Closed,
    Dtmf,
    EndReason,
    Error,
    Interrupted,
    ItemTruncate,
    Raw,
    RawEvent,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionError,
    Speech,
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
    TranscriptOutput,
    Usage,
    UsageReport,
)
from agents.realtime import RealtimeChannel, RealtimeConnection, SessionConfig, SpokenItem, TurnDetection
from agents.sequencer import ResponseSequencer
from agents.tool_calls import ToolCalls

if TYPE_CHECKING:
    from agents.session import RealtimeSession

log = logging.getLogger(__name__)

BUSY: Final = "conversation_already_has_active_response"
"""The error of a model that began a response of its own just before ours was asked for: ask again after it."""


MODEL_SILENCE_S: Final = 20.0
"""Longest that a model may say nothing at all while it owes us something: a caller is waiting on a silent line."""

CHECK_S: Final = 1.0
"""How often that is looked at."""


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
        self._connection = connection
        self._channel: RealtimeChannel | None = session.channel
        self._tool_calls = ToolCalls(session, self._answer)
        self._emit = emitter.emit
        self._is_watched = emitter.is_watched
        self._learn_id = learn_id
        turns = config.turn_detection if isinstance(config.turn_detection, TurnDetection) else TurnDetection()
        self._voice_interrupts = turns.interrupt_response is not False
        self._sequencer = ResponseSequencer()
        self._request_numbers = itertools.count(1)
        self._ending = asyncio.Event()
        self._closed = Closed("error")
        self._settled = asyncio.Event()
        self._settled.set()
        self._caller_is_speaking = False
        self._speaking: SpokenItem | None = None
        self._silenced: set[str] = set()
        self._silence_next = False
        self._interruptions = 0
        self._has_model_spoken = False
        self._model_spoke_at = 0.0
        self.is_muted = False
        self.usage = Usage()

    # ---- its life ----

    async def run(self) -> Closed:
        """Carries the conversation until it is over, and says how it ended. Nothing that it started is left then."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._hear_model(), name="model")
                tasks.create_task(self._watch(), name="time limits")
                if self._channel:
                    tasks.create_task(self._hear_line(self._channel), name="line")
                else:
                    await self._greet()
                await self._ending.wait()
                raise _Ended
        except* _Ended:
            pass
        except* Exception as group:
            log.error("the conversation broke", exc_info=group)
            self._closed = Closed("error", str(group.exceptions[0]))
        return self._closed

    def end(self, reason: EndReason, detail: str = "") -> None:
        """Lets `run()` finish. The first reason counts."""
        if not self._ending.is_set():
            self._closed = Closed(reason, detail)
            self._ending.set()

    async def _watch(self) -> None:
        """Ends a call that goes on for too long, and one whose model has fallen silent while it owes an answer."""
        now = asyncio.get_running_loop().time
        end_at = now() + self._session.agent.max_duration_s
        self._model_spoke_at = now()
        while (left_s := end_at - now()) > 0:
            await asyncio.sleep(min(left_s, CHECK_S))
            is_owed = self._sequencer.is_busy or not self._has_model_spoken
            if is_owed and now() - self._model_spoke_at > MODEL_SILENCE_S:
                self._fail(
                    ProviderError(f"the model was silent for {MODEL_SILENCE_S:g} s", code="timeout", retryable=True)
                )
                return
        self.end("time-limit")

    async def _hear_line(self, channel: RealtimeChannel) -> None:
        try:
            async for event in channel:
                await self._hear_line_event(event)
        except ChannelError as error:
            self.end("line", str(error))
        else:
            self.end("caller")

    async def _hear_model(self) -> None:
        now = asyncio.get_running_loop().time
        try:
            async for event in self._connection:
                self._has_model_spoken = True
                self._model_spoke_at = now()
                await self._hear_model_event(event)
        except ProviderError as error:
            self._fail(error)
        except ChannelError as error:
            self.end("line", str(error))
        else:
            self.end("provider", "the model's side closed the conversation")

    def _fail(self, error: ProviderError) -> None:
        self._emit(Error(error.code, str(error), error.retryable))
        self.end("provider", f"{error.code}: {error}")

    # ---- from the line ----

    async def _hear_line_event(self, event: ChannelEvent) -> None:
        match event:
            case ChannelAudio(pcm):
                await self.hear_caller(pcm)
            case ChannelStarted():
                await self._greet()
            case ChannelCommit():
                await self._session.commit()
            case ChannelInterrupt():
                await self.interrupt()
            case ChannelDigit(digit):
                self._emit(Dtmf(digit))

    async def hear_caller(self, pcm: bytes) -> None:
        """Lets the model hear the caller, or silence in place of a muted caller who was in mid-speech."""
        if self.is_muted:
            if not self._caller_is_speaking:
                return
            pcm = bytes(len(pcm))
        await self.send(AudioInputAppend(pcm))

    async def _greet(self) -> None:
        greeting = self._session.agent.greeting_for(self._session.context)
        if greeting:
            await self.request(say=greeting)

    # ---- from the model ----

    async def _hear_model_event(self, event: ServerEvent) -> None:
        match event:
            case AudioOutputDelta():
                await self._play(event)
            case AudioOutputDone(response_id, item_id, content_index):
                await self._end_item(SpokenItem(response_id, item_id, content_index))
            case SpeechStarted():
                self._caller_is_speaking = True
                if self._voice_interrupts:
                    await self._stop_speaking(cancel=False)
                self._emit(Speech(active=True))
            case SpeechStopped():
                self._caller_is_speaking = False
                self._emit(Speech(active=False))
            case ResponseCreated(response_id):
                self._response_created(response_id)
            case ResponseDone():
                await self._response_done(event)
            case ToolCall():
                self._call_tool(event)
            case ToolCancelled(call_id):
                await self._cancel_tool(call_id)
            case SessionError():
                await self._hear_error(event)
            case _:
                self._report(event)

    async def _play(self, delta: AudioOutputDelta) -> None:
        if delta.response_id in self._silenced:
            return
        item = SpokenItem(delta.response_id, delta.item_id, delta.content_index)
        self._speaking = item
        if self._channel:
            await self._channel.send_audio(delta.pcm, item)
        if self._is_watched("audio"):
            self._emit(Audio(delta.item_id, delta.pcm))

    async def _end_item(self, item: SpokenItem) -> None:
        if item == self._speaking:
            self._speaking = None
            if self._channel:
                await self._channel.end_audio(item)
            self._emit(Audio(item.item_id, b"", done=True))

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
            case SessionCreated(session_id):
                self._learn_id(session_id)

    async def _hear_error(self, error: SessionError) -> None:
        if error.event_id:
            self._sequencer.refused(error.event_id, again=error.code == BUSY)
            self._silence_next = False
            await self._advance()
        if error.benign or error.code == BUSY:
            log.debug("expected refusal: %s %s", error.code, error.message)
        else:
            self._emit(Error(error.code, error.message, error.retryable))

    # ---- responses ----

    async def request(self, *, say: str | None = None, instructions: str | None = None) -> None:
        """Asks for a response as soon as none is under way."""
        self._sequencer.request(ResponseCreate(f"request-{next(self._request_numbers)}", instructions, say))
        await self._advance()

    async def _advance(self) -> None:
        create = self._sequencer.next()
        if self._sequencer.is_quiet:
            self._settled.set()
        else:
            self._settled.clear()
        if create:
            self._model_spoke_at = asyncio.get_running_loop().time()
            await self.send(create)

    def _response_created(self, response_id: str) -> None:
        self._sequencer.created(response_id)
        self._settled.clear()
        if self._silence_next:
            self._silenced.add(response_id)
            self._silence_next = False
        self._emit(Response(response_id))

    async def _response_done(self, done: ResponseDone) -> None:
        if self._speaking and self._speaking.response_id == done.response_id:
            await self._end_item(self._speaking)  # a model that did not say so itself
        self._sequencer.done(done.response_id)
        self._silenced.discard(done.response_id)
        self.usage += done.usage
        self._emit(UsageReport(done.usage, self.usage))
        self._emit(Response(done.response_id, done.status, done.reason))
        if done.status == "failed":
            self._emit(Error("response_failed", done.reason or "the model could not answer", retryable=True))
        await self._advance()

    # ---- interruption: one path for every cause ----

    async def interrupt(self) -> None:
        """Stops the agent, whoever asked for it. Does nothing when the agent is silent."""
        try:
            await self._stop_speaking(cancel=True)
        except ChannelError as error:
            self.end("line", str(error))

    async def _stop_speaking(self, *, cancel: bool) -> None:
        """Silences the line, then tells the model. `cancel` is false where the model stops its response by itself."""
        is_responding = self._silence_response(is_cancelled=cancel)
        is_playing = self._channel is not None and self._channel.is_playing
        if not (is_responding or is_playing):
            return
        self._sequencer.forget_waiting()
        self._speaking = None
        self._interruptions += 1  # before the wait below: who waits for the end of playback must know why it ended
        heard = await self._channel.interrupt() if self._channel else ()
        if not (is_responding or heard):
            self._interruptions -= 1
            return
        if cancel and self._sequencer.cancel():
            await self.send(ResponseCancel(self._sequencer.active))
        for item in heard:
            await self.send(ItemTruncate(item.item_id, item.content_index, item.heard_ms))
        self._emit(Interrupted(heard))

    def _silence_response(self, *, is_cancelled: bool) -> bool:
        """Lets nothing more of the response under way reach the line. False when there is none, or it is silent.

        One that was asked for and has not begun is silenced only when it is cancelled: a model that hears the caller
        before it begins will speak.
        """
        active = self._sequencer.active
        if active is None:
            was_silenced = self._silence_next
            self._silence_next = was_silenced or (is_cancelled and self._sequencer.is_busy)
            return self._silence_next and not was_silenced
        if active in self._silenced:
            return False
        self._silenced.add(active)
        return True

    async def wait_played(self, timeout_s: float) -> bool:
        """Waits, at most so long, until the agent has no more to say and the caller heard it all.

        False when the caller interrupted meanwhile.
        """
        before = self._interruptions
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
                if self._channel:
                    await self._channel.wait_played(timeout_s)
        return self._interruptions == before

    # ---- tools ----

    def _call_tool(self, call: ToolCall) -> None:
        if self._tool_calls.start(call, self._tasks):
            self._sequencer.tool_called(call.call_id)
            self._emit(Tool(call.call_id, call.name, call.arguments))

    async def _answer(self, call: ToolCall, output: str) -> None:
        if self._ending.is_set():
            return
        await self.send(ToolResult(call.call_id, output))
        self._emit(Tool(call.call_id, call.name, call.arguments, output))
        self._sequencer.tool_answered(call.call_id)
        await self.request()

    async def _cancel_tool(self, call_id: str) -> None:
        if self._tool_calls.cancel(call_id):
            self._sequencer.tool_answered(call_id)
            await self._advance()

    # ---- to the model ----

    async def send(self, event: ClientEvent) -> None:
        """Sends to the model. A model's side that fails ends the conversation instead of raising here."""
        try:
            await self._connection.send(event)
        except ProviderError as error:
            self._fail(error)
