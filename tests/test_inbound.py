"""The caller's frames lie on one timeline: lost ones become silence, and nobody can run far ahead of the clock."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.mulaw import FRAME_BYTES, FRAME_MS, RATE_HZ, SILENCE
from channels.inbound import MAX_GAP_MS, InboundAudio

FRAME = b"\x2a" * FRAME_BYTES
BYTES_PER_MS = RATE_HZ // 1000


def silence(ms: int) -> bytes:
    return bytes([SILENCE]) * (ms * BYTES_PER_MS)


def after_a_frame_at(timestamp_ms: int = 53) -> InboundAudio:
    inbound = InboundAudio()
    inbound.take(FRAME, timestamp_ms, 0.0)
    return inbound


# ---- gaps ----


def test_frames_in_order_pass_unchanged() -> None:
    inbound = InboundAudio()

    heard = [inbound.take(FRAME, 53 + n * FRAME_MS, n * 0.02) for n in range(100)]

    assert heard == [FRAME] * 100
    assert inbound.missing_ms == inbound.refused_ms == 0


def test_the_first_frame_may_have_any_timestamp() -> None:
    assert InboundAudio().take(FRAME, 18_553, 0.0) == FRAME


def test_a_timestamp_gap_of_n_ms_inserts_n_ms_of_silence_once() -> None:
    inbound = after_a_frame_at(0)

    late = inbound.take(FRAME, FRAME_MS + 60, 0.1)
    next_one = inbound.take(FRAME, FRAME_MS + 60 + FRAME_MS, 0.12)

    assert late == silence(60) + FRAME
    assert next_one == FRAME
    assert inbound.missing_ms == 60


def test_a_gap_of_one_frame_is_filled() -> None:
    assert after_a_frame_at(0).take(FRAME, 2 * FRAME_MS, 0.04) == silence(FRAME_MS) + FRAME


def test_less_than_a_frame_is_jitter() -> None:
    inbound = after_a_frame_at(0)

    heard = [inbound.take(FRAME, timestamp_ms, 1.0) for timestamp_ms in (39, 41, 79, 80)]

    assert heard == [FRAME] * 4


def test_small_delays_that_add_up_to_a_frame_are_filled() -> None:
    inbound = after_a_frame_at(0)

    heard = [inbound.take(FRAME, timestamp_ms, 1.0) for timestamp_ms in (30, 60, 90)]

    assert heard == [FRAME, silence(20) + FRAME, FRAME]


def test_at_most_ten_seconds_of_silence_are_inserted_for_a_gap() -> None:
    inbound = after_a_frame_at(0)

    heard = inbound.take(FRAME, 3_600_000, 3600.0)

    assert heard == silence(MAX_GAP_MS) + FRAME


def test_a_backwards_timestamp_inserts_nothing() -> None:
    inbound = after_a_frame_at(1_000)

    back = inbound.take(FRAME, 40, 0.02)
    onward = inbound.take(FRAME, 60, 0.04)

    assert (back, onward) == (FRAME, FRAME)
    assert inbound.missing_ms == 0


def test_a_repeated_timestamp_inserts_nothing() -> None:
    inbound = after_a_frame_at(100)

    assert inbound.take(FRAME, 100, 0.02) == FRAME


def test_frames_without_a_timestamp_follow_one_another() -> None:
    inbound = InboundAudio()

    assert [inbound.take(FRAME, None, 0.0) for _ in range(3)] == [FRAME] * 3


def test_a_huge_jump_and_its_return_cost_one_gap() -> None:
    inbound = after_a_frame_at(0)

    heard = [inbound.take(FRAME, timestamp_ms, 60.0) for timestamp_ms in (10**15 - 1, 40, 60)]

    assert heard == [silence(MAX_GAP_MS) + FRAME, FRAME, FRAME]


def test_frames_of_any_length_keep_the_time() -> None:
    inbound = InboundAudio()
    lengths = (1, 159, 160, 320, 8_000)
    timestamp_ms, heard = 0.0, b""

    for length in lengths:
        heard += inbound.take(FRAME[:1] * length, int(timestamp_ms), 0.0)
        timestamp_ms += length / BYTES_PER_MS

    assert heard == FRAME[:1] * sum(lengths)


# ---- floods ----


def test_a_flood_is_refused_once_it_is_ten_seconds_ahead_of_the_clock() -> None:
    inbound = InboundAudio()

    heard = b"".join(inbound.take(FRAME, n * FRAME_MS, 0.0) for n in range(100_000))

    assert heard == FRAME * (MAX_GAP_MS // FRAME_MS)
    assert inbound.refused_ms == 100_000 * FRAME_MS - MAX_GAP_MS


def test_after_a_flood_the_caller_is_heard_again_as_the_clock_comes_up() -> None:
    inbound = InboundAudio()
    for _ in range(1_000):
        inbound.take(FRAME, None, 0.0)

    heard = [inbound.take(FRAME, None, 1.0 + n * 0.02) for n in range(10)]

    assert heard == [FRAME] * 10


def test_a_caller_ten_seconds_late_by_the_network_is_heard_whole() -> None:
    inbound = after_a_frame_at(0)

    heard = [inbound.take(FRAME, n * FRAME_MS, 10.0) for n in range(1, 500)]

    assert heard == [FRAME] * 499


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 800), st.none() | st.integers(0, 10**15), st.floats(0, 5)), min_size=1, max_size=60
    )
)
def test_whatever_the_timestamps_no_audio_is_lost_in_part_or_runs_away(
    frames: list[tuple[int, int | None, float]],
) -> None:
    inbound = InboundAudio()
    now = total = 0.0

    for length, timestamp_ms, pause_s in frames:
        now += pause_s
        frame = b"\x2a" * length
        heard = inbound.take(frame, timestamp_ms, now)
        total += len(heard) / BYTES_PER_MS
        assert heard in (b"", frame) or heard == silence((len(heard) - length) // BYTES_PER_MS) + frame
        assert len(heard) <= (MAX_GAP_MS * BYTES_PER_MS) + length

    first_s = frames[0][2]
    assert total <= MAX_GAP_MS + (now - first_s) * 1000 + 0.001
