"""The agent's audio that the caller has not heard to its end, kept to be played again from where it was cut off."""

from collections.abc import Mapping
from typing import Final

from agents.realtime import AudioFormat, SpokenItem

MAX_KEPT_MS: Final = 120_000
"""The most audio that can be gone on with: nobody remembers what was said two minutes ago. It takes 5.8 MB, or 1 MB of
mu-law.
"""


class KeptAudio:
    """Audio by item, in the order in which it came. Of an item that is too long nothing more is kept, only counted."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._max_bytes = MAX_KEPT_MS * audio_format.bytes_per_ms
        self._audio: dict[SpokenItem, bytearray] = {}
        self._received: dict[SpokenItem, int] = {}
        self._ended: set[SpokenItem] = set()

    @property
    def received(self) -> dict[SpokenItem, int]:
        """How many bytes came of each item, kept or not."""
        return dict(self._received)

    def keep(self, item: SpokenItem, pcm: bytes) -> None:
        kept = self._audio.setdefault(item, bytearray())
        is_whole = self._is_whole(item)
        self._received[item] = self._received.get(item, 0) + len(pcm)
        if is_whole and sum(map(len, self._audio.values())) + len(pcm) <= self._max_bytes:
            kept += pcm

    def end(self, item: SpokenItem) -> None:
        """No more of it comes."""
        if item in self._audio:
            self._ended.add(item)

    def forget(self, item: SpokenItem) -> None:
        """The item was heard to its end, or will not be played again."""
        self._audio.pop(item, None)
        self._received.pop(item, None)
        self._ended.discard(item)

    def clear(self) -> None:
        self._audio.clear()
        self._received.clear()
        self._ended.clear()

    def has_rest(self, taken: Mapping[SpokenItem, int]) -> bool:
        """Whether all is here that came beyond what was taken of each item (bytes)."""
        return all(self._is_whole(item) or taken.get(item) == self._received[item] for item in self._audio)

    def rest(self, taken: dict[SpokenItem, int]) -> tuple[SpokenItem, bytes, bool] | None:
        """The first item with audio, or an end, beyond what was taken of it (bytes; counted here), and whether it ends.

        None when there is no more.
        """
        for item, audio in self._audio.items():
            begin, is_whole = taken.get(item, 0), item in self._ended
            if begin < len(audio) or (is_whole and begin == len(audio)):
                taken[item] = len(audio) + is_whole
                return item, bytes(audio[begin:]), is_whole
        return None

    def _is_whole(self, item: SpokenItem) -> bool:
        return len(self._audio[item]) == self._received.get(item, 0)
