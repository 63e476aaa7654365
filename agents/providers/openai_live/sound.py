"""Where in the model's continuous output somebody speaks. Pure: time is audio."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from agents import mulaw
from agents.realtime import AudioFormat

WINDOW_MS: Final = 20
"""What is judged as one: the frame of a telephone, several periods of the lowest voice."""

LOUD: Final = 150.0
"""The level (root mean square) from which a window is speech, 47 dB below the loudest.

The model's pauses lie below 104 in 99 of 100 windows, its softest speech (5 of 100 windows) at 207 and more.
"""

FAINT: Final = 8.0
"""The level below which nobody can hear anything. What lies between may be the soft end of a word."""


class Sound:
    """Cuts a stream of one format (PCM16, or mu-law at 8 kHz) into windows, whatever its pieces were."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._is_ulaw = audio_format.mime_type == "audio/pcmu"
        self._size = WINDOW_MS * audio_format.bytes_per_ms
        self._rest = b""

    def windows(self, audio: bytes) -> Iterator[tuple[bytes, float]]:
        """Each whole window, and its level; a rest waits for the next piece."""
        audio = self._rest + audio
        whole = len(audio) - len(audio) % self._size
        self._rest = audio[whole:]
        if not whole:
            return
        pcm16 = mulaw.decode(audio[:whole]) if self._is_ulaw else audio[:whole]
        samples = np.frombuffer(pcm16, "<i2").reshape(whole // self._size, -1).astype(np.float64)
        for number, level in enumerate(np.sqrt(np.mean(samples**2, axis=1))):
            yield audio[number * self._size : (number + 1) * self._size], float(level)
