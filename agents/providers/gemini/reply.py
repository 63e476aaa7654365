"""One response of Gemini Live: its voice and its words, from the first to the last. Pure."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from agents.events import (
    AudioOutputDelta,
    AudioOutputDone,
    ItemCreated,
    ResponseDone,
    ResponseInterrupted,
    ResponseStatus,
    ServerEvent,
    TextOutput,
    TextOutputDelta,
    TranscriptOutput,
    TranscriptOutputDelta,
    Usage,
)
from agents.heard_text import MAX_TEXT_CHARS
from agents.providers.socket import MAX_CODE_CHARS
from agents.providers.wire_audio import WireAudio
from agents.realtime import PCM, AudioFormat


class WireVoice:
    """The model's voice as PCM16 24 kHz, at whatever rate it comes; one for all responses of a connection."""

    def __init__(self) -> None:
        self._audio = WireAudio(PCM, PCM)
        self._rate_hz = PCM.sample_rate

    def feed(self, pcm: bytes, rate_hz: int) -> bytes:
        if rate_hz != self._rate_hz:
            self._audio = WireAudio(AudioFormat(sample_rate=rate_hz), PCM)
            self._rate_hz = rate_hz
        return self._audio.feed(pcm)

    def flush(self) -> bytes:
        return self._audio.flush()

    def reset(self) -> None:
        self._audio.reset()


@dataclass(slots=True)
class _Item:
    item_id: str
    text: str = ""
    is_spoken: bool = False
    is_played_out: bool = False
    is_text: bool = False

    def add(self, text: str) -> None:
        self.text = (self.text + text)[:MAX_TEXT_CHARS]


class Reply:
    """Begins with `ResponseCreated`, which is not told here. What gives events must be taken to its end."""

    def __init__(self, response_id: str, voice: WireVoice, new_item_id: Callable[[], str]) -> None:
        self.response_id = response_id
        self._voice = voice
        self._new_item_id = new_item_id
        self._item: _Item | None = None
        self._last: _Item | None = None
        self._audio_bytes = 0

    @property
    def has_said(self) -> bool:
        """True once there was something for the caller."""
        return self._item is not None or self._last is not None

    @property
    def audio_ms(self) -> int:
        return self._audio_bytes // PCM.bytes_per_ms

    # ---- what it says ----

    def sounds(self, pcm: bytes, rate_hz: int) -> Iterator[ServerEvent]:
        if self._item and self._item.is_played_out:
            yield from self.end_item()
        item = yield from self._open_item()
        item.is_spoken = True
        yield from self._play(item, self._voice.feed(pcm, rate_hz))

    def says(self, text: str) -> Iterator[ServerEvent]:
        """Words of the voice."""
        item = yield from self._open_item()
        item.add(text)
        yield TranscriptOutputDelta(self.response_id, item.item_id, text)

    def writes(self, text: str) -> Iterator[ServerEvent]:
        """Words without a voice."""
        item = yield from self._open_item()
        item.is_text = True
        item.add(text)
        yield TextOutputDelta(self.response_id, item.item_id, text)

    def said_late(self, text: str) -> Iterator[ServerEvent]:
        """Words of the voice that come after the end."""
        if self._last:
            self._last.add(text)
            yield TranscriptOutputDelta(self.response_id, self._last.item_id, text)
            yield TranscriptOutput(self.response_id, self._last.item_id, self._last.text.strip())

    # ---- its ends ----

    def play_out(self) -> Iterator[ServerEvent]:
        """No more sound comes of this item."""
        item = self._item
        if item and item.is_spoken and not item.is_played_out:
            item.is_played_out = True
            yield from self._play(item, self._voice.flush())
            yield AudioOutputDone(self.response_id, item.item_id, 0)

    def end_item(self) -> Iterator[ServerEvent]:
        """An utterance is over; another may follow."""
        yield from self.play_out()
        item, self._item = self._item, None
        if item is None:
            return
        self._last = item
        if item.text:
            whole = TextOutput if item.is_text else TranscriptOutput
            yield whole(self.response_id, item.item_id, item.text.strip())

    def end(self, status: ResponseStatus, usage: Usage, reason: str) -> Iterator[ServerEvent]:
        if status == "interrupted":
            self._voice.reset()
            if self._item:
                self._item.is_played_out = True  # as far as it came
        yield from self.end_item()
        if status == "interrupted":
            yield ResponseInterrupted(self.response_id)
        yield ResponseDone(self.response_id, status, usage, reason[:MAX_CODE_CHARS])

    def _open_item(self) -> Generator[ServerEvent, None, _Item]:
        if self._item is None:
            self._item = _Item(self._new_item_id())
            yield ItemCreated(self._item.item_id, "assistant")
        return self._item

    def _play(self, item: _Item, pcm: bytes) -> Iterator[ServerEvent]:
        if pcm:
            self._audio_bytes += len(pcm)
            yield AudioOutputDelta(self.response_id, item.item_id, 0, pcm)
