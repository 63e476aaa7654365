"""One conversation of the load's fake OpenAI: what it hears of a caller, and what it says."""

from binascii import a2b_base64
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from agents.mulaw import FRAME_MS
from agents.providers.wire_json import JsonObject, read_object, write
from gateway.load import messages
from gateway.load.call import Call
from gateway.load.down import Saying
from gateway.load.pressure import MAX_BLOCKED_S, Pressure
from gateway.load.script import APPEND, APPEND_END, Script
from gateway.load.ticker import now
from gateway.load.up import Heard

MAX_SAYINGS: Final = 8
"""Of so many replies it is known what they were: a gateway that is late tells of the last but one."""


class Provider(Protocol):
    """What a session has of its server."""

    script: Script

    def at(self, due: float, act: Callable[[], None]) -> None: ...

    def joined(self, session: "Session") -> None: ...

    def left(self, session: "Session") -> None: ...

    def call_of(self, instructions: str) -> Call | None: ...

    def trouble(self, what: str) -> None: ...


class Session(WSListener):
    """It lives as long as its socket."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._script = script = provider.script
        self._frames, self._began, self._ended = script.frames, script.began, script.ended
        self._transport: WSTransport | None = None
        self._call: Call | None = None
        self._heard: Heard | None = None
        self._ids = 0
        self._replies = 0
        self._user_item = b""
        self._active: Saying | None = None
        self._sayings: dict[str, Saying] = {}
        self._silent_until = 0.0
        self._pressure = Pressure()

    # ---- its socket ----

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._provider.joined(self)
        self._say(messages.session("session.created", "sess_1"))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            message = frame.get_payload_as_bytes()
            if self._heard and message == self._heard.expected:
                self._heard.go_on()
                self._came(self._heard.frames - 1, now())
            elif message.startswith(APPEND):
                self._append(a2b_base64(message[len(APPEND) : -len(APPEND_END)]))
            else:
                self._take(read_object(message))
        elif frame.msg_type == WSMsgType.CLOSE:
            self._over()
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._over()

    def _over(self) -> None:
        self._transport = self._active = None
        self._provider.left(self)

    def pause_writing(self) -> None:
        self._pressure.begin(now())

    def resume_writing(self) -> None:
        self._pressure.end()

    def drop(self) -> None:
        """Ends it without a word."""
        if self._transport:
            self._transport.disconnect(graceful=False)

    def stall(self, until: float) -> None:
        """Reads nothing and says nothing until then."""
        self._silent_until = until
        if self._transport:
            self._transport.underlying_transport.pause_reading()

    def go_on(self) -> None:
        """Reads again."""
        if self._transport and now() >= self._silent_until:
            self._transport.underlying_transport.resume_reading()

    def _say(self, message: bytes) -> None:
        if self._transport and not self._transport.underlying_transport.is_closing():
            self._transport.send(WSMsgType.TEXT, message)

    def _tell(self, template: bytes, *values: Any) -> None:
        self._ids += 1
        self._say(template % (b"%d" % self._ids, *values))

    # ---- what it hears ----

    def _append(self, audio: bytes) -> None:
        call, heard = self._call, self._heard
        if call and heard:
            at, before = now(), heard.frames
            heard.feed(audio, call.tally)
            for frame in range(before, heard.frames):
                self._came(frame, at)

    def _came(self, frame: int, at: float) -> None:
        """A frame of the caller's is here, or was lost."""
        call = self._call
        if call is None:
            return
        call.arrived(frame + 1)
        sent_at = call.sent_at(frame)
        if sent_at is not None:
            call.board.tally.up.add(at - sent_at)
        place = (call.start + frame) % self._frames
        if place in self._began:
            self._speech_began(call, frame, at)
        elif place in self._ended:
            self._speech_ended(call, frame, self._ended[place], sent_at)

    def _speech_began(self, call: Call, frame: int, at: float) -> None:
        self._ids += 1
        self._user_item = b"item_%d" % self._ids
        if call.earpiece.is_sounding(at):
            call.cut_at = at
        self._tell(messages.SPEECH_STARTED, self._user_item, frame * FRAME_MS)
        call.earpiece.cut(at)
        self._cancel(b"turn_detected")

    def _speech_ended(self, call: Call, frame: int, reply_ms: int, sent_at: float | None) -> None:
        item = self._user_item
        self._tell(messages.SPEECH_STOPPED, item, (frame + 1) * FRAME_MS)
        self._tell(messages.COMMITTED, item)
        self._tell(messages.USER_ADDED, item)
        self._tell(messages.USER_DONE, item)
        self._respond(call, reply_ms, sent_at)
        self._tell(messages.TRANSCRIBING, item)
        self._tell(messages.TRANSCRIBED, item)

    def _take(self, message: JsonObject) -> None:
        match message:
            case {"type": "input_audio_buffer.append", "audio": str(audio)}:
                self._append(a2b_base64(audio))
            case {"type": "session.update", "session": dict(session)}:
                self._update(session)
            case {"type": "conversation.item.create", "item": dict(item)}:
                self._add(item)
            case {"type": "conversation.item.truncate", "item_id": str(item_id), "audio_end_ms": int(end_ms)}:
                self._truncate(item_id, end_ms)
            case {"type": "response.create"}:
                if self._active:
                    self._refuse("conversation_already_has_active_response")
                elif self._call:
                    self._respond(self._call, self._script.asked_reply_ms, None)
            case {"type": "response.cancel"}:
                if self._active:
                    self._cancel(b"client_cancelled")
                else:
                    self._refuse("response_cancel_not_active")
            case _:
                self._refuse("invalid_value")

    def _update(self, session: JsonObject) -> None:
        if self._call is None and (call := self._provider.call_of(str(session.get("instructions", "")))):
            self._call, self._heard = call, Heard(self._script, call.start)
        elif self._call is None:
            self._provider.trouble("a session's instructions name no call of ours")
        self._say(messages.session("session.updated", "sess_1"))

    def _add(self, item: JsonObject) -> None:
        if self._call and item.get("role") == "user":
            self._call.keys_arrived()
        self._ids += 1
        for answer in messages.item_answers(item, b"item_%d" % self._ids):
            self._say(answer)

    def _truncate(self, item_id: str, end_ms: int) -> None:
        if self._call and (saying := self._sayings.pop(item_id, None)):
            saying.told_ms = end_ms
            saying.compare(self._call.tally)
        self._tell(messages.TRUNCATED, item_id.encode(), end_ms)

    def _refuse(self, code: str) -> None:
        self._provider.trouble(f"the provider was sent what it refused: {code}")
        error = {"type": "invalid_request_error", "code": code, "message": code, "param": None, "event_id": None}
        self._say(write({"type": "error", "event_id": "event_error", "error": error}).encode())

    # ---- what it says ----

    def _respond(self, call: Call, reply_ms: int, asked_at: float | None) -> None:
        reply = self._script.replies[self._replies % 2, reply_ms]
        self._replies += 1
        response, item = b"resp_%d" % self._replies, b"said_%d" % self._replies
        saying = self._active = Saying(reply, item, response, asked_at)
        self._sayings[item.decode()] = saying
        if len(self._sayings) > MAX_SAYINGS:
            del self._sayings[next(iter(self._sayings))]
        call.earpiece.announce(saying)
        self._tell(messages.CREATED, response)
        self._tell(messages.ITEM_OPENED, response, item)
        self._tell(messages.ADDED, item)
        self._tell(messages.PART_OPENED, response, item)
        self._speak(saying, now())

    def _speak(self, saying: Saying, due: float) -> None:
        """Says the next piece, unless it was told to stop."""
        if saying is not self._active:
            return
        if due < self._silent_until:
            self._provider.at(self._silent_until, partial(self._speak, saying, self._silent_until))
            return
        if self._pressure.is_too_long(now()):
            self._provider.trouble(f"a session was not read for {MAX_BLOCKED_S:g} s")
            self.drop()
            return
        place = (saying.response_id, saying.item_id)
        self._tell(messages.TRANSCRIPT, *place)
        saying.sent_at.append(now())
        self._tell(messages.AUDIO, *place, saying.reply.deltas[len(saying.sent_at) - 1])
        if saying.is_sent:
            self._active = None
            self._end(saying, messages.COMPLETED, saying.response_id)
        else:
            due += saying.reply.delta_ms / 1000 / self._script.speed
            self._provider.at(due, partial(self._speak, saying, due))

    def _cancel(self, reason: bytes) -> None:
        saying, self._active = self._active, None
        if saying:
            self._end(saying, messages.CANCELLED, saying.response_id, reason)

    def _end(self, saying: Saying, done: bytes, *values: bytes) -> None:
        place = (saying.response_id, saying.item_id)
        words = messages.WORDS.encode() * len(saying.sent_at)
        self._tell(messages.AUDIO_DONE, *place)
        self._tell(messages.TRANSCRIPT_DONE, *place, words)
        self._tell(messages.PART_DONE, *place, words)
        self._tell(messages.DONE, saying.item_id, words)
        self._tell(messages.ITEM_CLOSED, *place, words)
        self._tell(done, *values)
