"""The agent of the fake OpenAI: its responses, from the first word to the last."""

import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from agents.realtime import PCM, PCMU
from tests.fake_ear import tone
from tests.fake_openai_dialects import FakeDialect
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
    tool_call,
    usage,
)
from tests.openai_oracle import server_faults


@dataclass(slots=True)
class Script:
    """What tests set, and what they look at, for all sessions of one server."""

    replies: deque[Reply]
    hears: str | None = "Hello?"
    """What the caller said, whatever was sent; None leaves the transcription to `FakeSession.transcribe`."""
    audio: Audio | None = None
    violations: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Active:
    """The response under way; `at` while it speaks."""

    response_id: str
    is_told: bool = True
    at: Place | None = None
    text: str = ""
    items: int = 0
    audio_ms: int = 0


class FakeSpeaker:
    """Says what the script has, in the words of a dialect. `sent` has it in OpenAI's own words."""

    session: Json

    def __init__(self, script: Script, dialect: FakeDialect, send: Callable[[Json], Awaitable[None]]) -> None:
        self.sent: list[Json] = []
        self.responses = 0
        """How many it has begun."""
        self.call_ids: set[str] = set()
        """The tool calls that it made, or was told of."""
        self._script = script
        self._dialect = dialect
        self._send = send
        self._ids = itertools.count(1)
        self._active: Active | None = None
        self._items: dict[str, int] = {}  # every item, with the milliseconds that it speaks
        self._last_item: str | None = None
        self._after_tool = False

    @property
    def is_responding(self) -> bool:
        return self._active is not None

    async def send(self, kind: str, **fields: Any) -> None:
        """Says this to the client, whatever state the conversation is in."""
        message = {"type": kind, "event_id": self._id("event"), **fields}
        self._script.violations += server_faults(message)
        self.sent.append(message)
        for said in self._dialect.write(message):
            await self._send(said)

    async def release(self) -> None:
        """Ends a response that holds."""
        await self._end_response("completed")

    async def _respond(self, otherwise: Reply | None = None) -> None:
        reply = self._script.replies.popleft() if self._script.replies else otherwise or Speak()
        is_told = not (self._after_tool and self._dialect.forgets_responses)
        self._active, self._after_tool = Active(self._id("resp"), is_told=is_told), False
        active = self._active
        self.responses += 1
        if is_told:
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
                    self.call_ids.add(call_id)
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
        await self._send_all(speech(at, reply, self._script.audio or self._voice))

    def _voice(self, ms: int) -> bytes:
        encoding = self.session["audio"]["output"]["format"]["type"]
        return tone(ms, PCM if encoding == "audio/pcm" else PCMU)

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
        if active.is_told:
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
