"""One conversation of the fake ElevenLabs: what it answers to each client message, and what it refuses."""

from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from agents.realtime import PCMU, AudioFormat
from tests.elevenlabs_messages import client_faults, server_faults
from tests.fake_ear import Ear, tone
from tests.fake_net import Hearer, Json, Wire
from tests.rig import Calls, Fails, Reply, Says

PING_MS: Final = 2000
CHUNK_MS: Final = 100

DEFAULT_EVENTS: Final = frozenset(
    {"audio", "interruption", "user_transcript", "agent_response", "agent_response_correction", "client_tool_call"}
)
ALL_EVENTS: Final = DEFAULT_EVENTS | {"vad_score", "agent_response_complete"}
OVERRIDES: Final = frozenset({"prompt", "first_message", "language", "voice_id", "speed", "keywords"})

ERRORS: Final[Mapping[str, tuple[int, str | None, str]]] = {
    "auth": (1008, None, "Unauthorized: could not authenticate you"),
    "quota": (1002, None, "This request exceeds your quota limit."),
    "rate": (1008, None, "Too many concurrent conversations"),
    "invalid_request": (1008, "value_error", "That cannot be"),
    "session_limit": (1000, "max_duration_exceeded", "Max conversation duration exceeded"),
    "network": (1011, "websocket_disconnect", "The connection broke"),
    "unavailable": (1011, "llm_error", "The model failed"),
}
"""Code, error_type and message of each category of ours."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The agent as it is set on the platform. `events` are its client events, `overrides` those it allows.

    `says_final` marks each piece of audio as the last or not. `interruption_ahead` gives an interruption the id of the
    turn that follows, as some have seen, in place of that of the reply which it stops.
    """

    heard_format: str = "pcm_16000"
    spoken_format: str = "pcm_16000"
    first_message: str = ""
    is_public: bool = False
    events: frozenset[str] = ALL_EVENTS
    overrides: frozenset[str] = OVERRIDES
    variables: tuple[str, ...] = ()
    says_final: bool = True
    interruption_ahead: bool = False


@dataclass(slots=True)
class Script:
    """What tests set, and what they look at, for all conversations of one service."""

    replies: deque[Reply]
    caller_words: str = "What time is it?"
    violations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Turn:
    """A reply of the agent's. `is_held` while its end waits."""

    event_id: int
    text: str
    is_held: bool = False


@dataclass(slots=True)
class Heard:
    """What a client sent, sorted."""

    messages: list[Json] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    errors: set[str] = field(default_factory=set)
    context: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    pongs: list[int] = field(default_factory=list)


