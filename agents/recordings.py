"""Sounds from files, for a caller to hear in place of the agent's voice."""

import wave
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from agents import mulaw
from agents.audio import resampled
from agents.errors import ConfigError
from agents.realtime import PCMU, AudioFormat

MAX_RECORDING_S: Final = 120
"""Nobody listens longer, and it is kept in memory: 6 MB at 24 kHz."""

_WHOLE_HZ: Final = 48_000


@lru_cache(maxsize=64)
def recording(path: Path, audio_format: AudioFormat) -> bytes:
    """The audio of a WAV file of 16 bits, in a line's format; of several tracks, their mean.

    Raises ConfigError for a file that is not there, is none, or is longer than MAX_RECORDING_S.
    """
    try:
        with wave.open(str(path), "rb") as file:
            width, tracks, rate, frames = (
                file.getsampwidth(),
                file.getnchannels(),
                file.getframerate(),
                file.getnframes(),
            )
            if width != 2 or not 1 <= tracks <= 8 or not 8_000 <= rate <= 48_000:
                raise ConfigError(f"{path} is not a WAV file of 16 bits at 8 to 48 kHz")
            if frames > MAX_RECORDING_S * rate:
                raise ConfigError(f"{path} is longer than {MAX_RECORDING_S} s")
            samples = np.frombuffer(file.readframes(frames), "<i2").reshape(-1, tracks)
    except (OSError, EOFError, ValueError, wave.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    mono = samples.mean(axis=1)
    if rate % 1000:  # such as 44.1 kHz: the resampler takes whole samples per millisecond
        mono = np.interp(np.arange(len(mono) * _WHOLE_HZ // rate) * rate / _WHOLE_HZ, np.arange(len(mono)), mono)
        rate = _WHOLE_HZ
    pcm = resampled(mono.astype("<i2").tobytes(), rate, audio_format.sample_rate)
    return mulaw.encode(pcm) if audio_format == PCMU else pcm


NOTE_S: Final = 0.5
"""Slow enough for a telephone, on which short notes are clicks."""

_MELODY_HZ: Final = (261.6, 329.6, 392.0, 523.3, 440.0, 392.0, 329.6, 293.7) * 4
"""Up and down a chord of C, four times: sixteen seconds."""

_LEVEL: Final = 3000
"""Some 20 dB below full: nobody holds a telephone away from the ear."""


@lru_cache(maxsize=2)
def melody(audio_format: AudioFormat) -> bytes:
    """The quiet melody of those who brought no music of their own, in a line's format."""
    rate = audio_format.sample_rate
    time_s = np.arange(round(NOTE_S * rate)) / rate
    edges = np.minimum(1.0, np.minimum(time_s, NOTE_S - time_s) / 0.02)
    fade = edges * np.exp(-time_s * 4)
    notes = [np.sin(2 * np.pi * hz * time_s) * fade for hz in _MELODY_HZ]
    pcm = (np.concatenate(notes) * _LEVEL).astype("<i2").tobytes()
    return mulaw.encode(pcm) if audio_format == PCMU else pcm
