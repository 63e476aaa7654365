"""One caller of a load on the carrier's wire: sends frames and keys, plays what comes, echoes marks, obeys clear."""

from collections import deque
from typing import Final

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from agents.mulaw import FRAME_MS
from channels.carrier.wire import (
    Clear,
    MarkRequest,
    Play,
    decode,
    tell_connected,
    tell_dtmf,
    tell_mark,
    tell_start,
    tell_stop,
)
from channels.media_streams import Start, WireError
from gateway.load.call import Call
from gateway.load.media_text import audio_of, media_prefix, media_template
from gateway.load.pressure import MAX_BLOCKED_S, Pressure
from gateway.load.ticker import Ticker, now

MAX_MARKS: Final = 10_000
"""Marks that wait for their audio: two thousand seconds of it, which no service sends ahead."""

_TEXT: Final = WSMsgType.TEXT


class Caller(WSListener):
    """The carrier's end of one media stream; the far end opens it, and may end it."""

    def __init__(self, call: Call, start: Start, ticker: Ticker) -> None:
        self._call = call
        self._start = start
        self._ticker = ticker
        self._payloads, self._pressed = call.script.payloads, call.script.pressed
        self._transport: WSTransport | None = None
        self._template = media_template(start.stream_sid)
        self._prefix = media_prefix(start.stream_sid)
        self._sequence = 0
        self._place = call.start
        self._marks: deque[tuple[float, str]] = deque()
        self._is_mark_owed = False
        self._is_ending = False
        self._pressure = Pressure()

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    # ---- its socket ----

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._send(tell_connected())
        self._send(tell_start(self._start, self._next()))
        self._ticker.add(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == _TEXT:
            message = frame.get_payload_as_bytes()
            ulaw = audio_of(message, self._prefix)
            if ulaw is None:
                self._take(message)
            else:
                self._play(ulaw)
        elif frame.msg_type == WSMsgType.CLOSE:
            self._over()
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._over()

    def _over(self) -> None:
        """The socket is of no more use; that may be said more than once."""
        if self._transport and not self._is_ending:
            self._call.board.lost(self._call)
        self._transport = None
        self._ticker.remove(self)

    def pause_writing(self) -> None:
        self._pressure.begin(now())

    def resume_writing(self) -> None:
        self._pressure.end()

    def end(self) -> None:
        """Hangs up."""
        self._is_ending = True
        self._ticker.remove(self)
        if self._transport:
            self._send(tell_stop(self._start, self._next()))
            self._transport.send_close(WSCloseCode.OK)

    def _send(self, text: str) -> None:
        if self._transport and not self._transport.underlying_transport.is_closing():
            self._transport.send(_TEXT, text)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    # ---- what it says ----

    def send_frame(self, due: float) -> None:
        transport, call, place = self._transport, self._call, self._place
        if transport is None or transport.underlying_transport.is_closing():
            return
        if place in self._pressed:
            self._press(self._pressed[place])
        self._place = (place + 1) % len(self._payloads)
        self._sequence = sequence = self._sequence + 1
        sent = call.frames_sent
        at = now()
        if self._pressure.is_too_long(at):
            call.board.trouble(f"a media stream was not read for {MAX_BLOCKED_S:g} s")
            transport.disconnect(graceful=False)
            return
        call.sent(at)
        transport.send(_TEXT, self._template % (sequence, sent + 1, sent * FRAME_MS, self._payloads[place]))
        tally = call.board.tally
        tally.frames_sent += 1
        tally.lateness.add(at - due)

    def _press(self, digits: str) -> None:
        self._call.pressed(now())
        for digit in digits:
            self._send(tell_dtmf(self._start.stream_sid, self._next(), digit))

    # ---- what it hears ----

    def _take(self, message: bytes) -> None:
        try:
            match decode(message.decode()):
                case Play(_, ulaw):
                    self._play(ulaw)
                case MarkRequest(_, name):
                    self._mark(name)
                case Clear():
                    self._clear()
        except (WireError, UnicodeDecodeError) as error:
            self._call.board.trouble(f"the carrier was sent what it refuses: {error}")

    def _play(self, ulaw: bytes) -> None:
        tally = self._call.tally
        tally.marks_lost += self._is_mark_owed
        self._is_mark_owed = True
        self._call.earpiece.feed(ulaw, now(), tally)

    def _mark(self, name: str) -> None:
        self._is_mark_owed = False
        due = self._call.earpiece.free_at
        if due <= now() and not self._marks:
            self._echo(name)
        elif len(self._marks) < MAX_MARKS:
            self._marks.append((due, name))
            self._ticker.at(due, self._echo_due)
        else:
            self._call.board.trouble(f"more than {MAX_MARKS} marks wait for their audio")

    def _clear(self) -> None:
        call, at = self._call, now()
        if call.cut_at is not None:
            call.tally.clear.add(at - call.cut_at)
            call.cut_at = None
        self._is_mark_owed = False
        call.earpiece.clear(at, call.tally)
        while self._marks:
            self._echo(self._marks.popleft()[1])

    def _echo_due(self) -> None:
        at = now()
        while self._marks and self._marks[0][0] <= at:
            self._echo(self._marks.popleft()[1])

    def _echo(self, name: str) -> None:
        self._send(tell_mark(self._start.stream_sid, self._next(), name))
