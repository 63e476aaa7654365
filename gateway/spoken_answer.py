"""What somebody means who was asked to accept a call, by a key or in a few words. Pure."""

import re
from typing import Final, Literal

MAX_WORDS: Final = 6
"""Who answers a question uses no more; voicemail that introduces itself does."""

_WORD: Final = re.compile(r"[a-z']+|[0-9]")
_YES: Final = frozenset({"yes", "yeah", "yep", "yup", "sure", "ok", "okay", "accept", "accepted", "one", "1", "please"})
_NO: Final = frozenset(
    {"no", "nope", "not", "decline", "declined", "reject", "busy", "later", "don't", "can't", "cannot", "two", "2"}
)


def meaning(digits: str, speech: str) -> Literal["accept", "decline", "unclear"]:
    """The key 1 accepts, any other declines, and so does silence. Words are unclear that say both, neither, or much."""
    if digits or not speech.strip():
        return "accept" if digits == "1" else "decline"
    words = _WORD.findall(speech.lower().replace("\u2019", "'"))
    says_yes, says_no = not _YES.isdisjoint(words), not _NO.isdisjoint(words)
    if len(words) > MAX_WORDS or says_yes == says_no:
        return "unclear"
    return "accept" if says_yes else "decline"
