"""The telephone's mu-law at 8 kHz, to and from PCM16."""

import warnings
from typing import Final

from agents.audio import PCM_RATE_HZ, Resampler

with warnings.catch_warnings():
    # Python 3.11 and 3.12 announce the removal; from 3.13 on audioop-lts provides the same module.
    warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning)
    import audioop

RATE_HZ: Final = 8000
FRAME_MS: Final = 20
FRAME_BYTES: Final = RATE_HZ * FRAME_MS // 1000
"""What Twilio sends in one message, and the unit in which it plays without clicks."""

SILENCE: Final = 0xFF


def decode(ulaw: bytes) -> bytes:
    """Gives PCM16 at 8 kHz, two bytes for each one."""
    return audioop.ulaw2lin(ulaw, 2)


def encode(pcm16_8k: bytes) -> bytes:
    """Gives mu-law, one byte for each two. Raises audioop.error on half a sample."""
    return audioop.lin2ulaw(pcm16_8k, 2)


class UlawToPcm:
    """The caller's voice on its way in: mu-law pieces to PCM16 24 kHz, with a resampler's delay and methods."""

    def __init__(self) -> None:
        self._resampler = Resampler(RATE_HZ, PCM_RATE_HZ)

    def feed(self, ulaw: bytes) -> bytes:
        return self._resampler.feed(decode(ulaw))

    def flush(self) -> bytes:
        return self._resampler.flush()

    def reset(self) -> None:
        self._resampler.reset()


class PcmToUlaw:
    """The agent's voice on its way out: PCM16 24 kHz pieces to mu-law, with a resampler's delay and methods."""

    def __init__(self) -> None:
        self._resampler = Resampler(PCM_RATE_HZ, RATE_HZ)

    def feed(self, pcm: bytes) -> bytes:
        return encode(self._resampler.feed(pcm))

    def flush(self) -> bytes:
        return encode(self._resampler.flush())

    def reset(self) -> None:
        self._resampler.reset()
