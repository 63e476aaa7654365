"""The wire of ElevenLabs' voices (multi-stream-input): each stretch of speech is a context of one connection."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from agents.cascade.mouth_wire import MouthCodec, cannot_speak, sound
from agents.errors import ErrorCategory, ProviderError
from agents.events import RawEvent, ResponseDone, ServerEvent
from agents.providers.socket import MAX_CODE_CHARS, MAX_EXPLANATION_CHARS, Answer, WireError, usual_loss
from agents.providers.wire_json import JsonObject, Message, from_base64, optional_text, read_object, write
from agents.realtime import AudioFormat, Voice

BASE_URL: Final = "wss://api.elevenlabs.io"
KEY_NAME: Final = "ELEVENLABS_API_KEY"
MODEL: Final = "eleven_flash_v2_5"
SPEEDS: Final = (0.7, 1.2)

INACTIVITY_TIMEOUT_S: Final = 180
"""The longest that a context may wait for its next sentence: a tool may take that long."""

MAX_CONTEXTS: Final = 5
"""Contexts of one connection. Those that were closed go on counting until they have fallen silent."""

_CATEGORIES: Final[Mapping[str, ErrorCategory]] = {
    "auth_error": "auth",
    "authorization_error": "auth",
    "invalid_api_key": "auth",
    "max_active_conversations": "rate",
    "max_concurrent_requests": "rate",
    "quota_exceeded": "quota",
    "rate_limited": "rate",
    "system_busy": "unavailable",
    "too_many_concurrent_requests": "rate",
}


def path(voice: Voice) -> str:
    return f"/v1/text-to-speech/{quote(voice.voice_id or '', safe='')}/multi-stream-input"


def query(audio_format: AudioFormat, *, model: str, language: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    is_pcm = audio_format.mime_type == "audio/pcm"
    name = f"{'pcm' if is_pcm else 'ulaw'}_{audio_format.sample_rate}"
    asked: dict[str, Any] = {"model_id": model, "output_format": name, "inactivity_timeout": INACTIVITY_TIMEOUT_S}
    if language is not None:
        asked["language_code"] = language
    return asked | dict(options)


class ElevenCodec(MouthCodec):
    """Each sentence is flushed: it is spoken as soon as it is written."""

    def __init__(self, voice: Voice) -> None:
        self._speed = voice.speed
        self._context: str | None = None
        self._is_ending = False
        self._living: set[str] = set()
        self._failure: ProviderError | None = None

    @property
    def is_spent(self) -> bool:
        return len(self._living) >= MAX_CONTEXTS

    def _say(self, stretch: str, sentence: str) -> Iterator[str]:
        if stretch not in self._living:
            self._context, self._is_ending = stretch, False
            self._living.add(stretch)
            first: JsonObject = {"text": " ", "context_id": stretch}
            if self._speed is not None:
                first["voice_settings"] = {"speed": self._speed}
            yield write(first)
        yield write({"text": f"{sentence} ", "context_id": stretch, "flush": True})

    def _end(self, stretch: str) -> Iterator[str]:
        self._is_ending = True
        yield write({"context_id": stretch, "close_context": True})

    def _cancel(self, stretch: str) -> Iterator[str]:
        """One that was closed already is only not listened to any more."""
        self._context = None
        if not self._is_ending:
            yield write({"context_id": stretch, "close_context": True})

    def decode(self, message: str | bytes) -> Iterator[ServerEvent | Answer | ProviderError]:
        """What comes of a context that is not spoken any more is nothing."""
        fields = read_object(message)
        context = optional_text(fields, "contextId") or optional_text(fields, "context_id")
        if isinstance(error := fields.get("error"), str):
            self._failure = _failure(error, fields)
            yield cannot_speak(self._context, self._failure)
            return
        audio = optional_text(fields, "audio")
        is_over = (fields.get("isFinal") or fields.get("is_final")) is True
        if audio is None and not is_over:
            if "audio" not in fields:
                yield RawEvent("tts", fields)
            return
        if context is None:
            raise WireError("audio should have a context")
        if audio and context == self._context:
            yield sound(context, from_base64(audio))
        if is_over:
            self._living.discard(context)
            if context == self._context:
                self._context = None
                yield ResponseDone(context, "completed")

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        if code == 1008 and not self._failure:
            return _failure(reason.partition(":")[0] or "policy", {"message": reason})
        return self._failure or usual_loss(code, reason)


def _failure(code: str, fields: Message) -> ProviderError:
    category = _CATEGORIES.get(code, "invalid_request")
    said = (optional_text(fields, "message") or "no reason given")[:MAX_EXPLANATION_CHARS]
    is_retryable = category in ("rate", "unavailable")
    code = code[:MAX_CODE_CHARS]
    return ProviderError(f"ElevenLabs says {code}: {said}", code=code, retryable=is_retryable, category=category)
