"""What somebody means who was asked to accept a call, by a key or in a few words. Pure."""

import re
from typing import Final, Literal

MAX_WORDS: Final = 6
"""Who answers a question uses no more; voicemail that introduces itself does."""

_WORD: Final = re.compile(r"[a-z']+|[0-9]+")
_YES: Final = frozenset({"yes", "yeah", "yep", "yup", "sure", "ok", "okay", "accept", "accepted"})
_WITH_YES: Final = frozenset(
    {
        *("please", "thanks", "thank", "you", "of", "course", "that's", "fine", "number", "one", "1"),
        *("i", "i'll", "i'm", "can", "will", "do", "take", "it", "him", "her", "them", "this", "the", "call"),
        *("go", "ahead", "put", "through", "connect", "us"),
    }
)
"""What people say beside a yes. With any other word it may be somebody who asks back, or a machine that is sorry."""

_ONE: Final = re.compile(r"(?:number )?(?:one|1)(?: please)?")
"""The key, said: nothing else is. A moment, the one you called, and a menu's first choice are none."""

_NO: Final = frozenset(
    {
        *("no", "nope", "not", "never", "decline", "declined", "reject", "busy", "later"),
        *("don't", "can't", "cannot", "won't", "two", "2"),
    }
)
_NO_MATTER: Final = frozenset({"problem", "worries"})
"""With these a no is none."""


def meaning(digits: str, speech: str) -> Literal["accept", "decline", "unclear"]:
    """The key 1 accepts, any other declines, and so does silence.

    Words accept that say yes and nothing else, as two strangers are joined by it. They decline with a no among them.
    All else is unclear, and so are both, or many: who was rung can be asked again.
    """
    if digits or not speech.strip():
        return "accept" if digits == "1" else "decline"
    words = _WORD.findall(speech.lower().replace("\u2019", "'"))
    if len(words) > MAX_WORDS:
        return "unclear"
    says_yes = not _YES.isdisjoint(words)
    if not _NO.isdisjoint(words):
        return "unclear" if says_yes or not _NO_MATTER.isdisjoint(words) else "decline"
    if _ONE.fullmatch(" ".join(words)) or (says_yes and _YES.union(_WITH_YES).issuperset(words)):
        return "accept"
    return "unclear"