class Conversation(Hearer):
    """One conversation: what it answers to each client message, and what it refuses."""

    def __init__(self, settings: Settings, script: Script, conversation_id: str, wire: Wire) -> None:
        self.heard = Heard()
        self.sent: list[Json] = []
        self.responses = 0
        self.is_over = False
        self.opening: Json | None = None
        self.ear = Ear(_format(settings.heard_format))
        self._script = script
        self._settings = settings
        self._spoken = _format(settings.spoken_format)
        self._id = conversation_id
        self._wire = wire
        self._events = 0
        self._pings = 0
        self._turn: Turn | None = None
        self._plays_until_ms = 0
        self._calls: set[str] = set()
        self._called = 0

    # ---- what the client says ----

    async def hear(self, message: str | bytes) -> None:
        if self.is_over:
            return
        fields: Any = None
        with suppress(orjson.JSONDecodeError):
            fields = orjson.loads(message) if isinstance(message, str) else None
        self.heard.messages.append(fields)
        found = client_faults(fields)
        is_opening = isinstance(fields, dict) and fields.get("type") == "conversation_initiation_client_data"
        if is_opening is (self.opening is not None):
            found.append("conversation_initiation_client_data comes first and once")
        if found:
            await self._refuse("invalid_message", "; ".join(found))
            return
        if "user_audio_chunk" in fields:
            await self._hear_audio(b64decode(fields["user_audio_chunk"], validate=True))
        else:
            await self._hear_message(fields)

    async def _hear_message(self, fields: Json) -> None:
        match fields:
            case {"type": "conversation_initiation_client_data"}:
                await self._open(fields)
            case {"type": "pong", "event_id": event_id}:
                self.heard.pongs.append(event_id)
                if event_id > self._pings:
                    self._script.violations.append(f"a pong to ping {event_id}, which was not sent")
            case {"type": "client_tool_result", "tool_call_id": call_id, "result": result, "is_error": is_error}:
                if call_id not in self._calls:
                    await self._refuse("invalid_message", f"no tool call {call_id} waits for a result")
                    return
                self._calls.remove(call_id)
                self.heard.results[call_id] = result
                self.heard.errors |= {call_id} if is_error else set()
                if not self._calls:
                    await self.reply()
            case {"type": "contextual_update", "text": text}:
                self.heard.context.append(text)
            case {"type": "user_message", "text": text}:
                self.heard.texts.append(text)
                if self._is_on:
                    await self._interrupt()
                await self.reply()

    async def _open(self, fields: Json) -> None:
        self.opening = fields
        overrides = fields.get("conversation_config_override", {})
        for name in _leaves(overrides):
            if name not in self._settings.overrides:
                await self._refuse("override_error", f"Override for field '{name}' is not allowed by config.")
                return
        given = fields.get("dynamic_variables", {})
        if missing := [name for name in self._settings.variables if name not in given]:
            await self._refuse("missing_dynamic_variable", f"Missing required dynamic variables: {missing}")
            return
        formats = {
            "agent_output_audio_format": self._settings.spoken_format,
            "user_input_audio_format": self._settings.heard_format,
        }
        await self.say("conversation_initiation_metadata", {"conversation_id": self._id} | formats)
        await self._ping()
        first = overrides.get("agent", {}).get("first_message", self._settings.first_message)
        if first:
            await self.reply(Says(first))

    async def _hear_audio(self, audio: bytes) -> None:
        before = self.ear.heard_ms
        for starts in list(self.ear.hear(audio)):
            await self.say("vad_score", {"vad_score": 0.95 if starts else 0.05})
            if starts and self._is_on:
                await self._interrupt()
            elif not starts:
                words = self._script.caller_words
                await self.say("user_transcript", {"user_transcript": words, "event_id": self._next_id()})
                await self.reply()
        if self.ear.heard_ms // PING_MS > before // PING_MS:
            await self._ping()

    # ---- what it says ----

    @property
    def _is_on(self) -> bool:
        return bool(self._turn and self._turn.is_held) or self.ear.heard_ms < self._plays_until_ms

    async def reply(self, otherwise: Reply | None = None) -> None:
        """The next of the replies."""
        self.responses += 1
        match self._script.replies.popleft() if self._script.replies else otherwise or Says():
            case Says() as says:
                await self._speak(says)
            case Calls(tools, first):
                if first is not None:
                    await self._speak(first)
                event_id = self._turn.event_id if self._turn and first else self._next_id()
                calls = [(f"call_{self._called + number}", tool) for number, tool in enumerate(tools, 1)]
                self._called += len(tools)
                self._calls |= {call_id for call_id, _ in calls}
                for call_id, tool in calls:
                    call = {"tool_name": tool.name, "tool_call_id": call_id, "event_id": event_id}
                    await self.say("client_tool_call", call | {"parameters": orjson.loads(tool.arguments)})
            case Fails(category):
                await self.fail(*ERRORS[category])

    async def _speak(self, says: Says) -> None:
        turn = self._turn = Turn(self._next_id(), says.text, is_held=says.holds)
        await self.say("agent_response", {"agent_response": says.text, "event_id": turn.event_id})
        voice = tone(says.audio_ms, self._spoken)
        size = CHUNK_MS * self._spoken.bytes_per_ms
        for at in range(0, len(voice), size):
            is_last = at + size >= len(voice) and not says.holds
            await self.sound(voice[at : at + size], turn.event_id, is_last)
        self._plays_until_ms = max(self._plays_until_ms, self.ear.heard_ms) + says.audio_ms
        if not says.holds:
            await self.say("agent_response_complete", {"event_id": turn.event_id})

    async def sound(self, audio: bytes, event_id: int, is_final: bool) -> None:
        marked = {"is_final": is_final} if self._settings.says_final else {}
        from_ = {"audio_base_64": b64encode(audio).decode(), "event_id": event_id}
        await self.say("audio", from_ | marked)

    async def release(self) -> None:
        """Ends a reply that holds."""
        if self._turn and self._turn.is_held:
            self._turn.is_held = False
            await self.sound(b"", self._turn.event_id, True)
            await self.say("agent_response_complete", {"event_id": self._turn.event_id})

    async def _interrupt(self) -> None:
        turn, self._plays_until_ms = self._turn, 0
        if turn is None:
            return
        turn.is_held = False
        event_id = turn.event_id
        ahead_id = self._events + 1 if self._settings.interruption_ahead else event_id
        await self.say("interruption", {"event_id": ahead_id})
        half = turn.text[: len(turn.text) // 2] + "..."
        texts = {"original_agent_response": turn.text, "corrected_agent_response": half}
        await self.say("agent_response_correction", texts | {"event_id": event_id})

    async def fail(self, code: int, error_type: str | None, message: str) -> None:
        """An error, and the end."""
        named = {"error_type": error_type} if error_type else {}
        await self.say("error", {"code": code, "message": message} | named)
        await self.close(code, message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.is_over = True
        await self._wire.close(code, reason)

    def drop(self) -> None:
        self.is_over = True
        self._wire.drop()

    async def raw(self, message: str | bytes) -> None:
        """Sends whatever it is, unjudged."""
        await self._wire.send(message)

    async def say(self, kind: str, event: Json) -> None:
        """Sends a message, unless it is one that the agent's settings leave out."""
        if kind in (ALL_EVENTS - self._settings.events) or self.is_over:
            return
        message = {"type": kind, _PAYLOADS.get(kind, f"{kind}_event"): event}
        self._script.violations += server_faults(message)
        self.sent.append(message)
        await self._wire.send_json(message)

    async def _refuse(self, error_type: str, message: str) -> None:
        self._script.violations.append(message)
        await self.fail(1008, error_type, message)

    async def _ping(self) -> None:
        self._pings += 1
        await self.say("ping", {"event_id": self._pings})

    def _next_id(self) -> int:
        self._events += 1
        return self._events


_PAYLOADS: Final = {"client_tool_call": "client_tool_call", "user_transcript": "user_transcription_event"}


def _format(name: str) -> AudioFormat:
    kind, _, rate = name.partition("_")
    return PCMU if kind == "ulaw" else AudioFormat(sample_rate=int(rate))


def _leaves(overrides: Any) -> list[str]:
    """The names of all fields that are overridden: `prompt.prompt` is `prompt`."""
    if not isinstance(overrides, dict):
        return []
    return [name for key, value in overrides.items() for name in (_leaves(value) or [key])]
