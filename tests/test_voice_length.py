"""How long a voice sounds is told from the line's audio, whatever the model says of turns."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import mulaw
from agents.audio import resampled
from agents.errors import NotSupportedError
from agents.realtime import PCM, PCMU, AudioFormat
from agents.voice_length import BEFORE_MS, WINDOW_MS, VoiceLength
from channels.carrier.recording import read_wav

HUMAN = Path("tests/recordings/something-is-terribly-wrong.wav")


def sound(ms: int, dbfs: float) -> bytes:
    """Noise of that level, PCM16 24 kHz; the same each time."""
    noise = np.random.default_rng(7).standard_normal(ms * 24) * 32768 * 10 ** (dbfs / 20)
    return np.clip(noise, -32768, 32767).astype("<i2").tobytes()


def silence(ms: int) -> bytes:
    return bytes(48 * ms)


def test_a_voice_is_as_long_as_it_sounds() -> None:
    length = VoiceLength(PCM)

    length.hear(silence(1000))
    length.began()
    length.hear(sound(300, -20) + silence(2000))

    assert length.voice_ms == 300


def test_what_sounded_before_the_model_noticed_belongs_to_it() -> None:
    length = VoiceLength(PCM)

    length.hear(silence(1000) + sound(200, -20))
    length.began()
    length.hear(sound(100, -20))

    assert length.voice_ms == 300


def test_what_sounded_long_before_does_not() -> None:
    length = VoiceLength(PCM)

    length.hear(sound(200, -20) + silence(BEFORE_MS))
    length.began()

    assert length.voice_ms == 0


def test_a_voice_that_ended_counts_for_none_that_follows() -> None:
    length = VoiceLength(PCM)

    length.began()
    length.hear(sound(200, -20))
    length.ended()
    assert length.voice_ms == 0

    length.began()
    length.hear(sound(100, -20))
    assert length.voice_ms == 100


def test_steady_noise_is_no_voice() -> None:
    length = VoiceLength(PCM)

    length.hear(sound(10_000, -35))
    length.began()
    length.hear(sound(1000, -35))

    assert length.voice_ms == 0


def test_a_voice_over_steady_noise_is_one() -> None:
    length = VoiceLength(PCM)

    length.hear(sound(10_000, -40))
    length.began()
    length.hear(sound(400, -20) + sound(1000, -40))

    assert length.voice_ms == 400


def test_a_line_that_is_digitally_silent_hides_no_voice_that_follows() -> None:
    length = VoiceLength(PCM)

    length.hear(silence(30_000))
    length.began()
    length.hear(sound(5000, -55))
    assert length.voice_ms == 0

    length.hear(sound(300, -30))
    assert length.voice_ms == 300


def test_a_womans_sentence_counts_for_most_of_its_length() -> None:
    length = VoiceLength(PCM)
    voice = resampled(read_wav(HUMAN), 8000, 24_000)

    length.began()
    length.hear(voice)

    assert 0.4 * len(voice) / 48 < length.voice_ms < len(voice) / 48


def test_a_womans_sentence_is_as_long_in_mu_law() -> None:
    ulaw = mulaw.encode(read_wav(HUMAN))
    pcm, untouched = VoiceLength(PCM), VoiceLength(PCMU)

    for length, audio in ((pcm, resampled(mulaw.decode(ulaw), 8000, 24_000)), (untouched, ulaw)):
        length.began()
        length.hear(audio)

    assert abs(untouched.voice_ms - pcm.voice_ms) <= WINDOW_MS


def test_mu_laws_silence_is_no_voice_though_its_bytes_are_large() -> None:
    length = VoiceLength(PCMU)
    length.began()
    length.hear(b"\xff" * 8000)

    assert length.voice_ms == 0


def test_a_format_whose_levels_are_unknown_is_refused() -> None:
    with pytest.raises(NotSupportedError, match="audio/pcma"):
        VoiceLength(AudioFormat(mime_type="audio/pcma", sample_rate=8000))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 700), max_size=30))
def test_how_the_audio_is_cut_into_pieces_does_not_matter(sizes: list[int]) -> None:
    audio = silence(100) + sound(150, -20) + silence(100)
    whole, pieces = VoiceLength(PCM), VoiceLength(PCM)

    whole.began()
    whole.hear(audio)
    pieces.began()
    rest = audio
    for size in sizes:
        pieces.hear(rest[:size])
        rest = rest[size:]
    pieces.hear(rest)

    assert pieces.voice_ms == whole.voice_ms == 150


@pytest.mark.parametrize("pcm", [b"", b"\x00"])
def test_less_than_a_sample_is_nothing(pcm: bytes) -> None:
    length = VoiceLength(PCM)
    length.began()
    length.hear(pcm)
    assert length.voice_ms == 0
