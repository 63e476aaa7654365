"""Hands the connection of a media stream to the worker that has its call: no audio passes through two processes.

A connection is a file descriptor, which goes over a local socket together with the request that was read from it. The
other worker answers that request itself, as if the connection had come to it.
"""

import array
import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

from gateway.workers.relay import streams_socket
from gateway.workers.routing import named

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES: Final = 64 * 1024
"""Twilio's requests to open a stream have less than a thousand."""

GIVE_UP_S: Final = 2.0
"""Longest that a worker may be too busy to take a connection."""

TRY_AGAIN_S: Final = 0.01

AT_ONCE: Final = 64
"""Connections that are taken before others have a turn on the event loop."""

MakeProtocol = Callable[[], asyncio.Protocol]
"""Makes what serves one WebSocket connection: it begins with the bytes of the request."""

_UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Sender:
    """The local socket over which connections go to the other workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def send(self, worker: int, descriptor: int, request: bytes) -> None:
        """Raises BlockingIOError when the worker has too many to take, OSError when it is not there."""
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
        self._socket.sendmsg([request], [rights], 0, str(streams_socket(self._folder, worker)))


class Door(asyncio.Protocol):
    """Where an HTTP connection becomes a WebSocket: stays here with a protocol of `make`, or goes to its worker.

    It is in nobody's way afterwards: the connection has the other protocol from then on.
    """

    def __init__(self, here: int, make: MakeProtocol, sender: Sender) -> None:
        self._here = here
        self._make = make
        self._sender = sender
        self._transport: asyncio.Transport | None = None
        self._protocol: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """The request, whole: the HTTP protocol has read it. It makes this the connection's protocol after that."""
        transport = self._transport
        if self._protocol:
            self._protocol.data_received(data)  # of a client that waits for no answer
            return
        if transport is None or transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        worker = named(_path(data))
        if worker in (None, self._here):
            self._protocol = self._make()
            self._protocol.connection_made(transport)
            loop.call_soon(transport.set_protocol, self._protocol)  # before the application, which data brings about
            self._protocol.data_received(data)
        else:
            transport.pause_reading()
            loop.call_soon(self._hand_over, transport, worker, data, loop.time() + GIVE_UP_S)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._protocol:
            self._protocol.connection_lost(exc)

    def _hand_over(self, transport: asyncio.Transport, worker: int, request: bytes, until: float) -> None:
        if transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        try:
            if transport.get_write_buffer_size() or len(request) > MAX_REQUEST_BYTES:
                raise OSError("what came before it is not all answered, or it is too long")
            self._sender.send(worker, transport.get_extra_info("socket").fileno(), request)
        except BlockingIOError as error:
            if loop.time() < until:
                loop.call_later(TRY_AGAIN_S, self._hand_over, transport, worker, request, until)
                return
            self._refuse(transport, worker, error)
        except OSError as error:
            self._refuse(transport, worker, error)
        else:
            transport.abort()  # closes our descriptor; the connection lives on in the other worker

    def _refuse(self, transport: asyncio.Transport, worker: int, error: OSError) -> None:
        log.warning("a media stream could not be brought to worker %d: %s", worker, error)
        transport.write(_UNAVAILABLE)
        transport.close()


class Receiver:
    """Takes the connections that other workers hand over. Enter it in the loop that serves them."""

    def __init__(self, folder: Path, here: int, make: MakeProtocol) -> None:
        self._path = streams_socket(folder, here)
        self._make = make
        self._group = asyncio.TaskGroup()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    async def __aenter__(self) -> None:
        await self._group.__aenter__()
        self._path.unlink(missing_ok=True)  # of a worker before this one
        self._socket.bind(str(self._path))
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._take)

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._path.unlink(missing_ok=True)
        await self._group.__aexit__(None, None, None)

    def _take(self) -> None:
        with suppress(BlockingIOError):
            for _ in range(AT_ONCE):
                request, descriptors, _, _ = socket.recv_fds(self._socket, MAX_REQUEST_BYTES, 1)
                for descriptor in descriptors:
                    connection = socket.socket(fileno=descriptor)
                    connection.setblocking(False)
                    self._group.create_task(self._serve(connection, request), name="media stream")

    async def _serve(self, connection: socket.socket, request: bytes) -> None:
        try:
            _, protocol = await asyncio.get_running_loop().connect_accepted_socket(self._make, connection)
        except OSError as error:
            log.warning("a media stream was gone when it was taken over: %s", error)
            connection.close()
            return
        protocol.data_received(request)


def _path(request: bytes) -> str:
    """The path of a request, as far as it is one."""
    words = request.split(b" ", 2)
    return words[1].partition(b"?")[0].decode("ascii", "replace") if len(words) == 3 else ""
