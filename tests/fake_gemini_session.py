"""One connection of the fake Gemini: its setup, its ears, its turns."""

import asyncio
from itertools import zip_longest
from typing import TYPE_CHECKING

import orjson

from agents.realtime import AudioFormat
from tests.fake_ear import Ear
from tests.fake_gemini_checks import Wrong, audio_of, checked
from tests.fake_gemini_words import ENDS, audio_part, pieces, usage
from tests.fake_net import Hearer, Json, Wire
from tests.rig import Calls, Fails, Says

if TYPE_CHECKING:
    from tests.fake_gemini import FakeGemini

EARS = AudioFormat(sample_rate=16_000)
PIECE_MS = 100


class Session(Hearer):
    """What a test looks at: `setup`, `received` (all after it), `past`, `results`, `responses`."""

    def __init__(self, service: "FakeGemini", wire: Wire) -> None:
        self.service = service
        self.wire = wire
        self.setup: Json = {}
        self.received: list[tuple[str, Json]] = []
        self.past: list[tuple[str, str]] = []
        self.results: dict[str, Json] = {}
        self.handle: str | None = None
        self.responses = 0
        self.refused: tuple[int, str] | None = None
        self.is_open = True
        self.over = asyncio.Event()
        self.says: Says | None = None
        self.playing = False
        self.calls: dict[str, str] = {}
        self.cancelled: set[str] = set()
        self.is_active = self.is_manual = False
        self.in_history = False
        self.ear = Ear(EARS)

    async def send(self, **members: object) -> None:
        message = orjson.dumps(members)
        if self.is_open:
            await self.wire.send(message.decode() if self.service.sends_text else message)

    async def content(self, **fields: object) -> None:
        await self.send(serverContent=fields)

    async def close(self, code: int, reason: str) -> None:
        if self.is_open:
            self.is_open = False
            await self.wire.close(code, reason)

    async def left(self, code: int) -> None:
        self.is_open = False
        self.over.set()

    # ---- what it is told ----

    async def hear(self, message: str | bytes) -> None:
        if not self.is_open:
            return
        if self.refused:
            await self.close(*self.refused)
            return
        try:
            kind, fields = checked(orjson.loads(message))
            if (kind == "setup") != (not self.setup):
                raise Wrong("setup should come first, and once", 1008)
            if kind != "setup":
                self.received.append((kind, fields))
            await getattr(self, f"_{kind}")(fields)
        except Wrong as wrong:
            self.service.violate(str(wrong))
            await self.close(wrong.code, str(wrong)[:120])

    async def _setup(self, fields: Json) -> None:
        self.setup = fields
        if "model" not in fields:
            raise Wrong("setup.model is required")
        if self._at("generationConfig", "responseModalities") != ["AUDIO"]:
            raise Wrong("the model answers in AUDIO only")
        handle = self._at("sessionResumption", "handle")
        if handle is not None and handle not in self.service.handles:
            await self.close(1007, "Request contains an invalid argument: session handle not found")
            return
        if handle is not None:
            before, self.handle = self.service.handles[handle], handle
            if before.is_open:
                await self.close(1011, "Internal error encountered: the session is in use.")
                return
            self.calls = dict(before.calls)
        detection = ("realtimeInputConfig", "automaticActivityDetection")
        self.is_manual = self._at(*detection, "disabled") is True
        silence_ms = self._at(*detection, "silenceDurationMs")
        self.ear = Ear(EARS, silence_duration_ms=silence_ms if isinstance(silence_ms, int) else 500)
        self.in_history = bool(self._at("historyConfig", "initialHistoryInClientContent"))
        await self.send(setupComplete={"sessionId": f"session-{len(self.service.sessions)}"})
        await self._tell_handle()

    async def _realtimeInput(self, fields: Json) -> None:
        match fields:
            case {"audio": {"data": data}}:
                await self._audio(audio_of(data))
            case {"text": _}:
                await self._answer()
            case {"activityStart": _} | {"activityEnd": _} if not self.is_manual:
                raise Wrong("Explicit activity control is not supported when automatic activity detection is enabled.")
            case {"audioStreamEnd": _} if self.is_manual:
                raise Wrong("audioStreamEnd is for automatic activity detection")
            case {"activityStart": _}:
                if self.is_active:
                    raise Wrong("activityStart within an activity")
                self.is_active = True
                await self._voice_began()
            case {"activityEnd": _}:
                if not self.is_active:
                    raise Wrong("activityEnd without an activity")
                self.is_active = False
                await self._voice_ended()
            case {"audioStreamEnd": _} if self.ear.is_speech:
                self.ear.is_speech = False
                await self._voice_ended()

    async def _clientContent(self, fields: Json) -> None:
        is_complete = fields.get("turnComplete", False)
        if not is_complete and not fields.get("turns"):
            raise Wrong("clientContent without content")
        for turn in fields.get("turns", []):
            text = turn["parts"][0]["text"]
            if not text.strip():
                raise Wrong("Unable to submit request because it has an empty text parameter.")
            if self.in_history:
                self.past.append(("assistant" if turn["role"] == "model" else "user", text))
        if self.in_history:
            self.in_history = not is_complete
            return
        await self._interrupt()
        if is_complete:
            await self._answer()

    async def _toolResponse(self, fields: Json) -> None:
        for answer in fields["functionResponses"]:
            call_id = answer.get("id")
            if call_id not in self.calls or answer.get("name") != self.calls[call_id]:
                raise Wrong(f"function response for no call: {answer.get('id')} {answer.get('name')}")
            if call_id in self.cancelled:
                raise Wrong(f"function response for a call that was cancelled: {call_id}")
            if not answer["response"].keys() & {"output", "error"}:
                raise Wrong("function response without output and error")
            del self.calls[call_id]
            self.results[call_id] = answer["response"]
        is_silent = all(answer.get("scheduling") == "SILENT" for answer in fields["functionResponses"])
        if not self.calls and not is_silent:
            await self._answer()

    async def _contextUpdate(self, fields: Json) -> None:
        if not str(self.setup["model"]).startswith("models/gemini-3.8"):
            raise Wrong("contextUpdate is not supported by this model", 1008)

    # ---- the caller's voice ----

    async def _audio(self, audio: bytes) -> None:
        if self.in_history:
            raise Wrong("audio before the history is complete")
        if self.is_manual and not self.is_active:
            raise Wrong("audio outside of an activity")
        for is_speech in self.ear.hear(audio):
            if self.is_manual:
                continue
            await (self._voice_began() if is_speech else self._voice_ended())

    async def _voice_began(self) -> None:
        if self.service.has_signals and not self.is_manual:
            offset = f"{self.ear.heard_ms / 1000:g}s"
            await self.send(voiceActivity={"voiceActivityType": "ACTIVITY_START", "audioOffset": offset})
        if self._at("realtimeInputConfig", "activityHandling") == "NO_INTERRUPTION":
            return
        if self.calls:
            gone, self.calls = list(self.calls), {}
            self.cancelled |= set(gone)
            self.calls |= dict.fromkeys((), "")
            await self.send(toolCallCancellation={"ids": gone})
        await self._interrupt()

    async def _voice_ended(self) -> None:
        if self.service.has_signals and not self.is_manual:
            offset = f"{self.ear.heard_ms / 1000:g}s"
            await self.send(voiceActivity={"voiceActivityType": "ACTIVITY_END", "audioOffset": offset})
        if "inputAudioTranscription" in self.setup:
            for word in pieces(self.service.words):
                await self.content(inputTranscription={"text": word})
            if self.service.finishes:
                await self.content(inputTranscription={"finished": True})
        await self._answer()

    async def _interrupt(self) -> None:
        """Stops what is generated or being played; what was on its way still comes."""
        if self.says or self.playing:
            self.says, self.playing = None, False
            await self.content(interrupted=True)
            await self.content(modelTurn=audio_part(PIECE_MS))
            await self.content(turnComplete=True)
            await self._tell_handle()

    # ---- the model's turns ----

    async def _answer(self) -> None:
        if self.says or self.playing:
            return
        self.responses += 1
        await self.send(sessionResumptionUpdate={"newHandle": "", "resumable": False})
        match self.service.next_reply():
            case Says() as says:
                await self._speak(says)
                self.says = says
                if not says.holds:
                    await self.release()
            case Calls(tools, first):
                if first:
                    await self._speak(first)
                calls = [(f"call-{next(self.service.ids)}", tool) for tool in tools]
                self.calls |= {call_id: tool.name for call_id, tool in calls}
                made = [{"id": call_id, "name": t.name, "args": orjson.loads(t.arguments)} for call_id, t in calls]
                await self.send(toolCall={"functionCalls": made})
            case Fails(category):
                await self.close(*ENDS[category])

    async def _speak(self, says: Says) -> None:
        lengths = [min(PIECE_MS, says.audio_ms - start) for start in range(0, says.audio_ms, PIECE_MS)]
        for word, ms in zip_longest(pieces(says.text), lengths):
            fields: Json = {}
            if word is not None:
                fields["outputTranscription"] = {"text": word}
            if ms is not None:
                fields["modelTurn"] = audio_part(ms)
            await self.content(**fields)

    async def release(self) -> None:
        """All is generated; the turn ends with it, unless its playing out is a test's to end."""
        if self.says is None:
            return
        audio_ms, self.says, self.playing = self.says.audio_ms, None, True
        await self.content(generationComplete=True)
        if not self.service.plays_out:
            await self.played(audio_ms)

    async def played(self, audio_ms: int = 0) -> None:
        if self.playing:
            self.playing = False
            await self.send(serverContent={"turnComplete": True}, usageMetadata=usage(audio_ms))
            await self._tell_handle()

    async def take_back(self, call_id: str) -> None:
        del self.calls[call_id]
        self.cancelled.add(call_id)
        await self.send(toolCallCancellation={"ids": [call_id]})

    async def _tell_handle(self) -> None:
        if "sessionResumption" in self.setup:
            handle = f"handle-{next(self.service.ids)}"
            self.service.handles[handle] = self
            await self.send(sessionResumptionUpdate={"newHandle": handle, "resumable": True})

    def _at(self, *path: str) -> object:
        fields: object = self.setup
        for name in path:
            fields = fields.get(name) if isinstance(fields, dict) else None
        return fields
