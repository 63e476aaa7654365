"""When the agent's voice begins, has been generated, and has been heard: once for each response."""

from collections.abc import Collection

from agents.emitter import Emitter
from agents.events import AudioHeard, AudioStarted, AudioStopped, Heard, SessionEvent
from agents.realtime import SpokenItem


class AudioTurns:
    """Follows the responses that sound, and tells observers of them. Between pieces of one item it costs nothing."""

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._unheard: dict[str, set[tuple[str, int]]] = {}  # items of each response, by item and content index
        self._generating: set[str] = set()
        self._latest: SpokenItem | None = None

    def came(self, item: SpokenItem) -> None:
        """Audio of this item goes to the line."""
        if item == self._latest:
            return
        self._latest = item
        if item.response_id not in self._unheard:
            self._unheard[item.response_id] = set()
            self._generating.add(item.response_id)
            self._tell(AudioStarted(item.response_id))
        self._unheard[item.response_id].add((item.item_id, item.content_index))

    def done(self, response_id: str, *, has_line: bool) -> None:
        """No more of the response comes. Where there is no line, nobody will tell that it was heard."""
        if response_id not in self._generating:
            return
        self._generating.remove(response_id)
        self._tell(AudioStopped(response_id))
        if has_line:
            self._tell_heard(response_id)
        else:
            self._unheard.pop(response_id, None)

    def heard(self, heard: Heard) -> None:
        """The caller has heard an item to its end."""
        for response_id, items in list(self._unheard.items()):
            if (heard.item_id, heard.content_index) in items:
                items.remove((heard.item_id, heard.content_index))
                self._tell_heard(response_id)

    def cut(self, items: Collection[SpokenItem], unheard: Collection[Heard]) -> None:
        """These items were taken off the line: of the unheard the caller heard no more, the rest to their end."""
        missed = {(each.item_id, each.content_index) for each in unheard}
        for item in items:
            known = self._unheard.get(item.response_id)
            if known is None:
                continue
            known.discard((item.item_id, item.content_index))
            if (item.item_id, item.content_index) in missed or item.response_id in self._generating:
                del self._unheard[item.response_id]
            else:
                self._tell_heard(item.response_id)

    def _tell_heard(self, response_id: str) -> None:
        if response_id not in self._generating and self._unheard.get(response_id) == set():
            del self._unheard[response_id]
            self._tell(AudioHeard(response_id))

    def _tell(self, event: SessionEvent) -> None:
        self._emitter.emit(event)
