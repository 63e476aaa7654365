"""The wire of Deepgram Nova (/v1/listen): a recogniser whose turns end by silence."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.cascade import deepgram
from agents.cascade.ear_wire import EarCodec
from agents.errors import ProviderError
from agents.events import RawEvent, ServerEvent
from agents.providers.socket import Answer, KeepAlive, WireError
from agents.providers.wire_json import Message, read_object, write
from agents.realtime import AudioFormat

PATH: Final = "/v1/listen"
MODEL: Final = "nova-3"

ENDPOINTING_MS: Final = 300
"""Silence that ends a turn when the file says nothing. Deepgram's own 10 ms ends one at every breath."""

UTTERANCE_END_MS: Final = 1000
"""The shortest that there is of what ends a turn by the gaps between words, where noise hides the silence."""

KEEP_ALIVE_S: Final = 4.0
"""Without audio the connection ends after ten seconds; Deepgram asks for a sign every three to five."""

MAX_PIECES: Final = 500
"""Final results of one turn that are kept: more than half an hour of speech."""

ROUTINE: Final = frozenset({"ConfigureSuccess", "Metadata"})


def query(
    audio_format: AudioFormat,
    *,
    model: str,
    language: str | None,
    keyterms: tuple[str, ...],
    silence_ms: int | None,
    is_manual: bool,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The query of a connection. With manual turns only Finalize ends one."""
    asked: dict[str, Any] = {"model": model} | deepgram.encoding(audio_format)
    asked |= {"channels": "1", "interim_results": "true", "smart_format": "true"}
    if is_manual:
        asked["endpointing"] = "false"
    else:
        ends = {"endpointing": str(silence_ms or ENDPOINTING_MS), "utterance_end_ms": str(UTTERANCE_END_MS)}
        asked |= ends | {"vad_events": "true"}
    if language:
        asked["language"] = language
    if keyterms:
        asked["keyterm"] = keyterms
    return asked | dict(options)


class NovaCodec(EarCodec):
    """Results come in pieces: those that are final follow each other, the others stand for what is being said."""

    keepalive = KeepAlive(write({"type": "KeepAlive"}), KEEP_ALIVE_S)

    def __init__(self, audio_format: AudioFormat, *, is_manual: bool) -> None:
        super().__init__(audio_format, is_manual=is_manual)
        self._is_manual = is_manual
        self._final: list[str] = []

    @property
    def _written(self) -> str:
        return " ".join(self._final)

    def _audio(self, audio: bytes) -> tuple[bytes, ...]:
        return (audio,) if audio else ()  # an empty message would end the stream

    def _end_of_turn(self) -> tuple[str, ...]:
        return (write({"type": "Finalize"}),)

    def decode(self, message: str | bytes) -> Iterator[ServerEvent | Answer | ProviderError]:
        fields = read_object(message)
        match fields:
            case {"type": "Results", "channel": {"alternatives": [{"transcript": str(text)}, *_]}}:
                yield from self._results(text.strip(), fields)
            case {"type": "Results"}:
                raise WireError("Results should have a transcript")
            case {"type": "SpeechStarted"}:
                yield from self.turns.started(deepgram.milliseconds(fields.get("timestamp")))
            case {"type": "UtteranceEnd"}:
                if not (self._is_manual or self.turns.is_awaited):
                    yield from self._ended(deepgram.milliseconds(fields.get("last_word_end")))
            case {"type": "Error"}:
                self._failure = deepgram.failure(fields)
                yield self._failure
            case {"type": str(kind)}:
                if kind not in ROUTINE:
                    yield RawEvent(kind, fields)
            case _:
                raise WireError("expected a type")

    def _results(self, text: str, fields: Message) -> Iterator[ServerEvent]:
        begin_ms = deepgram.milliseconds(fields.get("start"))
        end_ms = begin_ms + deepgram.milliseconds(fields.get("duration"))
        is_final, is_over = fields.get("is_final") is True, fields.get("speech_final") is True
        if is_final and text:
            self._final = [*self._final, text][-MAX_PIECES:]
        so_far = self._written if is_final else f"{self._written} {text}".strip()
        yield from self.turns.written(so_far, begin_ms, is_sure=is_final)
        is_asked_for = self.turns.is_awaited and fields.get("from_finalize") is True
        is_noise = is_final and not self._final and not self.turns.is_awaited
        if is_asked_for or (not self._is_manual and (is_over or is_noise)):
            yield from self._ended(end_ms)

    def _ended(self, at_ms: int) -> Iterator[ServerEvent]:
        text = self._written
        self._final.clear()
        self.wait = None
        yield from self.turns.ended(text, at_ms)

    def waited(self) -> Iterator[ServerEvent | Answer | ProviderError]:
        yield from super().waited()
        self._final.clear()

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        return self._failure or deepgram.loss(code, reason)
