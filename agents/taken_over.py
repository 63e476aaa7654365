"""What a model knows of a conversation that it takes over in the middle, and what it must still be told. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid4

from agents.events import (
    FIRST,
    ClientEvent,
    ItemCreate,
    ItemCreated,
    ItemDelete,
    ItemDeleted,
    ItemTruncate,
    ServerEvent,
)
from agents.realtime import Past, PastMessage, PastToolCall, past_id

FORGET: Final = "Forget this, which is no part of the conversation any more: {text}"
"""What a model that can take nothing out of its conversation is told instead."""

HEARD: Final = "This was not heard as you were told: {told}\nAll that was heard of it: {text}"
"""What it is told of words that it knows otherwise than they were heard."""

SAID: Final = {
    "user": "Before you took over, the caller said: {text}",
    "assistant": "Before you took over, the caller was told: {text}",
    "system": "{text}",
}
"""What it is told of messages that came after it began: one of the caller's own would ask it for an answer."""


class TakenOver:
    """Compares what one connection was told with what was said and done, as it stands now.

    It begins with `began_with`. Until it takes over, `news` is what it must be told to know the rest; from then on what
    the session tells it goes through `in_its_words`, as it knows what is changed under other ids, otherwise, or not at
    all. `past` is what a later connection in its place begins with. All that is kept here has a limit in the history,
    and in the tool calls, of which only so many are known.
    """

    def __init__(
        self, past: Callable[[], Sequence[Past]], item_ids: Callable[[], Sequence[str]], *, has_items: bool
    ) -> None:
        """`past` gives what was said and done, `item_ids` all items of the history in their order, each as of now.

        `has_items`: the model can forget items, and be told of others in their place; else it is told in words.
        """
        self._now = past
        self._item_ids = item_ids
        self._has_items = has_items
        self.began_with: tuple[Past, ...] = tuple(past())
        self._known: dict[str, Past] = {past_id(each): each for each in self.began_with}
        """What it was told for each message or tool call of the session: under its own id, as it was then."""
        self._unknown: set[str] | None = None
        """Items of the session that it was not told of, once it has taken over: all others it knows since."""
        self._made: set[str] = set()
        self._taken_out: set[str] = set()

    @property
    def past(self) -> tuple[Past, ...]:
        """What was said and done, under the ids by which this connection was told of it."""
        return tuple(self._as_told(each) for each in self._now())

    def _as_told(self, each: Past) -> Past:
        told = self._known.get(past_id(each))
        if isinstance(each, PastMessage) and isinstance(told, PastMessage):
            return replace(each, item_id=told.item_id)
        return told or each

    # ---- before it takes over ----

    def news(self) -> tuple[ClientEvent, ...]:
        """What it must be told, to know what was said and done until now. From here on it counts as told."""
        past = self._now()
        present = {past_id(each) for each in past}
        gone = [id_ for id_, told in self._known.items() if isinstance(told, PastMessage) and id_ not in present]
        events = [self._forget(id_) for id_ in gone]
        for each in past:
            if isinstance(each, PastToolCall):
                events += [] if each.call_id in self._known else [self.noted(each.call_id, _answered(each))]
            elif each.item_id not in self._known:
                events.append(self._create(each))
            else:
                events += self._correct(each)
        return tuple(events)

    def takes_over(self) -> None:
        """From here on it hears the conversation itself."""
        self._unknown = set(self._item_ids()) - self._known.keys()

    # ---- from then on ----

    def in_its_words(self, event: ClientEvent) -> tuple[ClientEvent, ...]:
        """What it is told in place of the event."""
        match event:
            case ItemTruncate(item_id) if item_id in self._known:
                return self._as_heard(item_id)
            case ItemDelete(item_id) if not self._knows(item_id):
                return ()
            case ItemDelete(item_id):
                own = self._own(item_id)
                self._known.pop(item_id, None)
                return (ItemDelete(own),)
            case ItemCreate(previous_item_id=str(previous)) if previous != FIRST:
                return (replace(event, previous_item_id=self._after(previous)),)
            case _:
                return (event,)

    def noted(self, id_: str, note: ItemCreate) -> ItemCreate:
        """The note is what it is told for this message or tool call of the session."""
        own = f"msg_{uuid4().hex[:24]}"
        self._made.add(own)
        self._known[id_] = PastMessage(own, note.role, note.text)
        return replace(note, item_id=own)

    def is_known_otherwise(self, event: ServerEvent) -> bool:
        """Whether its model tells of a change that is none of the session's: that was told something in its place."""
        match event:
            case ItemCreated(item_id):
                return item_id in self._made
            case ItemDeleted(item_id):
                return item_id in self._made or item_id in self._taken_out
            case _:
                return False

    def _as_heard(self, item_id: str) -> tuple[ClientEvent, ...]:
        message = next((each for each in self._now() if past_id(each) == item_id), None)
        if isinstance(message, PastMessage):
            return self._correct(message)
        return (self._forget(item_id),)

    # ---- what changes what it knows ----

    def _create(self, message: PastMessage) -> ItemCreate:
        if not self._has_items:
            note = self.noted(message.item_id, ItemCreate("system", SAID[message.role].format(text=message.text)))
            self._known[message.item_id] = replace(message, item_id=note.item_id or "")
            return note
        return self.noted(message.item_id, ItemCreate(message.role, message.text, None, self._place(message.item_id)))

    def _correct(self, message: PastMessage) -> tuple[ClientEvent, ...]:
        told = self._known[message.item_id]
        if not isinstance(told, PastMessage) or told.text == message.text:
            return ()
        if not self._has_items:
            self._known[message.item_id] = replace(told, text=message.text)
            return (ItemCreate("system", HEARD.format(told=told.text, text=message.text)),)
        return (self._forget(message.item_id), self._create(message))

    def _forget(self, id_: str) -> ClientEvent:
        told = self._known.pop(id_)
        if self._unknown is not None:
            self._unknown.add(id_)
        if isinstance(told, PastMessage) and not self._has_items:
            return ItemCreate("system", FORGET.format(text=told.text))
        self._taken_out.add(past_id(told))
        return ItemDelete(past_id(told))

    # ---- places ----

    def _knows(self, item_id: str) -> bool:
        return item_id in self._known or (self._unknown is not None and item_id not in self._unknown)

    def _own(self, item_id: str) -> str:
        return past_id(self._known[item_id]) if item_id in self._known else item_id

    def _place(self, item_id: str) -> str | None:
        """The item of its own that this one comes after; None where it comes last."""
        order = self._item_ids()
        at = order.index(item_id)
        if not any(self._knows(each) for each in order[at + 1 :]):
            return None
        return self._after(order[at - 1]) if at else FIRST

    def _after(self, item_id: str) -> str:
        """This item, or the last one before it that it knows."""
        order = self._item_ids()
        if self._knows(item_id) or item_id not in order:
            return self._own(item_id)
        before = reversed(order[: order.index(item_id)])
        return next((self._own(each) for each in before if self._knows(each)), FIRST)


def _answered(call: PastToolCall) -> ItemCreate:
    return ItemCreate("system", f"The tool {call.name}, called with {call.arguments}, has answered: {call.output}")
