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
        ("Number one, please.", "accept"),
        ("Yes. One.", "accept"),
        ("Yes, put them through.", "accept"),
        ("Yeah, I'll take it", "accept"),
        ("Of course, yes", "accept"),
        ("No.", "decline"),
        ("No, not now", "decline"),
        ("I can\u2019t", "decline"),
        ("decline", "decline"),
        ("I won't", "decline"),
        ("Please call back later", "decline"),
        ("Hello?", "unclear"),
        ("Yes, no, wait", "unclear"),
        ("Not okay", "unclear"),
        ("No problem.", "unclear"),
        ("Please.", "unclear"),
        ("Yes, who is this?", "unclear"),
        ("Okay, who is it?", "unclear"),
        ("Can you say that again please?", "unclear"),
    ],
)
def test_a_few_words_are_a_yes_or_a_no_or_unclear(speech: str, means: str) -> None:
    assert meaning("", speech) == means


@pytest.mark.parametrize(
    "speech",
    [
        "Please leave a message.",
        "Please leave your message.",
        "Please record your message.",
        "At the tone, please record.",
        "Please hold.",
        "Please wait.",
        "One moment please.",
        "One second.",
        "Okay, one moment.",
        "She is out, one moment",
        "The one you called is unavailable",
        "The one you",
        "Press one to leave a message",
        "For sales, press one.",
        "Extension 11",
        "Please call back tomorrow",
        "Who is this please?",
        "Sorry, wrong person",
    ],
)
def test_what_machines_and_people_say_who_accept_nothing_accepts_nothing(speech: str) -> None:
    assert meaning("", speech) == "unclear"


def test_more_words_than_an_answer_has_are_unclear_as_voicemail_that_says_yes_among_others() -> None:
    assert meaning("", "yes " * MAX_WORDS) == "accept"
    assert meaning("", "yes " * (MAX_WORDS + 1)) == "unclear"
    assert meaning("", "You have reached sales. If yes is your answer, please leave a message") == "unclear"
