"""Watches the time of a call: its limit, its silences, a caller who is gone, a model that is."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Final

from agents.agent import RealtimeAgent
from agents.dead_air import DeadAir
from agents.errors import ProviderError
from agents.events import AudioInputAppend, ClientEvent, EndReason
from agents.idle import VOICE_HOLD_S, WORDS_S, IdleLadder
from agents.realtime import AudioFormat
from agents.speaking import Speaking
from agents.time_limit import DurationWarning, TimeLimit

CHECK_S: Final = 0.25
"""How often the time is looked at."""

MODEL_SILENCE_S: Final = 20.0
"""Longest that a model may say nothing at all while it owes us something: a caller is waiting on a silent line."""

STALL_SILENCE_MS: Final = 1000
"""Silence that the model then hears once in place of it: enough for it to notice that the turn is over."""


class Watch:
    """The clocks of one conversation. It is told what happens, and acts when nothing does.

    `audio_format` is the caller's audio as the model hears it.
    `fail` and `end` finish the conversation; `look_at_keys` is for the entries that no further key completes.
    """

    def __init__(
        self,
        agent: RealtimeAgent,
        context: object,
        speaking: Speaking,
        *,
        has_transcripts: bool,
        audio_format: AudioFormat,
        send: Callable[[ClientEvent], Awaitable[None]],
        look_at_keys: Callable[[], Awaitable[None]],
        end: Callable[[EndReason], None],
        fail: Callable[[ProviderError], None],
    ) -> None:
        self._now = asyncio.get_running_loop().time
        self._speaking = speaking
        self._send = send
        self._look_at_keys = look_at_keys
        self._end = end
        self._fail = fail
        self._ladder = IdleLadder(agent.idle_for(context), has_transcripts=has_transcripts)
        self._stalled_s = inf if agent.stalled_s is None else agent.stalled_s
        self._limit = TimeLimit(agent.max_duration_s, agent.duration_warning_for(context), self._now())
        self._warning: DurationWarning | None = None
        self._has_greeting = agent.greeting is not None
        self._has_transcripts = has_transcripts
        self._stall_silence = audio_format.silence(STALL_SILENCE_MS * audio_format.bytes_per_ms)
        self._is_leaving = False
        self._leave_by: float | None = None
        self._is_answered = False
        self._voice_stopped_at = -WORDS_S
        self._has_model_spoken = False
        self._model_spoke_at = self._now()
        self._audio_at: float | None = None
        self._is_voice_active = False
        self.dead_air = DeadAir()

    def use(self, agent: RealtimeAgent, context: object, *, has_transcripts: bool) -> None:
        """Another agent goes on, with its own rules of silence. The longest call stays that of the first.

        Raises ConfigError for a missing variable.
        """
        now = self._now()
        self._ladder = IdleLadder(agent.idle_for(context), has_transcripts=has_transcripts)
        self._ladder.line_started(now)
        if self._is_voice_active:
            self._ladder.voice_started()
        self._stalled_s = inf if agent.stalled_s is None else agent.stalled_s
        self._has_transcripts = has_transcripts
        self._is_leaving = False

    async def run(self) -> None:
        """Looks at the time until the conversation ends."""
        while (left_s := self._limit.left_s(self._now())) > 0:
            await asyncio.sleep(min(left_s, CHECK_S))
            await self._look(self._now())
        self._end("time-limit")

    # ---- what happens ----

    def line_started(self) -> None:
        now = self._now()
        self._ladder.line_started(now)
        if self._has_greeting:
            self.dead_air.owed(now)

    def line_left(self) -> None:
        """The caller is elsewhere: nothing is owed to them, and nothing expected of them, until they are back."""
        self._is_leaving = False
        self.dead_air.forgiven()

    def line_back(self) -> None:
        self._audio_at = None
        self._ladder.turn_accepted(self._now())

    def model_spoke(self) -> None:
        self._has_model_spoken = True
        self._model_spoke_at = self._now()

    def asked(self) -> None:
        """The model was asked for something: its time to answer begins."""
        self._model_spoke_at = self._now()
        self._owe()

    def voice_started(self) -> None:
        self._is_voice_active = self._is_answered = True
        self._ladder.voice_started()
        self.dead_air.broken(self._now())

    def voice_stopped(self) -> None:
        self._is_voice_active = False
        now = self._now()
        self._voice_stopped_at = now
        self._ladder.voice_stopped(now)
        if not self._has_transcripts:
            self._is_leaving = False
        self._owe()

    def audio_came(self) -> None:
        self._audio_at = self._now()

    def words_came(self, text: str) -> None:
        if text.strip():
            self._is_leaving = False
            self._ladder.turn_accepted(self._now())
        elif not self._speaking.is_owed:
            self.dead_air.forgiven()

    def key_pressed(self) -> None:
        self._is_leaving = False
        self._ladder.turn_accepted(self._now())

    def tool_answered(self) -> None:
        self._owe()

    def _owe(self) -> None:
        if not (self._speaking.is_heard or self._speaking.is_away):
            self.dead_air.owed(self._now())

    def agent_sounds(self) -> None:
        """Audio of the agent's goes to the line."""
        self.dead_air.broken(self._now())

    def response_done(self) -> None:
        """A response ended: one that said nothing leaves nothing owed."""
        if not self._speaking.is_owed:
            self.dead_air.forgiven()

    def stopped(self) -> None:
        """The call is over."""
        self.dead_air.broken(self._now())

    # ---- what follows from nothing happening ----

    async def _look(self, now: float) -> None:
        if (self._speaking.is_owed or not self._has_model_spoken) and now - self._model_spoke_at > MODEL_SILENCE_S:
            self._fail(ProviderError(f"the model was silent for {MODEL_SILENCE_S:g} s", code="timeout", retryable=True))
            return
        if self._speaking.is_away:
            self._ladder.agent_began(now)
            return
        await self._look_at_keys()
        self._warning = self._limit.due(now) or self._warning
        if self._warning and self._speaking.is_settled:  # who is stopped forgets what was still to be said
            say, self._warning = self._warning.say, None
            await self._speaking.request(say=say)
        await self._mind_stall(now)
        await self._mind_silence(now)

    async def _mind_stall(self, now: float) -> None:
        """Audio that stops in mid-speech would leave the turn open for as long as it is away."""
        if self._is_voice_active and self._audio_at is not None and now - self._audio_at > self._stalled_s:
            self._audio_at = None
            await self._send(AudioInputAppend(self._stall_silence))

    async def _mind_silence(self, now: float) -> None:
        if not self._speaking.is_settled or self._speaking.is_heard or self._speaking.is_at_work:
            self._ladder.agent_began(now)
            return
        self._ladder.agent_ended(now)
        if self._is_leaving:
            self._leave_by = self._leave_by or now + VOICE_HOLD_S
            if now >= self._leave_by or not self._may_be_answered():
                self._end("idle")
        elif step := self._ladder.due(now):
            self._is_leaving, self._leave_by, self._is_answered = step.hang_up, None, False
            if step.say:
                await self._speaking.request(say=step.say)

    @property
    def may_be_answered(self) -> bool:
        """True while the caller speaks, or has just spoken and may be answered yet."""
        return self._is_voice_active or self._now() - self._voice_stopped_at < WORDS_S

    def _may_be_answered(self) -> bool:
        """Whether the caller may be speaking up after the last step, in words that are still on their way."""
        return self._is_answered and self.may_be_answered
