"""What was said in one call, as far as it was heard: the memory that a brain answers from. No I/O."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import Final, Literal, TypeGuard

from agents.events import FIRST
from agents.heard_text import Pace, SpokenText
from agents.realtime import Past, PastMessage

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

    `heard_ms` is None until the caller is known to have missed some of it; `is_whole` once no more of it comes. Of a
    voice that does not tell how long its sentences are, `pace` and the audio so far say which words were over when.
    """

    item_id: str
    sentences: list[Sentence] = field(default_factory=list)
    sent_ms: int = 0
    heard_ms: int | None = None
    is_whole: bool = False
    pace: InitVar[Pace | None] = None
    _stream: SpokenText = field(init=False)

    def __post_init__(self, pace: Pace | None) -> None:
        self._stream = SpokenText(pace)

    def add(self, sentence: str, duration_ms: int | None) -> str:
        """Says a sentence more, and gives it as it continues the text."""
        text = f" {sentence}" if self.written else sentence
        if duration_ms is None:
            self._stream.wrote(text, self.sent_ms)
        else:
            self.sentences.append(Sentence(sentence, duration_ms))
        return text

    @property
    def duration_ms(self) -> int:
        return sum(sentence.duration_ms for sentence in self.sentences)

    @property
    def written(self) -> str:
        """All of it, heard or not."""
        return self._stream.text or " ".join(sentence.text for sentence in self.sentences)

    @property
    def text(self) -> str:
        """What was heard: whole sentences, and of the one that was cut the words that were over by then."""
        left_ms = self.sent_ms if self.heard_ms is None else min(self.heard_ms, self.sent_ms)
        if self._stream.text:
            return self._stream.heard(left_ms, self.sent_ms, self.is_whole).strip()
        heard: list[str] = []
        for sentence in self.sentences:
            heard.append(_first_words(sentence, left_ms))
            left_ms -= sentence.duration_ms
        return " ".join(filter(None, heard))


@dataclass(slots=True)
class Call:
    """A tool that the agent called; `output` is None until it answered. `has_failed`: the tool did not do it."""

    item_id: str
    name: str
    arguments: str
    output: str | None = None
    has_failed: bool = False


Item = Message | Spoken | Call


class Memory:
    """The items of one call in their order, after those that it goes on from.

    Of what the caller said last before, and nobody took up, an answer may still be asked for.
    """

    def __init__(self, past: Sequence[Past] = ()) -> None:
        self.pace = Pace()
        self._items: list[Item] = [_remembered(each) for each in past[-MAX_ITEMS:]]
        last_answer = max((i for i, item in enumerate(self._items) if not _waits_for_answer(item)), default=-1)
        for item in self._items[:last_answer]:
            if isinstance(item, Message):
                item.is_answered = True

    @property
    def items(self) -> Sequence[Item]:
        return self._items

    @property
    def unanswered(self) -> tuple[Message, ...]:
        """What the caller said since the last answer was begun."""
        return tuple(item for item in self._items if _waits_for_answer(item))

    def add(self, item: Item, after: str | None = None) -> None:
        """Adds at the end, after the item of that id, or FIRST of all. Raises KeyError when there is none."""
        at = len(self._items) if after is None else 0 if after == FIRST else self._index(after) + 1
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

    def answer_call(self, call_id: str, output: str, *, has_failed: bool = False) -> None:
        """Raises KeyError for a call that was never made."""
        item = self._items[self._index(call_id)]
        if not isinstance(item, Call):
            raise KeyError(call_id)
        item.output, item.has_failed = output, has_failed

    def _index(self, item_id: str) -> int:
        for index, item in enumerate(self._items):
            if item.item_id == item_id:
                return index
        raise KeyError(item_id)


def _remembered(past: Past) -> Item:
    if isinstance(past, PastMessage):
        return Message(past.item_id, past.role, past.text)
    return Call(past.call_id, past.name, past.arguments, past.output)


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
