"""The network of the fake providers: one service, reached in memory (and in virtual time) or over a real socket.

service = FakeGemini()
options = RealtimeConnectOptions(websocket=in_memory(service))          # no sockets, no tasks
async with served(service) as base_url: ...                             # http://127.0.0.1:port
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from ssl import SSLContext
from typing import Any

import orjson
from aiohttp import WSMsgType, web
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from agents.realtime import WebSocketFactory

Json = dict[str, Any]


class Refused(Exception):
    """The service does not take this connection, and says why in JSON."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class Wire(ABC):
    """The service's end of one connection. Sending to a client that has gone does nothing."""

    @abstractmethod
    async def send(self, message: str | bytes) -> None: ...

    @abstractmethod
    async def close(self, code: int = 1000, reason: str = "") -> None: ...

    @abstractmethod
    def drop(self) -> None:
        """Cuts the connection without a word."""

    async def send_json(self, message: Json) -> None:
        await self.send(orjson.dumps(message).decode())


class Hearer(ABC):
    """One connection of a service."""

    @abstractmethod
    async def hear(self, message: str | bytes) -> None:
        """Takes what the client sends."""

    async def left(self, code: int) -> None:  # noqa: B027
        """The client closed the connection, with this code; 1006 without a word. Most do not mind."""


class FakeService(ABC):
    @abstractmethod
    async def accept(self, url: str, headers: Mapping[str, str], wire: Wire) -> Hearer:
        """A client opens a connection. Raises Refused. What it says first is sent on the wire right here."""

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Json]:
        """A plain HTTP request: the status and the JSON of the answer."""
        return 404, {"error": {"message": f"no such page: {method} {url}"}}


# ---- in memory ----


def in_memory(service: FakeService) -> WebSocketFactory:
    """Opens connections to the service without a network: whatever is sent has been heard when `send` returns."""

    async def connect(url: str, headers: Mapping[str, str]) -> MemorySocket:
        socket = MemorySocket()
        try:
            socket.hearer = await service.accept(url, headers, socket.far_end)
        except Refused as refused:
            body = orjson.dumps(refused.body)
            raise InvalidStatus(Response(refused.status, "Refused", Headers(), body)) from None
        return socket

    return connect


class MemorySocket:
    """The client's end: like websockets' client, as far as our socket loop uses it."""

    def __init__(self) -> None:
        self.hearer: Hearer | None = None
        self.far_end = _MemoryWire(self)
        self.inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.close_frame: Close | None = None
        self.is_over = False

    async def send(self, message: str | bytes) -> None:
        await asyncio.sleep(0)
        if self.is_over:
            raise self._closed()
        assert self.hearer
        await self.hearer.hear(message)

    async def recv(self) -> str | bytes:
        message = None if self.is_over and self.inbox.empty() else await self.inbox.get()
        if message is None:
            raise self._closed()
        return message

    async def close(self) -> None:
        if not self.is_over:
            self.end(Close(1000, ""))
            assert self.hearer
            await self.hearer.left(1000)

    def end(self, frame: Close | None) -> None:
        """The connection is over; what was sent before is read first, unless it was cut."""
        if self.is_over:
            return
        self.is_over, self.close_frame = True, frame
        if frame is None:
            while not self.inbox.empty():
                self.inbox.get_nowait()
        self.inbox.put_nowait(None)

    def _closed(self) -> ConnectionClosedOK | ConnectionClosedError:
        frame = self.close_frame
        if frame and frame.code in (1000, 1001):
            return ConnectionClosedOK(frame, frame, True)
        return ConnectionClosedError(frame, frame and Close(frame.code, frame.reason), True if frame else None)


class _MemoryWire(Wire):
    def __init__(self, socket: MemorySocket) -> None:
        self._socket = socket

    async def send(self, message: str | bytes) -> None:
        if not self._socket.is_over:
            self._socket.inbox.put_nowait(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self._socket.end(Close(code, reason))

    def drop(self) -> None:
        self._socket.end(None)


# ---- over a socket ----


@asynccontextmanager
async def served(service: FakeService, ssl: SSLContext | None = None) -> AsyncIterator[str]:
    """The service on loopback, at the address that this gives: http, or https with an `ssl` context."""
    sockets: set[web.WebSocketResponse] = set()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            status, body = await service.request(
                request.method, str(request.rel_url), request.headers, await request.read()
            )
            return web.json_response(body, status=status)
        socket = web.WebSocketResponse(timeout=1, max_msg_size=16 * 2**20, compress=False)
        wire = _SocketWire(socket, request.transport)
        try:
            hearer = await service.accept(str(request.rel_url), request.headers, wire)
        except Refused as refused:
            return web.json_response(refused.body, status=refused.status)
        await socket.prepare(request)
        sockets.add(socket)
        await wire.begin()
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await hearer.hear(message.data)
        sockets.discard(socket)
        await hearer.left(socket.close_code or 1006)
        return socket

    app = web.Application(client_max_size=2**20)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl).start()
        host, port = runner.addresses[0][:2]
        yield f"{'https' if ssl else 'http'}://{host}:{port}"
    finally:
        for socket in sockets:
            await socket.close(code=1001)
        await runner.cleanup()


class _SocketWire(Wire):
    """Holds what the service says before the upgrade is answered."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.BaseTransport | None) -> None:
        self._socket = socket
        self._transport = transport
        self._early: list[str | bytes] | None = []

    async def begin(self) -> None:
        early, self._early = self._early or [], None
        for message in early:
            await self.send(message)

    async def send(self, message: str | bytes) -> None:
        if self._early is not None:
            self._early.append(message)
            return
        with suppress(ConnectionResetError):
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._socket.close(code=code, message=reason.encode())

    def drop(self) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.abort()
