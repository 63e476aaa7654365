"""One connection of the fake AssemblyAI, and the session that it may share with others."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import orjson

from agents.errors import ErrorCategory
from agents.providers.wire_json import from_base64, merged, to_base64
from agents.realtime import PCM, PCMU, AudioFormat
from tests.assemblyai_messages import MESSAGES, SESSION, STORED
from tests.fake_ear import Ear, tone
from tests.fake_net import Hearer, Json, Wire
from tests.rig import Calls, Fails, Says, ToolUse
from tests.wire_shape import check

if TYPE_CHECKING:
    from tests.fake_assemblyai import FakeAssemblyAI

PIECE_MS: Final = 100
TRANSITION_MS: Final = 400
"""A reply that calls tools lasts as long as so much of the caller's audio."""

_FORMATS: Final = {"audio/pcm": PCM, "audio/pcmu": PCMU}
_ERRORS: Final[dict[ErrorCategory, str]] = {
    "unavailable": "INTERNAL_ERROR",
    "quota": "insufficient_funds",
    "auth": "UNAUTHORIZED",
    "rate": "rate_limited",
    "session_limit": "session_expired",
    "network": "INTERNAL_ERROR",
    "invalid_request": "invalid_value",
}


@dataclass(slots=True)
class Memory:
    """What the server keeps of a session, over all its connections."""

    session_id: str
    config: Json = field(default_factory=dict)
    has_ended: bool = False
    is_resumable: bool = True


