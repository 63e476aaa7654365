"""One item of a call's history: as others see it, and as it grows."""

from dataclasses import dataclass, field
from typing import Final, Literal

from agents.heard_text import SpokenText

ROUNDING_MS: Final = 1
"""A line counts the same audio in its own way: of an item heard to its end it may tell so much less."""

Role = Literal["user", "assistant", "system"]

ItemStatus = Literal["in_progress", "completed", "cut", "wordless", "deleted"]
"""What became of an item:

    in_progress  it is being said, or its words are not known yet
    completed    all of it was said; the caller may still be listening to it
    cut          it was broken off, by the caller or by the model's side
    wordless     the caller made a sound in which no word was understood
    deleted      it is no longer part of the call; such an item is told of once, and not kept
"""


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One turn, or one message. Milliseconds count audio, and are those of an item that the agent speaks.

    `heard_ms` of the `total_ms` received so far were heard, and `heard_text` is the words in them, the beginning of
    `text`; both are None where nobody knows. `audio` is what was said, whole and in the session's format: the agent's
    as it came, heard or not, the caller's as the model heard it. It is None without `history_store_audio`, until it is
    whole, and once it was dropped for what came later. `str()` is for people: it marks the words that were not heard.
    """

    item_id: str
    role: Role
    text: str
    status: ItemStatus = "completed"
    heard_ms: int | None = None
    total_ms: int | None = None
    heard_text: str | None = None
    audio: bytes | None = field(default=None, repr=False)

    @property
    def unheard_text(self) -> str:
        """The words that the caller is known not to have heard (yet)."""
        return "" if self.heard_text is None else self.text[len(self.heard_text) :].strip()

    def __str__(self) -> str:
        if self.status == "wordless":
            return "[no words]"
        if not self.unheard_text:
            return self.text.strip()
        return f"{self.heard_text} [unheard: {self.unheard_text}]".strip()


Items = tuple[HistoryItem, ...]


@dataclass(slots=True)
class Entry:
    """An item while it grows.

    `role` is None for what nobody says, such as a tool's call: it has a place, for others to come after it.
    """

    item_id: str
    role: Role | None
    words: SpokenText
    bytes_per_ms: int
    status: ItemStatus = "in_progress"
    response_id: str | None = None
    is_spoken: bool = False
    has_all_text: bool = False
    has_all_audio: bool = False
    audio_bytes: int = 0
    heard_ms: int | None = None
    heard_text: str | None = None

    @property
    def total_ms(self) -> int:
        return self.audio_bytes // self.bytes_per_ms

    def hear(self, heard_ms: int | None) -> None:
        """Finds the words that were heard, now that this or the text is known."""
        if heard_ms is not None and self.is_spoken:
            self.heard_ms = self.total_ms if self.is_all(heard_ms) else max(0, heard_ms)
            self.heard_text = self.words.heard(self.heard_ms, self.total_ms, self.has_all_audio)

    def understood(self, text: str) -> None:
        """These are the words that the caller said, all of them."""
        self.words.written(text)
        self.status = "completed" if text.strip() else "wordless"

    def go_on(self) -> None:
        """All of its audio is there, or all of its text."""
        if self.is_said and self.status == "in_progress":
            self.status = "completed"
        self.hear(self.heard_ms)

    def cut(self, heard_ms: int | None) -> None:
        """So much of it was heard, and no more will be."""
        self.hear(heard_ms)
        is_whole = self.has_all_audio and self.heard_ms == self.total_ms > 0
        self.status = "completed" if is_whole else "cut"

    @property
    def lasting_text(self) -> str:
        """The words that the caller heard, or will have heard when all audio that came was played."""
        is_broken_off = self.status == "cut" or (self.status == "in_progress" and not self.has_all_audio)
        if not (is_broken_off and self.is_spoken):
            return self.words.text.strip()
        heard = self.heard_text
        if heard is None:
            heard = self.words.heard(self.total_ms, self.total_ms, is_complete=False)
        return heard.strip()

    def is_all(self, heard_ms: int) -> bool:
        return heard_ms > 0 and heard_ms >= self.total_ms - ROUNDING_MS

    @property
    def is_said(self) -> bool:
        return self.has_all_text and (self.has_all_audio or not self.is_spoken)

    def view(self, audio: bytes | None) -> HistoryItem | None:
        """The item as it is now; None for what nobody says."""
        if self.role is None:
            return None
        total_ms = self.total_ms if self.is_spoken else None
        text = self.words.text
        return HistoryItem(self.item_id, self.role, text, self.status, self.heard_ms, total_ms, self.heard_text, audio)
