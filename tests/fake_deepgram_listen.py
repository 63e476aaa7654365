"""Deepgram's streaming recognisers, Flux (/v2/listen) and Nova (/v1/listen): strict about what they are sent.

Time is audio: turns are found by `tests.fake_ear`, and every turn is transcribed as `words`.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import orjson

from agents.realtime import AudioFormat
from tests.fake_ear import Ear
from tests.fake_net import FakeService, Hearer, Json, Refused, Wire

KEY: Final = "deepgram-key-0123456789"

_SHARED: Final = {"model", "encoding", "sample_rate", "keyterm"}
_QUERY: Final = {
    "/v1/listen": _SHARED
    | {"channels", "interim_results", "smart_format", "endpointing", "utterance_end_ms", "vad_events", "language"}
    | {"profanity_filter", "punctuate", "numerals", "redact", "tag", "mip_opt_out"},
    "/v2/listen": _SHARED
    | {"eot_threshold", "eager_eot_threshold", "eot_timeout_ms", "language_hint"}
    | {"profanity_filter", "numerals", "redact", "tag", "mip_opt_out"},
}
_MODELS: Final = {"/v1/listen": ("nova-2", "nova-3"), "/v2/listen": ("flux-general-en", "flux-general-multi")}


class FakeDeepgramListen(FakeService):
    """`refusal` is the status and the body for all who come next. `calls` has each connection."""

    def __init__(self, words: str = "What time is it?", key: str = KEY) -> None:
        self.words = words
        self.key = key
        self.refusal: tuple[int, Json] | None = None
        self.violations: list[str] = []
        self.calls: list[ListenCall] = []

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Hearer:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True)
        if self.refusal:
            raise Refused(*self.refusal)
        if headers.get("Authorization") != f"Token {self.key}":
            raise Refused(401, {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": "r"})
        if wrong := self._wrong(parts.path, query):
            self.violations.append(wrong)
            raise Refused(400, {"err_code": "Bad Request", "err_msg": wrong, "request_id": "r"})
        call = (FluxCall if parts.path == "/v2/listen" else NovaCall)(self, query, wire)
        self.calls.append(call)
        await call.begin()
        return call

    def _wrong(self, path: str, query: dict[str, list[str]]) -> str | None:
        """What the server would refuse of a query; None for nothing."""
        if path not in _QUERY:
            return f"no such page: {path}"
        if unknown := sorted(query.keys() - _QUERY[path]):
            return f"unknown parameters of {path}: {unknown}"
        if twice := sorted(name for name, values in query.items() if len(values) > 1 and name != "keyterm"):
            return f"said twice: {twice}"
        one = {name: values[0] for name, values in query.items()}
        if one.get("model") not in _MODELS[path]:
            return f"no model {one.get('model')} at {path}"
        if one.get("encoding") not in ("linear16", "mulaw") or not one.get("sample_rate", "").isdecimal():
            return f"no audio like {one.get('encoding')} {one.get('sample_rate')}"
        if path == "/v2/listen":
            if not 0.5 <= float(one.get("eot_threshold", "0.7")) <= 1:
                return f"eot_threshold {one['eot_threshold']}"
            if not 500 <= int(one.get("eot_timeout_ms", "5000")) <= 60_000:
                return f"eot_timeout_ms {one['eot_timeout_ms']}"
            if "language_hint" in one and one["model"] != "flux-general-multi":
                return "language_hint is for flux-general-multi"
        elif "utterance_end_ms" in one and (
            int(one["utterance_end_ms"]) < 1000 or one.get("interim_results") != "true"
        ):
            return "utterance_end_ms needs interim_results, and 1000 at least"
        return None


class ListenCall(Hearer):
    """One connection. `query` is what it was opened with."""

    controls: frozenset[str] = frozenset()

    def __init__(self, service: FakeDeepgramListen, query: dict[str, list[str]], wire: Wire) -> None:
        self.service = service
        self.query = query
        self.wire = wire
        self.controlled: list[str] = []
        self.close_code: int | None = None
        rate = int(query["sample_rate"][0])
        is_pcm = query["encoding"] == ["linear16"]
        self.format = AudioFormat(mime_type="audio/pcm" if is_pcm else "audio/pcmu", sample_rate=rate)
        self.ear = Ear(self.format, self.silence_ms)
        self._begun_ms = 0

    @property
    def silence_ms(self) -> int:
        return 500

    @property
    def heard_ms(self) -> int:
        return self.ear.heard_ms

    async def begin(self) -> None:
        pass

    async def hear(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            if not message:
                self.service.violations.append("an empty piece of audio")
            for is_speech in self.ear.hear(message):
                await (self._speech_began() if is_speech else self._speech_stopped())
            return
        fields = orjson.loads(message)
        kind = fields.get("type")
        if kind not in self.controls or fields.keys() - {"type", "keyterms", "thresholds", "language_hints"}:
            self.service.violations.append(f"unknown message: {fields}")
            await self._refuse(fields)
            return
        self.controlled.append(kind)
        await self._control(kind)

    async def left(self, code: int) -> None:
        self.close_code = code

    async def _refuse(self, fields: Json) -> None: ...

    async def _control(self, kind: str) -> None: ...

    async def _speech_began(self) -> None: ...

    async def _speech_stopped(self) -> None: ...


class FluxCall(ListenCall):
    controls = frozenset({"CloseStream", "Configure", "ForceEndTurn"})
    _sequence = 0
    _turn = 0
    _is_open = False

    @property
    def is_manual(self) -> bool:
        return self.query.get("eot_threshold") == ["1.0"]

    async def begin(self) -> None:
        await self.send({"type": "Connected"})

    async def send(self, fields: Json) -> None:
        await self.wire.send_json({"request_id": "req", "sequence_id": self._sequence} | fields)
        self._sequence += 1

    async def turn(self, event: str, text: str, **more: str) -> None:
        words = [{"word": word, "confidence": 0.9} for word in text.split()]
        if words:
            words[0] |= {"start": self._begun_ms / 1000, "end": self._begun_ms / 1000 + 0.2}
        fields: Json = {"type": "TurnInfo", "event": event, "turn_index": self._turn, "transcript": text}
        fields |= {"audio_window_start": self._begun_ms / 1000, "audio_window_end": self.heard_ms / 1000}
        await self.send(fields | {"words": words, "end_of_turn_confidence": 0.8} | more)

    async def _speech_began(self) -> None:
        self._begun_ms, self._is_open = self.heard_ms, True
        await self.turn("StartOfTurn", self.service.words.partition(" ")[0])

    async def _speech_stopped(self) -> None:
        if self._is_open:
            await self.turn("Update", self.service.words)
            if not self.is_manual:
                await self.turn("EagerEndOfTurn", self.service.words) if "eager_eot_threshold" in self.query else None
                await self.end("model")

    async def end(self, trigger: str) -> None:
        self._is_open = False
        await self.turn("EndOfTurn", self.service.words, trigger=trigger)
        self._turn += 1

    async def _control(self, kind: str) -> None:
        match kind:
            case "ForceEndTurn" if self._is_open:
                await self.end("manual")
            case "CloseStream":
                await self.wire.close()

    async def _refuse(self, fields: Json) -> None:
        said = {"code": "UNPARSABLE_CLIENT_MESSAGE", "description": f"no message is like {sorted(fields)}"}
        await self.send({"type": "Error"} | said)
        await self.wire.close(1008, "UNPARSABLE_CLIENT_MESSAGE")


class NovaCall(ListenCall):
    controls = frozenset({"CloseStream", "Configure", "Finalize", "KeepAlive"})
    _unfinished = False

    @property
    def silence_ms(self) -> int:
        endpointing = self.query.get("endpointing", ["10"])[0]
        return 10**9 if endpointing == "false" else max(20, int(endpointing))

    async def results(self, text: str, *, is_final: bool, is_over: bool = False, is_asked_for: bool = False) -> None:
        words = [{"word": word, "start": 0.1, "end": 0.2, "confidence": 0.9} for word in text.split()]
        info = {"name": "nova", "version": "1", "arch": "nova-3"}
        await self.wire.send_json(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "start": self._begun_ms / 1000,
                "duration": (self.heard_ms - self._begun_ms) / 1000,
                "is_final": is_final,
                "speech_final": is_over,
                "from_finalize": is_asked_for,
                "channel": {"alternatives": [{"transcript": text, "confidence": 0.9, "words": words}]},
                "metadata": {"request_id": "req", "model_info": info, "model_uuid": "m"},
            }
        )

    async def _speech_began(self) -> None:
        self._begun_ms, self._unfinished = self.heard_ms, True
        if self.query.get("vad_events") == ["true"]:
            await self.wire.send_json({"type": "SpeechStarted", "channel": [0], "timestamp": self.heard_ms / 1000})
        await self.results(self.service.words.partition(" ")[0], is_final=False)

    async def _speech_stopped(self) -> None:
        """Says it in two pieces, as long turns are."""
        self._unfinished = False
        first, _, rest = self.service.words.rpartition(" ")
        if first:
            await self.results(first, is_final=True)
        await self.results(rest, is_final=True, is_over=True)
        if "utterance_end_ms" in self.query:
            await self.wire.send_json(
                {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": self.heard_ms / 1000}
            )

    async def _control(self, kind: str) -> None:
        match kind:
            case "Finalize":
                text, self._unfinished = self.service.words if self._unfinished else "", False
                await self.results(text, is_final=True, is_asked_for=True)
            case "CloseStream":
                await self.wire.close()

    async def _refuse(self, fields: Json) -> None:
        await self.wire.send_json({"type": "Error", "variant": "SchemaError", "description": "cannot be parsed"})
        await self.wire.close(1011, "DATA-0000: cannot be parsed")
