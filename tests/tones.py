"""Tones of a known height, and for how long one is heard."""

import numpy as np


def tone(ms: int, hz: float, rate_hz: int = 8000) -> bytes:
    """PCM16 mono, loud enough for any voice detection."""
    at = np.arange(ms * rate_hz // 1000)
    return bytes((np.sin(at * (2 * np.pi * hz / rate_hz)) * 9000).astype("<i2").tobytes())


def sounding_ms(pcm16_8k: bytes, hz: float) -> int:
    """For how long there is a tone of this height, to 20 ms."""
    frames = np.frombuffer(pcm16_8k[: len(pcm16_8k) // 320 * 320], "<i2").reshape(-1, 160).astype(float)
    waves = np.exp(np.arange(160) * (-2j * np.pi * hz / 8000))
    return 20 * int((np.abs(frames @ waves) > 160 * 1000).sum())
