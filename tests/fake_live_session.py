"""One session of the fake OpenAI Live."""

import math
from binascii import Error as NoBase64
from binascii import a2b_base64, b2a_base64
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from agents.errors import ErrorCategory
from agents.realtime import PCM, PCMU, AudioFormat
from tests.fake_ear import Ear, silence, tone
from tests.fake_net import Hearer, Json, Wire
from tests.live_schema import wrong_with
from tests.rig import Calls, Fails, Reply, Says

FRAME_MS: Final = 100
"""So much audio is in each of its messages."""

QUIET_FRAMES: Final = 10
"""The silence that follows at once on what is said, when it is not paced."""

YIELDS_AFTER: Final = 4
"""So many frames it still sounds when the caller speaks into its words."""

STEP_MS: Final = 20
"""It listens to so much at a time, however much comes at once."""

WORD_MS: Final = 200
"""How often a word of the caller's is understood."""

SESSION_S: Final = 7_200
EXPIRES_AT: Final = 1_791_373_550

FAILURES: Final[Mapping[ErrorCategory, tuple[str, str]]] = {
    "auth": ("authentication_error", "invalid_api_key"),
    "quota": ("insufficient_quota", "credit_balance_exhausted"),
    "rate": ("rate_limit_error", "rate_limit_exceeded"),
    "invalid_request": ("invalid_request_error", "invalid_value"),
    "unavailable": ("server_error", "server_error"),
}


@dataclass(slots=True)
class Script:
    """What all sessions of a service share."""

    replies: deque[Reply]
    caller_words: str
    is_paced: bool
    violations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Work:
    """A turn of the backend's that called tools: what it waits for."""

    delegation_id: str
    unanswered: set[str]


