"""A call as it was heard: who said what, in order, and what of the agent's words the caller heard. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from agents.events import (
    AudioInputCleared,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    Heard,
    ItemCreated,
    ItemDeleted,
    ItemTruncated,
    ResponseDone,
    ServerEvent,
    SpeechStarted,
    TextOutput,
    TextOutputDelta,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.heard_text import Pace, SpokenText
from agents.realtime import PCM, PastMessage

MAX_ITEMS: Final = 6000
"""Items remembered: a call of four hours with a new one every 2.4 seconds. The oldest are forgotten first."""

ROUNDING_MS: Final = 1
"""A line counts the same audio in its own way: of an item heard to its end it may tell so much less."""

Role = Literal["user", "assistant", "system"]
_ROLES: Final[Mapping[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}

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
    `text`; both are None where nobody knows. `str()` is for people: it marks the words that were not heard.
    """

    item_id: str
    role: Role
    text: str
    status: ItemStatus
    heard_ms: int | None = None
    total_ms: int | None = None
    heard_text: str | None = None

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
class _Entry:
    """`role` is None for what nobody says, such as a tool's call: it has a place, for others to come after it."""

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

    def view(self) -> HistoryItem | None:
        if self.role is None:
            return None
        total_ms = self.total_ms if self.is_spoken else None
        text = self.words.text
        return HistoryItem(self.item_id, self.role, text, self.status, self.heard_ms, total_ms, self.heard_text)


