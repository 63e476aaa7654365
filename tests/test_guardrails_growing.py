"""When the words of one item are to be checked."""

import pytest

from agents import ConfigError, OutputGuardrailSettings
from agents.guardrails.growing import MAX_TEXT_CHARS, GrowingText


def checks(every_chars: int, *pieces: str) -> list[int]:
    """How long the text is at each check of it while it grows."""
    text = GrowingText(every_chars)
    return [len(due) for piece in pieces if (due := text.grow(piece)) is not None]


def test_words_are_checked_each_time_that_they_have_grown_by_so_many_characters() -> None:
    assert checks(100, *["x" * 10] * 25) == [100, 200]


def test_a_piece_that_is_longer_than_that_is_checked_once() -> None:
    assert checks(100, "x" * 350, "x" * 10, "x" * 40) == [350, 400]


def test_words_are_checked_at_their_end_alone_with_minus_1() -> None:
    text = GrowingText(-1)

    assert [text.grow("x" * 1000) for _ in range(3)] == [None] * 3
    assert text.end() == "x" * 3000


def test_words_are_checked_at_their_end_once_even_without_any() -> None:
    text = GrowingText(100)

    assert text.end() == ""
    assert text.end("late") is None
    assert text.grow("x" * 500) is None


def test_the_model_knows_better_what_it_said_in_the_end() -> None:
    text = GrowingText(100)
    text.grow("Helo")

    assert text.end("Hello.") == "Hello."


def test_of_a_text_without_end_the_latest_words_are_checked_and_kept() -> None:
    text = GrowingText(100)
    for _ in range(400):
        text.grow("x" * 99 + " ")

    text.grow("forbidden")

    due = text.end()
    assert due is not None
    assert len(due) == MAX_TEXT_CHARS
    assert due.endswith("forbidden")


@pytest.mark.parametrize("length", [0, -2, -100])
def test_other_numbers_are_refused(length: int) -> None:
    with pytest.raises(ConfigError, match="above 0, or -1"):
        OutputGuardrailSettings(debounce_text_length=length)
