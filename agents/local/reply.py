"""Speaks one response: brings a brain's steps into the events of a realtime model."""

from typing import Final
from uuid import uuid4

from agents.audio import PCM_BYTES_PER_MS
from agents.events import AudioOutputDelta, AudioOutputDone, ToolCall, TranscriptOutput, TranscriptOutputDelta, Usage
from agents.local.brain import CallTool, Say, Step
from agents.local.memory import Call, Memory, Sentence, Spoken
from agents.local.outbox import Outbox
from agents.local.speech import Speech

PIECE_MS: Final = 400
"""Longest piece of audio in one event."""

_PIECE_BYTES: Final = PIECE_MS * PCM_BYTES_PER_MS


class Reply:
    """One response being spoken. Its speech is one item, and in the conversation as far as it was sent."""

    def __init__(self, response_id: str, conversation: Memory, voice: Speech, speed: float, out: Outbox) -> None:
        self.response_id = response_id
        self.usage = Usage()
        self._conversation = conversation
        self._voice = voice
        self._speed = speed
        self._out = out
        self._spoken: Spoken | None = None

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
        pcm = await self._voice.synthesize(sentence, self._speed)
        spoken = self._spoken or self._new_item()
        begins_ms = spoken.duration_ms
        text = f" {sentence}" if spoken.sentences else sentence
        spoken.sentences.append(Sentence(sentence, len(pcm) // PCM_BYTES_PER_MS))
        await self._out.put(TranscriptOutputDelta(self.response_id, spoken.item_id, text))
        for start in range(0, len(pcm), _PIECE_BYTES):
            piece = pcm[start : start + _PIECE_BYTES]
            await self._out.put(AudioOutputDelta(self.response_id, spoken.item_id, 0, piece))
            spoken.sent_ms = begins_ms + (start + len(piece)) // PCM_BYTES_PER_MS

    async def end_speech(self) -> None:
        """Says that the speech is complete; what is said after that is another item."""
        if self._spoken is None:
            return
        spoken, self._spoken = self._spoken, None
        text = " ".join(sentence.text for sentence in spoken.sentences)
        await self._out.put(AudioOutputDone(self.response_id, spoken.item_id, 0))
        await self._out.put(TranscriptOutput(self.response_id, spoken.item_id, text))

    def _new_item(self) -> Spoken:
        self._spoken = Spoken(f"item_{uuid4().hex}")
        self._conversation.add(self._spoken)
        return self._spoken

    async def _call(self, call: CallTool) -> None:
        await self.end_speech()
        self._conversation.add(Call(call.call_id, call.name, call.arguments))
        await self._out.put(ToolCall(self.response_id, call.call_id, call.name, call.arguments))
