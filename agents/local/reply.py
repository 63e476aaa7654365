"""Speaks one response: brings a brain's steps into the events of a realtime model."""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

from agents.events import (
    AudioOutputDelta,
    AudioOutputDone,
    ServerEvent,
    ToolCall,
    TranscriptOutput,
    TranscriptOutputDelta,
    Usage,
)
from agents.local.brain import CallTool, Say, Step
from agents.local.memory import Call, Memory, Spoken
from agents.local.mouth import Mouth, Utterance
from agents.local.outbox import Outbox
from agents.realtime import SessionConfig

PIECE_MS: Final = 400
"""Longest piece of audio in one event."""


class Reply:
    """One response being spoken. Each stretch of its speech is one item, and in the conversation as far as it was sent.

    Inside its `async with` it speaks; left, or once `stop` was called, it says nothing more.
    """

    def __init__(
        self, response_id: str, conversation: Memory, mouth: Mouth, config: SessionConfig, out: Outbox
    ) -> None:
        self.response_id = response_id
        self.usage = Usage()
        self._conversation = conversation
        self._mouth = mouth
        self._config = config
        self._bytes_per_ms = config.output_format.bytes_per_ms
        self._out = out
        self._speaking = AsyncExitStack()
        self._utterance: Utterance | None = None
        self._spoken: Spoken | None = None
        self._sent_bytes = 0
        self._is_stopped = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._speaking.aclose()

    def stop(self) -> None:
        """Says nothing any more, from now on: what still sounds is dropped."""
        self._is_stopped = True

    async def take(self, step: Step) -> None:
        """Does what the brain says next. Raises ProviderError when the voice fails."""
        match step:
            case Say(text):
                await self.say(text)
            case CallTool():
                await self._call(step)
            case Usage():
                self.usage += step

    async def say(self, sentence: str) -> None:
        """Speaks a sentence: first its text, then its audio in pieces, as fast as they are taken."""
        if self._utterance is None:
            uttering = self._mouth.utter(self._config.voice, self._config.output_format, self)
            self._utterance = await self._speaking.enter_async_context(uttering)
        await self._utterance.say(sentence)

    async def end_speech(self) -> None:
        """Says that the speech is complete; what is said after that is another item."""
        if self._utterance:
            await self._utterance.end()
            await self.leave_speech()

    async def leave_speech(self) -> None:
        """The same for speech that comes no further, whatever the mouth had still to say."""
        self._utterance = None
        await self._speaking.aclose()
        if self._spoken is None:
            return
        spoken, self._spoken = self._spoken, None
        spoken.is_whole = True
        if spoken.sent_ms:
            self._conversation.pace.learn(spoken.written, spoken.sent_ms)
        await self._put(AudioOutputDone(self.response_id, spoken.item_id, 0))
        await self._put(TranscriptOutput(self.response_id, spoken.item_id, spoken.written))

    # ---- what the mouth says ----

    async def words(self, sentence: str, duration_ms: int | None) -> None:
        spoken = self._spoken or self._new_item()
        text = spoken.add(sentence, duration_ms)
        await self._put(TranscriptOutputDelta(self.response_id, spoken.item_id, text))

    async def sound(self, audio: bytes) -> None:
        size = PIECE_MS * self._bytes_per_ms
        for start in range(0, len(audio), size):
            if self._spoken is None or self._is_stopped:
                return
            piece = audio[start : start + size]
            if await self._put(AudioOutputDelta(self.response_id, self._spoken.item_id, 0, piece)):
                self._sent_bytes += len(piece)
                self._spoken.sent_ms = self._sent_bytes // self._bytes_per_ms

    def _new_item(self) -> Spoken:
        self._spoken = Spoken(f"item_{uuid4().hex}", pace=self._conversation.pace)
        self._sent_bytes = 0
        self._conversation.add(self._spoken)
        return self._spoken

    async def _call(self, call: CallTool) -> None:
        await self.end_speech()
        self._conversation.add(Call(call.call_id, call.name, call.arguments))
        await self._put(ToolCall(self.response_id, call.call_id, call.name, call.arguments))

    async def _put(self, event: ServerEvent) -> bool:
        """Says it, unless the reply was stopped by the time there is room."""
        await self._out.wait_for_room()
        if not self._is_stopped:
            self._out.put_now(event)
        return not self._is_stopped
