"""What was said in one call, as far as it was heard: the memory that a brain answers from. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeGuard

MAX_ITEMS: Final = 400
"""Items remembered, some two hours of talk; the oldest are forgotten first."""


@dataclass(slots=True)
class Message:
    """Something that was written, or that the caller said.

    `wants_answer`: the model answers by itself, unasked. `is_answered`: an answer to it was begun.
    """

    item_id: str
    role: Literal["user", "assistant", "system"]
    text: str
    wants_answer: bool = False
    is_answered: bool = False


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that the agent spoke, and how long that took."""

    text: str
    duration_ms: int


@dataclass(slots=True)
class Spoken:
    """Something that the agent said. The caller heard no more than `sent_ms` of it, and no more than `heard_ms`.

    `heard_ms` is None until the caller is known to have missed some of it.
    """

    item_id: str
    sentences: list[Sentence] = field(default_factory=list)
    sent_ms: int = 0
    heard_ms: int | None = None

    @property
    def duration_ms(self) -> int:
        return sum(sentence.duration_ms for sentence in self.sentences)

    @property
    def text(self) -> str:
        """What was heard: whole sentences, and of the one that was cut the words that were over by then."""
        left_ms = self.sent_ms if self.heard_ms is None else min(self.heard_ms, self.sent_ms)
        heard: list[str] = []
        for sentence in self.sentences:
            heard.append(_first_words(sentence, left_ms))
            left_ms -= sentence.duration_ms
        return " ".join(filter(None, heard))


@dataclass(slots=True)
class Call:
    """A tool that the agent called; `output` is None until it answered."""

    item_id: str
    name: str
    arguments: str
    output: str | None = None


Item = Message | Spoken | Call


class Memory:
    """The items of one call in their order."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    @property
    def items(self) -> Sequence[Item]:
        return self._items

    @property
    def unanswered(self) -> tuple[Message, ...]:
        """What the caller said since the last answer was begun."""
        return tuple(item for item in self._items if _waits_for_answer(item))

    def add(self, item: Item, after: str | None = None) -> None:
        """Adds at the end, or after the item of that id. Raises KeyError when there is none."""
        at = len(self._items) if after is None else self._index(after) + 1
        self._items.insert(at, item)
        del self._items[:-MAX_ITEMS]

    def delete(self, item_id: str) -> None:
        """Raises KeyError for an unknown item."""
        del self._items[self._index(item_id)]

    def truncate(self, item_id: str, heard_ms: int) -> int:
        """Remembers that the caller heard only the first milliseconds of something the agent said.

        Returns how many: never more than were sent. Raises KeyError when the agent said no such thing.
        """
        item = self._items[self._index(item_id)]
        if not isinstance(item, Spoken):
            raise KeyError(item_id)
        item.heard_ms = min(heard_ms, item.sent_ms)
        return item.heard_ms

    def answer_call(self, call_id: str, output: str) -> None:
        """Raises KeyError for a call that was never made."""
        item = self._items[self._index(call_id)]
        if not isinstance(item, Call):
            raise KeyError(call_id)
        item.output = output

    def _index(self, item_id: str) -> int:
        for index, item in enumerate(self._items):
            if item.item_id == item_id:
                return index
        raise KeyError(item_id)


def _waits_for_answer(item: Item) -> TypeGuard[Message]:
    return isinstance(item, Message) and item.role == "user" and not item.is_answered


def _first_words(sentence: Sentence, heard_ms: int) -> str:
    """The words that were spoken whole after that time, taking each letter to last equally long."""
    if heard_ms >= sentence.duration_ms:
        return sentence.text
    if heard_ms <= 0:
        return ""
    letters = len(sentence.text) * heard_ms // sentence.duration_ms
    cut = sentence.text.rfind(" ", 0, letters + 1)
    return sentence.text[: max(cut, 0)].rstrip()
