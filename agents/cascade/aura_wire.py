"""The wire of Deepgram Aura (/v1/speak): text is spoken when it is flushed, and dropped when it is cleared."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.cascade import deepgram
from agents.cascade.mouth_wire import MouthCodec, cannot_speak, sound
from agents.errors import ProviderError
from agents.events import RawEvent, ResponseDone, ServerEvent
from agents.providers.socket import Answer, Wait, WireError
from agents.providers.wire_json import read_object, write
from agents.realtime import AudioFormat, Voice

PATH: Final = "/v1/speak"
VOICE: Final = "aura-2-thalia-en"

MAX_TEXT_CHARS: Final = 2000
"""The longest text of one message."""

SPEEDS: Final = (0.7, 1.5)

ROUTINE: Final = frozenset({"Metadata", "Warning"})


def query(audio_format: AudioFormat, voice: Voice, options: Mapping[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": voice.voice_id or VOICE} | deepgram.encoding(audio_format)
    if voice.speed is not None:
        asked["speed"] = voice.speed
    return asked | dict(options)


class AuraCodec(MouthCodec):
    """Flushes twice in a stretch, at most: after its first sentence, to be heard soon, and at its end. Twenty flushes
    in a minute are all that there are.
    """

    confirms_cancel = True

    def __init__(self) -> None:
        self._stretch: str | None = None
        self._flushes = 0
        self._unflushed = False
        self._is_ending = False
        self._is_clearing = False

    def _say(self, stretch: str, sentence: str) -> Iterator[str]:
        is_first = stretch != self._stretch
        if is_first:
            self._stretch, self._flushes, self._is_ending = stretch, 0, False
        for start in range(0, len(sentence), MAX_TEXT_CHARS):
            yield write({"type": "Speak", "text": f"{sentence[start : start + MAX_TEXT_CHARS]} "})
        self._unflushed = True
        if is_first:
            yield from self._flush()

    def _end(self, stretch: str) -> Iterator[str]:
        self._is_ending = True
        if self._unflushed:
            yield from self._flush()
        elif not self._flushes:
            self.wait = Wait(0)  # all of it was spoken before: nothing that is still to come tells of the end

    def _flush(self) -> Iterator[str]:
        self._flushes += 1
        self._unflushed = False
        yield write({"type": "Flush"})

    def _cancel(self, stretch: str) -> Iterator[str]:
        self._is_clearing = True
        self.wait = None
        yield write({"type": "Clear"})

    def decode(self, message: str | bytes) -> Iterator[ServerEvent | Answer | ProviderError]:
        if isinstance(message, bytes):
            if self._stretch and not self._is_clearing:
                yield sound(self._stretch, message)
            return
        fields = read_object(message)
        match fields:
            case {"type": "Flushed"}:
                yield from self._flushed()
            case {"type": "Cleared"}:
                yield from self._over("cancelled")
            case {"type": "Error"}:
                yield cannot_speak(self._stretch, deepgram.failure(fields))
            case {"type": str(kind)}:
                if kind not in ROUTINE:
                    yield RawEvent(kind, fields)
            case _:
                raise WireError("expected a type")

    def waited(self) -> Iterator[ServerEvent]:
        self.wait = None
        yield from self._over("completed")

    def _flushed(self) -> Iterator[ServerEvent]:
        if self._is_clearing:
            return
        self._flushes = max(0, self._flushes - 1)
        if self._is_ending and not self._flushes:
            yield from self._over("completed")

    def _over(self, status: str) -> Iterator[ServerEvent]:
        stretch, self._stretch = self._stretch, None
        self._is_clearing = self._is_ending = self._unflushed = False
        if stretch:
            yield ResponseDone(stretch, "cancelled" if status == "cancelled" else "completed")

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        return deepgram.loss(code, reason)
