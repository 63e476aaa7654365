"""What somebody means who was asked to accept a call."""

import pytest

from gateway.spoken_answer import MAX_WORDS, meaning


@pytest.mark.parametrize(("digits", "means"), [("1", "accept"), ("2", "decline"), ("#", "decline"), ("0", "decline")])
def test_the_key_1_accepts_and_any_other_declines_whatever_is_said(digits: str, means: str) -> None:
    assert meaning(digits, "") == means
    assert meaning(digits, "yes" if means == "decline" else "no") == means


@pytest.mark.parametrize("speech", ["", "  "])
def test_silence_declines(speech: str) -> None:
    assert meaning("", speech) == "decline"


@pytest.mark.parametrize(
    ("speech", "means"),
    [
        ("Yes.", "accept"),
        ("yes please", "accept"),
        ("Okay, sure!", "accept"),
        ("One.", "accept"),
        ("1", "accept"),
        ("No.", "decline"),
        ("No, not now", "decline"),
        ("I can\u2019t", "decline"),
        ("decline", "decline"),
        ("Hello?", "unclear"),
        ("Yes, no, wait", "unclear"),
        ("Not okay", "unclear"),
    ],
)
def test_a_few_words_are_a_yes_or_a_no_or_unclear(speech: str, means: str) -> None:
    assert meaning("", speech) == means


def test_more_words_than_an_answer_has_are_unclear_as_voicemail_that_says_yes_among_others() -> None:
    assert meaning("", "yes " * MAX_WORDS) == "accept"
    assert meaning("", "yes " * (MAX_WORDS + 1)) == "unclear"
    assert meaning("", "You have reached sales. If yes is your answer, please leave a message") == "unclear"
