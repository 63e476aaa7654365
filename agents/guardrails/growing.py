"""The agent's words as they come, and when they are to be checked. Pure."""

from typing import Final

MAX_TEXT_CHARS: Final = 30_000
"""Of one item the last so many characters are checked: half an hour of speech, and more than any rule counts."""


class GrowingText:
    """The words of one item. They are checked each time they have grown by `every_chars`, and at their end.

    -1 checks them at their end alone.
    """

    def __init__(self, every_chars: int) -> None:
        self._every_chars = every_chars
        self._text = ""
        self._length = 0
        self._steps = 0
        self._has_ended = False

    def grow(self, piece: str) -> str | None:
        """All words so far, when they are to be checked now."""
        self._text = (self._text + piece)[-MAX_TEXT_CHARS:]
        self._length += len(piece)
        steps = self._length // self._every_chars if self._every_chars > 0 else 0
        if steps <= self._steps or self._has_ended:
            return None
        self._steps = steps
        return self._text

    def end(self, whole: str = "") -> str | None:
        """The words that are to be checked in the end, `whole` where the model told it; None once they were."""
        if self._has_ended:
            return None
        self._has_ended = True
        text, self._text = whole or self._text, ""
        return text[-MAX_TEXT_CHARS:]