class FakeLiveSession(Hearer):
    """`heard` is every message that came, audio apart: `audio` has that, each message as it came."""

    def __init__(self, session_id: str, script: Script, wire: Wire) -> None:
        self.session_id = session_id
        self.wire = wire
        self.config: Json = {}
        self.heard: list[Json] = []
        self.audio: list[bytes] = []
        self.results: dict[str, str] = {}
        self.responses = 0
        self.is_closed = False
        self.left_with: int | None = None
        self.refuse_start: str | None = None
        self._script = script
        self._format = PCM
        self._ear = Ear()
        self._out_ms = 0
        self._owed_ms = 0.0
        self._words: deque[str] = deque()
        self._word_due_ms = 0
        self._frames: deque[tuple[str | None, bool]] = deque()  # words, and whether it sounds
        self._placed: deque[Json] = deque()
        self._is_holding = False
        self._work: _Work | None = None
        self._has_message = False
        self._numbers = 0

    # ---- what it is told ----

    async def left(self, code: int) -> None:
        self.left_with = code

    async def hear(self, message: str | bytes) -> None:
        if not isinstance(message, str):
            self._script.violations.append("a binary message")
            return
        command = orjson.loads(message)
        if wrong := wrong_with(command):
            await self._refuse(command, "unknown_parameter", "; ".join(wrong))
        elif not self.config and command["type"] != "session.start":
            await self._refuse(command, "session_not_started", f"{command['type']} before session.started")
        elif command["type"] == "session.input_audio.append":
            await self._listen(command)
        else:
            self.heard.append(command)
            await self._obey(command)

    async def _obey(self, command: Json) -> None:
        match command:
            case {"type": "session.start", "session": session}:
                await self._start(command, session)
            case {"type": "session.update", "session": {"delegation": {"responses": changes}}}:
                self.config["delegation"]["responses"] |= changes
                await self._say("session.updated", session=self._resource())
            case {"type": "session.commentary.append", "delegation_id": None} if self._script.is_paced:
                self._placed.append(command)
            case {"type": "session.commentary.append", "delegation_id": None}:
                await self._place(command)
            case {"type": str(kind), "delegation_id": delegation_id}:
                if delegation_id and self._delegates_to_backend:
                    await self._refuse(command, "invalid_value", "delegation_id with Responses delegation")
                await self._say(f"{kind}ed", start_ms=self._out_ms, end_ms=self._out_ms, **_echo(command))
            case {"type": "response.item.create" | "response.create" as kind} if not self._delegates_to_backend:
                await self._refuse(command, "invalid_request_error", f"{kind} requires Responses delegation.")
            case {"type": "response.item.create", "item": item}:
                await self._add(command, item)
            case {"type": "response.create"}:
                await self._continue(command)
            case {"type": "session.close"}:
                await self.end("close_requested")

    async def _start(self, command: Json, session: Json) -> None:
        if self.config:
            await self._refuse(command, "invalid_value", "session.start was sent before")
            return
        if self.refuse_start:
            await self._error("invalid_request_error", self.refuse_start, "not this session")
            return
        self.config = session
        self._format = _format(session)
        self._ear = Ear(self._format)
        await self._say("session.started", session=self._resource(), **_echo(command))

    async def _add(self, command: Json, item: Json) -> None:
        match item:
            case {"type": "function_call_output", "call_id": call_id, "output": output}:
                if not self._work or call_id not in self._work.unanswered:
                    await self._refuse(command, "invalid_value", f"no call {call_id} waits for an answer")
                    return
                self._work.unanswered.discard(call_id)
                self.results[call_id] = output
            case _:
                self._has_message = True

    async def _continue(self, command: Json) -> None:
        if self._work is None and not self._has_message:
            await self._refuse(command, "invalid_value", "nothing to respond to")
            return
        if self._work and self._work.unanswered:
            await self._refuse(command, "invalid_value", f"no answer to {sorted(self._work.unanswered)}")
            return
        delegation_id = self._work.delegation_id if self._work else None
        self._work, self._has_message = None, False
        await self._backend(delegation_id, "response.created", response={"id": self._id("resp")})
        await self._backend(delegation_id, "response.completed", response=self._spent())
        await self.reply()

    async def _listen(self, command: Json) -> None:
        try:
            audio = a2b_base64(command["audio"], strict_mode=True)
        except NoBase64:
            await self._refuse(command, "invalid_value", "audio is no base64")
            return
        self.audio.append(audio)
        step = STEP_MS * self._format.bytes_per_ms
        for at in range(0, len(audio), step):
            await self._listen_to(audio[at : at + step])

    async def _listen_to(self, audio: bytes) -> None:
        starts_or_stops = list(self._ear.hear(audio))
        if True in starts_or_stops:
            self._words.extend(_words(self._script.caller_words))
            self._word_due_ms = 0
            await self._understand()
            await self._yield()
        elif self._ear.is_speech:
            self._word_due_ms += self._ms(audio)
            if self._word_due_ms >= WORD_MS:
                self._word_due_ms = 0
                await self._understand()
        self._owed_ms += self._ms(audio)
        while self._owed_ms >= FRAME_MS:
            self._owed_ms -= FRAME_MS
            await self._frame()
        if False in starts_or_stops:
            while self._words:
                await self._understand()
            await self.reply()

    def _ms(self, audio: bytes) -> int:
        return len(audio) // self._format.bytes_per_ms

    async def _understand(self) -> None:
        if self._words:
            place = {"start_ms": self._out_ms, "end_ms": self._out_ms + WORD_MS}
            await self._say("session.input_transcript.delta", delta=self._words.popleft(), **place)

    # ---- what it says ----

    async def reply(self, asked_by: str | None = None) -> None:
        """Takes the next of its replies."""
        self.responses += 1
        match self._script.replies.popleft() if self._script.replies else Says():
            case Says() as says:
                await self._speak(says)
            case Calls(tools, first):
                if first:
                    await self._speak(first)
                await self._call([(tool.name, tool.arguments) for tool in tools])
            case Fails(category):
                kind, code = FAILURES[category]
                await self._error(kind, code, "it cannot answer", asked_by)

    async def release(self) -> None:
        """Lets a reply end that holds."""
        self._is_holding = False
        await self._rest()

    async def end(self, reason: str) -> None:
        """Ends the session, and the connection."""
        self.is_closed = True
        await self._say("session.closed", reason=reason, session=self._resource(), usage={"seconds": self._seconds})
        await self.wire.close()

    async def delegate_to_client(self) -> str:
        """Hands work to an application."""
        delegation_id = self._id("item")
        delegation = {"id": delegation_id, "type": "delegation", "target": "client"}
        await self._say("session.delegation.created", delegation=delegation, offset_ms=self._out_ms)
        return delegation_id

    async def fail_backend(self, code: str) -> None:
        """The backend's turn fails."""
        delegation_id = self._work.delegation_id if self._work else None
        self._work = None
        response = {"id": self._id("resp"), "error": {"code": code, "message": "the backend is away"}}
        await self._backend(delegation_id, "response.failed", response=response)

    async def _place(self, command: Json) -> None:
        """Takes up what it is to speak of."""
        place = {"start_ms": self._out_ms, "end_ms": self._out_ms}
        await self._say("session.commentary.appended", **place, **_echo(command))
        await self.reply(command.get("event_id"))

    async def _speak(self, says: Says) -> None:
        frames = math.ceil(says.audio_ms / FRAME_MS)
        words = _words(says.text)
        for number in range(frames):
            spoken = words[number:] if number == frames - 1 else words[number : number + 1]
            self._frames.append(("".join(spoken) or None, True))
        self._is_holding = says.holds
        if not self._script.is_paced:
            while self._frames:
                await self._frame()
            await self._rest()

    async def _yield(self) -> None:
        """Gives way to the caller."""
        if not (self._frames or self._is_holding):
            return
        self._is_holding = False
        self._frames = deque([(None, True)] * YIELDS_AFTER)
        if not self._script.is_paced:
            for _ in range(2 * YIELDS_AFTER - 1):
                await self._frame()

    async def _rest(self) -> None:
        if not self._is_holding and not self._script.is_paced:
            for _ in range(QUIET_FRAMES):
                await self._frame()

    async def _frame(self) -> None:
        """The next piece of its output. A reply that holds stands still at its end."""
        if self._is_holding and not self._frames:
            return
        if self._placed:
            await self._place(self._placed.popleft())
        words, is_sound = self._frames.popleft() if self._frames else (None, False)
        if words:
            place = {"start_ms": self._out_ms, "end_ms": self._out_ms + FRAME_MS}
            await self._say("session.output_transcript.delta", delta=words, **place)
        audio = tone(FRAME_MS, self._format) if is_sound else silence(FRAME_MS, self._format)
        delta = b2a_base64(audio, newline=False).decode()
        await self.wire.send_json({"type": "session.output_audio.delta", "delta": delta})
        self._out_ms += FRAME_MS

    async def _call(self, tools: list[tuple[str, str]]) -> None:
        delegation_id = self._id("item")
        calls = {self._id("call"): tool for tool in tools}
        self._work = _Work(delegation_id, set(calls))
        delegation = {"id": delegation_id, "type": "delegation", "target": "responses"}
        await self._say("session.delegation.created", delegation=delegation, offset_ms=self._out_ms)
        await self._backend(delegation_id, "response.created", response={"id": self._id("resp")})
        for call_id, (name, arguments) in calls.items():
            item = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "status": ""}
            started = item | {"arguments": "", "status": "in_progress"}
            done = item | {"arguments": arguments, "status": "completed"}
            await self._backend(delegation_id, "response.output_item.added", output_index=0, item=started)
            await self._backend(delegation_id, "response.output_item.done", output_index=0, item=done)
        await self._backend(delegation_id, "response.completed", response=self._spent())

    def _spent(self) -> Json:
        usage = {"input_tokens": 70, "output_tokens": 30, "input_tokens_details": {"cached_tokens": 40}}
        return {"id": self._id("resp"), "status": "completed", "output": [], "usage": usage}

    # ---- its words ----

    @property
    def _delegates_to_backend(self) -> bool:
        return bool((self.config.get("delegation") or {}).get("type") == "responses")

    @property
    def _seconds(self) -> float:
        return self._out_ms / 1000

    def _resource(self) -> Json:
        return {"id": self.session_id, "expires_at": EXPIRES_AT, "status": "active", "model": "", **self.config}

    async def _backend(self, delegation_id: str | None, kind: str, **event: Any) -> None:
        await self._say("response.event", delegation_id=delegation_id, event={"type": kind, **event})

    async def _say(self, kind: str, **message: Any) -> None:
        await self.wire.send_json({"type": kind, "event_id": self._id("event"), **message})

    async def _refuse(self, command: Json, code: str, why: str) -> None:
        self._script.violations.append(why)
        await self._error("invalid_request_error", code, why, command.get("event_id"))

    async def _error(self, kind: str, code: str, why: str, refused: str | None = None) -> None:
        error = {"type": kind, "code": code, "message": why} | ({"client_event_id": refused} if refused else {})
        await self._say("error", error=error)

    def _id(self, kind: str) -> str:
        self._numbers += 1
        return f"{kind}_{self.session_id}_{self._numbers}"


def _format(session: Json) -> AudioFormat:
    wanted = session.get("audio", {}).get("format", {"type": "audio/pcm", "rate": 24_000})
    return PCMU if wanted["type"] == "audio/pcmu" else AudioFormat(sample_rate=wanted["rate"])


def _echo(command: Json) -> Json:
    return {"client_event_id": command["event_id"]} if "event_id" in command else {}


def _words(text: str) -> list[str]:
    """The words, each after the first with the space before it."""
    first, *others = text.split()
    return [first, *(f" {word}" for word in others)]
