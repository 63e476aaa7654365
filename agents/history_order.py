"""The items of a call's history in their order, each after the one that the model says it follows. Pure."""

from collections.abc import Iterator
from typing import Final

from agents.events import FIRST
from agents.history_item import Entry

MAX_ITEMS: Final = 6000
"""Items remembered: a call of four hours with a new one every 2.4 seconds. The oldest are forgotten first."""

MAX_DELETED: Final = 200
"""Deleted items that are remembered, the latest: what is still told of one comes within seconds."""


class HistoryOrder:
    """Entries by id, and in order."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._order: list[str] = []
        self._deleted: dict[str, None] = {}

    def __iter__(self) -> Iterator[Entry]:
        return (self._entries[item_id] for item_id in self._order)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._entries

    def get(self, item_id: str) -> Entry | None:
        return self._entries.get(item_id)

    def add(self, entry: Entry, previous_item_id: str | None) -> str | None:
        """Adds after the item named, or at the end. Gives the oldest item's id where there is one too many."""
        at = len(self._order)
        if previous_item_id == FIRST:
            at = 0
        elif previous_item_id in self._entries and previous_item_id != self._order[-1]:
            at = self._order.index(previous_item_id) + 1
        self._order.insert(at, entry.item_id)
        self._entries[entry.item_id] = entry
        self._deleted.pop(entry.item_id, None)
        return self._order[0] if len(self._order) > MAX_ITEMS else None

    def move(self, item_id: str, previous_item_id: str | None) -> bool:
        """Moves an item to behind the one named. False where it stays."""
        if previous_item_id not in self._entries or previous_item_id == item_id:
            return False
        at = self._order.index(item_id)
        if at and self._order[at - 1] == previous_item_id:
            return False
        del self._order[at]
        self._order.insert(self._order.index(previous_item_id) + 1, item_id)
        return True

    def remove(self, item_id: str) -> Entry:
        """Takes out an item that is there."""
        self._order.remove(item_id)
        return self._entries.pop(item_id)

    def delete(self, item_id: str) -> None:
        """Remembers that an item is no part of the call, until one of that id is added again."""
        self._deleted[item_id] = None
        while len(self._deleted) > MAX_DELETED:
            del self._deleted[next(iter(self._deleted))]

    def was_deleted(self, item_id: str) -> bool:
        return item_id in self._deleted
