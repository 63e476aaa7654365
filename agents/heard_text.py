"""The words of one spoken item laid against its audio: which of them were over at a given millisecond. Pure."""

import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

MAX_TEXT_CHARS: Final = 20_000
"""Longest text of one item, some twenty minutes in one breath: what a babbling model writes beyond it is dropped."""

LETTER_MS: Final = 65
"""How long a letter lasts in a voice not heard before, spaces not counted: so it is in the embedded voice."""

SURE_MS: Final = 3000
"""Audio that weighs as much as what was believed before: a few words say little about how fast a voice speaks."""

FASTEST: Final = 0.8
"""Text that comes in less than this share of its usual time was written ahead, and says nothing about the voice."""

IN_STEP: Final = 0.3
"""Text that comes within this share of the length of the piece before it from when its turn is, is in step with the
audio: sentences differ by less in how fast they are spoken, and text that was written ahead is ahead by more."""

_LETTER, _WIDE, _DIGIT, _SYMBOL = 1.0, 3.0, 4.0, 5.0
_CLAUSE, _SENTENCE = 1.5, 4.5
"""What is spoken (a letter; an ideograph, kana or hangul; `7`; `$`) and the silence at a mark, all in letters."""

_WIDE_CLAUSE, _WIDE_SENTENCE = "、，；：", "。！？"  # noqa: RUF001 marks that no space follows


class Pace:
    """How fast a voice speaks, learnt from what it said whole. One for all items of a call."""

    def __init__(self) -> None:
        self._ms = float(SURE_MS)
        self._letters = SURE_MS / LETTER_MS

    @property
    def letter_ms(self) -> float:
        return self._ms / self._letters

    def learn(self, text: str, audio_ms: int) -> None:
        """This text took so long."""
        self._ms += audio_ms
        self._letters += sum(_lengths(text))


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A piece of the text, from one letter to another, came when so much audio had come."""

    at_ms: int
    begin: float
    end: float


class SpokenText:
    """What is said in one item, and when.

    A model's side gives text and audio side by side, and no times; it shows how much audio had come when a piece of
    text came. Most write before they speak: a piece is spoken no earlier than the audio that came after it. Some write
    down what they said: a piece is spoken no later than the audio that came before it. Which it is shows in whether the
    first piece, or the text on average, comes before its audio. Within these bounds speech goes evenly, in letters
    (more for digits, and for the pauses at marks), over all of the audio; while more of that is to come, no faster than
    the voice's `pace` and the text so far. So text that ran ahead has not been heard. A piece that comes just when its
    turn is begins there: that is exact where each sentence comes right before its audio.
    """

    def __init__(self, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._pieces = ""
        self._whole: str | None = None
        self._at_ms = array("Q")
        self._ends = array("Q")
        self._opening_chars = 0

    @property
    def text(self) -> str:
        """All that was written so far."""
        return self._pieces if self._whole is None else self._whole

    def wrote(self, text: str, audio_ms: int) -> None:
        """A piece of the text came when `audio_ms` of the item's audio had come."""
        begin = len(self._pieces)
        self._pieces = (self._pieces + text)[:MAX_TEXT_CHARS]
        end = len(self._pieces)
        if begin == end:
            return
        if not self._at_ms or audio_ms > self._at_ms[-1]:
            self._at_ms.append(max(0, audio_ms))
            self._ends.append(end)
        self._ends[-1] = end
        if len(self._ends) == 1:
            self._opening_chars = begin

    def written(self, text: str) -> None:
        """The whole text; it wins over the pieces."""
        self._whole = text[:MAX_TEXT_CHARS]

    def heard(self, heard_ms: int, received_ms: int, is_complete: bool) -> str:
        """The words that were over after `heard_ms` of the `received_ms` of audio that came: the text's beginning.

        Whole words; in scripts without spaces, whole letters. None at 0; all when no more audio is to come
        (`is_complete`) and it was all heard. Does not shrink when `heard_ms` grows.
        """
        text, heard_ms = self.text, min(heard_ms, received_ms)
        if heard_ms <= 0:
            return ""
        if is_complete and heard_ms == received_ms:
            return text
        lengths = [0.0, *accumulate(_lengths(text))]
        said = _said(self._course(lengths, received_ms, is_complete), heard_ms)
        heard_chars = 0
        for word_end, sound_end in _word_ends(text):
            if lengths[sound_end] > said:
                break
            heard_chars = word_end
        return text[:heard_chars]

    def _course(self, lengths: Sequence[float], received_ms: int, is_complete: bool) -> list[tuple[float, float]]:
        """The corners of a line that never falls: how many letters were said at which millisecond."""
        anchors = list(self._anchors(lengths, received_ms))
        whole = lengths[-1]
        even_ms = received_ms / max(whole, _LETTER)
        letter_ms = even_ms if is_complete else self._letter_ms(anchors, lengths)
        is_ahead = _late_ms(anchors[:1], letter_ms) <= 0 or _late_ms(anchors, even_ms) <= 0
        ms, said = 0.0, 0.0
        corners = [(ms, said)]

        def rate() -> float:
            rest = (received_ms - ms) / (whole - said)
            return rest if is_complete else max(letter_ms, rest)

        for at_ms, letters, length in _bounds(anchors, is_ahead):
            if letters > said:
                late_ms = at_ms - ms - (letters - said) * rate()
                if (late_ms if is_ahead else -late_ms) >= -IN_STEP * length * rate():
                    ms, said = max(at_ms, ms), letters
                    corners.append((ms, said))
        if whole > said:
            corners.append((ms + (whole - said) * rate(), whole))
        return corners

    def _anchors(self, lengths: Sequence[float], received_ms: int) -> Iterator[_Anchor]:
        begin = 0.0
        for at_ms, chars in zip(self._at_ms, self._ends, strict=True):
            end = lengths[min(chars, len(lengths) - 1)]
            yield _Anchor(min(at_ms, received_ms), begin, end)
            begin = end

    def _letter_ms(self, anchors: Sequence[_Anchor], lengths: Sequence[float]) -> float:
        """How fast the voice seems to speak in this item. What came before any audio is a lead, not speed."""
        usual_ms = self._pace.letter_ms
        if not anchors:
            return usual_ms
        first, last = anchors[0], anchors[-1]
        letters = last.begin - lengths[min(self._opening_chars, len(lengths) - 1)]
        ms = last.at_ms - first.at_ms
        if ms < FASTEST * letters * usual_ms:
            return usual_ms
        return (ms + SURE_MS) / (max(letters, 0.0) + SURE_MS / usual_ms)


