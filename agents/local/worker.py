"""The speech engines' own process: hears and speaks for all calls. Runs apart from the gateway's event loop.

The recogniser's runtime starts a thread per core and cannot be told otherwise, so the whole process is made nice: a
core that the event loop wants is the event loop's.
"""

import multiprocessing
import os
import re
import signal
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from hibari import Hibari
    from moonshine_voice import Transcriber
    from numpy.typing import NDArray

VOICE_RATE_HZ: Final = 24_000
EAR_RATE_HZ: Final = 16_000

_NICENESS: Final = 10

_GAIN: Final = 2.0
"""The voice peaks at a third of full scale, soft for a telephone; doubled, it speaks at about -20 dBFS."""

_AUDIBLE: Final = 0.01
_LEAD_MS: Final = 40
_TAIL_MS: Final = 240
"""Silence left before and after a sentence. The voice gives 300 ms, which is waiting, and 500 ms, which is long."""

_EAR_OPTIONS: Final = {"vad_threshold": "0"}
"""Turns come cut to the caller's speech already. When the recogniser cut once more, 10 % instead of 4 % of the words in
the tests' phrases came out wrong over mu-law."""

_NOTHING: Final = frozenset({"", "you", "the", "so", "and"})
"""What the recogniser writes for a cough or for noise: no caller says only this."""

_SEED: Final = 1
"""Of the noise in the voice's breath: the same text sounds the same."""

_LONG_NUMBER: Final = re.compile(r"\d(?:,?\d){20,}")
"""More than 20 digits. The voice has words for numbers up to 36 and fails at longer ones; nobody says such numbers."""

_GROUP: Final = 3
"""Digits said in one breath."""

_ears: "Transcriber"
_mouth: "Hibari"


def start() -> None:
    """Makes this process the speech worker: loads both engines, and leaves when the gateway does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    threading.Thread(target=_leave_with_parent, name="leave with parent", daemon=True).start()
    from hibari import Hibari
    from moonshine_voice import ModelArch, Transcriber, get_model_path

    global _ears, _mouth
    _ears = Transcriber(str(get_model_path("tiny-en")), ModelArch.TINY, options=_EAR_OPTIONS)
    _mouth = Hibari(threads=1)
    speak("Hello.", 1.0)


def process_id() -> int:
    return os.getpid()


def hear(pcm16: bytes, rate_hz: int) -> str:
    """What is said in PCM16 mono of that rate; empty for noise."""
    import numpy as np

    from agents.audio import resampled

    if rate_hz != EAR_RATE_HZ:
        pcm16 = resampled(pcm16, rate_hz, EAR_RATE_HZ)
    samples = np.frombuffer(pcm16, "<i2").astype(np.float32) / 32768
    lines = _ears.transcribe_without_streaming(samples.tolist(), EAR_RATE_HZ).lines
    text = " ".join(line.text.strip() for line in lines)
    return "" if text.strip(" .,!?").lower() in _NOTHING else text


def speak(text: str, speed: float) -> bytes:
    """The text as PCM16 mono 24 kHz; empty when there is nothing to pronounce in it."""
    import numpy as np

    samples = _trimmed(_mouth(pronounceable(text), speed=speed, seed=_SEED)) * _GAIN
    pcm: bytes = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    return pcm


def pronounceable(text: str) -> str:
    """The text with its longest numbers written digit by digit, in groups."""
    return _LONG_NUMBER.sub(_digit_by_digit, text)


def _digit_by_digit(number: re.Match[str]) -> str:
    digits = number[0].replace(",", "")
    return ", ".join(" ".join(digits[i : i + _GROUP]) for i in range(0, len(digits), _GROUP))


def _trimmed(samples: "NDArray[np.float32]") -> "NDArray[np.float32]":
    import numpy as np

    audible = np.flatnonzero(np.abs(samples) > _AUDIBLE)
    if not audible.size:
        return samples[:0]
    per_ms = VOICE_RATE_HZ // 1000
    first = max(0, int(audible[0]) - _LEAD_MS * per_ms)
    return samples[first : int(audible[-1]) + _TAIL_MS * per_ms]


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)
