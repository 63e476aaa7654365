"""When the caller's voice stops the agent."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from agents.realtime import AudioFormat
from agents.speaking import Spawn, Speaking
from agents.voice_length import VoiceLength

MAX_VOICE_S: Final = 15.0
"""A voice that goes on for so long is taken for somebody who speaks, however quietly: nobody coughs for as long."""

MAX_SPEECHES: Final = 8
"""Stretches of the caller's voice whose words may still be on their way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BargeInRules:
    """What an agent's YAML says of interruptions; by default the first sound of the caller's voice stops the agent.

    protect_greeting    the greeting is heard to its end, whatever the caller says; words are answered after it
    min_speech_ms       it takes a voice that sounds for so many milliseconds; 0 asks for none
    min_words           or so many words of it written down; 0 asks for none
    on_key              a key stops the agent as well
    resume_after_ms     when no word is understood within so many milliseconds after the voice, the agent goes on where
                        it was cut off; and sooner when it is known that there is none
    """

    protect_greeting: bool = False
    min_speech_ms: int = 0
    min_words: int = 0
    on_key: bool = False
    resume_after_ms: int | None = None

    @property
    def weigh_voice(self) -> bool:
        """True when a voice alone does not stop the agent: then it is for us, not for the model, to stop and answer."""
        return bool(self.protect_greeting or self.min_speech_ms or self.min_words or self.resume_after_ms is not None)