class CallHistory:
    """What was said in one call: fed with what the model says and with what the line says was heard.

    `take` wants every event of the model, but for audio that is kept from the line. Items are in the model's order
    where it tells one (`previous_item_id`), else in the order of their first event. Audio is counted and not kept.
    What changes an item gives the items that changed, as they are now.

    `knows_heard`: a line tells what was not heard, so that the rest was, and an item without audio was not. Otherwise
    nothing counts as heard or unheard until it is told. `bytes_per_ms` is that of the model's audio.
    """

    def __init__(self, *, knows_heard: bool = True, bytes_per_ms: int = PCM.bytes_per_ms) -> None:
        self._knows_heard = knows_heard
        self._bytes_per_ms = bytes_per_ms
        self._entries: dict[str, _Entry] = {}
        self._order: list[str] = []
        self._unsettled: dict[str, _Entry] = {}  # the agent's: said, and neither cut nor heard to their end
        self._speaking: str | None = None
        self._pace = Pace()

    @property
    def items(self) -> Items:
        """All items in their order."""
        return _views(*(self._entries[item_id] for item_id in self._order))

    @property
    def past(self) -> tuple[PastMessage, ...]:
        """The words of all items that have any, in order: of those that were cut, what was heard or will be."""
        said = (
            (entry.item_id, entry.role, entry.lasting_text) for entry in map(self._entries.get, self._order) if entry
        )
        return tuple(PastMessage(item_id, role, text) for item_id, role, text in said if role and text)

    def item(self, item_id: str) -> HistoryItem | None:
        entry = self._entries.get(item_id)
        return entry.view() if entry else None

    # ---- what is told ----

    def take(self, event: ServerEvent) -> Items:
        """Takes what the model says. A piece of audio is counted; it changes nothing that is told, but a new item."""
        match event:
            case AudioOutputDelta(response_id, item_id, _, pcm):
                return self._audio(response_id, item_id, len(pcm))
            case AudioOutputDone(response_id, item_id):
                return self._audio_done(self._agents(item_id, response_id, is_spoken=True))
            case TranscriptOutputDelta(response_id, item_id, text):
                return self._wrote(self._agents(item_id, response_id, is_spoken=True), text)
            case TextOutputDelta(response_id, item_id, text):
                return self._wrote(self._agents(item_id, response_id), text)
            case TranscriptInputDelta(item_id, text):
                return self._wrote(self._entry(item_id, "user"), text)
            case TranscriptOutput(response_id, item_id, text):
                return self._written(self._agents(item_id, response_id, is_spoken=True), text)
            case TextOutput(response_id, item_id, text):
                return self._written(self._agents(item_id, response_id), text)
            case TranscriptInput(item_id, text):
                return self._understood(self._entry(item_id, "user"), text)
            case ResponseDone(response_id, status):
                return self._response_done(response_id, is_whole=status == "completed")
            case SpeechStarted(item_id):
                self._speaking = item_id
                return self._new(item_id, "user")
            case AudioInputCommitted(item_id):
                self._speaking = None
                return self._new(item_id, "user")
            case AudioInputCleared() if self._speaking:
                return self._delete(self._speaking)
            case ItemCreated(item_id, role, previous_item_id):
                return self._place(item_id, role, previous_item_id)
            case ItemDeleted(item_id):
                return self._delete(item_id)
            case ItemTruncated(item_id, heard_ms):
                entry = self._entries.get(item_id)
                return self._cut(entry, heard_ms) if entry and entry.heard_ms is None else ()
            case _:
                return ()

    def add(self, item_id: str, role: Role, text: str, previous_item_id: str | None = None) -> Items:
        """A text message that the program sends to the model."""
        entry = self._entry(item_id, role, previous_item_id)
        entry.words.written(text)
        entry.status = "completed"
        return _views(entry)

    def heard(self, item_id: str, heard_ms: int) -> Items:
        """The caller heard so much of an item and still listens to it, or so much that nothing is left of it.

        Reads the item's text: to be told when an item was heard to its end, not with every mark.
        """
        entry = self._unsettled.get(item_id)
        if entry is None or not entry.is_spoken:
            return ()
        if entry.status != "in_progress" and entry.is_all(heard_ms):
            del self._unsettled[item_id]
        if entry.heard_ms is not None and entry.heard_ms >= heard_ms:
            return ()
        entry.hear(heard_ms)
        return _views(entry)

    def cut(self, heard: Heard) -> Items:
        """The caller heard so much of an item and no more of it. A later figure wins over an earlier one."""
        entry = self._entries.get(heard.item_id)
        return self._cut(entry, heard.heard_ms) if entry else ()

    def interrupted(self, heard: Sequence[Heard]) -> Items:
        """The agent was stopped. `heard` is each item not heard to its end, as a channel's `interrupt()` tells.

        Of the others the caller heard all that came; those that the model was still saying are cut there.
        """
        changed = [item for each in heard for item in self.cut(each)]
        for entry in list(self._unsettled.values()):
            if entry.status == "in_progress":
                changed += self._cut(entry, entry.total_ms if self._knows_heard else None)
            elif self._knows_heard:
                changed += self.heard(entry.item_id, entry.total_ms)
        return tuple(changed)

    # ---- what is said ----

    def _understood(self, entry: _Entry, text: str) -> Items:
        entry.words.written(text)
        entry.status = "completed" if text.strip() else "wordless"
        return _views(entry)

    def _audio(self, response_id: str, item_id: str, size: int) -> Items:
        is_new = item_id not in self._entries
        entry = self._agents(item_id, response_id, is_spoken=True)
        if item_id in self._unsettled:
            entry.audio_bytes += size
        return _views(entry) if is_new else ()

    def _audio_done(self, entry: _Entry) -> Items:
        if entry.item_id not in self._unsettled:
            return ()
        entry.has_all_audio = True
        return self._go_on(entry)

    def _wrote(self, entry: _Entry, text: str) -> Items:
        entry.words.wrote(text, entry.total_ms)
        entry.hear(entry.heard_ms)
        return _views(entry)

    def _written(self, entry: _Entry, text: str) -> Items:
        if text:  # some servers leave the whole text out
            entry.words.written(text)
        entry.has_all_text = True
        return self._go_on(entry)

    def _go_on(self, entry: _Entry) -> Items:
        if entry.is_said and entry.status == "in_progress":
            entry.status = "completed"
        entry.hear(entry.heard_ms)
        return _views(entry)

    def _response_done(self, response_id: str, *, is_whole: bool) -> Items:
        return tuple(
            item
            for entry in list(self._unsettled.values())
            if entry.response_id == response_id
            for item in self._end(entry, is_whole=is_whole)
        )

    def _end(self, entry: _Entry, *, is_whole: bool) -> Items:
        """Nothing more of an item comes."""
        if entry.is_spoken and self._knows_heard and not entry.total_ms:
            return self._cut(entry, 0)
        before = entry.status
        entry.has_all_audio |= is_whole
        if before == "in_progress":
            entry.status = "completed" if is_whole else "cut"
        entry.hear(entry.heard_ms)
        if entry.is_spoken and entry.has_all_audio:
            self._pace.learn(entry.words.text, entry.total_ms)
        return _views(entry) if entry.status != before else ()

    def _cut(self, entry: _Entry, heard_ms: int | None) -> Items:
        self._unsettled.pop(entry.item_id, None)
        entry.hear(heard_ms)
        is_whole = entry.has_all_audio and entry.heard_ms == entry.total_ms > 0
        entry.status = "completed" if is_whole else "cut"
        return _views(entry)

    # ---- order ----

    def _agents(self, item_id: str, response_id: str, *, is_spoken: bool = False) -> _Entry:
        entry = self._entry(item_id, "assistant")
        if entry.response_id is None:
            entry.response_id = response_id
            self._unsettled[item_id] = entry
        entry.is_spoken |= is_spoken
        return entry

    def _new(self, item_id: str, role: Role) -> Items:
        return () if item_id in self._entries else _views(self._entry(item_id, role))

    def _place(self, item_id: str, role: str, previous_item_id: str | None) -> Items:
        known = self._entries.get(item_id)
        if known is None:
            return _views(self._entry(item_id, _ROLES.get(role), previous_item_id))
        if previous_item_id not in self._entries or previous_item_id == item_id:
            return ()
        at = self._order.index(item_id)
        if at and self._order[at - 1] == previous_item_id:
            return ()
        del self._order[at]
        self._order.insert(self._order.index(previous_item_id) + 1, item_id)
        return _views(known)

    def _entry(self, item_id: str, role: Role | None, previous_item_id: str | None = None) -> _Entry:
        """The item of that id; a new one goes after the one named, or to the end."""
        entry = self._entries.get(item_id)
        if entry is None:
            at = len(self._order)
            if previous_item_id in self._entries and previous_item_id != self._order[-1]:
                at = self._order.index(previous_item_id) + 1
            self._order.insert(at, item_id)
            entry = self._entries[item_id] = _Entry(item_id, role, SpokenText(self._pace), self._bytes_per_ms)
            while len(self._order) > MAX_ITEMS:
                self._forget(self._order[0])
        return entry

    def _delete(self, item_id: str) -> Items:
        if item_id not in self._entries:
            return ()
        entry = self._forget(item_id)
        entry.status = "deleted"
        return _views(entry)

    def _forget(self, item_id: str) -> _Entry:
        self._order.remove(item_id)
        self._unsettled.pop(item_id, None)
        return self._entries.pop(item_id)


def _views(*entries: _Entry) -> Items:
    return tuple(item for entry in entries if (item := entry.view()))