def _late_ms(anchors: Sequence[_Anchor], letter_ms: float) -> float:
    """How much later pieces came than the middle of each is spoken, all together."""
    return sum(anchor.at_ms - letter_ms * (anchor.begin + anchor.end) / 2 for anchor in anchors)


def _bounds(anchors: Sequence[_Anchor], is_ahead: bool) -> Iterator[tuple[float, float, float]]:
    """At which millisecond which letter is said, at the earliest (or latest); and the length of the piece before it."""
    if is_ahead:
        for before, anchor in pairwise(anchors):
            yield anchor.at_ms, anchor.begin, before.end - before.begin
    else:
        for anchor in anchors:
            yield anchor.at_ms, anchor.end, anchor.end - anchor.begin


def _said(corners: Sequence[tuple[float, float]], at_ms: float) -> float:
    """How far the line has risen."""
    index = bisect_right(corners, at_ms, key=lambda corner: corner[0])
    if index == len(corners):
        return corners[-1][1]
    (begin_ms, begin), (end_ms, end) = corners[index - 1], corners[index]
    return begin + (end - begin) * (at_ms - begin_ms) / (end_ms - begin_ms)


def _lengths(text: str) -> Iterator[float]:
    """How long each character lasts, in letters."""
    for char, following in pairwise(text + " "):
        if char.isalpha():
            yield _WIDE if unicodedata.east_asian_width(char) in "WF" else _LETTER
        elif char.isnumeric():
            yield _DIGIT
        elif char in _WIDE_SENTENCE or (char in ".!?…" and following.isspace()):
            yield _SENTENCE
        elif char in _WIDE_CLAUSE or (char in ",;:-–—" and following.isspace()):  # noqa: RUF001
            yield _CLAUSE
        elif char in "%&@#" or unicodedata.category(char) in ("Sc", "Sm"):
            yield _SYMBOL
        else:
            yield 0.0


def _word_ends(text: str) -> Iterator[tuple[int, int]]:
    """Where each word ends, and where its sound does: marks behind it belong to it, and are not spoken."""
    sound_end, was_unspaced = 0, False
    for end, (char, following) in enumerate(pairwise(text + " "), 1):
        kind = unicodedata.category(char)
        if kind[0] in "LMNS" or char in "%&@#":
            sound_end = end
            was_unspaced = is_unspaced(char) or (was_unspaced and kind[0] == "M")
        if char.isspace() or kind in ("Ps", "Pi"):
            continue
        opens = unicodedata.category(following) in ("Ps", "Pi")
        if following.isspace() or is_unspaced(following) or (was_unspaced and (opens or following.isalnum())):
            yield end, sound_end


def is_unspaced(char: str) -> bool:
    """Whether it is a letter of a script that puts no spaces between words, from Thai to Chinese."""
    return char.isalpha() and any(first <= char <= last for first, last in _UNSPACED)


_UNSPACED: Final = (
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Burmese
    ("\u1780", "\u17ff"),  # Khmer
    ("\u3040", "\u30ff"),  # kana
    ("\u3400", "\u9fff"),  # ideographs
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)
