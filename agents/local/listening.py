"""Follows the caller's audio and cuts the caller's turns out of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agents.audio import PCM_RATE_HZ, SAMPLE_BYTES, Resampler
from agents.local.turns import MAX_TURN_MS, MIN_SPEECH_MS, TurnDetector, TurnEnded, TurnSettings, TurnStarted
from agents.local.vad import FRAME_BYTES, RATE_HZ, VoiceActivity

_BYTES_PER_MS: Final = RATE_HZ // 1000 * SAMPLE_BYTES

_KEPT_SILENCE_MS: Final = 200
"""Silence left at a turn's end: the recogniser hears last words better with some, and more only costs time."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished turn of the caller, `at_ms` into all audio so far. `pcm16k` is PCM16 mono 16 kHz."""

    at_ms: int
    pcm16k: bytes


class Listener:
    """The ear's memory of one call: what is being said now, never more than a turn's longest."""

    def __init__(self, vad: VoiceActivity, settings: TurnSettings) -> None:
        self._vad = vad
        self._turns = TurnDetector(settings)
        self._resampler = Resampler(PCM_RATE_HZ, RATE_HZ)
        self._unframed = bytearray()
        self._kept = bytearray()

    @property
    def is_speaking(self) -> bool:
        """True while the caller is in the middle of a turn."""
        return self._turns.is_speaking

    @property
    def settings(self) -> TurnSettings:
        return self._turns.settings

    @settings.setter
    def settings(self, settings: TurnSettings) -> None:
        self._turns.settings = settings

    def hear(self, pcm: bytes) -> Iterator[TurnStarted | Turn]:
        """Takes audio of any length; gives the beginnings and ends of turns that it brings."""
        self._unframed += self._resampler.feed(pcm)
        whole = len(self._unframed) - len(self._unframed) % FRAME_BYTES
        frames = bytes(self._unframed[:whole])
        del self._unframed[:whole]
        for start in range(0, whole, FRAME_BYTES):
            happened = self._hear_frame(frames[start : start + FRAME_BYTES])
            if happened:
                yield happened

    def commit(self) -> Turn | None:
        """Ends the turn now, with all that was kept. None when that is too short to be speech."""
        pcm16k = bytes(self._kept + self._unframed)
        self.clear()
        if len(pcm16k) < MIN_SPEECH_MS * _BYTES_PER_MS:
            return None
        return Turn(self._turns.now_ms, pcm16k)

    def clear(self) -> None:
        """Forgets what was said since the last turn."""
        self._kept.clear()
        self._unframed.clear()
        self._turns.end()

    def _hear_frame(self, frame: bytes) -> TurnStarted | Turn | None:
        self._kept += frame
        if self.settings.is_manual:
            self._forget_all_but(MAX_TURN_MS)
            return None
        match self._turns.feed(self._vad.probability(frame)):
            case TurnStarted() as started:
                return started
            case TurnEnded(at_ms, silence_ms):
                surplus_ms = max(0, silence_ms - _KEPT_SILENCE_MS)
                pcm16k = bytes(self._kept[: len(self._kept) - surplus_ms * _BYTES_PER_MS])
                self._kept.clear()
                return Turn(at_ms, pcm16k)
        if not self.is_speaking:
            self._forget_all_but(self.settings.prefix_padding_ms + MIN_SPEECH_MS)
        return None

    def _forget_all_but(self, kept_ms: int) -> None:
        del self._kept[: max(0, len(self._kept) - kept_ms * _BYTES_PER_MS)]
