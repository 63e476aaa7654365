"""One silencing of the line: what it cut off, and what will be known of it."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace

from agents.events import Heard
from agents.realtime import SpokenItem


@dataclass(slots=True, eq=False)
class Cut:
    """What was on the line at one moment, and the line's own word of what was not heard of it.

    items       all that was on the line or on its way there, and whether it had been sent to its end
    offsets_ms  where in each item the line began to play it, other than at its beginning
    received    bytes that had come of each item, where audio is kept
    unsent      what came later and was kept from the line
    told        gives what was not heard; None when nothing was playing
    is_asked    True from when the line is asked to be silent
    is_known    True once it is
    """

    items: Mapping[SpokenItem, bool]
    offsets_ms: Mapping[SpokenItem, int]
    received: Mapping[SpokenItem, int] = field(default_factory=dict)
    unsent: tuple[Heard, ...] = ()
    told: Awaitable[tuple[Heard, ...]] | None = None
    is_asked: bool = False
    is_known: bool = False

    def ask(self, told: Awaitable[tuple[Heard, ...]] | None) -> None:
        """The line is silent."""
        self.told, self.is_known = told, True

    async def unheard(self) -> tuple[Heard, ...]:
        """What was not heard, in milliseconds of whole items. Others may wait for the same when this is cancelled.

        An item without an end cannot have been heard to it: one that the line knows nothing of never reached it.
        """
        told = await asyncio.shield(self.told) if self.told else ()
        known = {(each.item_id, each.content_index): each for each in told}
        starts = {(item.item_id, item.content_index): ms for item, ms in self.offsets_ms.items()}
        heard = [_moved(each, starts.get(name, 0)) for name, each in known.items()]
        for item, has_ended in self.items.items():
            name = item.item_id, item.content_index
            if not has_ended and name not in known:
                heard.append(Heard(*name, starts.get(name, 0), starts.get(name, 0)))
        return (*heard, *self.unsent)

    def take_unsent(self, received: Mapping[SpokenItem, int], bytes_per_ms: int) -> None:
        """Counts the items that came since the line was silenced, in bytes: the caller heard nothing of them."""
        self.unsent = tuple(
            Heard(item.item_id, item.content_index, 0, size // bytes_per_ms)
            for item, size in received.items()
            if item not in self.items
        )


def _moved(heard: Heard, offset_ms: int) -> Heard:
    """The same, counted from the item's beginning, where the line began to play it only so far into it."""
    return replace(heard, heard_ms=heard.heard_ms + offset_ms, sent_ms=heard.sent_ms + offset_ms)
