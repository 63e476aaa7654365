"""Deepgram's voices (/v1/speak): text is spoken when it is flushed. Strict about what it is sent."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import orjson

from agents.realtime import AudioFormat
from tests.fake_deepgram_listen import KEY
from tests.fake_net import FakeService, Hearer, Json, Refused, Wire
from tests.fake_voice import FakeVoice

_QUERY: Final = {"model", "encoding", "sample_rate", "speed", "mip_opt_out"}
_RATES: Final = {"linear16": ("8000", "16000", "24000", "32000", "48000"), "mulaw": ("8000", "16000")}


class FakeDeepgramSpeak(FakeService):
    """`confirms_clear`: it says Cleared. `calls` has each connection."""

    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.voice = FakeVoice()
        self.refusal: tuple[int, Json] | None = None
        self.confirms_clear = True
        self.violations: list[str] = []
        self.calls: list[SpeakCall] = []

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Hearer:
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.refusal:
            raise Refused(*self.refusal)
        if headers.get("Authorization") != f"Token {self.key}":
            raise Refused(401, {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": "r"})
        encoding = query.get("encoding", "")
        is_wrong = parts.path != "/v1/speak" or query.keys() - _QUERY or not query.get("model", "").startswith("aura-")
        if is_wrong or query.get("sample_rate") not in _RATES.get(encoding, ()):
            self.violations.append(url)
            raise Refused(400, {"err_code": "Bad Request", "err_msg": url, "request_id": "r"})
        call = SpeakCall(self, query, wire)
        self.calls.append(call)
        model = {"model_name": query["model"], "model_version": "1", "model_uuid": "m"}
        await wire.send_json({"type": "Metadata", "request_id": "r"} | model)
        return call


class SpeakCall(Hearer):
    def __init__(self, service: FakeDeepgramSpeak, query: dict[str, str], wire: Wire) -> None:
        self.service = service
        self.query = query
        self.wire = wire
        self.flushes = self.clears = 0
        self.close_code: int | None = None
        self._sequence = 0
        self._text = ""
        self._held = 0
        mime_type = "audio/pcm" if query["encoding"] == "linear16" else "audio/pcmu"
        self.format = AudioFormat(mime_type=mime_type, sample_rate=int(query["sample_rate"]))  # type: ignore[arg-type]

    async def hear(self, message: str | bytes) -> None:
        match orjson.loads(message):
            case {"type": "Speak", "text": str(text), **rest} if not rest and 0 < len(text) <= 2000:
                self._text += text
            case {"type": "Flush", **rest} if not rest:
                await self._flush()
            case {"type": "Clear", **rest} if not rest:
                self.clears += 1
                self._text, self._held = "", 0
                if self.service.confirms_clear:
                    await self._tell("Cleared")
            case {"type": "Close", **rest} if not rest:
                await self.wire.close()
            case fields:
                self.service.violations.append(f"unknown message: {fields}")
                await self.wire.send_json({"type": "Error", "err_code": "DATA-0000", "err_msg": "cannot be parsed"})
                await self.wire.close(1011, "DATA-0000: cannot be parsed")

    async def _flush(self) -> None:
        self.flushes += 1
        text, self._text = self._text, ""
        for piece in self.service.voice.speak(text, self.format):
            await self.wire.send(piece)
        if self.service.voice.holds:
            self._held += 1
        else:
            await self._tell("Flushed")

    async def release(self) -> None:
        held, self._held = self._held, 0
        for _ in range(held):
            await self._tell("Flushed")

    async def _tell(self, kind: str) -> None:
        await self.wire.send_json({"type": kind, "sequence_id": self._sequence})
        self._sequence += 1

    async def left(self, code: int) -> None:
        self.close_code = code
