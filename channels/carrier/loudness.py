"""What counts as sound on the line: energy against one low threshold."""

from typing import Final

import numpy as np

from agents import mulaw

SOUND_DBFS: Final = -50.0
"""Quieter is silence: below any speech on a telephone, above the noise of its coding."""

_SOUND_POWER: Final = (32768 * 10 ** (SOUND_DBFS / 20)) ** 2
_WINDOW_MS: Final = 10
_POWER: Final = np.frombuffer(mulaw.decode(bytes(range(256))), "<i2").astype(np.float64) ** 2


def is_sound(ulaw: bytes) -> bool:
    """True when the mean power of this much mu-law is above the threshold."""
    return bool(_POWER[np.frombuffer(ulaw, np.uint8)].mean() > _SOUND_POWER)


def speech_end_ms(pcm16_8k: bytes) -> int:
    """Says where the last sound ends in PCM16 at 8 kHz, to 10 ms; the whole length where there is no sound at all."""
    samples = np.frombuffer(pcm16_8k, "<i2").astype(np.float64)
    per_window = mulaw.RATE_HZ * _WINDOW_MS // 1000
    samples = np.pad(samples, (0, -len(samples) % per_window))
    loud = np.flatnonzero((samples.reshape(-1, per_window) ** 2).mean(axis=1) > _SOUND_POWER)
    windows = int(loud[-1]) + 1 if len(loud) else len(samples) // per_window
    return windows * _WINDOW_MS
