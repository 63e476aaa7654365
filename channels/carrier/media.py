"""One media socket from Twilio's side: what goes over it, and 20 ms after 20 ms for as long as the call lasts."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from agents.errors import ChannelError
from channels.carrier import wire
from channels.carrier.caller import Move
from channels.carrier.playout import Playout, Tick
from channels.carrier.signature import SIGNATURE_HEADER
from channels.media_streams import Start, WireError
from channels.mulaw import FRAME_BYTES, FRAME_MS

OPEN_TIMEOUT_S: Final = 5.0
SEND_TIMEOUT_S: Final = 10.0
"""So long a service may leave its socket unread before the line counts as broken."""
CLOSE_TIMEOUT_S: Final = 3.0

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""Ten minutes of audio in one message: more cannot be held, and Twilio documents no smaller limit."""

MAX_COMPLAINTS: Final = 50
"""So many errors, and so many warnings, are kept of a call; a service that is wrong is wrong 50 times a second."""

FIRST_TIMESTAMP_MS: Final = 53
"""Twilio's timestamps count from before the first frame; seen on real calls."""

USER_AGENT: Final = "TwilioProxy/1.1"


@dataclass(slots=True)
class Tally:
    """What is counted of a call, over all its media sockets. Frames are 20 ms; the others are messages received."""

    frames_sent: int = 0
    frames_received: int = 0
    marks: int = 0
    clears: int = 0
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lateness_ms: "array[float]" = field(default_factory=lambda: array("f"))

    def fail(self, error: str) -> None:
        if len(self.errors) < MAX_COMPLAINTS:
            self.errors.append(error)

    def warn(self, warning: str) -> None:
        if len(self.warnings) < MAX_COMPLAINTS and warning not in self.warnings:
            self.warnings.append(warning)


@asynccontextmanager
async def open_leg(
    url: str, start: Start, *, signature: str | None, tally: Tally | None = None
) -> AsyncIterator["MediaLeg"]:
    """Opens a media socket as Twilio does: signed, no origin, no subprotocol, no compression; closed at the end.

    Nothing is sent yet. `signature` None leaves the header out. Raises ChannelError, with Twilio's error code, when
    the service does not accept the socket.
    """
    try:
        socket = await connect(
            url,
            additional_headers={SIGNATURE_HEADER: signature} if signature is not None else {},
            user_agent_header=USER_AGENT,
            compression=None,
            proxy=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=MAX_MESSAGE_BYTES,
        )
    except InvalidURI as error:
        raise ChannelError(f"the media address cannot be used (31923): {error}") from None
    except InvalidStatus as error:
        raise ChannelError(f"the media socket was refused with HTTP {error.response.status_code} (31920)") from None
    except InvalidHandshake as error:
        raise ChannelError(f"the media socket's handshake failed (31920): {error}") from None
    except TimeoutError:
        raise ChannelError(f"the media socket did not open within {OPEN_TIMEOUT_S:.0f} s (31901)") from None
    except OSError as error:
        raise ChannelError(f"the media socket could not be reached (31902): {error}") from None
    try:
        yield MediaLeg(socket, start, Tally() if tally is None else tally)
    finally:
        await socket.close()


