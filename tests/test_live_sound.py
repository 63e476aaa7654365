"""Speech and silence in a live model's output, told apart by level."""

import numpy as np
import pytest

from agents.providers.openai_live.sound import FAINT, LOUD, WINDOW_MS, Sound
from agents.realtime import PCM, PCMU, AudioFormat
from tests.fake_ear import silence, tone

PCM16K = AudioFormat(sample_rate=16_000)


def noise(level: int, ms: int) -> bytes:
    """White noise of so much root mean square."""
    samples = np.random.default_rng(1).normal(0, level, ms * 24).round()
    pcm: bytes = samples.astype("<i2").tobytes()
    return pcm


@pytest.mark.parametrize("audio_format", [PCM, PCMU, PCM16K], ids=str)
def test_a_voice_is_loud_and_its_pauses_are_not_in_every_format(audio_format: AudioFormat) -> None:
    stream = tone(100, audio_format) + silence(100, audio_format)

    windows = list(Sound(audio_format).windows(stream))

    assert [level >= LOUD for _, level in windows] == [True] * 5 + [False] * 5
    assert {level < FAINT for _, level in windows[5:]} == {True}
    assert b"".join(window for window, _ in windows) == stream


def test_the_models_own_pauses_are_quiet_and_its_softest_speech_is_not() -> None:
    pauses = [level for _, level in Sound(PCM).windows(noise(104, 1000))]
    whispers = [level for _, level in Sound(PCM).windows(noise(207, 1000))]

    assert min(pauses) > FAINT
    assert max(pauses) < LOUD < min(whispers)


def test_however_a_stream_is_cut_its_windows_are_the_same() -> None:
    stream = silence(70) + tone(130) + silence(50)
    sound = Sound(PCM)

    in_pieces = [window for at in range(0, len(stream), 777) for window in sound.windows(stream[at : at + 777])]

    assert in_pieces == list(Sound(PCM).windows(stream))
    assert len(in_pieces) == 250 // WINDOW_MS


def test_less_than_a_window_waits_for_the_rest_of_it() -> None:
    sound = Sound(PCMU)

    assert list(sound.windows(b"\xff" * 159)) == []
    assert list(sound.windows(b"\xff")) == [(b"\xff" * 160, 0.0)]
