"""The agent's voice on the line: what is there, what the caller heard of it, and where it goes on after a pause."""

from collections.abc import Collection

from agents.cut import Cut
from agents.events import Heard
from agents.kept_audio import KeptAudio
from agents.realtime import PCM, RealtimeChannel, SpokenItem


class Sounding:
    """One line, and the items that are not known to have been heard to their end. Without a channel nothing sounds.

    `keeps_audio` lets it be paused. Whatever sends to the line or silences it raises ChannelError when the line breaks.
    """

    def __init__(self, channel: RealtimeChannel | None, *, keeps_audio: bool) -> None:
        self._channel = channel
        self._kept = KeptAudio(channel.audio_format) if keeps_audio and channel else None
        self._bytes_per_ms = (channel.audio_format if channel else PCM).bytes_per_ms
        self._items: dict[SpokenItem, bool] = {}  # whether it was sent to its end
        self._offsets_ms: dict[SpokenItem, int] = {}
        self._pause: Cut | None = None

    @property
    def has_line(self) -> bool:
        return self._channel is not None

    @property
    def items(self) -> Collection[SpokenItem]:
        return self._items.keys()

    @property
    def is_paused(self) -> bool:
        return self._pause is not None

    @property
    def is_heard(self) -> bool:
        """True while the caller has not heard all that was said, a pause in it included."""
        return self.is_paused or (self._channel is not None and self._channel.is_playing)

    # ---- playing ----

    async def play(self, item: SpokenItem, pcm: bytes) -> None:
        """Lets the line have more of an item, or keeps it during a pause."""
        if self._channel is None:
            return
        self._items[item] = False
        if self._kept:
            self._kept.keep(item, pcm)
        if not self._pause:
            await self._channel.send_audio(pcm, item)

    async def end(self, item: SpokenItem) -> None:
        """No more of an item comes."""
        if self._kept:
            self._kept.end(item)
        if self._channel and not self._pause:
            await self._end_on_line(self._channel, item)

    async def _end_on_line(self, channel: RealtimeChannel, item: SpokenItem) -> None:
        await channel.end_audio(item)
        if item in self._items:
            self._items[item] = True

    def heard(self, heard: Heard) -> int:
        """The line says that an item was heard to its end. Gives how much of it that is, in milliseconds."""
        offset_ms = 0
        for item in [item for item in self._items if _is_of(heard, item)]:
            offset_ms = self._forget(item)
        return heard.heard_ms + offset_ms

    def _forget(self, item: SpokenItem) -> int:
        """Nothing more of an item is to be heard. Gives where the line had begun to play it."""
        self._items.pop(item, None)
        if self._kept:
            self._kept.forget(item)
        return self._offsets_ms.pop(item, 0)

    async def wait_played(self, timeout_s: float) -> bool:
        """Waits, at most so long, until all that the line has was heard or dropped. False when the time ran out."""
        return self._channel is None or await self._channel.wait_played(timeout_s)

    async def close(self) -> None:
        if self._channel:
            await self._channel.close()

    # ---- cutting ----

    def take(self) -> Cut:
        """Takes all that sounds off the line, or what a pause has: `silence` is to follow at once."""
        pause, self._pause = self._pause, None
        cut = pause or Cut(self._items, self._offsets_ms)
        if pause and self._kept:
            pause.take_unsent(self._kept.received, self._bytes_per_ms)
        self._items, self._offsets_ms = {}, {}
        if self._kept:
            self._kept.clear()
        return cut

    async def silence(self, cut: Cut) -> None:
        """Silences the line, unless it was for this cut."""
        if not cut.is_asked:
            cut.is_asked = True
            cut.ask(await self._channel.interrupt() if self._channel else None)

    def restore(self, cut: Cut) -> None:
        """Nothing was cut off: it was about to end."""
        self._items = {**cut.items, **self._items}
        self._offsets_ms = {**cut.offsets_ms, **self._offsets_ms}

    # ---- pausing ----

    def pause(self) -> Cut | None:
        """Keeps what comes from the line; `silence` is to follow at once. None when nothing sounds, or none is kept."""
        if self._kept is None or not self.is_heard:
            return None
        self._pause = Cut(dict(self._items), dict(self._offsets_ms), self._kept.received)
        return self._pause

    async def know_pause(self) -> None:
        """Waits until the line has told where it was paused, if it is."""
        if self._pause:
            await self._pause.unheard()

    async def go_on_as_if_not_paused(self, pause: Cut) -> None:
        """Ends a pause that found nothing to silence: of what was sent, nothing is sent again."""
        if self._channel and self._kept:
            for item in [item for item, has_ended in pause.items.items() if has_ended]:
                self._kept.forget(item)
            await self._play_again(self._channel, self._kept, dict(pause.received))

    async def resume(self) -> tuple[Heard, ...] | None:
        """Ends a pause: plays what was not heard. Gives the items that were heard to their end before it.

        None, and the pause goes on, when there is too much of it to have been kept.
        """
        if self._channel is None or self._kept is None or self._pause is None:
            return ()
        pause = self._pause
        taken, heard_out = self._taken(pause, await pause.unheard())
        if not self._kept.has_rest(taken):
            return None
        self._offsets_ms |= {item: size // self._bytes_per_ms for item, size in taken.items()}
        await self._play_again(self._channel, self._kept, taken)
        return heard_out

    def _taken(self, pause: Cut, unheard: tuple[Heard, ...]) -> tuple[dict[SpokenItem, int], tuple[Heard, ...]]:
        """How many bytes of each kept item were heard before the pause. What was heard to its end is let go."""
        taken: dict[SpokenItem, int] = {}
        heard_out: list[Heard] = []
        for item, received in pause.received.items():
            if heard := next((each for each in unheard if _is_of(each, item)), None):
                taken[item] = heard.heard_ms * self._bytes_per_ms
            elif item in self._items:
                self._forget(item)
                total_ms = received // self._bytes_per_ms
                heard_out.append(Heard(item.item_id, item.content_index, total_ms, total_ms))
        return taken, tuple(heard_out)

    async def _play_again(self, channel: RealtimeChannel, kept: KeptAudio, taken: dict[SpokenItem, int]) -> None:
        """Ends the pause: plays what is kept and was not taken, until there is no more. Audio still comes meanwhile."""
        while rest := kept.rest(taken):
            item, pcm, is_whole = rest
            await channel.send_audio(pcm, item)
            if is_whole:
                await self._end_on_line(channel, item)
        self._pause = None


def _is_of(heard: Heard, item: SpokenItem) -> bool:
    return (heard.item_id, heard.content_index) == (item.item_id, item.content_index)
