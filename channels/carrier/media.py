"""One media socket from Twilio's side: what goes over it, and 20 ms after 20 ms for as long as the call lasts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from typing import Final

from agents.errors import ChannelError
from agents.mulaw import FRAME_BYTES, FRAME_MS
from channels.carrier import wire
from channels.carrier.caller import Move
from channels.carrier.distance import Distant
from channels.carrier.network import Network
from channels.carrier.over_net import OverNet
from channels.carrier.playout import Playout, Tick
from channels.carrier.reach import Reach, Socket, SocketClosed
from channels.carrier.signature import SIGNATURE_HEADER
from channels.carrier.tally import Tally
from channels.media_streams import Start, WireError

SEND_TIMEOUT_S: Final = 10.0
"""So long a service may leave its socket unread before the line counts as broken."""

CLEAN_CLOSES: Final = (1000, 1005)
"""The codes of a service that closes its socket in good order: with a reason and without."""

MAX_OUTSTANDING_MARKS: Final = 100_000
"""So many marks may wait to be reached: three for each frame that the buffer holds."""

MAX_AT_ONCE: Final = 250_000
"""So many messages may come within 20 ms: ten minutes of audio in the smallest messages, with marks, four times over.
In virtual time a service that says more without ever waiting would stop the clock."""

FIRST_TIMESTAMP_MS: Final = 53
"""Twilio's timestamps count from before the first frame; seen on real calls."""


@asynccontextmanager
async def open_leg(
    url: str,
    start: Start,
    *,
    signature: str | None,
    tally: Tally | None = None,
    reach: Reach | None = None,
    network: Network | None = None,
) -> AsyncIterator["MediaLeg"]:
    """Opens a media socket as Twilio does: signed, no origin, no subprotocol, no compression; closed at the end.

    Nothing is sent yet. `signature` None leaves the header out. `reach` is the way to the service, None being the real
    network; `network` is what is put on that way. Raises ChannelError, with Twilio's error code, when the service does
    not accept the socket.
    """
    headers = {SIGNATURE_HEADER: signature} if signature is not None else {}
    reach = OverNet() if reach is None else reach
    if network is not None:
        reach = Distant(reach, network)
    async with reach.socket(url, headers) as socket:
        playout = Playout(network.playback_delay_ms if network else 0.0)
        leg = MediaLeg(socket, start, Tally() if tally is None else tally, playout)
        try:
            yield leg
        finally:
            leg.hang_up()


