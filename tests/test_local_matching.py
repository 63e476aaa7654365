"""How well a script's intents are told apart, measured on what callers may say."""

import pytest

from agents.local.matching import Matcher, words
from agents.script_spec import IntentSpec
from tests.local_phrases import (
    IN_SCOPE,
    MISHEARD,
    OUT_OF_SCOPE,
    SCRIPT,
    SECOND_IN_SCOPE,
    SECOND_OUT_OF_SCOPE,
    SECOND_SCRIPT,
)

MATCHER = Matcher(SCRIPT.intents, SCRIPT.threshold)


def meant(text: str) -> str | None:
    intent = MATCHER.match(text)
    return intent.name if intent else None


def test_nine_of_ten_paraphrases_find_their_intent() -> None:
    missed = [(text, meant(text)) for text, name in IN_SCOPE if meant(text) != name]

    assert len(missed) <= 0.10 * len(IN_SCOPE), missed


def test_four_of_five_misheard_sentences_find_their_intent() -> None:
    missed = [(text, meant(text)) for text, name in MISHEARD if meant(text) != name]

    assert len(missed) <= 0.20 * len(MISHEARD), missed


def test_one_of_ten_foreign_sentences_at_most_finds_an_intent() -> None:
    taken = [(text, meant(text)) for text in OUT_OF_SCOPE if meant(text)]

    assert len(taken) <= 0.10 * len(OUT_OF_SCOPE), taken


def test_another_script_does_about_as_well() -> None:
    matcher = Matcher(SECOND_SCRIPT.intents, SECOND_SCRIPT.threshold)
    found = [(text, name, matcher.match(text)) for text, name in SECOND_IN_SCOPE]
    taken = [text for text in SECOND_OUT_OF_SCOPE if matcher.match(text)]

    missed = [text for text, name, intent in found if intent is None or intent.name != name]
    assert len(missed) <= 0.15 * len(SECOND_IN_SCOPE), missed
    assert len(taken) <= 0.10 * len(SECOND_OUT_OF_SCOPE), taken


def test_a_wrong_intent_is_rarer_than_no_intent() -> None:
    wrong = [(text, meant(text)) for text, name in IN_SCOPE + MISHEARD if meant(text) not in (name, None)]

    assert len(wrong) <= 2, wrong


@pytest.mark.parametrize("example", [example for intent in SCRIPT.intents for example in intent.examples])
def test_every_example_matches_its_own_intent(example: str) -> None:
    assert example in next(intent.examples for intent in SCRIPT.intents if intent.name == meant(example))


def test_the_threshold_decides() -> None:
    intents = [IntentSpec(name="hours", examples=("when are you open",), answer="Always.")]

    assert Matcher(intents, 50).match("when do you open your doors")
    assert not Matcher(intents, 99).match("when do you open your doors")


@pytest.mark.parametrize("text", ["", "...", "?!"])
def test_nothing_said_matches_nothing(text: str) -> None:
    assert meant(text) is None


def test_words_are_compared_without_fillers_and_short_forms() -> None:
    assert words("Um, hello! I'd like a CHECK-UP at nine, please.") == ["i", "would", "like", "a", "checkup", "at", "9"]
    assert words("Hello?") == ["hello"]
