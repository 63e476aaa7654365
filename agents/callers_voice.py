"""What the caller's voice does to a conversation, as the model tells of it: who stops, who waits, who knows."""

from collections.abc import Callable

from agents.barge_in import BargeIn, BargeInRules
from agents.events import (
    AudioInputCommitted,
    SessionEvent,
    Speech,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)
from agents.goodbye import Goodbye
from agents.realtime import SessionConfig, TurnDetection
from agents.speaking import Spawn, Speaking
from agents.watch import Watch

VoiceEvent = SpeechStarted | SpeechStopped | AudioInputCommitted | TranscriptInputDelta | TranscriptInput


class CallersVoice:
    """When it stops the agent is the model's rule, unless the agent has rules of its own."""

    def __init__(
        self,
        rules: BargeInRules,
        config: SessionConfig,
        speaking: Speaking,
        watch: Watch,
        goodbye: Goodbye,
        spawn: Spawn,
        tell: Callable[[SessionEvent], object],
    ) -> None:
        self._speaking = speaking
        self._watch = watch
        self._goodbye = goodbye
        self._spawn = spawn
        self._tell = tell
        self.is_active = False
        self._weighed: BargeIn | None = None
        self.use(rules, config)

    def use(self, rules: BargeInRules, config: SessionConfig) -> None:
        """These rules hold from the caller's next sound on, with what the model does of itself by this configuration.

        A voice that is still being weighed by others counts as over: the agent goes on unless there are words.
        """
        if self._weighed:
            self._weighed.voice_is_over()
        turns = config.turn_detection if isinstance(config.turn_detection, TurnDetection) else TurnDetection()
        hears_turns = config.turn_detection is not None and turns.mode != "manual"
        is_weighed = rules.weigh_voice and hears_turns
        self._weighed = BargeIn(rules, self._speaking, self._spawn, config.input_format) if is_weighed else None
        self._interrupts = turns.interrupt_response is not False

    def sounds(self, pcm: bytes) -> None:
        """The caller's audio, as the model hears it."""
        if self._weighed:
            self._weighed.hear(pcm)

    async def take(self, event: VoiceEvent) -> None:
        """Acts on what the model says of it. Raises ChannelError when that stops the agent and the line breaks."""
        match event:
            case SpeechStarted(item_id):
                await self._started(item_id)
            case SpeechStopped(item_id):
                self._stopped(item_id)
            case AudioInputCommitted(item_id) if self._weighed:
                await self._weighed.committed(item_id)
            case TranscriptInputDelta(item_id, text) if self._weighed:
                await self._weighed.wrote(item_id, text, is_all=False)
            case TranscriptInput(item_id, text):
                self._watch.words_came(text)
                if self._weighed:
                    await self._weighed.wrote(item_id, text, is_all=True)

    async def _started(self, item_id: str) -> None:
        self.is_active = True
        self._watch.voice_started()
        self._goodbye.voice_started()
        if self._weighed:
            await self._weighed.started(item_id)
        elif self._interrupts:
            await self._speaking.give_way(cancel=False)
        self._tell(Speech(active=True))

    def _stopped(self, item_id: str) -> None:
        self.is_active = False
        self._watch.voice_stopped()
        self._goodbye.voice_stopped()
        if self._weighed:
            self._weighed.stopped(item_id)
        self._tell(Speech(active=False))