class MediaLeg:
    """One open media socket. Made by `open_leg`.

    `run` makes a whole healthy stream of it. The other methods send one message each, numbered as Twilio numbers them,
    for streams that are not healthy; they raise ChannelError once the socket is closed or unread for too long.
    `socket` is the bare one below them.
    """

    def __init__(self, socket: Socket, start: Start, tally: Tally, playout: Playout) -> None:
        self.start = start
        self.tally = tally
        self.playout = playout
        self.socket = socket
        self._clock = asyncio.get_running_loop().time
        self._origin_s = self._clock()
        self._sending = asyncio.Lock()
        self._sequence = 0
        self._chunk = 0
        self._first_mark_changed = asyncio.Event()
        self._has_hung_up = False

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
        self.socket.abort()

    def hang_up(self) -> None:
        """Stops the phone: what has not sounded yet never will. Sends nothing."""
        if not self._has_hung_up:
            self._has_hung_up = True
            self.tally.played_ms += self.playout.played_ms(self._now_ms())

    async def receive(self) -> None:
        """Takes what the service sends until the socket is closed, and answers clears and marks that are due at once.

        Messages that Twilio would not take are errors in the tally, and have no other effect. A flood that leaves no
        time for anything else is one too, and resets the socket.
        """
        frame, count = -1, 0
        async for message in self.socket:
            now_frame = int(self._now_ms() // FRAME_MS)
            frame, count = now_frame, count + 1 if now_frame == frame else 1
            if count > MAX_AT_ONCE:
                self.tally.fail(f"the service sent more than {MAX_AT_ONCE} messages within {FRAME_MS} ms")
                self.reset()
                return
            try:
                await self._take(message)
            except WireError as error:
                self.tally.refuse(error)

    async def run(self, phone: Callable[[Tick], Move], origin_s: float) -> bool:
        """Runs a whole stream: connected, start, 20 ms of audio each 20 ms, stop when the phone hangs up.

        `phone` is called once per tick, with times in milliseconds since `origin_s` of the loop's clock. Ticks have
        absolute deadlines: late ones are caught up with, and none is left out. Returns True when the phone hung up,
        False when the service closed the socket in good order. Raises ChannelError when the line breaks.
        """
        self._origin_s = origin_s
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(self.receive(), name="carrier receives")
            ticking = tasks.create_task(self._talk(phone), name="carrier talks")
            echoing = tasks.create_task(self._echo_reached(), name="carrier echoes marks")
            await asyncio.wait((receiving, ticking), return_when=asyncio.FIRST_COMPLETED)
            echoing.cancel()
            self.hang_up()
            if not ticking.done():
                ticking.cancel()
            elif ticking.result():
                receiving.cancel()
        if not ticking.cancelled() and ticking.result():
            return True
        await self.socket.wait_closed()
        if self.socket.close_code not in CLEAN_CLOSES:
            reason = f": {self.socket.close_reason}" if self.socket.close_reason else ""
            raise ChannelError(f"the media socket broke with code {self.socket.close_code}{reason} (31903)")
        return False

    async def _talk(self, phone: Callable[[Tick], Move]) -> bool:
        """True when the phone hung up, False when there is no socket any more to talk to."""
        try:
            await self.connected()
            await self.begin()
            await self._tick(phone)
            await self.stop()
        except ChannelError:
            return False
        return True

    async def _tick(self, phone: Callable[[Tick], Move]) -> None:
        began_s = self._clock()
        began_ms = round((began_s - self._origin_s) * 1000)
        for ticks in count():
            due_s = began_s + ticks * FRAME_MS / 1000
            await asyncio.sleep(due_s - self._clock())
            self.tally.lateness_ms.append((self._clock() - due_s) * 1000)
            move = phone(self.playout.tick(began_ms + ticks * FRAME_MS))
            await self.media(move.ulaw)
            if move.digit is not None:
                await self.dtmf(move.digit)
            if move.is_hang_up:
                return

    async def _echo_reached(self) -> None:
        """Echoes each mark when what was sent before it has sounded, whenever between two ticks that is."""
        while True:
            due_ms = self.playout.next_mark_ms
            self._first_mark_changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if due_ms is None else self._origin_s + due_ms / 1000):
                    await self._first_mark_changed.wait()
                    continue
            # Not a hair before its time, whatever timers and floating point make of it.
            await self._answer(self.playout.reached(max(due_ms or 0.0, self._now_ms())))

    async def _take(self, message: str | bytes) -> None:
        match wire.decode(message):
            case wire.Play(sid, ulaw):
                self._check(sid)
                self.tally.frames_received += len(ulaw) // FRAME_BYTES
                if self.playout.play(ulaw, self._now_ms()):
                    self.tally.warn("more than ten minutes of audio were waiting: what came on top is lost (31931)")
            case wire.MarkRequest(sid, name):
                self._check(sid)
                if self.playout.outstanding >= MAX_OUTSTANDING_MARKS:
                    raise WireError(f"more than {MAX_OUTSTANDING_MARKS} marks are outstanding")
                self.tally.marks += 1
                is_first = self.playout.next_mark_ms is None
                if self.playout.mark(name, self._now_ms()):
                    await self._answer((name,))
                elif is_first:
                    self._first_mark_changed.set()
            case wire.Clear(sid):
                self._check(sid)
                clearing = self.playout.clear(self._now_ms())
                self._first_mark_changed.set()
                self.tally.clear(clearing)
                await self._answer(clearing.marks)

    async def _answer(self, marks: tuple[str, ...]) -> None:
        """Echoes marks; on a socket that closes meanwhile nobody waits for them."""
        try:
            await self.echo(marks)
        except ChannelError:
            return

    def _now_ms(self) -> float:
        return (self._clock() - self._origin_s) * 1000

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
        except SocketClosed:
            raise ChannelError("the media socket is closed") from None
        except TimeoutError:
            unread = f"the service left the media socket unread for {SEND_TIMEOUT_S:.0f} s (31930)"
            self.tally.fail(unread)
            await self.socket.close()
            raise ChannelError(unread) from None
