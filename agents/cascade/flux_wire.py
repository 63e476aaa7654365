"""The wire of Deepgram Flux (/v2/listen): a recogniser that knows by what was said when a turn is over."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.cascade import deepgram
from agents.cascade.ear_wire import EarCodec
from agents.errors import ProviderError
from agents.events import RawEvent, ServerEvent
from agents.providers.socket import Answer, KeepAlive, WireError
from agents.providers.wire_json import Message, read_object, write
from agents.realtime import AudioFormat

PATH: Final = "/v2/listen"
MODEL: Final = "flux-general-en"
MULTILINGUAL: Final = "flux-general-multi"

CHUNK_MS: Final = 80
"""The model takes steps of 80 ms: smaller pieces make it no faster."""

KEEP_ALIVE_S: Final = 5.0
"""Without audio the connection ends after some ten seconds, and this wire has no message for that: silence is sent."""

MANUAL_TIMEOUT_MS: Final = 60_000
"""The longest: a turn that only a commit ends."""

ROUTINE: Final = frozenset({"ConfigureSuccess", "Connected", "Warning"})


def query(
    audio_format: AudioFormat,
    *,
    model: str,
    language: str | None,
    keyterms: tuple[str, ...],
    eot_threshold: float | None,
    eot_timeout_ms: int | None,
    is_manual: bool,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The query of a connection. With manual turns nothing but ForceEndTurn, or a minute of silence, ends one."""
    asked: dict[str, Any] = {"model": model} | deepgram.encoding(audio_format)
    if language and model == MULTILINGUAL:
        asked["language_hint"] = language
    if keyterms:
        asked["keyterm"] = keyterms
    threshold = 1.0 if is_manual else eot_threshold
    timeout_ms = MANUAL_TIMEOUT_MS if is_manual else eot_timeout_ms
    if threshold is not None:
        asked["eot_threshold"] = threshold
    if timeout_ms is not None:
        asked["eot_timeout_ms"] = timeout_ms
    return asked | dict(options)


class FluxCodec(EarCodec):
    def __init__(self, audio_format: AudioFormat, *, is_manual: bool) -> None:
        super().__init__(audio_format, is_manual=is_manual)
        self._chunk_bytes = CHUNK_MS * audio_format.bytes_per_ms
        self._held = b""
        self._text = ""
        self.keepalive = KeepAlive(audio_format.silence(self._chunk_bytes), KEEP_ALIVE_S)

    @property
    def _written(self) -> str:
        return self._text

    def _audio(self, audio: bytes) -> Iterator[bytes]:
        self._held += audio
        while len(self._held) >= self._chunk_bytes:
            chunk, self._held = self._held[: self._chunk_bytes], self._held[self._chunk_bytes :]
            yield chunk

    def _end_of_turn(self) -> Iterator[str | bytes]:
        if self._held:
            rest, self._held = self._held, b""
            yield rest
        yield write({"type": "ForceEndTurn"})

    def decode(self, message: str | bytes) -> Iterator[ServerEvent | Answer | ProviderError]:
        fields = read_object(message)
        match fields:
            case {"type": "TurnInfo", "event": str(event), "transcript": str(text)}:
                yield from self._turn(event, text, fields)
            case {"type": "Error"}:
                self._failure = deepgram.failure(fields)
                yield self._failure
            case {"type": "TurnInfo"}:
                raise WireError("TurnInfo should have an event and a transcript")
            case {"type": str(kind)}:
                if kind not in ROUTINE:
                    yield RawEvent(kind, fields)
            case _:
                raise WireError("expected a type")

    def _turn(self, event: str, text: str, fields: Message) -> Iterator[ServerEvent]:
        """What of EagerEndOfTurn and TurnResumed matters is the text: nobody answers before the end."""
        at_ms = deepgram.milliseconds(fields.get("audio_window_end"))
        self._text = text
        match event:
            case "StartOfTurn":
                yield from self.turns.started(_began_ms(fields, at_ms))
                yield from self.turns.written(text, at_ms)
            case "EndOfTurn":
                self._text = ""
                self.wait = None
                yield from self.turns.ended(text, at_ms)
            case _:
                yield from self.turns.written(text, at_ms)

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        return self._failure or deepgram.loss(code, reason)


def _began_ms(fields: Message, otherwise: int) -> int:
    match fields.get("words"):
        case [{"start": int() | float() as start}, *_]:
            return deepgram.milliseconds(start)
        case _:
            return otherwise
