"""Recordings are played as they are, in the format of the line; what cannot be played is refused with its reason."""

import wave
from pathlib import Path

import numpy as np
import pytest

from agents.errors import ConfigError
from agents.mulaw import decode
from agents.realtime import PCM, PCMU
from agents.recordings import MAX_RECORDING_S, melody, recording


def tone(path: Path, *, seconds: float = 0.5, rate_hz: int = 24_000, tracks: int = 1, width: int = 2) -> Path:
    """A file with a tone of 440 Hz."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    samples = (np.sin(2 * np.pi * 440 * time_s) * 8000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(tracks)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(samples, tracks).tobytes()[: len(samples) * tracks * width])
    return path


def loudest_hz(pcm16: bytes, rate_hz: int) -> float:
    samples = np.frombuffer(pcm16, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("tracks", [1, 2])
def test_a_file_of_any_usual_rate_sounds_as_high_and_as_long_as_it_is(
    rate_hz: int, tracks: int, tmp_path: Path
) -> None:
    file = tone(tmp_path / "tone.wav", rate_hz=rate_hz, tracks=tracks)

    pcm = recording(file, PCM)

    assert len(pcm) == pytest.approx(500 * PCM.bytes_per_ms, abs=PCM.bytes_per_ms)
    assert loudest_hz(pcm, 24_000) == pytest.approx(440, abs=3)


def test_a_line_that_passes_mu_law_through_gets_mu_law(tmp_path: Path) -> None:
    ulaw = recording(tone(tmp_path / "tone.wav"), PCMU)

    assert len(ulaw) == 500 * PCMU.bytes_per_ms
    assert loudest_hz(decode(ulaw), 8_000) == pytest.approx(440, abs=3)


def test_what_cannot_be_played_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "words.wav").write_text("not a sound")

    with pytest.raises(ConfigError, match=r"missing.wav cannot be read"):
        recording(tmp_path / "missing.wav", PCM)
    with pytest.raises(ConfigError, match=r"words.wav cannot be read"):
        recording(tmp_path / "words.wav", PCM)
    with pytest.raises(ConfigError, match="16 bits"):
        recording(tone(tmp_path / "narrow.wav", width=1), PCM)
    with pytest.raises(ConfigError, match=f"longer than {MAX_RECORDING_S} s"):
        recording(tone(tmp_path / "long.wav", seconds=MAX_RECORDING_S + 1, rate_hz=8_000), PCM)


@pytest.mark.parametrize("audio_format", [PCM, PCMU], ids=["pcm16", "passthrough"])
def test_the_melody_is_quiet_and_of_sixteen_seconds(audio_format: object) -> None:
    assert audio_format in (PCM, PCMU)
    pcm = melody(PCM) if audio_format == PCM else decode(melody(PCMU))
    rate_hz = 24_000 if audio_format == PCM else 8_000

    samples = np.frombuffer(pcm, "<i2").astype(float)

    assert len(samples) == 16 * rate_hz
    assert 300 < np.sqrt(np.mean(samples**2)) < 3000
