"""One conversation of the fake OpenAI: what it answers to each client message, and what it refuses."""

import asyncio
import itertools
from base64 import b64decode
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np

from tests.fake_openai_replies import (
    Audio,
    CallTools,
    Fail,
    Json,
    Place,
    Reply,
    Speak,
    speech,
    speech_end,
    text_item,
    tone,
    tool_call,
    usage,
)
from tests.openai_oracle import client_faults, server_faults

PATIENCE_S: Final = 5.0
"""Longest that a test waits for a message."""

BYTES_PER_MS: Final = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}


@dataclass(slots=True)
class Script:
    """What tests set, and what they look at, for all sessions of one server."""

    replies: deque[Reply]
    hears: str | None = "Hello?"
    """What the caller said, whatever was sent; None leaves the transcription to `FakeSession.transcribe`."""
    audio: Audio = tone
    violations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Ear:
    """Voice detection by energy, over PCM that may come in pieces of any size. Counts audio, not time."""

    WINDOW_MS: ClassVar[int] = 20
    LOUD: ClassVar[float] = 500.0

    heard_ms: int = 0
    silent_ms: int = 0
    is_speech: bool = False
    rest: bytes = b""

    def hear(self, pcm: bytes, silence_duration_ms: int) -> Iterator[bool]:
        """True when speech starts, False when it has stopped."""
        size = self.WINDOW_MS * BYTES_PER_MS["audio/pcm"]
        self.rest += pcm
        while len(self.rest) >= size:
            window, self.rest = self.rest[:size], self.rest[size:]
            self.heard_ms += self.WINDOW_MS
            loud = float(np.sqrt(np.mean(np.frombuffer(window, "<i2").astype(float) ** 2))) > self.LOUD
            self.silent_ms = 0 if loud else self.silent_ms + self.WINDOW_MS
            if loud and not self.is_speech:
                self.is_speech = True
                yield True
            elif self.is_speech and self.silent_ms >= silence_duration_ms:
                self.is_speech = False
                yield False


@dataclass(slots=True)
class Active:
    """The response under way; `at` while it speaks."""

    response_id: str
    at: Place | None = None
    text: str = ""
    items: int = 0
    audio_ms: int = 0


