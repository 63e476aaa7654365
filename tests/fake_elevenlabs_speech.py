"""ElevenLabs' voices, for one stream (stream-input) and for many contexts (multi-stream-input)."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson

from agents.providers.wire_json import to_base64
from agents.realtime import AudioFormat
from tests.fake_net import FakeService, Hearer, Json, Refused, Wire
from tests.fake_voice import FakeVoice

KEY: Final = "elevenlabs-key-0123456789"
MAX_CONTEXTS: Final = 5

_QUERY: Final = {"model_id", "output_format", "inactivity_timeout", "language_code", "auto_mode", "sync_alignment"}
_QUERY_TOO: Final = {"enable_logging", "enable_ssml_parsing", "apply_text_normalization", "seed"}
_FIRST_ONLY: Final = {"voice_settings", "generation_config", "pronunciation_dictionary_locators", "xi_api_key"}
_FIELDS: Final = {
    "text",
    "context_id",
    "flush",
    "close_context",
    "close_socket",
    "try_trigger_generation",
} | _FIRST_ONLY


class FakeElevenLabsSpeech(FakeService):
    """`failure` is the code and the words of the error that each text gets. `calls` has connections."""

    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.voice = FakeVoice()
        self.refusal: tuple[int, Json] | None = None
        self.failure: tuple[str, str] | None = None
        self.violations: list[str] = []
        self.calls: list[ElevenCall] = []

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Hearer:
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.refusal:
            raise Refused(*self.refusal)
        if headers.get("xi-api-key") != self.key:
            raise Refused(401, {"detail": {"status": "invalid_api_key", "message": "Invalid API key"}})
        match parts.path.split("/"):
            case ["", "v1", "text-to-speech", voice, "multi-stream-input" | "stream-input" as kind] if voice:
                pass
            case _:
                raise Refused(404, {"detail": {"status": "not_found", "message": parts.path}})
        wanted = query.get("output_format", "")
        if query.keys() - _QUERY - _QUERY_TOO or wanted not in ("pcm_24000", "pcm_16000", "ulaw_8000"):
            self.violations.append(url)
            raise Refused(400, {"detail": {"status": "bad_request", "message": url}})
        if not 1 <= int(query.get("inactivity_timeout", "20")) <= 180:
            self.violations.append(f"inactivity_timeout {query['inactivity_timeout']}")
        call = ElevenCall(self, wire, wanted, voice=voice, query=query, is_multi=kind == "multi-stream-input")
        self.calls.append(call)
        return call


class ElevenCall(Hearer):
    """`contexts` has all text of each living or past context."""

    def __init__(
        self,
        service: FakeElevenLabsSpeech,
        wire: Wire,
        wanted: str,
        *,
        voice: str,
        query: Mapping[str, str],
        is_multi: bool,
    ) -> None:
        self.service = service
        self.wire = wire
        self.voice = voice
        self.query = query
        self.is_multi = is_multi
        self.contexts: dict[str, str] = {}
        self.closed: list[str] = []
        self.settings: dict[str, Json] = {}
        self.close_code: int | None = None
        self._living: set[str] = set()
        self._unspoken: dict[str, str] = {}
        self._held: list[str] = []
        mime_type: Any = "audio/pcm" if wanted.startswith("pcm") else "audio/pcmu"
        self.format = AudioFormat(mime_type=mime_type, sample_rate=int(wanted.rpartition("_")[2]))

    async def hear(self, message: str | bytes) -> None:
        fields: Json = orjson.loads(message)
        if fields.keys() - _FIELDS:
            self.service.violations.append(f"unknown fields: {fields}")
            await self.fail("input_error", "unknown fields")
            return
        context = str(fields.get("context_id", ""))
        if self.is_multi != bool(context) and not fields.get("close_socket"):
            self.service.violations.append(f"a context is {'needed' if self.is_multi else 'unknown'}: {fields}")
        if fields.get("close_socket"):
            await self.wire.close()
        elif fields.get("close_context"):
            await self._close(context)
        elif context not in self._living:
            await self._open(context, fields)
        elif fields.get("text") == "" and not self.is_multi:
            await self._close(context)
        else:
            await self._text(context, fields)

    async def _open(self, context: str, fields: Json) -> None:
        if fields.get("text") != " ":
            self.service.violations.append(f"a context should begin with a space: {fields}")
        if len(self._living) >= MAX_CONTEXTS:
            await self.fail("max_active_conversations", "Maximum simultaneous contexts exceeded (5).")
            return
        self._living.add(context)
        self.contexts[context] = self._unspoken[context] = ""
        self.settings[context] = fields.get("voice_settings") or {}

    async def _text(self, context: str, fields: Json) -> None:
        text = fields.get("text") or ""
        if fields.keys() & _FIRST_ONLY or (text and not text.endswith(" ")):
            self.service.violations.append(f"text should end with a space, and have no settings: {fields}")
        if self.service.failure:
            await self.fail(*self.service.failure)
            return
        self.contexts[context] += text
        self._unspoken[context] += text
        if fields.get("flush") or fields.get("try_trigger_generation"):
            await self._speak(context)

    async def _speak(self, context: str) -> None:
        text, self._unspoken[context] = self._unspoken[context], ""
        for piece in self.service.voice.speak(text, self.format) if text.strip() else ():
            await self._send(context, {"audio": to_base64(piece), "alignment": None, "normalizedAlignment": None})

    async def _close(self, context: str) -> None:
        self.closed.append(context)
        if context not in self._living:
            return
        if not self.is_multi:
            await self._speak(context)
        if self.service.voice.holds:
            self._held.append(context)
        else:
            await self._finish(context)

    async def _finish(self, context: str) -> None:
        self._living.discard(context)
        await self._send(context, {"isFinal": True} | ({} if self.is_multi else {"audio": None}))
        if not self.is_multi:
            await self.wire.close()

    async def release(self) -> None:
        held, self._held = self._held, []
        for context in held:
            await self._finish(context)

    async def _send(self, context: str, fields: Json) -> None:
        await self.wire.send_json(fields | ({"contextId": context} if self.is_multi else {}))

    async def fail(self, code: str, message: str) -> None:
        await self.wire.send_json({"message": message, "error": code, "code": 1008})
        await self.wire.close(1008, message[:100])

    async def left(self, code: int) -> None:
        self.close_code = code
