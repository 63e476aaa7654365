"""Audio is kept until it was heard, and given back from the byte that was heard last."""

import pytest

from agents.kept_audio import MAX_KEPT_MS, KeptAudio
from agents.realtime import PCM, PCMU, AudioFormat, SpokenItem

HELLO, BYE = SpokenItem("r1", "hello"), SpokenItem("r1", "bye")


def rest_of(kept: KeptAudio, taken: dict[SpokenItem, int]) -> list[tuple[SpokenItem, bytes, bool]]:
    """All that is given back, to the last."""
    given = []
    while rest := kept.rest(taken):
        given.append(rest)
    return given


def test_items_are_given_back_in_the_order_in_which_they_came() -> None:
    kept = KeptAudio(PCM)
    kept.keep(HELLO, b"ab")
    kept.keep(HELLO, b"cd")
    kept.end(HELLO)
    kept.keep(BYE, b"ef")

    assert rest_of(kept, {}) == [(HELLO, b"abcd", True), (BYE, b"ef", False)]


def test_what_was_heard_of_an_item_is_left_out() -> None:
    kept = KeptAudio(PCM)
    kept.keep(HELLO, b"abcd")

    assert rest_of(kept, {HELLO: 2}) == [(HELLO, b"cd", False)]


def test_what_comes_between_two_looks_is_given_back_by_the_second() -> None:
    kept = KeptAudio(PCM)
    kept.keep(HELLO, b"ab")
    taken: dict[SpokenItem, int] = {}
    first = kept.rest(taken)
    kept.keep(HELLO, b"cd")
    kept.end(HELLO)

    assert (first, kept.rest(taken), kept.rest(taken)) == ((HELLO, b"ab", False), (HELLO, b"cd", True), None)


def test_an_end_that_comes_alone_is_given_back_once() -> None:
    kept = KeptAudio(PCM)
    kept.keep(HELLO, b"ab")
    taken = {HELLO: 2}
    before = kept.rest(taken)
    kept.end(HELLO)

    assert (before, rest_of(kept, taken)) == (None, [(HELLO, b"", True)])


def test_an_item_that_is_forgotten_or_cleared_is_not_given_back() -> None:
    kept = KeptAudio(PCM)
    kept.keep(HELLO, b"ab")
    kept.keep(BYE, b"cd")
    kept.forget(HELLO)
    after_forgetting = rest_of(kept, {}), kept.received
    kept.clear()

    assert after_forgetting == ([(BYE, b"cd", False)], {BYE: 2})
    assert (rest_of(kept, {}), kept.received) == ([], {})


def test_the_end_of_an_item_that_is_forgotten_or_never_came_is_nothing() -> None:
    kept = KeptAudio(PCM)
    kept.keep(HELLO, b"ab")
    kept.forget(HELLO)
    kept.end(HELLO)
    kept.end(BYE)
    kept.keep(BYE, b"cd")

    assert rest_of(kept, {}) == [(BYE, b"cd", False)]


@pytest.mark.parametrize("audio_format", [PCM, PCMU])
def test_audio_beyond_what_is_kept_is_counted_and_cannot_be_gone_on_with(audio_format: AudioFormat) -> None:
    kept = KeptAudio(audio_format)
    most = bytes(MAX_KEPT_MS * audio_format.bytes_per_ms)
    kept.keep(HELLO, most)
    whole = kept.has_rest({})
    kept.keep(HELLO, b"ab")

    assert (whole, kept.has_rest({})) == (True, False)
    assert kept.received == {HELLO: len(most) + 2}


def test_of_an_item_that_is_too_long_nothing_that_comes_later_is_kept_even_if_there_is_room_again() -> None:
    kept = KeptAudio(PCM)
    kept.keep(BYE, bytes(MAX_KEPT_MS * PCM.bytes_per_ms))
    kept.keep(HELLO, b"ab")
    kept.forget(BYE)
    kept.keep(HELLO, b"cd")

    assert rest_of(kept, {}) == []
    assert not kept.has_rest({})


def test_an_item_too_long_to_be_kept_that_was_heard_as_far_as_it_came_holds_nothing_up() -> None:
    kept = KeptAudio(PCM)
    kept.keep(HELLO, bytes(MAX_KEPT_MS * PCM.bytes_per_ms + 2))

    assert kept.has_rest({HELLO: MAX_KEPT_MS * PCM.bytes_per_ms + 2})
