"""When a silent caller is asked whether they are still there, and when the call is given up. Pure: time is an argument.

Times are seconds on a clock that only goes forward.
"""

from dataclasses import dataclass
from math import inf
from typing import Final

VOICE_HOLD_S: Final = 30.0
"""Longest that sounds without a word put off a step: people who speak come to an end of a sentence in less, while
comfort noise, a radio, and an agent that keeps answering them never do.
"""

WORDS_S: Final = 3.0
"""How long after the caller's voice its words may still be on their way: transcripts come a second or two later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleStep:
    """What happens when the caller has been silent for another `after_s` seconds.

    `say` is spoken word for word; `hang_up` ends the call when that has been heard.
    """

    after_s: float
    say: str | None = None
    hang_up: bool = False


class IdleLadder:
    """Follows one call, and tells which step its silence has come to.

    Silence counts from the end of what the caller heard. Only an accepted turn (words that were understood, a key)
    starts the ladder over: neither what the agent says nor a sound does. A voice puts a step off, and so does each
    time that the agent speaks unasked, but both together for at most `VOICE_HOLD_S` of the time in which the agent was
    silent. Without transcripts no voice can be told from noise: then every voice that stops is a turn.
    """

    def __init__(self, steps: tuple[IdleStep, ...], *, has_transcripts: bool = True) -> None:
        self._steps = steps
        self._has_transcripts = has_transcripts
        self._given = 0
        self._quiet_since: float | None = None
        self._wordless_since = 0.0
        self._is_reply_due = True
        self._agent_began_at: float | None = None
        self._is_voice_active = False
        self._voice_stopped_at = -inf

    def line_started(self, now: float) -> None:
        """The caller can hear and be heard: nothing is due before."""
        self._count_from(now)

    def turn_accepted(self, now: float) -> None:
        """The caller said words that were understood, or pressed a key: the ladder starts over."""
        self._given = 0
        self._count_from(now)

    def voice_started(self) -> None:
        """A voice, or what was taken for one, is on the line."""
        self._is_voice_active = True

    def voice_stopped(self, now: float) -> None:
        self._is_voice_active = False
        self._voice_stopped_at = now
        if not self._has_transcripts:
            self.turn_accepted(now)

    def agent_began(self, now: float) -> None:
        """The agent owes an answer, has a tool at work, or speaks: nothing is due. May be told again and again."""
        if self._agent_began_at is None:
            self._agent_began_at = now

    def agent_ended(self, now: float) -> None:
        """The agent owes nothing, and the caller has heard all that it said. May be told again and again."""
        if self._agent_began_at is None:
            return
        if self._is_reply_due:
            self._wordless_since = now
            self._is_reply_due = False
        else:
            self._wordless_since += now - self._agent_began_at
        self._agent_began_at = None
        if self._quiet_since is not None:
            self._quiet_since = now

    def due(self, now: float) -> IdleStep | None:
        """The step that the silence has come to, given once; the next one counts from the end of its words."""
        if self._quiet_since is None or self._agent_began_at is not None or self._given == len(self._steps):
            return None
        step = self._steps[self._given]
        is_quiet = now - self._quiet_since >= step.after_s and not self._may_be_speaking(now)
        if not is_quiet and now - self._wordless_since < step.after_s + VOICE_HOLD_S:
            return None
        self._given += 1
        self._count_from(now)
        return step

    def _count_from(self, now: float) -> None:
        """Counts from now, or from the end of the reply or announcement that follows."""
        self._quiet_since = now
        self._wordless_since = now
        self._is_reply_due = True

    def _may_be_speaking(self, now: float) -> bool:
        return self._is_voice_active or now - self._voice_stopped_at < WORDS_S
