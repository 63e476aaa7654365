"""Tells which of a script's intents a caller means, by how alike the words are to the intents' examples.

Chosen by measurement on `tests/local_phrases.py`, at the default threshold of 70: rapidfuzz' whole-sentence scorers
either missed a third of the paraphrases (`ratio`, `token_sort_ratio`) or took a fifth to nine tenths of foreign
sentences for intents (`token_set_ratio`, `partial_ratio`, `WRatio`). Comparing word by word, where words that any
sentence may have count little, finds 100 %, and 89 % of the misheard ones, and takes 7 % of the foreign ones. On the
second script and its list: 92 % and none.
"""

import re
from collections.abc import Sequence
from math import sqrt
from typing import Final

from rapidfuzz import fuzz

from agents.script_spec import IntentSpec

ALIKE_WORDS: Final = 75
"""rapidfuzz' ratio, of 100, from which two words may be the same one misheard or inflected: price, prices."""

COMMON_WEIGHT: Final = 0.2
"""How much a word counts that any sentence may have, beside one with a meaning."""

_WORD: Final = re.compile(r"[a-z0-9']+")
_COMMON: Final = frozenset(
    _WORD.findall(
        "a about am an any are at be been by can could did do does for from get give had has have how i in is it its "
        "know like may me my need no not of on our shall tell that the there this to us want was we were what when "
        "where which who will with would you your"
    )
)
_FILLERS: Final = frozenset(_WORD.findall("ah and but eh er hello hey hi oh okay please so sorry uh um well yeah"))
_LONG_FORMS: Final = {
    "i'm": "i am", "i'd": "i would", "i've": "i have", "i'll": "i will", "what's": "what is", "where's": "where is",
    "when's": "when is", "how's": "how is", "who's": "who is", "there's": "there is", "that's": "that is",
    "it's": "it is", "you're": "you are", "we're": "we are", "can't": "cannot", "don't": "do not",
    "ok": "okay", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip
_HYPHEN: Final = re.compile(r"(?<=\w)-(?=\w)")


class Matcher:
    """A script's intents, ready to be compared with. Never changes, so calls may share it."""

    def __init__(self, intents: Sequence[IntentSpec], threshold: int) -> None:
        self._threshold = threshold
        self._intents = [(intent, [words(example) for example in intent.examples]) for intent in intents]

    def match(self, text: str) -> IntentSpec | None:
        """The intent most alike, if it is alike enough; of equals the first."""
        heard = words(text)
        if not heard:
            return None
        scores = [(likeness(heard, examples), intent) for intent, examples in self._intents]
        best, intent = max(scores, key=lambda score: score[0])
        return intent if best >= self._threshold else None


def words(text: str) -> list[str]:
    """The words that count: lower case, short forms written out, no fillers unless there is nothing else."""
    plain = _HYPHEN.sub("", text.lower().replace("\u2019", "'"))
    every = [word.replace("'", "") for short in _WORD.findall(plain) for word in _LONG_FORMS.get(short, short).split()]
    return [word for word in every if word not in _FILLERS] or every


def likeness(heard: list[str], examples: list[list[str]]) -> float:
    """How alike what was heard is to an intent, 0 to 100.

    From two shares: of the heard words, those that any example has; of one example's words, those that were heard
    (the best example counts). The square root of their harmonic mean brings the point where the measured lists
    separate to the threshold's default.
    """
    vocabulary = [word for example in examples for word in example]
    known = _share(heard, vocabulary)
    found = max(_share(example, heard) for example in examples)
    if not known or not found:
        return 0
    return 100 * sqrt(2 * known * found / (known + found))


def _share(these: list[str], those: list[str]) -> float:
    """How much of the weight of these words is among those, 0 to 1."""
    whole = sum(_weight(word) for word in these)
    return sum(_weight(word) * _nearest(word, those) for word in these) / whole if whole else 0


def _weight(word: str) -> float:
    return COMMON_WEIGHT if word in _COMMON else 1


def _nearest(word: str, others: list[str]) -> float:
    return max((fuzz.ratio(word, other, score_cutoff=ALIKE_WORDS) for other in others), default=0) / 100
