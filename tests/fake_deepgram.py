"""Deepgram's Voice Agent (V1), strict about what it is sent, scripted by tests.

service = FakeDeepgram()
service.replies.append(Says("Hello!"))
model = DeepgramModel("gpt-4o-mini", api_key=KEY)
await model.connect(RealtimeConnectOptions(websocket=in_memory(service)))
...
assert service.violations == []

A reply is a ConversationText, audio, and AgentAudioDone. Of one that the caller breaks off some audio, and its
AgentAudioDone, still come after UserStartedSpeaking, as they were on their way.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

import orjson

from agents.errors import ErrorCategory
from agents.realtime import PCM, PCMU, AudioFormat
from tests.deepgram_messages import MESSAGES
from tests.fake_ear import Ear, tone
from tests.fake_net import FakeService, Hearer, Json, Refused, Wire
from tests.rig import Calls, Fails, Reply, Says
from tests.wire_shape import check

KEY: Final = "dg-test-0123456789abcdef"
TOKEN: Final = "dg.temporary.token"
EXPIRED: Final = "The session has reached its maximum duration of 2 hours."
PIECE_MS: Final = 100

REFUSALS: Final[Mapping[ErrorCategory, tuple[int, str]]] = {
    "auth": (401, "INVALID_AUTH"),
    "quota": (402, "ASR_PAYMENT_REQUIRED"),
    "rate": (429, "TOO_MANY_REQUESTS"),
    "invalid_request": (400, "INVALID_QUERY_PARAMETER"),
    "unavailable": (503, "SERVICE_UNAVAILABLE"),
}
ERRORS: Final[Mapping[ErrorCategory, str]] = {
    "auth": "INSUFFICIENT_PERMISSIONS",
    "quota": "PAYMENT_REQUIRED",
    "rate": "TOO_MANY_REQUESTS",
    "invalid_request": "INVALID_SETTINGS",
    "session_limit": "MAX_SESSION_DURATION",
    "network": "CLIENT_MESSAGE_TIMEOUT",
    "unavailable": "FAILED_TO_THINK",
}


class FakeDeepgram(FakeService):
    """`replies` are taken in order by whichever session replies next; it says "Hello" when they run out.

    `refuses_words` makes it refuse injected words of the agent's. `is_chatty` adds what only some configurations get:
    latencies, thoughts, AgentStartedSpeaking, EndOfTurn, History.
    """

    def __init__(self, *replies: Reply, caller_words: str = "What time is it?", is_chatty: bool = False) -> None:
        self.replies: deque[Reply] = deque(replies)
        self.caller_words = caller_words
        self.is_chatty = is_chatty
        self.refuses: ErrorCategory | None = None
        self.refuses_words = False
        self.sessions: list[FakeDeepgramSession] = []
        self.urls: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.grants: list[Json] = []
        self.violations: list[str] = []

    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Hearer:
        self.urls.append(url)
        self.headers.append(headers)
        if urlsplit(url).path != "/v1/agent/converse":
            raise Refused(404, {"err_code": "NOT_FOUND", "err_msg": f"no such page: {url}"})
        if self.refuses:
            status, code = REFUSALS[self.refuses]
            raise Refused(status, {"err_code": code, "err_msg": "not today", "request_id": "req_0"})
        if headers.get("Authorization") not in (f"Token {KEY}", f"Bearer {TOKEN}"):
            raise Refused(401, {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": "req_0"})
        session = FakeDeepgramSession(f"req_{len(self.sessions) + 1}", self, wire)
        self.sessions.append(session)
        await session.say("Welcome", request_id=session.request_id)
        return session

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Json]:
        if (method, url) != ("POST", "/v1/auth/grant"):
            return await super().request(method, url, headers, body)
        if headers.get("Authorization") != f"Token {KEY}":
            return 401, {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials."}
        wanted = orjson.loads(body)
        self.grants.append(wanted)
        return 200, {"access_token": TOKEN, "expires_in": wanted.get("ttl_seconds", 30)}


class FakeDeepgramSession(Hearer):
    """One connection. `heard` is every JSON message it was sent."""

    def __init__(self, request_id: str, service: FakeDeepgram, wire: Wire) -> None:
        self.request_id = request_id
        self.service = service
        self.wire = wire
        self.heard: list[Json] = []
        self.settings: Json = {}
        self.results: dict[str, str] = {}
        self.responses = 0
        self.is_over = False
        self.left_with: int | None = None
        self._ear: Ear | None = None
        self._speaks: AudioFormat = PCM
        self._is_speaking = False
        self._pending: dict[str, str] = {}
        self._calls = 0

    @property
    def heard_ms(self) -> int:
        return self._ear.heard_ms if self._ear else 0

    def sent(self, kind: str) -> list[Json]:
        return [message for message in self.heard if message["type"] == kind]

    async def say(self, kind: str, **fields: object) -> None:
        await self.wire.send_json({"type": kind, **fields})

    async def fail(self, code: str, description: str) -> None:
        self.is_over = True
        await self.say("Error", code=code, description=description)
        await self.wire.close(1000)

    async def left(self, code: int) -> None:
        self.left_with = code

    # ---- what it hears ----

    async def hear(self, message: str | bytes) -> None:
        if self.is_over:
            return
        if isinstance(message, bytes):
            await self._hear_audio(message)
            return
        fields = orjson.loads(message)
        self.heard.append(fields)
        kind = fields.get("type")
        wrong = check(fields, MESSAGES[kind]) if kind in MESSAGES else [f"no message {kind!r}"]
        if wrong:
            await self._refuse("UNPARSABLE_CLIENT_MESSAGE", "; ".join(wrong))
        elif not self.settings and kind != "Settings":
            await self._refuse("NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", kind)
        elif self.settings and kind == "Settings":
            await self._refuse("SETTINGS_ALREADY_APPLIED", kind)
        else:
            await self._act(kind, fields)

    async def _refuse(self, code: str, why: str) -> None:
        self.service.violations.append(f"{code}: {why}")
        await self.fail(code, why)

    async def _hear_audio(self, audio: bytes) -> None:
        if self._ear is None:
            await self._refuse("NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", "audio")
            return
        if not audio or (self._ear.format == PCM and len(audio) % 2):
            self.service.violations.append(f"{len(audio)} bytes of audio")
        for is_speech in self._ear.hear(audio):
            if self.service.is_chatty:
                await self.say("LatencyReport", stt_latency=0.1)
            if is_speech:
                await self.user_starts()
            else:
                await self.user_said(self.service.caller_words)

    async def _act(self, kind: str, fields: Json) -> None:
        match kind:
            case "Settings":
                self.settings = fields
                given = fields["audio"]
                self._ear = Ear(_format(given["input"]))
                self._speaks = _format(given["output"])
                await self.say("SettingsApplied")
            case "UpdatePrompt" | "UpdateSpeak" | "UpdateThink" | "UpdateListen":
                await self.say(f"{kind.removeprefix('Update')}Updated")
            case "InjectAgentMessage" if self.service.refuses_words:
                await self.say("InjectionRefused", message="USER_MID_TURN")
                await self.say("Warning", code="INJECT_AGENT_MESSAGE_DURING_USER_SPEECH", description="ignored")
            case "InjectAgentMessage":
                await self._reply(words=fields["message"])
            case "InjectUserMessage":
                await self._hears_words(fields["content"])
            case "FunctionCallResponse":
                await self._answered(fields)
            case "ForceEndTurn" if not self._listens_with().startswith("flux-"):
                self.service.violations.append("ForceEndTurn is for Flux")
                await self.say("Warning", code="FORCE_END_TURN_UNSUPPORTED", description="Flux only")
            case "ForceEndTurn" if self._ear and self._ear.is_speech:
                self._ear.is_speech = False
                await self.user_said(self.service.caller_words)

    async def _answered(self, fields: Json) -> None:
        if self._pending.pop(fields["id"], None) != fields["name"]:
            self.service.violations.append(f"an answer to {fields['id']} {fields['name']}, which is not waited for")
            return
        self.results[fields["id"]] = fields["content"]
        if not self._pending:
            await self._reply()

    def _listens_with(self) -> str:
        model: str = self.settings["agent"]["listen"]["provider"]["model"]
        return model

    # ---- what it says ----

    async def user_starts(self) -> None:
        await self.say("UserStartedSpeaking")
        if self._is_speaking:
            self._is_speaking = False
            await self._speak(PIECE_MS)
            await self.say("AgentAudioDone")

    async def user_said(self, text: str) -> None:
        await self._hears_words(text)

    async def _hears_words(self, text: str) -> None:
        if self.service.is_chatty:
            await self.say("EndOfTurn", trigger="manual")
        await self.say("ConversationText", role="user", content=text)
        if self.service.is_chatty:
            await self.say("History", role="user", content=text)
            await self.say("AgentThinking", content="Hm.")
        await self._reply()

    async def take_back(self, call_id: str) -> None:
        name = self._pending.pop(call_id)
        await self.say("FunctionCallCancelled", functions=[{"id": call_id, "name": name}])

    async def release(self) -> None:
        if self._is_speaking:
            self._is_speaking = False
            await self.say("AgentAudioDone")

    async def _reply(self, words: str | None = None) -> None:
        """The next reply; with words these are spoken, whatever it would say."""
        reply = self.service.replies.popleft() if self.service.replies else Says()
        self.responses += 1
        match reply:
            case Says(text, audio_ms, holds):
                await self._says(words or text, audio_ms, holds=holds)
            case Calls(tools, first):
                if first:
                    await self._says(first.text, first.audio_ms, holds=True)
                await self._calls_tools([(tool.name, tool.arguments) for tool in tools])
                if first:
                    await self.release()
            case Fails(category):
                await self.fail(ERRORS[category], "the fake was told to fail")

    async def _says(self, text: str, audio_ms: int, *, holds: bool) -> None:
        self._is_speaking = True
        sentences = text.replace("! ", "!|").replace("? ", "?|").replace(". ", ".|").split("|")
        for sentence in sentences:
            await self.say("ConversationText", role="assistant", content=sentence)
        if self.service.is_chatty:
            await self.say("AgentStartedSpeaking", total_latency=0.5, tts_latency=0.1, ttt_latency=0.4)
        await self._speak(audio_ms)
        if not holds:
            await self.release()

    async def _speak(self, ms: int) -> None:
        audio = tone(ms, self._speaks)
        size = PIECE_MS * self._speaks.bytes_per_ms
        for at in range(0, len(audio), size):
            await self.wire.send(audio[at : at + size])

    async def _calls_tools(self, tools: Iterable[tuple[str, str]]) -> None:
        functions = []
        for name, arguments in tools:
            self._calls += 1
            call_id = f"{self.request_id}_call_{self._calls}"
            self._pending[call_id] = name
            functions.append({"id": call_id, "name": name, "arguments": arguments, "client_side": True})
        await self.say("FunctionCallRequest", functions=functions)


def _format(audio: Json) -> AudioFormat:
    return PCMU if audio["encoding"] == "mulaw" else PCM