class FakeAssemblyAISession(Hearer):
    """`heard` is every message that it was sent, but for audio. A `refusal`, code and words, answers the first."""

    def __init__(self, service: "FakeAssemblyAI", wire: Wire) -> None:
        self.service = service
        self.wire = wire
        self.heard: list[Json] = []
        self.memory: Memory | None = None
        self.refusal: tuple[str, str] | None = None
        self.resumed: str | None = None
        self.results: dict[str, str] = {}
        self.responses = 0
        self.is_over = False
        self._ear = Ear()
        self._speaks: AudioFormat = PCM
        self._reply_id: str | None = None
        self._is_reply_latest = False
        self._pending: set[str] = set()
        self._transition_ends_ms: int | None = None
        self._count = 0

    @property
    def config(self) -> Json:
        return self.memory.config if self.memory else {}

    @property
    def heard_ms(self) -> int:
        return self._ear.heard_ms

    def sent(self, kind: str) -> list[Json]:
        return [message for message in self.heard if message["type"] == kind]

    async def say(self, kind: str, **fields: object) -> None:
        self._is_reply_latest = kind == "reply.done"
        await self.wire.send_json({"type": kind, **fields})

    async def complain(self, code: str, message: str) -> None:
        await self.wire.send_json({"type": "session.error", "code": code, "message": message, "timestamp": 1.0})

    async def fail(self, code: str, message: str) -> None:
        """An error that the connection does not survive."""
        await self.complain(code, message)
        self.is_over = True
        await self.wire.close(1011 if code == "INTERNAL_ERROR" else 1008, message)

    async def end(self) -> None:
        """The end of the session, as after its longest time."""
        self.is_over = True
        if self.memory:
            self.memory.has_ended = True
            await self.say("session.ended", session_duration_seconds=10.0, audio_duration_seconds=None)
        await self.wire.close(1000)

    # ---- what it hears ----

    async def hear(self, message: str | bytes) -> None:
        if self.is_over:
            return
        if self.refusal:
            await self.fail(*self.refusal)
            return
        fields = orjson.loads(message)
        kind = fields.get("type")
        if kind != "input.audio":
            self.heard.append(fields)
        wrong = check(fields, MESSAGES[kind]) if kind in MESSAGES else [f"no message {kind!r}"]
        if isinstance(message, bytes):
            wrong.append("binary")
        if kind == "conversation.message" and not self.service.takes_messages:
            await self.complain("invalid_format", "Unknown message type")
        elif wrong:
            await self._object("invalid_format", "; ".join(wrong))
        elif self.memory is None and kind not in ("session.update", "session.resume", "session.end"):
            await self._object("invalid_format", f"{kind} before session.ready")
        else:
            await self._act(kind, fields)

    async def _object(self, code: str, why: str) -> None:
        self.service.violations.append(f"{code}: {why}")
        await self.complain(code, why)

    async def _act(self, kind: str, fields: Json) -> None:
        match kind:
            case "session.update" if self.memory is None:
                await self._begin(fields["session"])
            case "session.update":
                await self._update(fields["session"])
            case "session.resume":
                await self._resume(fields["session_id"])
            case "session.end":
                await self.end()
            case "input.audio":
                await self._hear_audio(from_base64(fields["audio"]))
            case "reply.create" if self._reply_id:
                await self._object("invalid_value", "reply.create while a reply is under way")
            case "reply.create":
                await self._reply(_exact_words(fields.get("instructions", "")))
            case "tool.result":
                await self._answered(fields)

    async def _begin(self, session: Json) -> None:
        wrong = check(session, STORED if "agent_id" in session else SESSION)
        config = self.service.stored.get(session.get("agent_id", ""), None) if "agent_id" in session else session
        if wrong or config is None:
            await self._object("invalid_config", "; ".join(wrong) or "no such agent")
            return
        self.memory = memory = Memory(f"sess_{len(self.service.memories) + 1}", dict(config))
        self.service.memories[memory.session_id] = memory
        await self._ready(memory)
        if config.get("greeting"):
            await self._says(config["greeting"], self.service.replies.popleft() if self.service.replies else Says())

    async def _resume(self, session_id: str) -> None:
        memory = self.service.memories.get(session_id)
        if memory is None or memory.has_ended or not memory.is_resumable:
            await self.fail("session_not_found", "Session not found or expired")
            return
        self.memory, self.resumed = memory, session_id
        await self._ready(memory)

    async def _ready(self, memory: Memory) -> None:
        hears, speaks = (
            memory.config.get(way, {}).get("format", {}).get("encoding", "audio/pcm") for way in ("input", "output")
        )
        self._ear, self._speaks = Ear(_FORMATS[hears]), _FORMATS[speaks]
        told = merged(memory.config, {"id": memory.session_id, "input": {"format": {"encoding": hears}}})
        told = merged(told, {"output": {"format": {"encoding": speaks}}})
        await self.say("session.updated", config=told)
        await self.say("session.ready", session_id=memory.session_id, resume_token="r", expires_at=2e9, config=told)

    async def _update(self, session: Json) -> None:
        wrong = check(session, SESSION)
        output, given = session.get("output", {}), session.get("input", {})
        if wrong:
            await self._object("invalid_format", "; ".join(wrong))
        elif "greeting" in session or "voice" in output or "format" in output or "format" in given:
            await self._object("immutable_field", "greeting, voice and format are immutable after session.ready")
        elif self.memory:
            self.memory.config = merged(self.memory.config, session)
            await self.wire.send_json({"type": "session.updated", "config": self.memory.config})

    async def _hear_audio(self, audio: bytes) -> None:
        if not audio or (self._ear.format == PCM and len(audio) % 2):
            self.service.violations.append(f"{len(audio)} bytes of audio")
        for is_speech in self._ear.hear(audio):
            if is_speech:
                await self.user_starts()
            else:
                await self.user_said(self.service.caller_words)
        if self._transition_ends_ms is not None and self.heard_ms >= self._transition_ends_ms:
            await self.release()

    async def _answered(self, fields: Json) -> None:
        if not self._is_reply_latest:
            self.service.violations.append("tool.result when reply.done is not the latest event")
        if fields["call_id"] not in self._pending:
            self.service.violations.append(f"an answer to {fields['call_id']}, which is not waited for")
            return
        self._pending.discard(fields["call_id"])
        self.results[fields["call_id"]] = fields["result"]
        if not self._pending:
            await self._reply()

    # ---- what it says ----

    async def user_starts(self) -> None:
        await self.say("input.speech.started")
        turns = self.config.get("input", {}).get("turn_detection") or {}
        if turns.get("interrupt_response", True):
            await self.interrupt()

    async def user_said(self, text: str) -> None:
        self._count += 1
        item_id = f"msg_{self._count}"
        for end in (len(text) // 2, len(text)):
            await self.say("transcript.user.delta", text=text[:end], item_id=item_id)
        await self.say("input.speech.stopped")
        await self.say("transcript.user", text=text, item_id=item_id)
        if text:
            await self._reply()

    async def interrupt(self) -> None:
        if self._reply_id:
            reply_id, self._reply_id, self._transition_ends_ms = self._reply_id, None, None
            self._pending.clear()
            await self.say("transcript.agent", reply_id=reply_id, text="A very", interrupted=True)
            await self.say("reply.done", reply_id=reply_id, status="interrupted")
            audio = to_base64(tone(PIECE_MS, self._speaks))
            await self.wire.send_json({"type": "reply.audio", "reply_id": reply_id, "data": audio})  # late

    async def release(self) -> None:
        """Ends the reply under way."""
        if self._reply_id:
            reply_id, self._reply_id, self._transition_ends_ms = self._reply_id, None, None
            await self.say("reply.done", reply_id=reply_id, status="completed")

    async def take_back(self) -> None:
        """The caller speaks up during the reply that called a tool."""
        await self.user_starts()
        await self.user_said("")

    async def _reply(self, words: str | None = None) -> None:
        reply = self.service.replies.popleft() if self.service.replies else Says()
        match reply:
            case Says():
                await self._says(words or reply.text, reply)
            case Calls(tools, first):
                await self._calls(tools, first)
            case Fails("invalid_request" as category):
                self.responses += 1
                await self.complain(_ERRORS[category], "the fake was told to fail")
            case Fails(category):
                self.responses += 1
                await self.fail(_ERRORS[category], "the fake was told to fail")

    async def _starts(self) -> str:
        await self.release()
        self.responses += 1
        self._count += 1
        self._reply_id = f"resp_{id(self.service):x}_{len(self.service.connections)}_{self._count}"
        await self.say("reply.started", reply_id=self._reply_id)
        return self._reply_id

    async def _says(self, text: str, how: object) -> None:
        reply_id = await self._starts()
        await self._speak(reply_id, text, how.audio_ms if isinstance(how, Says) else 600)
        if not (isinstance(how, Says) and how.holds):
            await self.release()

    async def _calls(self, tools: tuple[ToolUse, ...], first: Says | None) -> None:
        reply_id = await self._starts()
        for tool in tools:
            self._count += 1
            call_id = f"call_{self._count}"
            self._pending.add(call_id)
            await self.say("tool.call", call_id=call_id, name=tool.name, arguments=orjson.loads(tool.arguments))
        if first:
            await self._speak(reply_id, first.text, first.audio_ms)
        self._transition_ends_ms = self.heard_ms + TRANSITION_MS

    async def _speak(self, reply_id: str, text: str, ms: int) -> None:
        for word in text.split():
            await self.say("transcript.agent.delta", reply_id=reply_id, delta=word, start_ms=0, end_ms=0)
        audio, size = tone(ms, self._speaks), PIECE_MS * self._speaks.bytes_per_ms
        for at in range(0, len(audio), size):
            await self.say("reply.audio", reply_id=reply_id, data=to_base64(audio[at : at + size]))
        await self.say("transcript.agent", reply_id=reply_id, text=text, interrupted=False)


def _exact_words(instructions: str) -> str | None:
    """What a request asks to be said word for word."""
    _, asked, words = instructions.partition("Say exactly the following words, all of them and no others:\n")
    return words if asked else None