class FakeSession:
    """`received` and `sent` hold every message; what is wrong with either goes to the script's `violations`."""

    def __init__(
        self, session_id: str, model: str, expires_at: int, script: Script, send: Callable[[Json], Awaitable[None]]
    ) -> None:
        self.received: list[Json] = []
        self.sent: list[Json] = []
        self.answers = True
        """Set to False, it goes on listening and says nothing any more."""
        self.session: Json = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "expires_at": expires_at,
            "model": model,
            "output_modalities": ["audio"],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "turn_detection": {"type": "server_vad"},
                    "transcription": None,
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"},
            },
        }
        self._script = script
        self._send = send
        self._news = asyncio.Condition()
        self._ids = itertools.count(1)
        self._ear = Ear()
        self._buffer_ms = 0.0
        self._turn_item = ""
        self._active: Active | None = None
        self._items: dict[str, int] = {}  # every item, with the milliseconds that it speaks
        self._calls: set[str] = set()
        self._last_item: str | None = None

    # ---- for tests ----

    @property
    def is_responding(self) -> bool:
        return self._active is not None

    def messages(self, kind: str) -> list[Json]:
        """What the client sent of this type."""
        return [message for message in self.received if message["type"] == kind]

    async def expect(self, kind: str, count: int = 1) -> Json:
        """The client's `count`-th message of this type, waited for."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: len(self.messages(kind)) >= count)
        return self.messages(kind)[count - 1]

    async def send(self, kind: str, **fields: Any) -> None:
        """Says this to the client, whatever state the conversation is in."""
        message = {"type": kind, "event_id": self._id("event"), **fields}
        self._script.violations += server_faults(message)
        self.sent.append(message)
        await self._send(message)

    async def refuse(self, code: str | None, message: str, event_id: str | None = None) -> None:
        """An error event."""
        error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id}
        await self.send("error", error=error)

    async def transcribe(self, item_id: str, text: str) -> None:
        """The transcription of a caller's item, as late as the test likes."""
        kind = "conversation.item.input_audio_transcription"
        usage = {"type": "duration", "seconds": 1.0}
        await self.send(f"{kind}.delta", item_id=item_id, content_index=0, delta=text)
        await self.send(f"{kind}.completed", item_id=item_id, content_index=0, transcript=text, usage=usage)

    async def release(self) -> None:
        """Ends a response that holds."""
        await self._end_response("completed")

    # ---- the conversation ----

    async def greet(self) -> None:
        await self.send("session.created", session=self.session)

    async def hear(self, message: Json) -> None:
        """Takes a client's message."""
        self.received.append(message)
        async with self._news:
            self._news.notify_all()
        faults = client_faults(message)
        self._script.violations += faults
        if not self.answers:
            return
        event_id = message.get("event_id")
        if faults:
            await self.refuse("invalid_value", faults[0], event_id)
            return
        match message:
            case {"type": "input_audio_buffer.append", "audio": audio}:
                await self._append(b64decode(audio, validate=True))
            case {"type": "input_audio_buffer.commit"}:
                await self._commit_by_hand(event_id)
            case {"type": "input_audio_buffer.clear"}:
                self._buffer_ms = 0
                await self.send("input_audio_buffer.cleared")
            case {"type": "session.update", "session": session}:
                await self._update(session, event_id)
            case {"type": "conversation.item.create", "item": item}:
                await self._create_item(item, event_id)
            case {"type": "conversation.item.delete", "item_id": item_id}:
                await self._delete_item(item_id, event_id)
            case {"type": "conversation.item.truncate"}:
                await self._truncate(message, event_id)
            case {"type": "response.create"}:
                await self._create_response(event_id)
            case {"type": "response.cancel"}:
                await self._cancel(event_id)

    async def _update(self, session: Json, event_id: str | None) -> None:
        voice = session.get("audio", {}).get("output", {}).get("voice")
        if any(self._items.values()) and voice not in (None, self.session["audio"]["output"]["voice"]):
            await self.refuse("cannot_update_voice", "Cannot update a conversation's voice after audio.", event_id)
            return
        self.session = _merged(self.session, session)
        await self.send("session.updated", session=self.session)

    async def _append(self, audio: bytes) -> None:
        heard = self.session["audio"]["input"]
        encoding = heard["format"]["type"]
        self._buffer_ms += len(audio) / BYTES_PER_MS[encoding]
        turns = heard.get("turn_detection")
        if turns is None:
            return
        pcm = audio if encoding == "audio/pcm" else _as_loud(audio, encoding)
        for has_started in self._ear.hear(pcm, turns.get("silence_duration_ms") or 500):
            if has_started:
                await self._speech_started(turns)
            else:
                await self._speech_stopped(turns)

    async def _speech_started(self, turns: Json) -> None:
        self._turn_item = self._id("item")
        start_ms = max(0, self._ear.heard_ms - Ear.WINDOW_MS - int(turns.get("prefix_padding_ms") or 300))
        await self.send("input_audio_buffer.speech_started", item_id=self._turn_item, audio_start_ms=start_ms)
        if turns.get("interrupt_response") is not False:
            await self._end_response("cancelled", "turn_detected")

    async def _speech_stopped(self, turns: Json) -> None:
        await self.send("input_audio_buffer.speech_stopped", item_id=self._turn_item, audio_end_ms=self._ear.heard_ms)
        await self._commit(self._turn_item)
        if turns.get("create_response") is not False and self._active is None:
            await self._respond()

    async def _commit_by_hand(self, event_id: str | None) -> None:
        if self._buffer_ms < 100:
            problem = f"buffer too small. Expected at least 100ms of audio, but buffer only has {self._buffer_ms:.2f}ms"
            await self.refuse("input_audio_buffer_commit_empty", problem, event_id)
            return
        await self._commit(self._id("item"))

    async def _commit(self, item_id: str) -> None:
        self._buffer_ms = 0
        await self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=self._last_item)
        part = {"type": "input_audio", "transcript": None}
        await self._add_item({"type": "message", "role": "user", "content": [part]}, item_id)
        if self.session["audio"]["input"].get("transcription") and self._script.hears is not None:
            await self.transcribe(item_id, self._script.hears)

    async def _create_item(self, item: Json, event_id: str | None) -> None:
        if item["type"] == "function_call_output" and item["call_id"] not in self._calls:
            await self.refuse("invalid_value", f"Tool call ID '{item['call_id']}' not found in conversation.", event_id)
            return
        await self._add_item(item, item.get("id") or self._id("item"))

    async def _add_item(self, item: Json, item_id: str) -> None:
        item = {**item, "id": item_id, "object": "realtime.item", "status": "completed"}
        await self.send("conversation.item.added", item=item, previous_item_id=self._last_item)
        await self.send("conversation.item.done", item=item, previous_item_id=self._last_item)
        self._items[item_id] = 0
        self._last_item = item_id

    async def _delete_item(self, item_id: str, event_id: str | None) -> None:
        if self._items.pop(item_id, None) is None:
            await self.refuse("item_delete_invalid_item_id", f"Item with item_id '{item_id}' does not exist.", event_id)
            return
        await self.send("conversation.item.deleted", item_id=item_id)

    async def _truncate(self, message: Json, event_id: str | None) -> None:
        item_id, end_ms = message["item_id"], message["audio_end_ms"]
        spoken_ms = self._items.get(item_id)
        if spoken_ms is None:
            problem = f"Item with item_id '{item_id}' does not exist."
            await self.refuse("item_truncate_invalid_item_id", problem, event_id)
            return
        if end_ms > spoken_ms:  # refused without naming the event, and done all the same
            await self.refuse(None, f"Audio content of {spoken_ms}ms is already shorter than {end_ms}ms")
        at = {"content_index": message["content_index"], "audio_end_ms": min(end_ms, spoken_ms)}
        await self.send("conversation.item.truncated", item_id=item_id, **at)

    async def _create_response(self, event_id: str | None) -> None:
        if self._active is not None:
            problem = f"Conversation already has an active response in progress: {self._active.response_id}."
            await self.refuse("conversation_already_has_active_response", problem, event_id)
            return
        await self._respond()

    async def _cancel(self, event_id: str | None) -> None:
        if self._active is None:
            problem = "Cancellation failed: no active response found"
            await self.refuse("response_cancel_not_active", problem, event_id)
            return
        await self._end_response("cancelled", "client_cancelled")

    # ---- replies ----

    async def _respond(self) -> None:
        reply = self._script.replies.popleft() if self._script.replies else Speak()
        self._active = active = Active(self._id("resp"))
        await self.send("response.created", response=self._response(active, "in_progress"))
        limit = {"name": "tokens", "limit": 40000, "remaining": 39000, "reset_seconds": 1.5}
        await self.send("rate_limits.updated", rate_limits=[limit])
        match reply:
            case Speak():
                await self._speak(active, reply)
                if not reply.holds:
                    await self._end_response("completed")
            case CallTools(calls, first):
                if first is not None:
                    await self._speak(active, first)
                    await self._end_item(active, "completed")
                for call in calls:
                    call_id = self._id("call")
                    self._calls.add(call_id)
                    await self._send_all(tool_call(self._place(active), call_id, call))
                await self._end_response("completed")
            case Fail(code, message):
                await self._end_response("failed", error={"type": code, "code": code, "message": message})

    async def _speak(self, active: Active, reply: Speak) -> None:
        at = self._place(active)
        if self.session["output_modalities"] == ["text"]:
            await self._send_all(text_item(at, reply.text))
            return
        active.at, active.text, active.audio_ms = at, reply.text, reply.audio_ms
        self._items[at.item_id] = reply.audio_ms
        await self._send_all(speech(at, reply, self._script.audio))

    async def _end_item(self, active: Active, status: str) -> None:
        if active.at is not None:
            await self._send_all(speech_end(active.at, active.text, status))
            active.at = None

    async def _end_response(self, status: str, reason: str | None = None, error: Json | None = None) -> None:
        """Ends the active response; without one it does nothing."""
        if self._active is None:
            return
        active, self._active = self._active, None
        await self._end_item(active, "completed" if status == "completed" else "incomplete")
        details: Json = {"type": status}
        details |= {key: value for key, value in (("reason", reason), ("error", error)) if value is not None}
        response = self._response(active, status)
        response |= {"status_details": details, "usage": None if error else usage(active.audio_ms)}
        await self.send("response.done", response=response)

    def _place(self, active: Active) -> Place:
        at = Place(active.response_id, self._id("item"), active.items, self._last_item)
        active.items += 1
        self._items[at.item_id] = 0
        self._last_item = at.item_id
        return at

    def _response(self, active: Active, status: str) -> Json:
        response = {"object": "realtime.response", "id": active.response_id, "status": status, "output": []}
        return response | {"conversation_id": "conv_1", "output_modalities": self.session["output_modalities"]}

    async def _send_all(self, messages: Iterable[Json]) -> None:
        for message in messages:
            fields = dict(message)
            await self.send(fields.pop("type"), **fields)

    def _id(self, what: str) -> str:
        return f"{what}_{next(self._ids)}"


def _as_loud(g711: bytes, law: str) -> bytes:
    """PCM16 24 kHz about as loud as the G.711: enough to tell speech from silence."""
    steps = (np.frombuffer(g711, np.uint8) ^ (0xFF if law == "audio/pcmu" else 0x55)) & 0x7F
    loud: bytes = np.repeat((2.0 ** (steps / 16) * 128).astype("<i2"), 3).tobytes()
    return loud


def _merged(base: Json, extra: Json) -> Json:
    """`base` with `extra` over it, objects key by key unless they name another type."""
    merged = dict(base)
    for key, value in extra.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and value.get("type") in (None, below.get("type")):
            merged[key] = _merged(below, value)
        else:
            merged[key] = value
    return merged
