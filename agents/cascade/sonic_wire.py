"""The wire of Cartesia Sonic: each stretch of speech is a context, in which sentences follow each other."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agents.cascade.mouth_wire import MouthCodec, cannot_speak, sound
from agents.errors import ErrorCategory, ProviderError
from agents.events import RawEvent, ResponseDone, ServerEvent
from agents.providers.socket import MAX_CODE_CHARS, MAX_EXPLANATION_CHARS, Answer, WireError
from agents.providers.wire_json import Message, from_base64, merged, optional_text, read_object, write
from agents.realtime import AudioFormat, Voice

BASE_URL: Final = "wss://api.cartesia.ai"
PATH: Final = "/tts/websocket"
KEY_NAME: Final = "CARTESIA_API_KEY"
VERSION: Final = "2026-08-14"
"""Of the API: another one may say other things."""

MODEL: Final = "sonic-3"
SPEEDS: Final = (0.6, 1.5)

PAUSE_S: Final = 0.8
"""A context expires a second after its last sound."""

ROUTINE: Final = frozenset({"timestamps", "phoneme_timestamps", "flush_done"})

_CATEGORIES: Final[Mapping[int, ErrorCategory]] = {401: "auth", 402: "quota", 403: "auth", 429: "rate"}


class SonicCodec(MouthCodec):
    """`options` are merged into each request, whose fields must be the same within a context."""

    pause_s = PAUSE_S

    def __init__(
        self, audio_format: AudioFormat, *, model: str, voice: Voice, language: str | None, options: Mapping[str, Any]
    ) -> None:
        encoding = "pcm_s16le" if audio_format.mime_type == "audio/pcm" else "pcm_mulaw"
        request: Message = {
            "model_id": model,
            "voice": {"mode": "id", "id": voice.voice_id},
            "output_format": {"container": "raw", "encoding": encoding, "sample_rate": audio_format.sample_rate},
            "max_buffer_delay_ms": 0,  # what comes is whole sentences
        }
        if language is not None:
            request = {**request, "language": language}
        if voice.speed is not None:
            request = {**request, "generation_config": {"speed": voice.speed}}
        self._request = merged(request, options)
        self._context: str | None = None

    def _say(self, stretch: str, sentence: str) -> Iterator[str]:
        self._context = stretch
        yield write({**self._request, "context_id": stretch, "transcript": f"{sentence} ", "continue": True})

    def _end(self, stretch: str) -> Iterator[str]:
        yield write({**self._request, "context_id": stretch, "transcript": "", "continue": False})

    def _cancel(self, stretch: str) -> Iterator[str]:
        self._context = None
        yield write({"context_id": stretch, "cancel": True})

    def decode(self, message: str | bytes) -> Iterator[ServerEvent | Answer | ProviderError]:
        """What comes of a context that is not spoken any more is nothing."""
        fields = read_object(message)
        context = optional_text(fields, "context_id")
        is_ours = context is not None and context == self._context
        match fields:
            case {"type": "chunk", "data": str(audio)}:
                if is_ours and audio:
                    yield sound(str(context), from_base64(audio))
            case {"type": "chunk"}:
                raise WireError("a chunk should have data")
            case {"type": "done"}:
                if is_ours:
                    self._context = None
                    yield ResponseDone(str(context), "completed")
            case {"type": "error"}:
                if context is None or is_ours:
                    yield cannot_speak(self._context, _failure(fields))
            case {"type": str(kind)}:
                if kind not in ROUTINE:
                    yield RawEvent(kind, fields)
            case _:
                raise WireError("expected a type")


def _failure(fields: Message) -> ProviderError:
    match fields.get("status_code"):
        case int(status):
            category = _CATEGORIES.get(status, "unavailable" if status >= 500 else "invalid_request")
        case _:
            category = "unavailable"
    code = (optional_text(fields, "error_code") or category)[:MAX_CODE_CHARS]
    if code.startswith("quota"):
        category = "quota"
    said = optional_text(fields, "message") or optional_text(fields, "title") or "no reason given"
    problem = f"Cartesia says {code}: {said[:MAX_EXPLANATION_CHARS]}"
    return ProviderError(problem, code=code, retryable=category in ("rate", "unavailable"), category=category)
