"""What of the caller's audio a new connection hears again."""

from agents.callers_audio import MAX_TURN_MS, RECENT_MS, SLICE_MS, CallersAudio
from agents.realtime import PCM, PCMU

FRAME_MS = 20


def frame(n: int) -> bytes:
    return n.to_bytes(2, "big") * 480


def fed(audio: CallersAudio, first: int, count: int) -> None:
    for n in range(first, first + count):
        audio.add(frame(n))


def test_between_turns_only_the_last_moment_is_kept() -> None:
    audio = CallersAudio(PCM)
    fed(audio, 0, 500)

    audio.gap_began()

    assert b"".join(audio.take_missed()) == b"".join(frame(n) for n in range(500 - RECENT_MS // FRAME_MS, 500))


def test_an_open_turn_is_kept_from_the_moment_before_it() -> None:
    audio = CallersAudio(PCM)
    fed(audio, 0, 100)
    audio.is_turn_open = True
    fed(audio, 100, 400)

    audio.gap_began()

    assert b"".join(audio.take_missed()) == b"".join(frame(n) for n in range(100 - RECENT_MS // FRAME_MS, 500))


def test_what_comes_in_a_gap_is_given_once_and_in_slices() -> None:
    audio = CallersAudio(PCM)
    audio.gap_began()
    fed(audio, 0, 50)

    first = list(audio.take_missed())
    fed(audio, 50, 5)
    second = list(audio.take_missed())

    assert [len(each) for each in first] == [SLICE_MS * 48] * 5
    assert b"".join(first + second) == b"".join(frame(n) for n in range(55))
    assert not audio.is_missed


def test_memory_is_bounded_in_turns_and_gaps_of_any_length() -> None:
    audio = CallersAudio(PCMU)
    audio.is_turn_open = True
    audio.gap_began()
    for _ in range(2 * MAX_TURN_MS // FRAME_MS):
        audio.add(bytes(160))

    missed = b"".join(audio.take_missed())

    assert len(missed) == MAX_TURN_MS * 8


def test_after_a_gap_nothing_is_missed_and_the_last_moment_is_kept_for_the_next_one() -> None:
    audio = CallersAudio(PCM)
    audio.gap_began()
    fed(audio, 0, 10)
    list(audio.take_missed())
    audio.gap_ended()
    fed(audio, 10, 5)
    assert not audio.is_missed

    audio.gap_began()

    assert b"".join(audio.take_missed()) == b"".join(frame(n) for n in range(15))
