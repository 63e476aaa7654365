"""Changing what was said: which items a model is to forget, and which it is told in their place."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from agents.emitter import Emitter
from agents.errors import ConfigError
from agents.events import FIRST, ClientEvent, History, HistoryUpdated, ItemCreate, ItemDelete
from agents.history import CallHistory
from agents.history_item import HistoryItem, Items

NewHistory = Sequence[HistoryItem] | Callable[[Items], Sequence[HistoryItem]]
"""The items that there shall be, or a function of the present ones that gives them."""

MAX_MESSAGE_CHARS: Final = 32_000
"""Longest text of one message, some eight thousand tokens: what a model is told at once."""

_ROLES: Final = frozenset({"user", "assistant", "system"})


class HistoryUpdates:
    """Changes the history of one conversation, and with it what the model knows: one change after the other."""

    def __init__(self, history: CallHistory, send: Callable[[ClientEvent], Awaitable[None]], emitter: Emitter) -> None:
        self._history = history
        self._send = send
        self._emitter = emitter
        self._changing = asyncio.Lock()

    async def make(self, wanted: NewHistory) -> None:
        """Sends what `history_change` says, and tells observers. Raises what it does, before anything is sent."""
        async with self._changing:
            change = history_change(self._history, wanted)
            for delete in change.deleted:
                await self._send(delete)
                self._tell(self._history.delete(delete.item_id))
            for create in change.created:
                await self._send(create)
                item_id = create.item_id or ""
                self._tell(self._history.add(item_id, create.role, create.text, create.previous_item_id))
            self._emitter.emit(HistoryUpdated(self._history.items))

    def _tell(self, changed: Items) -> None:
        for item in changed:
            self._emitter.emit(History(item))


@dataclass(frozen=True, slots=True)
class HistoryChange:
    """What to tell the model, in this order: first `deleted`, then `created`, each after the item that it names."""

    deleted: tuple[ItemDelete, ...]
    created: tuple[ItemCreate, ...]


def history_change(history: CallHistory, wanted: NewHistory) -> HistoryChange:
    """What leads from the history as it is to the one that is wanted. Nothing is changed by this.

    Of an item only id, role and text count: who was heard how far is a fact that stays. One that is new, has changed or
    has moved is created, as text, and one that has changed or moved has a new id then. An empty id gets one. One that
    was in progress when it was looked at stays as it has become.

    Raises ConfigError for what a model cannot be told again: the agent's speech, audio, the call of a tool; and for an
    id twice, a role or a text that cannot be, and for deleting what somebody is saying or the caller still hears.
    """
    present = history.items
    items = tuple(wanted(present) if callable(wanted) else wanted)
    _refuse_twice(items)
    kept = _kept(present, items)
    for item in items:
        if item.item_id not in kept:
            _refuse_unreplayable(item, history)
    for item in present:
        if item.item_id not in kept and history.is_sounding(item.item_id):
            raise ConfigError(f"{item.item_id} is still being said or heard; interrupt() first, or wait")
    deleted = tuple(ItemDelete(item.item_id) for item in present if item.item_id not in kept)
    return HistoryChange(deleted, tuple(_created(items, kept, {item.item_id for item in present})))


def _refuse_twice(items: Items) -> None:
    ids = [item.item_id for item in items if item.item_id]
    if twice := sorted({item_id for item_id in ids if ids.count(item_id) > 1}):
        raise ConfigError(f"an id stands for one item; twice: {', '.join(twice)}")


def _refuse_unreplayable(item: HistoryItem, history: CallHistory) -> None:
    """Raises ConfigError for an item that cannot be created."""
    name = item.item_id or "a new item"
    known = history.item(item.item_id)
    if history.is_hidden(item.item_id):
        raise ConfigError(f"{name} is a tool's call, which cannot be made again")
    if item.role not in _ROLES:
        raise ConfigError(f"{name}: role must be user, assistant or system, not {item.role!r}")
    if item.role == "assistant" and (item.total_ms is not None or (known and known.total_ms is not None)):
        raise ConfigError(f"{name} was spoken by the agent: it can be kept or deleted, not changed, moved or added")
    if item.audio is not None:
        raise ConfigError(f"{name} has audio, which cannot be played to the model again; give it audio=None")
    if not item.text.strip() or len(item.text) > MAX_MESSAGE_CHARS:
        raise ConfigError(f"{name}: text must have from 1 to {MAX_MESSAGE_CHARS} characters, not {len(item.text)}")


def _kept(present: Items, items: Items) -> frozenset[str]:
    """The items that stay as and where they are: what the agent spoke first, and of the rest what is in their order."""
    places = {item.item_id: place for place, item in enumerate(present)}
    same = [item for item in items if item.item_id in places and _is_same(item, present[places[item.item_id]])]
    ceilings = _ceilings([(places[item.item_id], _is_speech(present[places[item.item_id]])) for item in same], present)
    floor, kept = -1, set[str]()
    for item, ceiling in zip(same, ceilings, strict=True):
        if floor < places[item.item_id] < ceiling:
            floor = places[item.item_id]
            kept.add(item.item_id)
    return frozenset(kept)


def _ceilings(placed: Sequence[tuple[int, bool]], present: Items) -> list[int]:
    """For each item the place of the next one that cannot be moved."""
    ceilings: list[int] = []
    ceiling = len(present)
    for place, is_speech in reversed(placed):
        ceilings.append(ceiling)
        ceiling = min(ceiling, place) if is_speech else ceiling
    return ceilings[::-1]


def _is_same(item: HistoryItem, known: HistoryItem) -> bool:
    return item.role == known.role and (item.text == known.text or item.status == "in_progress")


def _is_speech(item: HistoryItem) -> bool:
    return item.role == "assistant" and item.total_ms is not None


def _created(items: Items, kept: Collection[str], known: Collection[str]) -> Iterator[ItemCreate]:
    """Each new item after the one before it; what follows all that is kept goes to the end."""
    last_kept = max((place for place, item in enumerate(items) if item.item_id in kept), default=-1)
    previous: str | None = None
    for place, item in enumerate(items):
        if item.item_id in kept:
            previous = item.item_id
            continue
        is_taken = not item.item_id or item.item_id in known
        item_id = f"msg_{uuid4().hex[:24]}" if is_taken else item.item_id
        if place < last_kept:
            yield ItemCreate(item.role, item.text, item_id, previous or FIRST)
        else:
            yield ItemCreate(item.role, item.text, item_id, None if place == last_kept + 1 else previous)
        previous = item_id
