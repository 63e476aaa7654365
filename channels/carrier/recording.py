"""Calls on tape: what was said and played to the millisecond, stereo WAV files of it, and WAV files to say."""

import wave
from math import ceil, gcd
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents import mulaw
from agents.errors import ConfigError

_EDGE_S: Final = 0.05
"""Silence around a file while its rate is changed, so that its end does not ring into its beginning."""


class Tape:
    """Both sides of one call, as mu-law frames with their time. The caller's are on the left, the agent's right.

    Times are milliseconds from one origin, the same for both sides; frames come in order and do not overlap.
    """

    def __init__(self) -> None:
        self.said: list[tuple[int, bytes]] = []
        self.played: list[tuple[int, bytes]] = []

    def say(self, at_ms: int, ulaw: bytes) -> None:
        """Adds a frame of the caller that began to be spoken at `at_ms`."""
        self.said.append((at_ms, ulaw))

    def play(self, at_ms: int, ulaw: bytes) -> None:
        """Adds a frame that the caller began to hear at `at_ms`."""
        self.played.append((at_ms, ulaw))

    def heard(self, from_ms: int, to_ms: int) -> bytes:
        """Gives what was played between two times as PCM16 8 kHz, with silence where nothing was."""
        frames = [(at_ms, ulaw) for at_ms, ulaw in self.played if from_ms <= at_ms < to_ms]
        return _laid_out(frames, from_ms, to_ms).tobytes()

    def stereo(self) -> bytes:
        """Gives PCM16 8 kHz of two interleaved channels, from the first frame of either side to the last."""
        frames = [*self.said, *self.played]
        if not frames:
            return b""
        from_ms = min(at_ms for at_ms, _ in frames)
        to_ms = max(at_ms + len(ulaw) * 1000 // mulaw.RATE_HZ for at_ms, ulaw in frames)
        sides = [_laid_out(side, from_ms, to_ms) for side in (self.said, self.played)]
        return np.column_stack(sides).tobytes()


def write_wav(path: Path, tape: Tape) -> None:
    """Writes the tape as a stereo WAV file, 8 kHz, 16 bits; folders are made. Blocks; raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file, wave.open(file, "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(mulaw.RATE_HZ)
        wav.writeframes(tape.stereo())


def read_wav(path: Path) -> bytes:
    """Reads a PCM WAV file of any rate, width and number of channels, as PCM16 mono 8 kHz.

    Channels are averaged. Blocks. Raises ConfigError, which names the file, for what cannot be read.
    """
    try:
        with path.open("rb") as file, wave.open(file, "rb") as wav:
            rate_hz, width, channels = wav.getframerate(), wav.getsampwidth(), wav.getnchannels()
            if rate_hz <= 0:
                raise wave.Error(f"a rate of {rate_hz} Hz")
            data = wav.readframes(wav.getnframes())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (wave.Error, EOFError) as error:
        raise ConfigError(f"{path}: found {error or 'no WAV file'}; a WAV file of PCM samples is needed") from None
    samples = _samples(data[: len(data) // (width * channels) * width * channels], width)
    if not len(samples):
        raise ConfigError(f"{path}: found no samples; a recording of speech is needed")
    mono = _at_8k(samples.reshape(-1, channels).mean(axis=1), rate_hz)
    return np.clip(np.rint(mono * 32768), -32768, 32767).astype("<i2").tobytes()


def _laid_out(frames: list[tuple[int, bytes]], from_ms: int, to_ms: int) -> NDArray[np.int16]:
    per_ms = mulaw.RATE_HZ // 1000
    line = np.zeros((to_ms - from_ms) * per_ms, "<i2")
    for at_ms, ulaw in frames:
        start = (at_ms - from_ms) * per_ms
        samples = np.frombuffer(mulaw.decode(ulaw), "<i2")[: len(line) - start]
        line[start : start + len(samples)] = samples
    return line


def _samples(data: bytes, width: int) -> NDArray[np.float64]:
    """Samples of 1 to 4 bytes as numbers from -1 to 1. One byte is unsigned in WAV, more are signed."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    padded = np.zeros((len(data) // width, 4), np.uint8)
    padded[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    return padded.reshape(-1).view("<i4").astype(np.float64) / 2**31


def _at_8k(samples: NDArray[np.float64], rate_hz: int) -> NDArray[np.float64]:
    """Changes the rate of a whole file at once, in the spectrum: any rate will do, and no alias comes through."""
    if rate_hz == mulaw.RATE_HZ:
        return samples
    common = gcd(rate_hz, mulaw.RATE_HZ)
    step, step_8k = rate_hz // common, mulaw.RATE_HZ // common
    # Lengths are whole steps, which both rates can express: otherwise the file would be stretched a little.
    edges = ceil(_EDGE_S * rate_hz / step)
    steps = 2 * edges + ceil(len(samples) / step)
    padded = np.pad(samples, (edges * step, (steps - edges) * step - len(samples)))
    spectrum = np.fft.rfft(padded)[: steps * step_8k // 2 + 1]
    resampled = np.fft.irfft(spectrum, steps * step_8k) * (step_8k / step)
    start = edges * step_8k
    return resampled[start : start + ceil(len(samples) * mulaw.RATE_HZ / rate_hz)]
