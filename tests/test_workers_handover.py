"""The connection of a media stream goes to another worker, with what was read of it, and lives on there."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
import uvloop

from gateway.workers import handover
from gateway.workers.handover import Door, Receiver, Sender
from gateway.workers.relay import streams_socket

UPGRADE = "GET /twilio/w/{}/twilio/media HTTP/1.1\r\nhost: gw\r\n\r\n"

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


class Names(asyncio.Protocol):
    """Says its worker's name before everything that it hears."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport
        self._transport.write(self._name + b":" + data.split(b"\r\n")[0] + b"\n")


class Http(asyncio.Protocol):
    """As an HTTP protocol does: gives the connection to a WebSocket protocol, with the request that it read."""

    def __init__(self, make: Callable[[], Door]) -> None:
        self._make = make
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport
        protocol = self._make()
        protocol.connection_made(self._transport)
        protocol.data_received(data)
        self._transport.set_protocol(protocol)


@asynccontextmanager
async def worker_1(folder: Path) -> AsyncIterator[tuple[str, int]]:
    """A port at which worker 1 accepts."""
    sender = Sender(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Http(lambda: Door(1, lambda: Names(b"1"), sender)), "127.0.0.1", 0, family=socket.AF_INET
    )
    async with server:
        host, port = server.sockets[0].getsockname()
        yield host, port
    sender.close()


def run(test: Callable[[Path], Awaitable[None]], loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def bounded() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with asyncio.timeout(20):
                await test(Path(folder))

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(bounded())


@LOOPS
def test_a_stream_of_another_worker_goes_there_and_on_there(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(folder: Path) -> None:
        async with worker_1(folder) as address, Receiver(folder, 2, lambda: Names(b"2")):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(UPGRADE.format(2).encode())
            first = await reader.readline()
            writer.write(b"more")
            second = await reader.readline()
            writer.close()
            await writer.wait_closed()

        assert (first, second) == (b"2:GET /twilio/w/2/twilio/media HTTP/1.1\n", b"2:more\n")

    run(test, loop)


@LOOPS
@pytest.mark.parametrize("path", ["/twilio/w/1/twilio/media", "/twilio/media"])
def test_a_stream_of_this_worker_or_of_nobody_stays(loop: Callable[[], asyncio.AbstractEventLoop], path: str) -> None:
    async def test(folder: Path) -> None:
        async with worker_1(folder) as address, Receiver(folder, 2, lambda: Names(b"2")):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            first = await reader.readline()
            writer.write(b"more")
            second = await reader.readline()
            writer.close()
            await writer.wait_closed()

        assert (first, second) == (f"1:GET {path} HTTP/1.1\n".encode(), b"1:more\n")

    run(test, loop)


@LOOPS
def test_a_stream_of_a_worker_that_is_gone_is_refused(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def test(folder: Path) -> None:
        async with worker_1(folder) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(UPGRADE.format(2).encode())
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()

        assert answer.startswith(b"HTTP/1.1 503 ")

    run(test, loop)


@LOOPS
def test_more_streams_at_once_than_can_wait_at_a_worker_all_arrive(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def test(folder: Path) -> None:
        async def open_one(address: tuple[str, int]) -> bytes:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(UPGRADE.format(2).encode())
            first = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return first[:1]

        async with worker_1(folder) as address, Receiver(folder, 2, lambda: Names(b"2")):
            answers = await asyncio.gather(*(open_one(address) for _ in range(300)))

        assert set(answers) == {b"2"}

    run(test, loop)


@LOOPS
def test_a_worker_that_takes_nothing_is_given_up(
    loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "GIVE_UP_S", 0.05)

    async def test(folder: Path) -> None:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filling,
        ):
            deaf.bind(str(streams_socket(folder, 2)))
            filling.setblocking(False)
            try:
                while True:
                    filling.sendto(b"x", str(streams_socket(folder, 2)))
            except BlockingIOError:
                pass
            async with worker_1(folder) as address:
                reader, writer = await asyncio.open_connection(*address)
                writer.write(UPGRADE.format(2).encode())
                answer = await reader.read()
                writer.close()
                await writer.wait_closed()

        assert answer.startswith(b"HTTP/1.1 503 ")

    run(test, loop)
