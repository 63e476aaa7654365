"""A call as it was heard: who said what, in order, and what of the agent's words the caller heard. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

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
from agents.history_audio import HistoryAudio
from agents.history_item import Entry, Items, Role
from agents.history_item import HistoryItem as HistoryItem
from agents.history_order import HistoryOrder
from agents.realtime import PCM, PastMessage

_ROLES: Final[Mapping[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}


class CallHistory:
    """What was said in one call: fed with what the model says and with what the line says was heard.

    `take` wants every event of the model, but for audio that is kept from the line. Items are in the model's order
    where it tells one (`previous_item_id`), else in the order of their first event. Audio is counted, and kept where
    there is an `audio` to keep it. What changes an item gives the items that changed, as they are now.

    `knows_heard`: a line tells what was not heard, so that the rest was, and an item without audio was not. Otherwise
    nothing counts as heard or unheard until it is told. `bytes_per_ms` is that of the model's audio. `is_told` says
    whether anybody wants to know how words grow: while nobody does, a piece of them gives nothing.
    """

    def __init__(
        self,
        *,
        knows_heard: bool = True,
        bytes_per_ms: int = PCM.bytes_per_ms,
        audio: HistoryAudio | None = None,
        is_told: Callable[[], bool] = lambda: True,
    ) -> None:
        self._knows_heard = knows_heard
        self._bytes_per_ms = bytes_per_ms
        self._sound = audio
        self._is_told = is_told
        self._entries = HistoryOrder()
        self._unsettled: dict[str, Entry] = {}  # the agent's: said, and neither cut nor heard to their end
        self._speaking: str | None = None
        self._pace = Pace()

    @property
    def items(self) -> Items:
        """All items in their order."""
        return self._views(*self._entries)

    @property
    def past(self) -> tuple[PastMessage, ...]:
        """The words of all items that have any, in order: of those that were cut, what was heard or will be."""
        said = ((entry.item_id, entry.role, entry.lasting_text) for entry in self._entries)
        return tuple(PastMessage(item_id, role, text) for item_id, role, text in said if role and text)

    def item(self, item_id: str) -> HistoryItem | None:
        entry = self._entries.get(item_id)
        return self._view(entry) if entry else None

    def is_hidden(self, item_id: str) -> bool:
        """Whether it is the place of something that nobody says, such as a tool's call."""
        entry = self._entries.get(item_id)
        return entry is not None and entry.role is None

    def is_sounding(self, item_id: str) -> bool:
        """Whether somebody is still saying it, or the caller has not heard it to its end."""
        entry = self._entries.get(item_id)
        if entry and item_id == self._speaking:
            return entry.status == "in_progress"
        if entry is None or item_id not in self._unsettled or not entry.is_spoken:
            return False
        is_unheard = self._knows_heard and not (entry.heard_ms and entry.is_all(entry.heard_ms))
        return entry.status == "in_progress" or is_unheard

    # ---- what is told ----

    def take(self, event: ServerEvent) -> Items:
        """Takes what the model says. A piece of audio is counted; it changes nothing that is told, but a new item."""
        if isinstance(event, AudioOutputDelta) and self._sounds(event.item_id, event.pcm):
            return ()
        is_deleted = self._entries.was_deleted(getattr(event, "item_id", ""))  # its words may still be on their way
        changed = () if is_deleted else self._take(event)
        whole = self._sound.take(event) if self._sound else None
        entry = self._entries.get(whole) if whole else None
        return self._views(entry) if entry else changed

    def _take(self, event: ServerEvent) -> Items:
        match event:
            case AudioOutputDelta(response_id, item_id, _, pcm):
                return self._audio(response_id, item_id, pcm)
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
                return self._remove(self._speaking)
            case ItemCreated(item_id, role, previous_item_id):
                return self._place(item_id, role, previous_item_id)
            case ItemDeleted(item_id):
                return self.delete(item_id)
            case ItemTruncated(item_id, heard_ms):
                entry = self._entries.get(item_id)
                return self._cut(entry, heard_ms) if entry and entry.heard_ms is None else ()
            case _:
                return ()

    def caller_sounds(self, pcm: bytes) -> None:
        """The model is sent more of the caller's audio."""
        if self._sound:
            self._sound.caller_sounds(pcm)

    def add(self, item_id: str, role: Role, text: str, previous_item_id: str | None = None) -> Items:
        """A text message that the program sends to the model."""
        entry = self._entry(item_id, role, previous_item_id)
        entry.words.written(text)
        entry.status = "completed"
        return self._views(entry)

    def delete(self, item_id: str) -> Items:
        """The item is no longer part of the call, whatever the model still tells of it."""
        self._entries.delete(item_id)
        return self._remove(item_id)

    def _remove(self, item_id: str) -> Items:
        if item_id not in self._entries:
            return ()
        entry = self._forget(item_id)
        entry.status = "deleted"
        return self._views(entry)

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
        return self._views(entry)

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

    def _understood(self, entry: Entry, text: str) -> Items:
        entry.understood(text)
        return self._views(entry)

    def _audio(self, response_id: str, item_id: str, pcm: bytes) -> Items:
        is_new = item_id not in self._entries
        entry = self._agents(item_id, response_id, is_spoken=True)
        self._sounds(item_id, pcm)
        return self._views(entry) if is_new else ()

    def _sounds(self, item_id: str, pcm: bytes) -> bool:
        """Counts audio of an item of the agent's. False of one that is not known to be spoken, or settled."""
        entry = self._unsettled.get(item_id)
        if entry is None or not entry.is_spoken:
            return False
        entry.audio_bytes += len(pcm)
        if self._sound:
            self._sound.add(item_id, pcm)
        return True

    def _audio_done(self, entry: Entry) -> Items:
        if entry.item_id not in self._unsettled:
            return ()
        entry.has_all_audio = True
        return self._go_on(entry)

    def _wrote(self, entry: Entry, text: str) -> Items:
        entry.words.wrote(text, entry.total_ms)
        entry.hear(entry.heard_ms)
        return self._views(entry) if self._is_told() else ()

    def _written(self, entry: Entry, text: str) -> Items:
        if text:  # some servers leave the whole text out
            entry.words.written(text)
        entry.has_all_text = True
        return self._go_on(entry)

    def _go_on(self, entry: Entry) -> Items:
        entry.go_on()
        return self._views(entry)

    def _response_done(self, response_id: str, *, is_whole: bool) -> Items:
        return tuple(
            item
            for entry in list(self._unsettled.values())
            if entry.response_id == response_id
            for item in self._end(entry, is_whole=is_whole)
        )

    def _end(self, entry: Entry, *, is_whole: bool) -> Items:
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
        return self._views(entry) if entry.status != before else ()

    def _cut(self, entry: Entry, heard_ms: int | None) -> Items:
        self._unsettled.pop(entry.item_id, None)
        entry.cut(heard_ms)
        return self._views(entry)

    # ---- order ----

    def _agents(self, item_id: str, response_id: str, *, is_spoken: bool = False) -> Entry:
        entry = self._entry(item_id, "assistant")
        if entry.response_id is None:
            entry.response_id = response_id
            self._unsettled[item_id] = entry
        entry.is_spoken |= is_spoken
        return entry

    def _new(self, item_id: str, role: Role) -> Items:
        return () if item_id in self._entries else self._views(self._entry(item_id, role))

    def _place(self, item_id: str, role: str, previous_item_id: str | None) -> Items:
        known = self._entries.get(item_id)
        if known is None:
            return self._views(self._entry(item_id, _ROLES.get(role), previous_item_id))
        return self._views(known) if self._entries.move(item_id, previous_item_id) else ()

    def _entry(self, item_id: str, role: Role | None, previous_item_id: str | None = None) -> Entry:
        """The item of that id; a new one goes after the one named, or to the end."""
        entry = self._entries.get(item_id)
        if entry is None:
            entry = Entry(item_id, role, SpokenText(self._pace), self._bytes_per_ms)
            if one_too_many := self._entries.add(entry, previous_item_id):
                self._forget(one_too_many)
        return entry

    def _forget(self, item_id: str) -> Entry:
        self._unsettled.pop(item_id, None)
        if self._sound:
            self._sound.forget(item_id)
        return self._entries.remove(item_id)

    # ---- as others see it ----

    def _views(self, *entries: Entry) -> Items:
        return tuple(item for entry in entries if (item := self._view(entry)))

    def _view(self, entry: Entry) -> HistoryItem | None:
        is_whole = entry.role == "user" or entry.status != "in_progress"
        return entry.view(self._sound.of(entry.item_id) if self._sound and is_whole else None)
