"""Words, phrases and patterns are found where they are, in a time that the text's length bounds."""

import time

import pytest

from agents.guardrails.patterns import patterns_finder
from agents.guardrails.words import words_finder


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("guarantee", "We GUARANTEE it."),
        ("guarantee", "«guarantee»"),
        ("free of charge", "It is free, of\ncharge"),
        ("créme brûlée", "a creme brulee"),
        ("creme brulee", "une CRÈME brûlée !"),
        ("don't", "We don\u2019t do that"),
        ("Straße", "in der STRASSE"),
        ("保证", "我们保证退款"),
        ("หมอ", "ปรึกษาหมอก่อน"),
        ("24/7", "we are open 24 7"),
    ],
)
def test_a_phrase_is_found_in_any_case_with_any_accents_and_marks(phrase: str, text: str) -> None:
    assert words_finder(["something else", phrase])(text, True) == phrase


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("hell", "Hello, how are you?"),
        ("free of charge", "free of all charge"),
        ("art", "the start of a party"),
        ("しか", "しがない"),
        ("ten", ""),
    ],
)
def test_a_part_of_a_word_is_not_the_word(phrase: str, text: str) -> None:
    assert words_finder([phrase])(text, True) is None


def test_the_last_word_of_a_text_that_goes_on_is_not_taken_for_a_word_yet() -> None:
    find = words_finder(["hell", "free of charge"])

    assert find("What the hell", False) is None
    assert find("What the hell", True) == "hell"
    assert find("What the hell ", False) == "hell"
    assert find("It is free of charge", False) is None
    assert find("It is free of charge.", False) == "free of charge"


def test_of_a_script_without_spaces_the_last_letter_counts_at_once() -> None:
    assert words_finder(["保证"])("我们保证", False) == "保证"


def test_a_phrase_without_a_letter_is_refused() -> None:
    with pytest.raises(ValueError, match="a letter or a digit"):
        words_finder(["fine", "?!"])


def test_a_pattern_is_found_anywhere_in_a_text() -> None:
    find = patterns_finder([r"\b\d{4}\b", r"(?i)été"])

    assert find("call 4711 now", True) == r"\b\d{4}\b"
    assert find("L'ÉTÉ", True) == "(?i)été"
    assert find("call 47110 now", True) is None


def test_a_number_that_may_go_on_is_no_match_yet() -> None:
    find = patterns_finder([r"\b\d{4}\b"])

    assert find("call 4711", False) is None
    assert find("call 4711 ", False) == r"\b\d{4}\b"


def test_broken_characters_hide_nothing_from_a_pattern() -> None:
    assert patterns_finder([r"\d{4}"])("\ud800 4711", True) == r"\d{4}"


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", ".*a.*a.*a.*a.*b"])
def test_a_pattern_that_backtracks_for_ever_elsewhere_is_done_at_once(pattern: str) -> None:
    find = patterns_finder([pattern])

    began = time.process_time()
    found = find("a" * 30_000 + "!", True)

    assert found is None
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "unclosed group"),
        (r"a(?=b)", "look-around"),
        (r"(\w)\1", "backreferences are not supported"),
        ("(a{1000}){1000}", "exceeds size limit"),
    ],
)
def test_a_pattern_that_cannot_be_kept_to_its_time_is_refused_with_the_reason(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        patterns_finder([pattern])
