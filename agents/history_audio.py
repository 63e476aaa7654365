"""The sound of a call's history: what the agent said, and what the model heard of the caller, by item. Pure."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from agents.events import AudioInputCleared, AudioInputCommitted, ServerEvent, SpeechStarted, SpeechStopped
from agents.realtime import SessionConfig, TurnDetection

MAX_AUDIO_BYTES: Final = 32_000_000
"""Audio kept of one session's items: eleven minutes of PCM, over an hour of mu-law. The oldest is dropped first."""

RECENT_MS: Final = 5_000
"""The caller's audio kept between turns: models tell of a voice late, and count its beginning from before."""

MAX_TURN_MS: Final = 60_000
"""The same where nobody tells when a turn begins: of a longer one its end is kept."""

PREFIX_MS: Final = 500
"""How long before the news of it a turn began, where the model tells no time that can be true."""


@dataclass(slots=True)
class _Sound:
    """An item's audio. None of it is of use once some was dropped."""

    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    is_dropped: bool = False

    def so_far(self) -> bytes | None:
        if not self.pieces:
            return None
        if len(self.pieces) > 1:
            self.pieces = [b"".join(self.pieces)]
        return self.pieces[0]


class HistoryAudio:
    """Audio by item. An item's audio is whole or it is not given at all: of half a sentence nobody knows which half.

    The caller's turn begins and ends where the model says, in milliseconds of what it was sent. On a connection that
    took over from another these count from its own beginning: what cannot be true is not believed.
    """

    def __init__(self, config: SessionConfig) -> None:
        turns = config.turn_detection
        is_manual = turns is None or (isinstance(turns, TurnDetection) and turns.mode == "manual")
        self._bytes_per_ms = config.input_format.bytes_per_ms
        self._recent_bytes = (MAX_TURN_MS if is_manual else RECENT_MS) * self._bytes_per_ms
        self._sounds: dict[str, _Sound] = {}
        self._size = 0
        self._turn: str | None = None
        self._recent: deque[bytes] = deque()
        self._recent_size = 0
        self._sent = 0

    def of(self, item_id: str) -> bytes | None:
        """All that came of it; None of a turn that goes on, and of what was dropped."""
        sound = self._sounds.get(item_id)
        return sound.so_far() if sound and item_id != self._turn else None

    def add(self, item_id: str, audio: bytes) -> None:
        """More of an item."""
        sound = self._sounds.setdefault(item_id, _Sound())
        if sound.is_dropped:
            return
        sound.pieces.append(audio)
        sound.size += len(audio)
        self._size += len(audio)
        while self._size > MAX_AUDIO_BYTES:
            self._drop(next(each for each in self._sounds.values() if not each.is_dropped))

    def forget(self, item_id: str) -> None:
        """The item is gone."""
        if item_id == self._turn:
            self._turn = None
        if sound := self._sounds.pop(item_id, None):
            self._drop(sound)

    def _drop(self, sound: _Sound) -> None:
        self._size -= sound.size
        sound.pieces, sound.size, sound.is_dropped = [], 0, True

    # ---- the caller ----

    def caller_sounds(self, pcm: bytes) -> None:
        """The model is sent more of the caller."""
        self._sent += len(pcm)
        self._recent.append(pcm)
        self._recent_size += len(pcm)
        while self._recent_size - len(self._recent[0]) >= self._recent_bytes:
            self._recent_size -= len(self._recent.popleft())
        if self._turn:
            self.add(self._turn, pcm)

    def take(self, event: ServerEvent) -> str | None:
        """Follows the caller's turns. Gives the item whose audio is whole now, if any is."""
        match event:
            case SpeechStarted(item_id, begin_ms):
                self._turn = item_id
                sent_ms = self._sent // self._bytes_per_ms
                is_known = 0 < begin_ms <= sent_ms < begin_ms + RECENT_MS
                self._take_recent(item_id, sent_ms - begin_ms if is_known else PREFIX_MS)
            case SpeechStopped(item_id) | AudioInputCommitted(item_id) if item_id == self._turn:
                self._turn = None
                return item_id
            case AudioInputCommitted(item_id) if item_id not in self._sounds:
                self._take_recent(item_id, MAX_TURN_MS)  # nobody said when it began: all since the last one
                self._clear()
                return item_id
            case AudioInputCleared():
                self._clear()
        return None

    def _take_recent(self, item_id: str, latest_ms: int) -> None:
        recent = b"".join(self._recent)
        size = latest_ms * self._bytes_per_ms
        if taken := recent[-size:] if size else b"":
            self.add(item_id, taken)

    def _clear(self) -> None:
        self._recent.clear()
        self._recent_size = 0
