"""How long a voice sounds, by its level: models tell when a turn begins and ends, which is later and longer. Pure."""

from collections import deque
from typing import Final

import numpy as np

from agents import mulaw
from agents.errors import NotSupportedError
from agents.realtime import PCMU, AudioFormat

WINDOW_MS: Final = 10
"""Audio that is one level: two or three periods of the deepest voice."""

BEFORE_MS: Final = 500
"""How much of what was heard before a model says that a voice began may belong to it: models take up to that long."""

QUIET_DBFS: Final = -45.0
"""No voice is quieter on a telephone, which carries speech at about -20."""

ABOVE_NOISE_DB: Final = 10.0
"""How far a voice stands out of what sounds all the time."""

NOISE_RISE_DB: Final = 0.03
"""What steady noise is taken to have risen by in each window, 3 dB a second: it follows a line that got louder within
seconds, and hardly moves in a word.
"""

_SILENT_DBFS: Final = -90.0


class VoiceLength:
    """Counts the milliseconds in which one line stands out of its noise.

    Takes PCM16 at any rate, and PCMU; raises NotSupportedError for other formats.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        if audio_format != PCMU and audio_format.mime_type != "audio/pcm":
            raise NotSupportedError(f"no levels are known of {audio_format}")
        self._is_ulaw = audio_format == PCMU
        self._window_samples = WINDOW_MS * audio_format.sample_rate // 1000
        self._window_bytes = WINDOW_MS * audio_format.bytes_per_ms
        self._held = b""
        self._noise_dbfs = QUIET_DBFS
        self._before: deque[bool] = deque(maxlen=BEFORE_MS // WINDOW_MS)
        self._voice_ms: int | None = None

    @property
    def voice_ms(self) -> int:
        """How long the voice that began has sounded, without its pauses; 0 when none did."""
        return self._voice_ms or 0

    def hear(self, pcm: bytes) -> None:
        """Takes the line's audio as it comes, in pieces of any length."""
        pcm = self._held + pcm
        whole = len(pcm) - len(pcm) % self._window_bytes
        pcm, self._held = pcm[:whole], pcm[whole:]
        pcm16 = mulaw.decode(pcm) if self._is_ulaw else pcm
        windows = np.frombuffer(pcm16, "<i2").reshape(-1, self._window_samples).astype(np.float32)
        for power in np.square(windows).mean(axis=1):
            self._take(10 * float(np.log10(power / 2**30)) if power else _SILENT_DBFS)

    def began(self) -> None:
        """A voice began, and perhaps a while ago."""
        self._voice_ms = WINDOW_MS * sum(self._before)

    def ended(self) -> None:
        """It is over, and counts for none that follows."""
        self._voice_ms = None
        self._before.clear()

    def _take(self, level_dbfs: float) -> None:
        is_voice = level_dbfs > max(QUIET_DBFS, self._noise_dbfs + ABOVE_NOISE_DB)
        self._noise_dbfs = max(_SILENT_DBFS, min(level_dbfs, self._noise_dbfs + NOISE_RISE_DB))
        self._before.append(is_voice)
        if self._voice_ms is not None:
            self._voice_ms += WINDOW_MS * is_voice
