"""Whoever is rung in a simulated call: what they do when their telephone rings."""

from dataclasses import dataclass
from typing import Literal

AnsweredBy = Literal[
    "human", "machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax", "unknown"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FarParty:
    """Somebody whose telephone rings.

    They `answer` after `rings_s`, are `busy` or cannot be reached (`failed`) after as long, or never answer. Once
    `<Dial>` has connected them, or they met somebody in a conference, they talk for `talks_s`, then hang up; None
    leaves that to the caller. With `hangs_up_after_whisper` they hear that, and are not connected. `answered_by` is
    what answering machine detection finds, `detected_s` after the answer.
    """

    does: Literal["answer", "busy", "no-answer", "failed"] = "answer"
    rings_s: float = 1.0
    talks_s: float | None = 2.0
    hangs_up_after_whisper: bool = False
    answered_by: AnsweredBy = "human"
    detected_s: float = 1.0

    def rings_for(self, timeout_s: float) -> float:
        """How long it rings when nobody waits longer than `timeout_s`."""
        return timeout_s if self.does == "no-answer" else min(self.rings_s, timeout_s)

    def outcome(self, timeout_s: float) -> Literal["answer", "busy", "no-answer", "failed"]:
        """What comes of ringing for so long."""
        return "no-answer" if self.rings_s > timeout_s else self.does
