"""Takes turns with the caller: hears each turn out, lets the brain answer, and stops when the caller speaks."""

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from agents.errors import GatewayError, ProviderError
from agents.events import (
    AudioInputCleared,
    AudioInputCommitted,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
)
from agents.local.brain import Brain
from agents.local.listening import Listener, Turn
from agents.local.memory import Memory, Message
from agents.local.outbox import Outbox
from agents.local.reply import Reply
from agents.local.sentences import sentences
from agents.local.speech import Speech
from agents.local.turns import TurnSettings, TurnStarted
from agents.local.vad import RATE_HZ
from agents.realtime import SessionConfig

SORRY: Final = "I am sorry, something went wrong. Could you say that again?"
NOT_HEARD: Final = "I am sorry, I could not hear that. Could you say it again?"
"""What is said when the brain or the ears failed: the caller must not be left in silence."""

MAX_UNHEARD_TURNS: Final = 8
"""Turns of one caller that wait to be understood; nobody says as many in the time that understanding one may take."""


@dataclass(frozen=True, slots=True)
class _UnheardTurn:
    item_id: str
    pcm16k: bytes
    wants_answer: bool


@dataclass(frozen=True, slots=True)
class _Response:
    reply: Reply
    task: asyncio.Task[None]


class Dialogue:
    """One call's turn-taking. Its two kinds of task, one that hears and one per response, are born in `tasks`.

    A turn in which nothing was understood (a cough, a door) has an empty transcript and gets no answer, and counts as
    nothing. What a caller says while being understood or about to be answered is answered together with what was
    said before.
    """

    def __init__(
        self,
        brain: Brain,
        speech: Speech,
        listener: Listener,
        config: SessionConfig,
        out: Outbox,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.conversation = Memory()
        self._brain = brain
        self._speech = speech
        self._listener = listener
        self._config = config
        self._out = out
        self._tasks = tasks
        self._turn_item = ""
        self._unheard: asyncio.Queue[_UnheardTurn] = asyncio.Queue(MAX_UNHEARD_TURNS)
        self._response: _Response | None = None
        self._ears = tasks.create_task(self._understand(), name="local ears")

    def configure(self, config: SessionConfig) -> None:
        """Holds from the next response and the next audio on."""
        self._config = config
        self._listener.settings = TurnSettings.of(config.turn_detection)

    # ---- the caller ----

    def hear(self, pcm: bytes) -> None:
        for happened in self._listener.hear(pcm):
            match happened:
                case TurnStarted(at_ms):
                    self._turn_item = _new_id("item")
                    self._out.put_now(SpeechStarted(self._turn_item, at_ms))
                    if self._response and self._listener.settings.interrupt_response:
                        self._cancel_response(self._response, "turn_detected")
                case Turn():
                    self._out.put_now(SpeechStopped(self._turn_item, happened.at_ms))
                    self._queue(happened, wants_answer=self._listener.settings.create_response)

    def commit(self) -> None:
        """Ends the caller's turn now; it is for others to ask for an answer."""
        was_speaking = self._listener.is_speaking
        turn = self._listener.commit()
        if turn is None:
            message = "there is no audio to commit"
            self._out.put_now(SessionError("input_audio_buffer_commit_empty", message, benign=True))
            return
        if was_speaking:
            self._out.put_now(SpeechStopped(self._turn_item, turn.at_ms))
        else:
            self._turn_item = _new_id("item")
        self._queue(turn, wants_answer=False)

    def forget_audio(self) -> None:
        self._listener.clear()
        self._out.put_now(AudioInputCleared())

    def _queue(self, turn: Turn, *, wants_answer: bool) -> None:
        self._out.put_now(AudioInputCommitted(self._turn_item))
        try:
            self._unheard.put_nowait(_UnheardTurn(self._turn_item, turn.pcm16k, wants_answer))
        except asyncio.QueueFull:
            message = f"{MAX_UNHEARD_TURNS} turns wait to be understood; this one is dropped"
            self._out.put_now(SessionError("busy", message, retryable=True))

    async def _understand(self) -> None:
        while True:
            turn = await self._unheard.get()
            try:
                text = await self._speech.transcribe(turn.pcm16k, RATE_HZ)
            except ProviderError as error:
                self._report(error)
                self._understood(turn, "")
                if turn.wants_answer and self._response is None:
                    self._begin(say=NOT_HEARD)
            else:
                self._understood(turn, text)
                self._answer_if_due()

    def _understood(self, turn: _UnheardTurn, text: str) -> None:
        if self._config.transcription is not None:
            self._out.put_now(TranscriptInput(turn.item_id, text))
        if text:
            self.conversation.add(Message(turn.item_id, "user", text, turn.wants_answer))
        self._unheard.task_done()

    # ---- the agent ----

    def respond(self, create: ResponseCreate) -> None:
        """Begins the response that was asked for, unless one is under way."""
        if self._response:
            message = f"response {self._response.reply.response_id} is under way"
            code = "conversation_already_has_active_response"
            self._out.put_now(SessionError(code, message, event_id=create.event_id))
        elif create.instructions and not self._brain.follows_instructions:
            message = "a script cannot follow the instructions of a response: use say"
            self._out.put_now(SessionError("not_supported", message, event_id=create.event_id))
        else:
            self._begin(create.say, create.instructions)

    def cancel(self, response_id: str | None) -> None:
        """Stops the response under way, or the one of that id."""
        if self._response is None or response_id not in (None, self._response.reply.response_id):
            message = "no such response is under way"
            self._out.put_now(SessionError("response_cancel_not_active", message, benign=True))
            return
        for message_ in self.conversation.unanswered:
            message_.is_answered = True
        self._cancel_response(self._response, "client_cancelled")

    def stop(self) -> list[asyncio.Task[None]]:
        """Stops everything; gives the tasks that are about to end."""
        ending = [self._ears] + ([self._response.task] if self._response else [])
        self._response = None
        for task in ending:
            task.cancel()
        return ending

    def _answer_if_due(self) -> None:
        """Answers what the caller said, once the caller is silent and all of it is understood."""
        settings = self._listener.settings
        caller_goes_on = self._listener.is_speaking and settings.interrupt_response
        if self._response or caller_goes_on or not self._unheard.empty():
            return
        if any(message.wants_answer for message in self.conversation.unanswered):
            self._begin()

    def _begin(self, say: str | None = None, instructions: str | None = None) -> None:
        speed = self._config.voice.speed or 1.0
        reply = Reply(_new_id("resp"), self.conversation, self._speech, speed, self._out)
        self._out.put_now(ResponseCreated(reply.response_id))
        task = self._tasks.create_task(self._speak(reply, say, instructions), name=f"local {reply.response_id}")
        self._response = _Response(reply, task)

    async def _speak(self, reply: Reply, say: str | None, instructions: str | None) -> None:
        done = ResponseDone(reply.response_id, "completed")
        try:
            if say is None:
                await self._answer(reply, instructions)
            else:
                await _say(reply, say)
        except GatewayError as error:
            reason = self._report(error)
            with suppress(ProviderError):
                await _say(reply, SORRY)
            done = ResponseDone(reply.response_id, "failed", reply.usage, reason)
        await reply.end_speech()
        await self._out.put(ResponseDone(done.response_id, done.status, reply.usage, done.reason))
        self._response = None
        self._answer_if_due()

    async def _answer(self, reply: Reply, instructions: str | None) -> None:
        await self._unheard.join()
        asked = self.conversation.unanswered
        try:
            async with aclosing(self._brain.answer(self.conversation, asked, self._config, instructions)) as steps:
                async for step in steps:
                    await reply.take(step)
                    _mark_answered(asked)
        except GatewayError:
            _mark_answered(asked)
            raise
        _mark_answered(asked)

    def _cancel_response(self, response: _Response, reason: str) -> None:
        """Ends the response at once: its task is at a wait, and says nothing any more when it wakes up."""
        response.task.cancel()
        self._response = None
        reply = response.reply
        self._out.put_now(ResponseDone(reply.response_id, "cancelled", reply.usage, reason))

    def _report(self, error: GatewayError) -> str:
        code, is_retryable = (error.code, error.retryable) if isinstance(error, ProviderError) else ("config", False)
        self._out.put_now(SessionError(code, str(error), is_retryable))
        return code


async def _say(reply: Reply, text: str) -> None:
    for sentence in sentences(text):
        await reply.say(sentence)


def _mark_answered(asked: tuple[Message, ...]) -> None:
    for message in asked:
        message.is_answered = True


def _new_id(kind: str) -> str:
    return f"{kind}_{uuid4().hex}"
