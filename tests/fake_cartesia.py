"""Cartesia's voices (/tts/websocket): sentences follow each other in contexts. Strict about what it is sent."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from agents.providers.wire_json import to_base64
from agents.realtime import AudioFormat
from tests.fake_net import FakeService, Hearer, Json, Refused, Wire
from tests.fake_voice import FakeVoice

KEY: Final = "cartesia-key-0123456789"
VERSIONS: Final = ("2026-03-01", "2026-08-14")

_REQUIRED: Final = {"model_id", "transcript", "voice", "output_format", "context_id"}
_ALLOWED: Final = _REQUIRED | {"language", "continue", "flush", "max_buffer_delay_ms", "generation_config"}
_ALLOWED_TOO: Final = {"add_timestamps", "add_phoneme_timestamps", "pronunciation_dict_id", "speed"}
_MAY_DIFFER: Final = {"transcript", "continue", "flush"}


class FakeCartesia(FakeService):
    """`failure` is the status, the code and the words of the error that each request gets. `calls` has connections."""

    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.voice = FakeVoice()
        self.refusal: tuple[int, Json] | None = None
        self.failure: tuple[int, str, str] | None = None
        self.violations: list[str] = []
        self.calls: list[CartesiaCall] = []

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Hearer:
        if self.refusal:
            raise Refused(*self.refusal)
        if headers.get("Authorization") != f"Bearer {self.key}":
            raise Refused(401, {"error_code": "unauthorized", "title": "Unauthorized", "message": "no such key"})
        if urlsplit(url).path != "/tts/websocket" or headers.get("Cartesia-Version") not in VERSIONS:
            self.violations.append(f"{url} {headers.get('Cartesia-Version')}")
            raise Refused(400, {"error_code": "bad_request", "title": "Bad request", "message": url})
        call = CartesiaCall(self, wire)
        self.calls.append(call)
        return call


class CartesiaCall(Hearer):
    """`contexts` has all text of each context; `cancelled` those that were."""

    def __init__(self, service: FakeCartesia, wire: Wire) -> None:
        self.service = service
        self.wire = wire
        self.requests: list[Json] = []
        self.contexts: dict[str, str] = {}
        self.cancelled: list[str] = []
        self.close_code: int | None = None
        self._over: set[str] = set()
        self._held: list[str] = []
        self._settings: dict[str, Json] = {}

    async def hear(self, message: str | bytes) -> None:
        fields: Json = orjson.loads(message)
        context = fields.get("context_id")
        if fields.get("cancel") is True and fields.keys() == {"cancel", "context_id"}:
            self.cancelled.append(str(context))
            self._over.add(str(context))
            return
        if wrong := self._wrong(fields):
            self.service.violations.append(wrong)
            await self.error(context, 400, "bad_request", wrong)
            return
        self.requests.append(fields)
        assert isinstance(context, str)
        if self.service.failure:
            await self.error(context, *self.service.failure)
            return
        await self._speak(context, fields)

    def _wrong(self, fields: Json) -> str | None:
        if not (fields.keys() >= _REQUIRED and fields.keys() <= _ALLOWED | _ALLOWED_TOO):
            return f"fields: {sorted(fields)}"
        context = fields["context_id"]
        if context in self._over:
            return f"the context {context} is over"
        match fields["output_format"]:
            case {"container": "raw", "encoding": "pcm_s16le" | "pcm_mulaw", "sample_rate": 8000 | 16000 | 24000}:
                pass
            case other:
                return f"output_format: {other}"
        if fields["voice"].keys() != {"mode", "id"} or not isinstance(fields["voice"]["id"], str):
            return f"voice: {fields['voice']}"
        if not 0.6 <= fields.get("generation_config", {}).get("speed", 1.0) <= 1.5:
            return f"generation_config: {fields['generation_config']}"
        if fields.get("continue") is not False and not fields["transcript"]:
            return "an empty transcript, and more to come"
        settings = {name: value for name, value in fields.items() if name not in _MAY_DIFFER}
        if self._settings.setdefault(context, settings) != settings:
            return f"the settings of {context} changed"
        return None

    async def _speak(self, context: str, fields: Json) -> None:
        text = fields["transcript"]
        self.contexts[context] = self.contexts.get(context, "") + text
        wanted = fields["output_format"]
        mime_type: Any = "audio/pcm" if wanted["encoding"] == "pcm_s16le" else "audio/pcmu"
        audio_format = AudioFormat(mime_type=mime_type, sample_rate=wanted["sample_rate"])
        if text:
            for piece in self.service.voice.speak(text, audio_format):
                chunk = {"type": "chunk", "data": to_base64(piece), "done": False, "status_code": 206, "step_time": 5.0}
                await self.wire.send_json(chunk | {"context_id": context})
        if not fields.get("continue"):
            self._over.add(context)
            if self.service.voice.holds:
                self._held.append(context)
            else:
                await self._done(context)

    def expire(self) -> None:
        """All contexts are forgotten, as they are a second after their last sound."""
        self._over.update(self.contexts)

    async def release(self) -> None:
        held, self._held = self._held, []
        for context in held:
            await self._done(context)

    async def _done(self, context: str) -> None:
        await self.wire.send_json({"type": "done", "done": True, "status_code": 206, "context_id": context})

    async def error(self, context: str | None, status: int, code: str, message: str) -> None:
        said = {"type": "error", "done": True, "status_code": status, "error_code": code, "title": code}
        await self.wire.send_json(
            said | {"message": message, "request_id": "r"} | ({"context_id": context} if context else {})
        )

    async def left(self, code: int) -> None:
        self.close_code = code
