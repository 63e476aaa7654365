"""Puts a Network between the carrier and a service: on any way there, and on whatever clock the running loop has."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Final, Self

from agents.errors import ChannelError
from channels.carrier.beside import tasks_beside
from channels.carrier.network import Direction, Network
from channels.carrier.pipe import Pipe
from channels.carrier.reach import Answer, Reach, Socket, SocketClosed

IN_FLIGHT_BYTES: Final = 1024 * 1024
"""So much is on its way in one direction before sending has to wait: about what the buffers of a connection hold."""

CLOSE_TIMEOUT_S: Final = 3.0
"""So much longer than the way out takes, a socket that was closed goes on delivering; what a stall still holds back
then is lost.
"""

_STOP: Final = '{"event":"stop"'


class Distant:
    """A Reach with a network on the way."""

    def __init__(self, reach: Reach, network: Network) -> None:
        self._reach = reach
        self._network = network
        self._random = Random(f"{network.seed} posts").random

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        await self._travel("out")
        try:
            answer = await self._reach.post(url, form, headers)
        except ChannelError:
            await self._travel("in")
            raise
        await self._travel("in")
        return answer

    @asynccontextmanager
    async def socket(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
        await self._travel("out")
        async with self._reach.socket(url, headers) as socket:
            await self._travel("in")
            async with at_a_distance(socket, self._network) as distant:
                yield distant

    async def _travel(self, direction: Direction) -> None:
        await asyncio.sleep((self._network.delay_ms(direction) + self._random() * self._network.jitter_ms) / 1000)


@asynccontextmanager
async def at_a_distance(socket: Socket, network: Network) -> AsyncIterator[Socket]:
    """Puts a network on an open socket, from now on. At the end what is under way is delivered, then it is closed."""
    loop = asyncio.get_running_loop()
    distant = DistantSocket(socket, network, loop.time())
    async with tasks_beside() as tasks:
        tasks.create_task(distant.carry_out(), name="network out")
        tasks.create_task(distant.carry_in(), name="network in")
        reset = None if network.reset_after_s is None else loop.call_later(network.reset_after_s, distant.abort)
        try:
            yield distant
        finally:
            if reset is not None:
                reset.cancel()
            await distant.close()


class DistantSocket:
    """A Socket whose messages take their time. Made by `at_a_distance`, which runs `carry_out` and `carry_in`."""

    def __init__(self, socket: Socket, network: Network, opened_s: float) -> None:
        self._socket = socket
        self._clock = asyncio.get_running_loop().time
        self._out = Pipe(IN_FLIGHT_BYTES)
        self._in = Pipe(IN_FLIGHT_BYTES)
        self._arrives_there = network.arrivals("out", opened_s)
        self._arrives_here = network.arrivals("in", opened_s)
        self._loses_stop = network.lose_stop
        self._silent_s = None if network.silent_after_s is None else opened_s + network.silent_after_s
        self._way_out_s = (network.delay_ms("out") + network.jitter_ms) / 1000
        self._is_delivered = asyncio.Event()

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    @property
    def close_reason(self) -> str | None:
        return self._socket.close_reason

    async def send(self, message: str | bytes) -> None:
        await self._out.room()
        if not (self._loses_stop and isinstance(message, str) and message.startswith(_STOP)):
            self._out.push(message, self._arrives_there.of(self._clock()))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        message = await self._in.take()
        if message is None:
            self._out.end()  # from now on the carrier knows, and sends no more
            raise StopAsyncIteration
        return message

    async def close(self) -> None:
        self._out.end(self._arrives_there.of(self._clock()))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._way_out_s + CLOSE_TIMEOUT_S):
                await self._is_delivered.wait()
                return
        self.abort()

    async def wait_closed(self) -> None:
        await self._socket.wait_closed()

    def abort(self) -> None:
        self._socket.abort()
        self._out.break_off()
        self._in.break_off()

    async def carry_out(self) -> None:
        """Delivers what the carrier sends, then closes the socket. What comes to a closed one is lost."""
        while (message := await self._out.take()) is not None:
            if self._silent_s is not None and self._clock() >= self._silent_s:
                continue
            with suppress(SocketClosed):
                await self._socket.send(message)
        await self._socket.close()
        self._is_delivered.set()

    async def carry_in(self) -> None:
        """Delivers what the service sends, and that it has closed the socket."""
        with suppress(SocketClosed):  # dropped meanwhile: nobody waits for it
            async for message in self._socket:
                await self._in.room()
                self._in.push(message, self._arrives_here.of(self._clock()))
        self._in.end(self._arrives_here.of(self._clock()))
