"""Cuts a text that is still being written into sentences that can be spoken."""

import re
from typing import Final

MAX_SENTENCE_CHARS: Final = 300
"""Longest piece spoken at once, some 20 s: the first sound of a sentence waits for its last."""

_END: Final = re.compile(r"[.!?…]+[\"'\u201d\u2019)\]*_]*(?=\s)|\n")
_NO_END: Final = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|vs|etc|e\.g|i\.e)|\b[A-Z]|^\s*\d+)\.$")
_FENCE: Final = re.compile(r"^\s*(?:```.*|[-*_=]{3,}\s*)$")
_LINE_MARK: Final = re.compile(r"^\s*(?:#{1,6}\s+|>\s*|[-*+•]\s+)")
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS: Final = re.compile(r"\*+|`+|~~|(?<!\w)_+|_+(?!\w)")


class SentenceSplitter:
    """Collects pieces of text; gives each sentence, free of markdown, as soon as it is complete."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, piece: str) -> list[str]:
        self._text += piece
        whole: list[str] = []
        while cut := self._cut():
            whole.append(spoken(self._text[:cut]))
            self._text = self._text[cut:]
        return [sentence for sentence in whole if sentence]

    def flush(self) -> list[str]:
        """Ends the text: gives what is left."""
        rest = self.feed("\n")
        self._text = ""
        return rest

    def _cut(self) -> int:
        """Where the first sentence ends; 0 while it is not complete."""
        for end in _END.finditer(self._text):
            sentence = self._text[: end.end()]
            if not sentence.strip():
                continue
            if len(sentence) > MAX_SENTENCE_CHARS:
                break
            if end.group() == "\n" or not _NO_END.search(sentence):
                return end.end()
        if len(self._text) <= MAX_SENTENCE_CHARS:
            return 0
        at = max(self._text.rfind(mark, 0, MAX_SENTENCE_CHARS) for mark in (", ", "; ", ": "))
        if at < 0:
            at = self._text.rfind(" ", 0, MAX_SENTENCE_CHARS)
        return at + 1 if at > 0 else MAX_SENTENCE_CHARS


def sentences(text: str) -> list[str]:
    """The sentences of a text that is complete."""
    splitter = SentenceSplitter()
    return splitter.feed(text) + splitter.flush()


def spoken(text: str) -> str:
    """The text without markdown; empty when there is nothing in it to say."""
    lines = (_LINE_MARK.sub("", line) for line in text.splitlines() if not _FENCE.match(line))
    plain = _EMPHASIS.sub("", _LINK.sub(r"\1", " ".join(lines)))
    words = " ".join(plain.split())
    return words if any(letter.isalnum() for letter in words) else ""