@dataclass(slots=True)
class _Speech:
    """One stretch of the caller's voice. `counts` once it is a turn; `is_weighed` while the agent is paused for it.

    `words_wanted` of it make it a turn where the voice alone does not; 0 when no words do.
    """

    words_wanted: int
    counts: bool = False
    is_long: bool = False
    has_stopped: bool = False
    is_committed: bool = False
    is_answered: bool = False
    is_weighed: bool = False
    is_written: bool = False
    text: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def words(self) -> int:
        return len(self.text.split())

    async def comes_to(self, condition: Callable[["_Speech"], bool], timeout_s: float) -> bool:
        """Waits, at most so long, until something is true of it. False when the time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition(self):
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            return False
        return True


class BargeIn:
    """Weighs the caller's voice while the agent may be heard, and asks for answers to what counted.

    A voice that does not count, such as a "yes" while the agent speaks, stops nothing and gets no answer of its own.
    What is said while the agent is silent always counts; before an answer that has not begun to sound it takes that
    answer's place. Words that are said into a protected greeting are answered after it. `audio_format` is the caller's.
    """

    def __init__(self, rules: BargeInRules, speaking: Speaking, spawn: Spawn, audio_format: AudioFormat) -> None:
        self._rules = rules
        self._speaking = speaking
        self._spawn = spawn
        self._speeches: OrderedDict[str, _Speech] = OrderedDict()
        self._length = VoiceLength(audio_format)
        self._measured: _Speech | None = None
        self._has_audio = False

    def hear(self, pcm: bytes) -> None:
        """The caller's audio, as the model hears it: a model tells of the end of a voice much later than it is."""
        if not self._rules.min_speech_ms:
            return
        self._has_audio = True
        self._length.hear(pcm)
        self._measure()

    async def started(self, item_id: str) -> None:
        """A voice begins."""
        speech = self._speeches[item_id] = _Speech(self._rules.min_words)
        while len(self._speeches) > MAX_SPEECHES:
            self._speeches.popitem(last=False)
        if not self._is_agent_talking():
            speech.counts = True
        elif not self._may_interrupt():
            speech.words_wanted = max(1, self._rules.min_words)
        elif self._rules.min_speech_ms:
            self._measured = speech
            self._length.began()
            self._measure()
            self._spawn(lambda: self._wait_until_long_enough(speech), "barge-in")
        elif not (self._rules.min_words and self._speaking.is_heard):
            await self._interrupt(speech)

    def stopped(self, item_id: str) -> None:
        speech = self._speech(item_id)
        speech.has_stopped = True
        speech.news.set()
        if self._measured in (speech, None):
            self._measured = None
            self._length.ended()

    def voice_is_over(self) -> None:
        """No more is told of any voice: what is said of the next one is for others."""
        for item_id in tuple(self._speeches):
            self.stopped(item_id)

    async def committed(self, item_id: str) -> None:
        """The voice was a turn for the model, which waits for us to ask for its answer."""
        self.stopped(item_id)
        speech = self._speech(item_id)
        speech.is_committed = True
        speech.counts = speech.counts or not self._is_agent_talking()
        await self._answer(speech)

    async def wrote(self, item_id: str, text: str, *, is_all: bool) -> None:
        """Words of it: the next ones, which may end in the middle of one, or all at once."""
        speech = self._speech(item_id)
        speech.text = text if is_all else speech.text + text
        speech.is_written = speech.is_written or is_all
        speech.news.set()
        if 0 < speech.words_wanted <= speech.words and not (speech.counts or speech.is_answered):
            speech.counts = True
            if self._may_interrupt():
                await self._speaking.give_way(cancel=True)
            await self._answer(speech)

    def _measure(self) -> None:
        if self._measured and self._length.voice_ms >= self._rules.min_speech_ms:
            self._measured.is_long = True
            self._measured.news.set()

    async def _answer(self, speech: _Speech) -> None:
        """Asks for an answer once, to all that was said so far."""
        if speech.counts and speech.is_committed and not (speech.is_weighed or speech.is_answered):
            for each in self._speeches.values():
                each.is_answered |= each.is_committed
            await self._speaking.request()

    def _is_weighing(self) -> bool:
        """Whether the agent is paused for another sound as well: then that one decides."""
        return any(speech.is_weighed for speech in self._speeches.values())

    def _speech(self, item_id: str) -> _Speech:
        return self._speeches.get(item_id) or _Speech(0, counts=True)

    def _is_agent_talking(self) -> bool:
        is_heard = self._speaking.is_heard and not self._speaking.is_only_music
        return is_heard or self._speaking.is_owed

    def _may_interrupt(self) -> bool:
        """A greeting that has not begun to sound is left alone as well: callers say hello when the line opens."""
        if self._speaking.is_greeting:
            return self._speaking.is_heard and not self._rules.protect_greeting
        return True

    async def _wait_until_long_enough(self, speech: _Speech) -> None:
        timeout_s = MAX_VOICE_S if self._has_audio else self._rules.min_speech_ms / 1000
        await speech.comes_to(lambda speech: speech.is_long or speech.has_stopped, timeout_s)
        if (speech.is_long or not speech.has_stopped) and not speech.counts:
            await self._interrupt(speech)
            await self._answer(speech)

    async def _interrupt(self, speech: _Speech) -> None:
        speech.counts = True
        if self._rules.resume_after_ms is None or speech.words or not await self._speaking.pause():
            await self._speaking.give_way(cancel=True)
        else:
            speech.is_weighed = True
            resume_after_s = self._rules.resume_after_ms / 1000
            self._spawn(lambda: self._wait_for_words(speech, resume_after_s), "barge-in")

    async def _wait_for_words(self, speech: _Speech, resume_after_s: float) -> None:
        """Stops the paused agent when words come, and lets it go on when none do; words that come later stop it."""
        if await speech.comes_to(lambda speech: speech.has_stopped or speech.words > 0, MAX_VOICE_S):
            await speech.comes_to(lambda speech: speech.words > 0 or speech.is_written, resume_after_s)
            speech.is_weighed = False
            speech.counts = speech.words > 0
            speech.words_wanted = 1
            if not (speech.counts or self._is_weighing()):
                is_resumed = await self._speaking.resume()
                speech.counts = speech.counts or not is_resumed
        speech.is_weighed = False
        if speech.counts and not speech.is_answered:
            await self._speaking.give_way(cancel=True)
            await self._answer(speech)
