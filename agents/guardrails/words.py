"""Words and phrases in a text, in any case and with any accents, wherever the text's spaces and marks are. Pure."""

import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

from agents.heard_text import is_unspaced

Finder = Callable[[str, bool], str | None]
"""What of a text is looked for; None when there is none of it. False: more text is to come, in mid-word perhaps."""


def words_finder(phrases: Iterable[str]) -> Finder:
    """Finds the first of the phrases that is in a text, as whole words. Raises ValueError for one without a letter."""
    known = {_spaced(phrase): phrase for phrase in phrases}
    if any(not wanted.strip() for wanted in known):
        raise ValueError("a word or phrase must have a letter or a digit")

    def find(text: str, is_complete: bool) -> str | None:
        said = _spaced(text, is_complete)
        return next((phrase for wanted, phrase in known.items() if wanted in said), None)

    return find


def without_last_word(text: str) -> str:
    """The text without a word at its end, which may be the beginning of a longer one."""
    end = len(text)
    while end and _goes_on(text[end - 1]):
        end -= 1
    return text[:end]


def _goes_on(char: str) -> bool:
    return (char.isalnum() or unicodedata.category(char)[0] == "M") and not is_unspaced(char)


def _spaced(text: str, is_complete: bool = True) -> str:
    """The words of a text, folded, with one space around each; a letter of a script without spaces is a word."""
    whole = text if is_complete else without_last_word(text)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", whole).casefold()).translate(_NO_ACCENTS)
    return f" {' '.join(unicodedata.normalize('NFC', folded).translate(_SPACED).split())} "


_NO_ACCENTS: Final = dict.fromkeys(range(0x300, 0x370))
"""Marks of other scripts are letters."""


class _Spaced(dict[int, str]):
    """What stands for each character where words are looked for. It learns those that occur: a million at most."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if unicodedata.category(char)[0] in "CPSZ":
            self[code] = " "
        else:
            self[code] = f" {char} " if is_unspaced(char) else char
        return self[code]


_SPACED: Final = _Spaced()
