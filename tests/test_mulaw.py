"""Mu-law agrees with the reference vectors bit for bit, alone and together with resampling."""

from collections.abc import Callable
from hashlib import sha256

import numpy as np
import pytest

from agents.audio import DELAY_MS, PCM_BYTES_PER_MS
from agents.mulaw import FRAME_BYTES, FRAME_MS, RATE_HZ, SILENCE, PcmToUlaw, UlawToPcm, decode, encode

ALL_CODES = bytes(range(256))
ULAW_BYTES_PER_MS = RATE_HZ // 1000


def int16(value: int) -> bytes:
    return value.to_bytes(2, "little", signed=True)


@pytest.mark.parametrize(
    ("code", "sample"),
    [
        (0x00, -32124),
        (0x80, 32124),
        (0x0F, -16764),
        (0x10, -15996),
        (0x2A, -5372),
        (0xAA, 5372),
        (0x7E, -8),
        (0xFE, 8),
        (0x7F, 0),
        (0xFF, 0),
    ],
)
def test_a_code_decodes_to_its_sample(code: int, sample: int) -> None:
    assert decode(bytes([code])) == int16(sample)


@pytest.mark.parametrize(
    ("sample", "code"),
    [(0, 0xFF), (1, 0xFF), (-1, 0x7E), (8, 0xFE), (-8, 0x7E), (1000, 0xCE), (-1000, 0x4E), (32767, 0x80)],
)
def test_a_sample_encodes_to_its_code(sample: int, code: int) -> None:
    assert encode(int16(sample)) == bytes([code])


def test_the_decode_table_is_the_standard_one() -> None:
    table = decode(ALL_CODES)

    assert len(table) == 512
    assert sha256(table).hexdigest() == "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827"


def test_every_sample_encodes_as_audioop_does() -> None:
    every_sample = np.arange(-32768, 32768).astype("<i2").tobytes()

    codes = encode(every_sample)

    assert len(codes) == 65_536
    assert sha256(codes).hexdigest() == "81d633c9e6972a18c74a58720b96cb8ca0bdd096d4060b646dd708c3b846019a"


def test_every_code_survives_the_round_trip_but_negative_zero() -> None:
    assert encode(decode(ALL_CODES)) == ALL_CODES.replace(b"\x7f", b"\xff")


def test_a_frame_is_20_ms_of_codes() -> None:
    assert FRAME_BYTES == FRAME_MS * ULAW_BYTES_PER_MS == 160


def test_silence_is_the_code_of_zero() -> None:
    assert decode(bytes([SILENCE])) == int16(0)
    assert encode(int16(0)) == bytes([SILENCE])


def test_a_frame_in_is_20_ms_of_pcm_less_the_delay_once() -> None:
    inbound = UlawToPcm()
    frame = bytes([SILENCE]) * FRAME_BYTES

    assert inbound.feed(frame) == bytes((FRAME_MS - DELAY_MS) * PCM_BYTES_PER_MS)
    assert inbound.feed(frame) == bytes(FRAME_MS * PCM_BYTES_PER_MS)
    assert inbound.flush() == bytes(DELAY_MS * PCM_BYTES_PER_MS)


def test_20_ms_of_pcm_out_is_a_frame_less_the_delay_once() -> None:
    outbound = PcmToUlaw()
    pcm = bytes(FRAME_MS * PCM_BYTES_PER_MS)

    assert outbound.feed(pcm) == bytes([SILENCE]) * (FRAME_MS - DELAY_MS) * ULAW_BYTES_PER_MS
    assert outbound.feed(pcm) == bytes([SILENCE]) * FRAME_BYTES
    assert outbound.flush() == bytes([SILENCE]) * DELAY_MS * ULAW_BYTES_PER_MS


def test_a_delta_that_ends_in_half_a_sample_makes_no_noise() -> None:
    pcm = np.random.default_rng(3).integers(-9_000, 9_000, 4_800).astype("<i2").tobytes()
    cut, together = PcmToUlaw(), PcmToUlaw()

    in_pieces = cut.feed(pcm[:1_001]) + cut.feed(pcm[1_001:]) + cut.flush()

    assert in_pieces == together.feed(pcm) + together.flush()


def test_speech_band_survives_the_way_in_and_out() -> None:
    at_s = np.arange(RATE_HZ) / RATE_HZ
    voice = np.rint(8_000 * np.sin(2 * np.pi * 440 * at_s) + 4_000 * np.sin(2 * np.pi * 2_200 * at_s))
    ulaw = encode(voice.astype("<i2").tobytes())
    inbound, outbound = UlawToPcm(), PcmToUlaw()

    pcm = inbound.feed(ulaw) + inbound.flush()
    back = outbound.feed(pcm) + outbound.flush()

    heard = np.frombuffer(decode(back), "<i2").astype(float)
    noise = (heard - voice)[16:-16]
    assert len(back) == len(ulaw)
    assert 10 * np.log10(np.mean(voice**2) / np.mean(noise**2)) > 30


@pytest.mark.parametrize("stream", [UlawToPcm, PcmToUlaw])
def test_reset_leaves_no_tail(stream: Callable[[], UlawToPcm | PcmToUlaw]) -> None:
    used = stream()
    used.feed(b"\x05" * 999)

    used.reset()

    assert used.flush() == b""
    assert used.feed(ALL_CODES * 10) == stream().feed(ALL_CODES * 10)
