import wave
from pathlib import Path

import numpy as np
import pytest

from agents import mulaw
from agents.errors import ConfigError
from channels.carrier.loudness import is_sound, speech_end_ms
from channels.carrier.recording import Tape, read_wav, write_wav
from tests.carrier_service import silence, tone

FRAME = mulaw.encode(tone(20))


def write(path: Path, samples: np.ndarray, rate_hz: int, width: int, channels: int) -> Path:
    """Writes numbers from -1 to 1, the same in every channel."""
    if width == 1:
        data = np.rint(samples * 127 + 128).astype(np.uint8)[:, None]
    else:
        whole = np.rint(samples * (2.0**31 - 2**8)).astype("<i4")
        data = whole.view(np.uint8).reshape(-1, 4)[:, 4 - width :]
    with wave.open(str(path), "wb") as wav:
        wav.setparams((channels, width, rate_hz, 0, "NONE", "not compressed"))
        wav.writeframes(np.tile(data, (1, channels)).tobytes())
    return path


@pytest.mark.parametrize("rate_hz", [6000, 8000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 1), (2, 2), (3, 1), (4, 6)])
def test_a_wav_file_of_any_rate_width_and_channels_sounds_the_same_at_8_khz(
    tmp_path: Path, rate_hz: int, width: int, channels: int
) -> None:
    at_s = np.arange(rate_hz // 2) / rate_hz
    path = write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * at_s), rate_hz, width, channels)

    samples = np.frombuffer(read_wav(path), "<i2") / 32768

    assert len(samples) == 4000
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    assert np.abs(samples - expected)[100:-100].max() < (0.012 if width == 1 else 0.005)


def test_sound_above_the_telephone_band_leaves_no_alias(tmp_path: Path) -> None:
    at_s = np.arange(24_000) / 48_000
    path = write(tmp_path / "a.wav", 0.9 * np.sin(2 * np.pi * 5000 * at_s), 48_000, 2, 1)

    assert np.abs(np.frombuffer(read_wav(path), "<i2"))[100:-100].max() < 33


def test_files_that_cannot_be_said_are_named(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_bytes(b"hello, this is not audio")
    empty = tmp_path / "empty.wav"
    empty.touch()
    mute = write(tmp_path / "mute.wav", np.zeros(0), 8000, 2, 1)

    for path in (tmp_path / "missing.wav", text, empty, mute):
        with pytest.raises(ConfigError, match=path.name):
            read_wav(path)


def test_a_recording_has_the_caller_left_and_the_agent_right_each_at_its_time(tmp_path: Path) -> None:
    tape = Tape()
    tape.say(-20, FRAME)
    tape.play(40, FRAME)
    path = tmp_path / "new folder" / "call.wav"

    write_wav(path, tape)

    with wave.open(str(path), "rb") as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (2, 2, 8000)
        both = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    sound, quiet = np.frombuffer(mulaw.decode(FRAME), "<i2"), np.zeros(160)
    assert both[:, 0].tolist() == [*sound, *quiet, *quiet, *quiet]
    assert both[:, 1].tolist() == [*quiet, *quiet, *quiet, *sound]


def test_a_tape_of_nothing_is_an_empty_recording(tmp_path: Path) -> None:
    write_wav(tmp_path / "call.wav", Tape())

    with wave.open(str(tmp_path / "call.wav"), "rb") as wav:
        assert wav.getnframes() == 0


def test_what_was_heard_between_two_times_has_silence_where_nothing_played() -> None:
    tape = Tape()
    for at_ms in (0, 20, 60, 80):
        tape.play(at_ms, FRAME)

    assert tape.heard(20, 80) == mulaw.decode(FRAME) + silence(20) + mulaw.decode(FRAME)


def test_sound_begins_at_50_db_below_full_scale() -> None:
    assert is_sound(mulaw.encode(tone(20, amplitude=200)))
    assert not is_sound(mulaw.encode(tone(20, amplitude=100)))
    assert not is_sound(b"\xff" * 160)


def test_the_end_of_speech_is_found_before_trailing_silence() -> None:
    assert speech_end_ms(silence(100) + tone(200) + silence(500)) == 300
    assert speech_end_ms(tone(205)) == 210
    assert speech_end_ms(silence(200)) == 200