class MediaLeg:
    """One open media socket. Made by `open_leg`.

    `run` makes a whole healthy stream of it. The other methods send one message each, numbered as Twilio numbers them,
    for streams that are not healthy; they raise ChannelError once the socket is closed or unread for too long.
    `socket` is the bare one below them.
    """

    def __init__(self, socket: ClientConnection, start: Start, tally: Tally) -> None:
        self.start = start
        self.tally = tally
        self.playout = Playout()
        self.socket = socket
        self._sending = asyncio.Lock()
        self._sequence = 0
        self._chunk = 0

    async def connected(self) -> None:
        await self.raw(wire.tell_connected())

    async def begin(self) -> None:
        await self._tell(lambda sequence: wire.tell_start(self.start, sequence))

    async def media(self, ulaw: bytes) -> None:
        """Sends 20 ms of the caller's audio."""
        self._chunk += 1
        chunk, timestamp_ms = self._chunk, FIRST_TIMESTAMP_MS + (self._chunk - 1) * FRAME_MS
        sid = self.start.stream_sid
        await self._tell(lambda sequence: wire.tell_media(sid, sequence, chunk, timestamp_ms, ulaw))
        self.tally.frames_sent += 1

    async def dtmf(self, digit: str) -> None:
        await self._tell(lambda sequence: wire.tell_dtmf(self.start.stream_sid, sequence, digit))

    async def echo(self, marks: Iterable[str]) -> None:
        for name in marks:
            await self._tell(partial(wire.tell_mark, self.start.stream_sid, name=name))

    async def stop(self) -> None:
        await self._tell(lambda sequence: wire.tell_stop(self.start, sequence))

    async def raw(self, message: str | bytes) -> None:
        """Sends anything, as a text or a binary frame, and counts it nowhere."""
        async with self._sending:
            await self._send(message)

    def reset(self) -> None:
        """Drops the connection without a word, as a network that fails does."""
        self.socket.transport.abort()

    async def receive(self) -> None:
        """Takes what the service sends until the socket is closed, and answers clears and marks that are due at once.

        Messages that Twilio would not take are errors in the tally, and have no other effect.
        """
        try:
            async for message in self.socket:
                try:
                    await self._take(message)
                except WireError as error:
                    self.tally.fail(f"protocol: {error}")
        except ConnectionClosed:
            return

    async def run(self, phone: Callable[[Tick], Move], origin_s: float) -> bool:
        """Runs a whole stream: connected, start, 20 ms of audio each 20 ms, stop when the phone hangs up.

        `phone` is called once per tick, with times in milliseconds since `origin_s` of the loop's clock. Ticks have
        absolute deadlines: late ones are caught up with, and none is left out. Returns True when the phone hung up,
        False when the service closed the socket in good order. Raises ChannelError when the line breaks.
        """
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(self.receive(), name="carrier receives")
            ticking = tasks.create_task(self._talk(phone, origin_s), name="carrier talks")
            await asyncio.wait((receiving, ticking), return_when=asyncio.FIRST_COMPLETED)
            if not ticking.done():
                ticking.cancel()
            elif ticking.result():
                receiving.cancel()
        if not ticking.cancelled() and ticking.result():
            return True
        await self.socket.wait_closed()
        if self.socket.close_code not in (1000, 1005):
            reason = f": {self.socket.close_reason}" if self.socket.close_reason else ""
            raise ChannelError(f"the media socket broke with code {self.socket.close_code}{reason} (31903)")
        return False

    async def _talk(self, phone: Callable[[Tick], Move], origin_s: float) -> bool:
        """True when the phone hung up, False when there is no socket any more to talk to."""
        try:
            await self.connected()
            await self.begin()
            await self._tick(phone, origin_s)
            await self.stop()
        except ChannelError:
            return False
        return True

    async def _tick(self, phone: Callable[[Tick], Move], origin_s: float) -> None:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        began_ms = round((began_s - origin_s) * 1000)
        for ticks in count():
            due_s = began_s + ticks * FRAME_MS / 1000
            await asyncio.sleep(due_s - clock())
            self.tally.lateness_ms.append((clock() - due_s) * 1000)
            tick = self.playout.tick(began_ms + ticks * FRAME_MS)
            move = phone(tick)
            await self.echo(tick.marks)
            await self.media(move.ulaw)
            if move.digit is not None:
                await self.dtmf(move.digit)
            if move.is_hang_up:
                return

    async def _take(self, message: str | bytes) -> None:
        match wire.decode(message):
            case wire.Play(sid, ulaw):
                self._check(sid)
                self.tally.frames_received += len(ulaw) // FRAME_BYTES
                if self.playout.play(ulaw):
                    self.tally.warn("more than ten minutes of audio were waiting: what came on top is lost (31931)")
            case wire.MarkRequest(sid, name):
                self._check(sid)
                self.tally.marks += 1
                if self.playout.mark(name):
                    await self._answer((name,))
            case wire.Clear(sid):
                self._check(sid)
                self.tally.clears += 1
                await self._answer(self.playout.clear())

    async def _answer(self, marks: tuple[str, ...]) -> None:
        """Echoes marks while receiving: on a socket that closes meanwhile nobody waits for them."""
        try:
            await self.echo(marks)
        except ChannelError:
            return

    def _check(self, stream_sid: str) -> None:
        if stream_sid != self.start.stream_sid:
            raise WireError(f"streamSid {stream_sid[:40]!r} is not this stream's {self.start.stream_sid} (31951)")

    async def _tell(self, write: Callable[[int], str]) -> None:
        async with self._sending:
            self._sequence += 1
            await self._send(write(self._sequence))

    async def _send(self, message: str | bytes) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self.socket.send(message)
        except ConnectionClosed:
            raise ChannelError("the media socket is closed") from None
        except TimeoutError:
            unread = f"the service left the media socket unread for {SEND_TIMEOUT_S:.0f} s (31930)"
            self.tally.fail(unread)
            await self.socket.close()
            raise ChannelError(unread) from None
