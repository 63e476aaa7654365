"""Decides from the probabilities of speech where the caller's turns begin and end. Pure: its clock is the audio."""

from dataclasses import dataclass
from typing import Final

from agents.realtime import UNSET, TurnDetection, Unset

FRAME_MS: Final = 32
"""Audio behind one probability."""

MIN_SPEECH_MS: Final = 96
"""Speech that begins a turn. Shorter sounds are clicks and knocks; short words such as "no" last 200 ms and more."""

MAX_TURN_MS: Final = 20_000
"""Longest turn: then it ends by itself. The recogniser was seen to repeat itself without end on longer audio."""

_HYSTERESIS: Final = 0.15
"""How far below the threshold speech must fall to count as silence: soft word endings lie in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSettings:
    """How turns are told apart, and what follows from them. Times are milliseconds of audio."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 600
    is_manual: bool = False
    create_response: bool = True
    interrupt_response: bool = True

    @classmethod
    def of(cls, wanted: TurnDetection | Unset | None) -> "TurnSettings":
        """The settings of a session's configuration, defaults where it says nothing. None is manual."""
        if wanted is UNSET:
            return cls()
        if wanted is None:
            return cls(is_manual=True)
        default = cls()
        return cls(
            threshold=default.threshold if wanted.threshold is None else wanted.threshold,
            prefix_padding_ms=(
                default.prefix_padding_ms if wanted.prefix_padding_ms is None else wanted.prefix_padding_ms
            ),
            silence_duration_ms=(
                default.silence_duration_ms if wanted.silence_duration_ms is None else wanted.silence_duration_ms
            ),
            is_manual=wanted.mode == "manual",
            create_response=wanted.create_response is not False,
            interrupt_response=wanted.interrupt_response is not False,
        )


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The caller began to speak, `at_ms` into all audio so far: the padding before the speech is counted in."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn is over `at_ms` into all audio so far; its last `silence_ms` are silence."""

    at_ms: int
    silence_ms: int


class TurnDetector:
    """Turns a stream of probabilities, one per `FRAME_MS`, into the beginnings and ends of turns."""

    def __init__(self, settings: TurnSettings) -> None:
        self.settings = settings
        self._now_ms = 0
        self._free_ms = 0
        self._started_ms: int | None = None
        self._speech_ms = 0
        self._silence_ms = 0

    @property
    def is_speaking(self) -> bool:
        return self._started_ms is not None

    @property
    def now_ms(self) -> int:
        """Milliseconds of audio so far."""
        return self._now_ms

    def feed(self, probability: float) -> TurnStarted | TurnEnded | None:
        self._now_ms += FRAME_MS
        if self._started_ms is None:
            return self._wait_for_speech(probability)
        return self._wait_for_silence(probability, self._started_ms)

    def end(self) -> None:
        """Ends the turn from outside: what follows is another one."""
        self._started_ms = None
        self._free_ms = self._now_ms
        self._speech_ms = 0
        self._silence_ms = 0

    def _wait_for_speech(self, probability: float) -> TurnStarted | None:
        if probability >= self.settings.threshold:
            self._speech_ms += FRAME_MS
        elif self._is_silent(probability):
            self._speech_ms = 0
        if self._speech_ms < MIN_SPEECH_MS:
            return None
        begins_ms = self._now_ms - self._speech_ms - self.settings.prefix_padding_ms
        self._started_ms = max(begins_ms, self._free_ms)
        self._silence_ms = 0
        return TurnStarted(self._started_ms)

    def _wait_for_silence(self, probability: float, started_ms: int) -> TurnEnded | None:
        if probability >= self.settings.threshold:
            self._silence_ms = 0
        elif self._is_silent(probability) or self._silence_ms:
            self._silence_ms += FRAME_MS
        if self._silence_ms < self.settings.silence_duration_ms and self._now_ms - started_ms < MAX_TURN_MS:
            return None
        ended = TurnEnded(self._now_ms, self._silence_ms)
        self.end()
        return ended

    def _is_silent(self, probability: float) -> bool:
        return probability < self.settings.threshold - _HYSTERESIS or probability == 0
