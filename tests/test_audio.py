"""Resampling keeps time, level and bits, and lets nothing through that was not in the sound."""

from collections.abc import Iterable, Iterator
from itertools import cycle, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.audio import DELAY_MS, PCM_BYTES_PER_MS, PCM_RATE_HZ, Resampler, Untouched, _matrix

AMPLITUDE = 20_000
UP = (8_000, 24_000)
DOWN = (24_000, 8_000)
TELEPHONE = [UP, DOWN]
ALL = [*TELEPHONE, (24_000, 16_000), (16_000, 24_000), (8_000, 16_000), (16_000, 8_000)]

chunk_sizes = st.lists(st.integers(0, 700), max_size=20)
rates = st.sampled_from(ALL)


def tone(hz: int, rate_hz: int, ms: int = 1200) -> bytes:
    at_s = np.arange(rate_hz * ms // 1000) / rate_hz
    wave: NDArray[np.float64] = np.rint(AMPLITUDE * np.sin(2 * np.pi * hz * at_s))
    return wave.astype("<i2").tobytes()


def noise(samples: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(-32768, 32768, samples).astype("<i2").tobytes()


def samples(pcm16: bytes) -> NDArray[np.int64]:
    return np.frombuffer(pcm16, "<i2").astype(np.int64)


def whole(resampler: Resampler, pieces: Iterable[bytes]) -> bytes:
    return b"".join([resampler.feed(piece) for piece in pieces]) + resampler.flush()


def pieces(stream: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """Cuts pieces of these sizes in bytes off the stream; the last piece is what is left."""
    start = 0
    for size in sizes:
        yield stream[start : start + size]
        start += size
    yield stream[start:]


def levels_db(pcm16: bytes, rate_hz: int) -> NDArray[np.float64]:
    """Level of every whole Hz against a tone of AMPLITUDE, over the second from 100 ms on."""
    second = samples(pcm16)[rate_hz // 10 :][:rate_hz]
    amplitudes = np.abs(np.fft.rfft(second)) / (rate_hz / 2)
    return 20 * np.log10(np.maximum(amplitudes, 1e-6) / AMPLITUDE)


def total_db(levels: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.sum(10 ** (levels / 10))))


def test_the_constants_of_pcm_agree() -> None:
    assert PCM_BYTES_PER_MS * 1000 == PCM_RATE_HZ * 2


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_1_khz_keeps_its_level_within_a_tenth_of_a_db(from_hz: int, to_hz: int) -> None:
    out = whole(Resampler(from_hz, to_hz), [tone(1_000, from_hz)])

    assert abs(levels_db(out, to_hz)[1_000]) < 0.1


@pytest.mark.parametrize(("from_hz", "to_hz"), TELEPHONE)
@pytest.mark.parametrize("hz", range(300, 3_401, 100))
def test_the_telephone_band_is_flat_within_half_a_db(from_hz: int, to_hz: int, hz: int) -> None:
    out = whole(Resampler(from_hz, to_hz), [tone(hz, from_hz)])

    assert abs(levels_db(out, to_hz)[hz]) < 0.5


@pytest.mark.parametrize("hz", range(300, 3_401, 100))
def test_images_above_4600_hz_are_60_db_down(hz: int) -> None:
    out = whole(Resampler(*UP), [tone(hz, 8_000)])

    assert total_db(levels_db(out, 24_000)[4_600:]) < -60


@pytest.mark.parametrize("hz", range(4_600, 11_901, 100))
def test_tones_above_4600_hz_leak_at_most_60_db_down(hz: int) -> None:
    out = whole(Resampler(*DOWN), [tone(hz, 24_000)])

    assert total_db(levels_db(out, 8_000)) < -60


@pytest.mark.parametrize("hz", range(300, 7_401, 100))
def test_24_to_16_khz_is_flat_up_to_7400_hz(hz: int) -> None:
    out = whole(Resampler(24_000, 16_000), [tone(hz, 24_000)])

    assert abs(levels_db(out, 16_000)[hz]) < 0.5


@pytest.mark.parametrize("hz", range(8_600, 11_901, 100))
def test_24_to_16_khz_lets_nothing_through_above_8600_hz(hz: int) -> None:
    out = whole(Resampler(24_000, 16_000), [tone(hz, 24_000)])

    assert total_db(levels_db(out, 16_000)) < -60


@pytest.mark.parametrize("hz", range(300, 7_401, 100))
def test_images_of_16_khz_sound_are_60_db_down_above_8600_hz(hz: int) -> None:
    out = whole(Resampler(16_000, 24_000), [tone(hz, 16_000)])

    assert total_db(levels_db(out, 24_000)[8_600:]) < -60


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_a_tone_comes_out_as_if_it_had_been_sampled_at_the_other_rate(from_hz: int, to_hz: int) -> None:
    out = whole(Resampler(from_hz, to_hz), [tone(1_000, from_hz)])

    expected = samples(tone(1_000, to_hz))
    away_from_the_ends = slice(DELAY_MS * to_hz // 1000, -DELAY_MS * to_hz // 1000)
    assert len(out) // 2 == len(expected)
    assert np.max(np.abs(samples(out) - expected)[away_from_the_ends]) <= 12


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_a_click_stays_at_its_instant(from_hz: int, to_hz: int) -> None:
    click_ms = 30
    stream = np.zeros(from_hz // 10, "<i2")
    stream[click_ms * from_hz // 1000] = 30_000

    out = samples(whole(Resampler(from_hz, to_hz), [stream.tobytes()]))

    assert int(np.argmax(out)) == click_ms * to_hz // 1000


def test_every_input_sample_survives_going_up() -> None:
    stream = noise(8_000)

    out = whole(Resampler(*UP), [stream])

    assert np.array_equal(samples(out)[::3], samples(stream))


@settings(deadline=None)
@given(rates, st.binary(max_size=4_000), chunk_sizes)
def test_any_chunking_gives_the_same_bits(ratio: tuple[int, int], stream: bytes, sizes: list[int]) -> None:
    one_shot = whole(Resampler(*ratio), [stream])

    assert whole(Resampler(*ratio), pieces(stream, sizes)) == one_shot


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_a_stream_fed_byte_by_byte_gives_the_same_bits(from_hz: int, to_hz: int) -> None:
    stream = noise(1_000)

    assert whole(Resampler(from_hz, to_hz), pieces(stream, [1] * 2_000)) == whole(Resampler(from_hz, to_hz), [stream])


@settings(deadline=None, max_examples=25)
@given(rates, chunk_sizes, st.integers(0, 1_000))
def test_a_long_piece_gives_the_same_bits_as_short_ones(ratio: tuple[int, int], sizes: list[int], seed: int) -> None:
    stream = noise(20_000, seed)

    assert whole(Resampler(*ratio), pieces(stream, sizes)) == whole(Resampler(*ratio), [stream])


@settings(deadline=None)
@given(rates, st.binary(max_size=4_000), chunk_sizes)
def test_the_whole_output_lasts_as_long_as_the_input(ratio: tuple[int, int], stream: bytes, sizes: list[int]) -> None:
    from_hz, to_hz = ratio

    out = whole(Resampler(from_hz, to_hz), pieces(stream, sizes))

    assert len(out) == 2 * -(-(len(stream) // 2) * to_hz // from_hz)


@pytest.mark.parametrize("count", range(0, 400, 7))
def test_three_samples_at_24_khz_are_one_at_8_khz(count: int) -> None:
    assert len(whole(Resampler(*DOWN), [noise(3 * count)])) == 2 * count
    assert len(whole(Resampler(*UP), [noise(count)])) == 2 * 3 * count


def test_the_delay_is_at_most_4_ms() -> None:
    assert DELAY_MS <= 4


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_after_every_frame_the_output_is_exactly_the_delay_behind(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    given_ms = 0.0

    for fed_ms in range(20, 1_001, 20):
        given_ms += len(resampler.feed(noise(from_hz // 50))) / 2 / to_hz * 1000
        assert given_ms == fed_ms - DELAY_MS


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_after_pieces_of_any_length_the_output_is_less_than_a_millisecond_more_behind(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    fed_ms = given_ms = 0.0

    for size in islice(cycle([1, 2, 3, 31, 160, 333]), 300):
        fed_ms += size / 2 / from_hz * 1000
        given_ms += len(resampler.feed(bytes(size))) / 2 / to_hz * 1000
        assert fed_ms - given_ms < DELAY_MS + 1 or given_ms == 0


@pytest.mark.parametrize(("from_hz", "to_hz"), TELEPHONE)
def test_ten_minutes_of_frames_do_not_drift(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    frame = tone(1_000, from_hz, ms=20)
    first, second = resampler.feed(frame), resampler.feed(frame)

    total = len(first) + len(second)
    last = second
    for _ in range(10 * 60 * 50 - 2):
        last = resampler.feed(frame)
        total += len(last)

    assert last == second
    assert total + len(resampler.flush()) == 10 * 60 * to_hz * 2


@pytest.mark.parametrize(("from_hz", "to_hz"), TELEPHONE)
def test_reset_forgets_the_sound_before_it(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    resampler.feed(noise(333) + b"\x7f")

    resampler.reset()

    assert whole(resampler, [noise(500, seed=2)]) == whole(Resampler(from_hz, to_hz), [noise(500, seed=2)])


def test_what_is_untouched_goes_on_at_once_and_leaves_nothing_behind() -> None:
    stream = Untouched()
    given = [stream.feed(b"\x00\xff\x7f"), stream.flush()]
    stream.reset()

    assert [*given, stream.feed(b"\x01"), stream.flush()] == [b"\x00\xff\x7f", b"", b"\x01", b""]


@pytest.mark.parametrize(("from_hz", "to_hz"), TELEPHONE)
def test_flush_gives_the_tail_and_is_as_new(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    resampler.feed(noise(from_hz // 50))

    tail = resampler.flush()

    assert len(tail) == DELAY_MS * to_hz // 1000 * 2
    assert any(tail)
    assert resampler.flush() == b""
    assert whole(resampler, [noise(500, seed=2)]) == whole(Resampler(from_hz, to_hz), [noise(500, seed=2)])


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_half_a_sample_at_the_end_is_dropped_unheard(from_hz: int, to_hz: int) -> None:
    with_half = whole(Resampler(from_hz, to_hz), [noise(300), b"\x7f"])

    assert with_half == whole(Resampler(from_hz, to_hz), [noise(300)])


@pytest.mark.parametrize("level", [-32_768, -1_000, -1, 1, 999, 32_767])
@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_a_constant_level_stays_exactly_that(from_hz: int, to_hz: int, level: int) -> None:
    out = samples(whole(Resampler(from_hz, to_hz), [np.full(from_hz // 10, level, "<i2").tobytes()]))

    away_from_the_ends = slice(DELAY_MS * to_hz // 1000, -DELAY_MS * to_hz // 1000)
    assert np.all(out[away_from_the_ends] == level)


@pytest.mark.parametrize(("from_hz", "to_hz"), ALL)
def test_the_largest_sum_is_exact_in_a_float(from_hz: int, to_hz: int) -> None:
    steps = _matrix(from_hz, to_hz) * 2.0**24

    assert np.array_equal(steps, np.rint(steps))
    assert np.abs(steps).sum(axis=0).max() * 32_768 < 2**41


def test_silence_stays_silent_to_the_bit() -> None:
    assert whole(Resampler(*UP), [bytes(320)] * 10) == bytes(9_600)


def test_the_loudest_square_wave_is_clipped_and_never_wraps() -> None:
    half = 40
    square = np.tile(np.repeat(np.array([32_767, -32_768], "<i2"), half), 20)

    out = samples(whole(Resampler(*UP), [square.tobytes()]))

    assert (int(out.max()), int(out.min())) == (32_767, -32_768)
    assert np.all(out.reshape(-1, 2, half * 3)[:, 0, :-3] > 0)
    assert np.all(out.reshape(-1, 2, half * 3)[:, 1, :-3] < 0)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(22_050, 24_000), (24_000, 0), (-8_000, 24_000)])
def test_rates_that_are_not_whole_samples_per_millisecond_are_refused(from_hz: int, to_hz: int) -> None:
    with pytest.raises(ValueError, match=f"got {from_hz} Hz and {to_hz} Hz"):
        Resampler(from_hz, to_hz)
