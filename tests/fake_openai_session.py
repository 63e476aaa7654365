"""One conversation of the fake OpenAI: what it answers to each client message, and what it refuses."""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Final

import numpy as np

from agents.realtime import PCM, AudioFormat
from tests.fake_ear import Ear
from tests.fake_openai_dialects import FORCED, FakeDialect
from tests.fake_openai_replies import Json, Reply, Speak
from tests.fake_openai_speaker import FakeSpeaker, Script
from tests.openai_oracle import client_faults

PATIENCE_S: Final = 5.0
"""Longest that a test waits for a message."""

WINDOW_MS: Final = 20
"""The audio is heard in steps of so much, however it is cut."""


class FakeSession(FakeSpeaker):
    """`received` and `sent` hold every message; what is wrong with either goes to the script's `violations`.

    `understood` is what was received in OpenAI's own words; `sent` is in these, whatever the dialect makes of it.
    """

    def __init__(
        self,
        session_id: str,
        model: str,
        expires_at: int,
        script: Script,
        dialect: FakeDialect,
        send: Callable[[Json], Awaitable[None]],
    ) -> None:
        super().__init__(script, dialect, send)
        self.received: list[Json] = []
        self.understood: list[Json] = []
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
                    "turn_detection": None if dialect.layout == "xai" else {"type": "server_vad"},
                    "transcription": None,
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"},
            },
        }
        self.heard_ms = 0.0
        """How much of the caller's audio came."""
        self._news = asyncio.Condition()
        self._ear = Ear()
        self._rest = b""
        self._buffer_ms = 0.0
        self._turn_item = ""
        self._whole: dict[str, Json] = {}  # those that a client or a caller made

    # ---- for tests ----

    def messages(self, kind: str) -> list[Json]:
        """What the client sent of this type."""
        return [message for message in self.received if message["type"] == kind]

    async def expect(self, kind: str, count: int = 1) -> Json:
        """The client's `count`-th message of this type, waited for."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: len(self.messages(kind)) >= count)
        return self.messages(kind)[count - 1]

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

    # ---- the conversation ----

    async def greet(self) -> None:
        await self.send("session.created", session=self.session)

    async def hear(self, message: Json) -> None:
        """Takes a client's message."""
        self.received.append(message)
        message, faults = self._dialect.read(message)
        self.understood.append(message)
        async with self._news:
            self._news.notify_all()
        faults = faults or ([] if message["type"] == FORCED else client_faults(message))
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
            case {"type": "conversation.item.retrieve", "item_id": item_id}:
                await self._retrieve_item(item_id, event_id)
            case {"type": "conversation.item.truncate"}:
                await self._truncate(message, event_id)
            case {"type": "response.create"}:
                await self._create_response(event_id)
            case {"type": "fake.forced", "text": text}:
                await self._create_response(event_id, Speak(text))
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
        is_pcm = encoding == "audio/pcm"
        wire = self._dialect.hears if is_pcm else AudioFormat(mime_type=encoding, sample_rate=8_000)
        self._buffer_ms += len(audio) / wire.bytes_per_ms
        self.heard_ms += len(audio) / wire.bytes_per_ms
        turns = heard.get("turn_detection")
        if turns is None:
            return
        self._ear.format = wire if is_pcm else PCM
        self._ear.silence_duration_ms = turns.get("silence_duration_ms") or 500
        self._rest += audio
        size = WINDOW_MS * wire.bytes_per_ms
        while len(self._rest) >= size:
            window, self._rest = self._rest[:size], self._rest[size:]
            for has_started in self._ear.hear(window if is_pcm else _as_loud(window, encoding)):
                await (self._speech_started(turns) if has_started else self._speech_stopped(turns))

    async def _speech_started(self, turns: Json) -> None:
        self._turn_item = self._id("item")
        start_ms = max(0, self._ear.heard_ms - WINDOW_MS - int(turns.get("prefix_padding_ms") or 300))
        await self.send("input_audio_buffer.speech_started", item_id=self._turn_item, audio_start_ms=start_ms)
        if turns.get("interrupt_response") is not False:
            await self._end_response("cancelled", "turn_detected")

    async def _speech_stopped(self, turns: Json) -> None:
        await self.send("input_audio_buffer.speech_stopped", item_id=self._turn_item, audio_end_ms=self._ear.heard_ms)
        await self._commit(self._turn_item)
        creates = turns.get("create_response", self._dialect.layout != "xai")  # which creates only when told to
        if creates is not False and self._active is None:
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
        writes = self._dialect.always_writes or self.session["audio"]["input"].get("transcription")
        if writes and self._script.hears is not None:
            await self.transcribe(item_id, self._script.hears)

    async def _create_item(self, item: Json, event_id: str | None) -> None:
        if item["type"] == "function_call_output" and item["call_id"] not in self.call_ids:
            await self.refuse("invalid_value", f"Tool call ID '{item['call_id']}' not found in conversation.", event_id)
            return
        if item["type"] == "function_call":
            self.call_ids.add(item["call_id"])
        self._after_tool = item["type"] == "function_call_output"
        await self._add_item(item, item.get("id") or self._id("item"))

    async def _add_item(self, item: Json, item_id: str) -> None:
        item = {**item, "id": item_id, "object": "realtime.item", "status": "completed"}
        await self.send("conversation.item.added", item=item, previous_item_id=self._last_item)
        await self.send("conversation.item.done", item=item, previous_item_id=self._last_item)
        self._items[item_id], self._whole[item_id] = 0, item
        self._last_item = item_id

    async def _delete_item(self, item_id: str, event_id: str | None) -> None:
        if self._items.pop(item_id, None) is None:
            await self.refuse("item_delete_invalid_item_id", f"Item with item_id '{item_id}' does not exist.", event_id)
            return
        await self.send("conversation.item.deleted", item_id=item_id)

    async def _retrieve_item(self, item_id: str, event_id: str | None) -> None:
        if item_id in self._items:
            item = self._whole.get(item_id) or {"type": "message", "role": "assistant", "id": item_id, "content": []}
            await self.send("conversation.item.retrieved", item=item)
        else:
            problem = f"Item with item_id '{item_id}' does not exist."
            await self.refuse("item_retrieve_invalid_item_id", problem, event_id)

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

    async def _create_response(self, event_id: str | None, otherwise: Reply | None = None) -> None:
        if self._active is not None:
            problem = f"Conversation already has an active response in progress: {self._active.response_id}."
            await self.refuse("conversation_already_has_active_response", problem, event_id)
            return
        await self._respond(otherwise)

    async def _cancel(self, event_id: str | None) -> None:
        if self._active is None:
            problem = "Cancellation failed: no active response found"
            await self.refuse("response_cancel_not_active", problem, event_id)
            return
        await self._end_response("cancelled", "client_cancelled")


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
