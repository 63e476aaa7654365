"""The ear and the mouth of the fake providers: voice detection by level, and a voice that it hears."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np

from agents.providers.wire_audio import WireAudio
from agents.realtime import PCM, AudioFormat


@dataclass(slots=True)
class Ear:
    """Voice detection by energy over audio of one format, in pieces of any size. Counts audio, never time.

    `heard_ms` is all audio so far; `turn` is the audio of the turn under way, or of the last one.
    """

    WINDOW_MS: ClassVar[int] = 20
    LOUD: ClassVar[float] = 500.0

    format: AudioFormat = PCM
    silence_duration_ms: int = 500
    is_speech: bool = False
    silent_ms: int = 0
    _bytes: int = 0
    _rest: bytes = b""
    _coder: WireAudio | None = field(default=None, repr=False)

    @property
    def heard_ms(self) -> int:
        bytes_per_ms = self.format.sample_rate // 1000 * (2 if self.format.mime_type == "audio/pcm" else 1)
        return self._bytes // bytes_per_ms

    def hear(self, audio: bytes) -> Iterator[bool]:
        """True when speech starts, False when it has stopped."""
        self._bytes += len(audio)
        self._coder = self._coder or WireAudio(self.format, PCM)
        size = self.WINDOW_MS * 48
        self._rest += self._coder.feed(audio)
        while len(self._rest) >= size:
            window, self._rest = self._rest[:size], self._rest[size:]
            loud = float(np.sqrt(np.mean(np.frombuffer(window, "<i2").astype(float) ** 2))) > self.LOUD
            self.silent_ms = 0 if loud else self.silent_ms + self.WINDOW_MS
            if loud and not self.is_speech:
                self.is_speech = True
                yield True
            elif self.is_speech and self.silent_ms >= self.silence_duration_ms:
                self.is_speech = False
                yield False


@lru_cache(64)
def tone(ms: int, format: AudioFormat = PCM) -> bytes:
    """440 Hz in any format, loud enough for any voice detection."""
    pcm: bytes = (np.sin(np.arange(ms * 24) * (2 * np.pi * 440 / 24_000)) * 8_000).astype("<i2").tobytes()
    coder = WireAudio(PCM, format)
    return coder.feed(pcm) + coder.flush()


@lru_cache(64)
def silence(ms: int, format: AudioFormat = PCM) -> bytes:
    coder = WireAudio(PCM, format)
    return coder.feed(bytes(48 * ms)) + coder.flush()
