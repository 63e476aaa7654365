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
    RawEvent,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)
from agents.local.ear import Heard, NotHeard
from agents.local.memory import Memory, Message
from agents.local.outbox import Outbox
from agents.local.parts import Parts
from agents.local.reply import Reply
from agents.local.sentences import sentences
from agents.local.turns import TurnSettings
from agents.realtime import SessionConfig

SORRY: Final = "I am sorry, something went wrong. Could you say that again?"
NOT_HEARD: Final = "I am sorry, I could not hear that. Could you say it again?"
"""What is said when the brain or the ears failed: the caller must not be left in silence."""


@dataclass(frozen=True, slots=True)
class _Response:
    reply: Reply
    task: asyncio.Task[None]


class Dialogue:
    """One call's turn-taking. Its tasks, one for each end of it and one per response, are born in `tasks`.

    A turn in which nothing was understood (a cough, a door) has an empty transcript and gets no answer, and counts as
    nothing. What a caller says while being understood or about to be answered is answered together with what was
    said before.
    """

    def __init__(
        self, parts: Parts, config: SessionConfig, conversation: Memory, out: Outbox, tasks: asyncio.TaskGroup
    ) -> None:
        self.conversation = conversation
        self._brain = parts.brain
        self._ear = parts.open_ear(self._take)
        self._mouth = parts.mouth
        self._config = config
        self._out = out
        self._tasks = tasks
        self._unheard: dict[str, bool] = {}  # turns that wait to be understood, and whether to answer them
        self._all_heard = asyncio.Event()
        self._all_heard.set()
        self._response: _Response | None = None
        self._running = [
            tasks.create_task(self._run_ear(), name="ear"),
            tasks.create_task(self._mouth.run(), name="mouth"),
        ]

    def configure(self, config: SessionConfig) -> None:
        """Holds from the next response and the next audio on."""
        self._config = config
        self._ear.settings = TurnSettings.of(config.turn_detection)

    # ---- the caller ----

    async def hear(self, audio: bytes) -> None:
        await self._ear.hear(audio)

    async def commit(self) -> None:
        """Ends the caller's turn now; it is for others to ask for an answer."""
        item_id = await self._ear.commit()
        if item_id is None:
            message = "there is no audio to commit"
            self._out.put_now(SessionError("input_audio_buffer_commit_empty", message, benign=True))
        elif item_id in self._unheard:
            self._unheard[item_id] = False

    def forget_audio(self) -> None:
        self._ear.clear()
        self._out.put_now(AudioInputCleared())

    def _take(self, heard: Heard) -> None:
        match heard:
            case SpeechStarted():
                self._out.put_now(heard)
                if self._response and self._ear.settings.interrupt_response:
                    self._interrupt(self._response)
            case TranscriptInputDelta():
                if self._config.transcription is not None:
                    self._out.put_now(heard)
            case SpeechStopped() | SessionError() | RawEvent():
                self._out.put_now(heard)
            case AudioInputCommitted(item_id):
                self._out.put_now(heard)
                self._unheard[item_id] = self._ear.settings.create_response
                self._all_heard.clear()
            case TranscriptInput(item_id, text):
                self._understood(item_id, text)
                self._answer_if_due()
            case NotHeard(item_id, error):
                self._report(error)
                wants_answer = self._understood(item_id, "")
                if wants_answer and self._response is None:
                    self._begin(say=NOT_HEARD)

    def _understood(self, item_id: str, text: str) -> bool:
        """Remembers what was said. Gives whether it is to be answered."""
        if self._config.transcription is not None:
            self._out.put_now(TranscriptInput(item_id, text))
        wants_answer = self._unheard.pop(item_id, False)
        if text:
            self.conversation.add(Message(item_id, "user", text, wants_answer))
        if not self._unheard:
            self._all_heard.set()
        return wants_answer

    async def _run_ear(self) -> None:
        try:
            await self._ear.run()
        except ProviderError as error:
            self._out.close(error)

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
        reply = self._silence(self._response)
        self._out.put_now(ResponseDone(reply.response_id, "cancelled", reply.usage, "client_cancelled"))

    def stop(self) -> list[asyncio.Task[None]]:
        """Stops everything; gives the tasks that are about to end."""
        ending = self._running + ([self._response.task] if self._response else [])
        self._response = None
        for task in ending:
            task.cancel()
        return ending

    def _answer_if_due(self) -> None:
        """Answers what the caller said, once the caller is silent and all of it is understood."""
        caller_goes_on = self._ear.is_speaking and self._ear.settings.interrupt_response
        if self._response or caller_goes_on or self._unheard:
            return
        if any(message.wants_answer for message in self.conversation.unanswered):
            self._begin()

    def _begin(self, say: str | None = None, instructions: str | None = None) -> None:
        reply = Reply(f"resp_{uuid4().hex}", self.conversation, self._mouth, self._config, self._out)
        self._out.put_now(ResponseCreated(reply.response_id))
        task = self._tasks.create_task(self._speak(reply, say, instructions), name=f"local {reply.response_id}")
        self._response = _Response(reply, task)

    async def _speak(self, reply: Reply, say: str | None, instructions: str | None) -> None:
        done = ResponseDone(reply.response_id, "completed")
        async with reply:
            try:
                if say is None:
                    await self._answer(reply, instructions)
                else:
                    await _say(reply, say)
                await reply.end_speech()
            except GatewayError as error:
                done = ResponseDone(reply.response_id, "failed", reason=self._report(error))
                await _apologise(reply)
        await self._out.put(ResponseDone(done.response_id, done.status, reply.usage, done.reason))
        self._response = None
        self._answer_if_due()

    async def _answer(self, reply: Reply, instructions: str | None) -> None:
        await self._all_heard.wait()
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

    def _interrupt(self, response: _Response) -> None:
        reply = self._silence(response)
        self._out.put_now(ResponseInterrupted(reply.response_id))
        self._out.put_now(ResponseDone(reply.response_id, "interrupted", reply.usage, "turn_detected"))

    def _silence(self, response: _Response) -> Reply:
        """Ends the response at once: nothing of it is heard any more, whatever its task has still to clear up."""
        response.reply.stop()
        response.task.cancel()
        self._response = None
        return response.reply

    def _report(self, error: GatewayError) -> str:
        code, is_retryable, category = "config", False, None
        if isinstance(error, ProviderError):
            code, is_retryable, category = error.code, error.retryable, error.category
        self._out.put_now(SessionError(code, str(error), is_retryable, category=category))
        return code


async def _say(reply: Reply, text: str) -> None:
    for sentence in sentences(text):
        await reply.say(sentence)


async def _apologise(reply: Reply) -> None:
    """Lets the caller hear what was said before something failed, and that it failed, as far as there is a voice."""
    with suppress(ProviderError):
        await reply.end_speech()
    await reply.leave_speech()
    with suppress(ProviderError):
        await _say(reply, SORRY)
        await reply.end_speech()
    await reply.leave_speech()


def _mark_answered(asked: tuple[Message, ...]) -> None:
    for message in asked:
        message.is_answered = True
