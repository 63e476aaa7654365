"""A real server on loopback, on both event loops: what WebSockets may and may not do, and what is left of them."""

import asyncio
import gc
import logging
import struct
import weakref
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from gateway import websocket_protocol
from gateway.websocket_frames import KERNEL_BUFFER_BYTES
from gateway.websocket_protocol import MAX_QUEUED, WebSocketProtocol
from gateway.websocket_request import Message

Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, None]], None]

MAX_BYTES = 65536
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
UPGRADE = {
    "Host": "gw",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def in_loop(test: Coroutine[Any, Any, None]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(20):
                await test
            assert asyncio.all_tasks() == {asyncio.current_task()}

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(bounded())

    return in_loop


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 there is no event for it
            await asyncio.sleep(0.001)


# ---- applications ----


@dataclass
class Echo:
    """Accepts, says again what it hears, and keeps what it heard and learned. Reads when it `may_read`."""

    accept: dict[str, Any] = field(default_factory=dict)
    heard: list[Message] = field(default_factory=list)
    scope: Message = field(default_factory=dict)
    may_accept: asyncio.Event = field(default_factory=asyncio.Event)
    may_read: asyncio.Event = field(default_factory=asyncio.Event)
    is_silent: bool = False

    def __post_init__(self) -> None:
        self.may_accept.set()
        self.may_read.set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.scope = scope
        assert (await receive())["type"] == "websocket.connect"
        await self.may_accept.wait()
        await send({"type": "websocket.accept", **self.accept})
        await self.may_read.wait()
        while (message := await receive())["type"] == "websocket.receive":
            self.heard.append(message)
            if not self.is_silent:
                await send({**message, "type": "websocket.send"})
        self.heard.append(message)

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.heard if "text" in message]

    @property
    def end(self) -> tuple[int, str]:
        assert self.heard[-1]["type"] == "websocket.disconnect"
        return self.heard[-1]["code"], self.heard[-1].get("reason", "")


async def accepted(receive: Receive, send: Send, **more: Any) -> None:
    await receive()
    await send({"type": "websocket.accept", **more})


# ---- the server ----


@dataclass(frozen=True)
class Serving:
    server: uvicorn.Server
    port: int

    @property
    def connection(self) -> WebSocketProtocol:
        """The only one."""
        (connection,) = self.server.server_state.connections
        assert isinstance(connection, WebSocketProtocol)
        return connection

    @property
    def transport(self) -> asyncio.Transport:
        return self.connection._transport

    def connect(self, **more: Any) -> connect:
        return connect(f"ws://127.0.0.1:{self.port}/a%20b?c=d", compression=None, proxy=None, **more)

    async def over(self) -> None:
        """Waits until nothing of any connection is left."""
        await until(lambda: not (self.server.server_state.connections or self.server.server_state.tasks))


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[Serving]:
    """The application at a port. Afterwards no connection and no task of it is left."""
    config = uvicorn.Config(
        app,
        port=0,
        ws=WebSocketProtocol,
        ws_max_size=MAX_BYTES,
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        log_config=None,
        access_log=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    service = Serving(server, server.servers[0].sockets[0].getsockname()[1])
    try:
        yield service
        await service.over()
    finally:
        await server.shutdown()


class Peer:
    """A client that may send anything."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def head(self) -> bytes:
        """The answer to the request."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def frame(self) -> tuple[int, bytes]:
        first, length = await self.reader.readexactly(2)
        assert first & 0xF0 == 0x80, "whole, without extensions"
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0xF, await self.reader.readexactly(length)

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close frame that comes next, after which the connection ends."""
        opcode, payload = await self.frame()
        assert opcode == CLOSE
        with suppress(ConnectionResetError):
            assert await self.reader.read() == b""
        return int.from_bytes(payload[:2]), payload[2:].decode()


def request(method: str = "GET", **headers: str | None) -> bytes:
    told = UPGRADE | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} /media HTTP/1.1", *(f"{name}: {value}" for name, value in told.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def peer(service: Serving, begin: bytes | None = None, *, is_upgraded: bool = True) -> AsyncIterator[Peer]:
    """A raw connection which has sent a request, and read its 101."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        raw = Peer(reader, writer)
        raw.send(request() if begin is None else begin)
        if is_upgraded:
            assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
        yield raw
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, is_masked: bool = True) -> bytes:
    mask, size = b"\x07\x00\xff\x55", len(payload)
    flag = 0x80 if is_masked else 0
    if size < 126:
        head = struct.pack("!BB", fin << 7 | rsv | opcode, flag | size)
    elif size < 65536:
        head = struct.pack("!BBH", fin << 7 | rsv | opcode, flag | 126, size)
    else:
        head = struct.pack("!BBQ", fin << 7 | rsv | opcode, flag | 127, size)
    if not is_masked:
        return head + payload
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2) + reason)


# ---- the request ----


def test_the_application_learns_what_was_asked_for(run: Run) -> None:
    async def test() -> None:
        echo = Echo()
        async with serving(echo) as service, service.connect(additional_headers={"X-Sign": "a: b"}) as client:
            scope = echo.scope
            assert (scope["type"], scope["scheme"], scope["http_version"]) == ("websocket", "ws", "1.1")
            assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"c=d")
            assert (b"x-sign", b"a: b") in scope["headers"]
            assert (scope["server"], scope["client"]) == (("127.0.0.1", service.port), client.local_address)
            assert (scope["subprotocols"], scope["extensions"]) == ([], {})

    run(test())


def test_the_applications_headers_and_subprotocol_are_in_the_answer(run: Run) -> None:
    async def test() -> None:
        echo = Echo({"subprotocol": "b", "headers": [(b"x-name", b"value")]})
        offered = [Subprotocol("a"), Subprotocol("b")]
        async with serving(echo) as service, service.connect(subprotocols=offered) as client:
            assert echo.scope["subprotocols"] == ["a", "b"]
            assert client.subprotocol == "b"
            assert client.response
            assert client.response.headers["x-name"] == "value"

    run(test())


@pytest.mark.parametrize("more", [{"Connection": "keep-alive, Upgrade"}, {"Upgrade": "WebSocket"}])
def test_a_request_as_browsers_and_proxies_write_it_is_answered(run: Run, more: dict[str, str]) -> None:
    async def test() -> None:
        async with serving(Echo()) as service, peer(service, request(**more)) as raw:
            raw.send(frame(TEXT, b"hello"))
            assert await raw.frame() == (TEXT, b"hello")

    run(test())


def test_a_request_with_many_headers_is_answered(run: Run) -> None:
    async def test() -> None:
        many = {f"X-Number-{number}": "v" * 200 for number in range(150)}
        async with serving(Echo()) as service, peer(service, request(**many)) as raw:
            raw.send(frame(TEXT, b"hello"))
            assert await raw.frame() == (TEXT, b"hello")

    run(test())


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("POST", {}),
        ("GET", {"Sec_WebSocket_Version": "8"}),
        ("GET", {"Sec_WebSocket_Version": None}),
        ("GET", {"Sec_WebSocket_Key": None}),
        ("GET", {"Sec_WebSocket_Key": "dGhlIHNhbXBsZQ=="}),
        ("GET", {"Sec_WebSocket_Key": "not base 64!"}),
    ],
)
def test_a_request_that_is_none_is_refused_before_the_application_hears_of_it(
    run: Run, method: str, more: dict[str, str | None]
) -> None:
    async def test() -> None:
        echo = Echo()
        async with serving(echo) as service:
            async with peer(service, request(method, **more), is_upgraded=False) as raw:
                assert (await raw.head()).startswith(b"HTTP/1.1 400 ")
                assert await raw.reader.read() == b""
            assert echo.scope == {}

    run(test())


def test_an_application_that_refuses_answers_403(run: Run) -> None:
    told: list[Message] = []

    async def refusing(_: Message, receive: Receive, send: Send) -> None:
        told.append(await receive())
        await send({"type": "websocket.close", "code": 1008})
        for again in ("close", "accept", "send"):
            with pytest.raises(ClientDisconnected):
                await send({"type": f"websocket.{again}", "text": ""})
        told.append(await receive())

    async def test() -> None:
        async with serving(refusing) as service:
            with pytest.raises(InvalidStatus) as refused:
                async with service.connect():
                    pass
            assert refused.value.response.status_code == 403
            await service.over()
            assert [message["type"] for message in told] == ["websocket.connect", "websocket.disconnect"]

    run(test())


@pytest.mark.parametrize("breaks", [True, False])
def test_an_application_that_ends_before_it_accepts_answers_500(
    run: Run, breaks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def ending(_: Message, receive: Receive, send: Send) -> None:
        if breaks:
            raise ValueError("no")

    async def test() -> None:
        async with serving(ending) as service:
            with pytest.raises(InvalidStatus) as refused:
                async with service.connect():
                    pass
            assert refused.value.response.status_code == 500

    run(test())
    broken = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in broken] == ["the application broke on a WebSocket"] * breaks


@pytest.mark.parametrize(("breaks", "code"), [(True, 1011), (False, 1000)])
def test_an_application_that_ends_without_closing_has_closed(run: Run, breaks: bool, code: int) -> None:
    async def ending(_: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        await receive()
        if breaks:
            raise ValueError("no")

    async def test() -> None:
        async with serving(ending) as service, service.connect() as client:
            await client.send("go")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == code

    run(test())


@pytest.mark.parametrize("message", [{"type": "websocket.send", "text": "early"}, {"type": "websocket.nonsense"}])
def test_a_message_out_of_place_is_the_applications_error(run: Run, message: Message) -> None:
    async def hasty(_: Message, receive: Receive, send: Send) -> None:
        with pytest.raises(RuntimeError, match=message["type"]):
            await send(message)
        await accepted(receive, send)
        with pytest.raises(RuntimeError, match="accept"):
            await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "fine"})

    async def test() -> None:
        async with serving(hasty) as service, service.connect() as client:
            assert await client.recv() == "fine"

    run(test())


# ---- peers in a hurry ----


def test_what_a_hasty_peer_sends_before_the_answer_is_heard_after_it(run: Run) -> None:
    async def test() -> None:
        echo = Echo()
        echo.may_accept.clear()
        async with serving(echo) as service, peer(service, is_upgraded=False) as raw:
            await until(lambda: echo.scope)
            said = [b"%05d" % number * 200 for number in range(40)]
            for each in said:
                raw.send(frame(TEXT, each))
            await until(lambda: len(service.connection._hasty) == sum(len(frame(TEXT, each)) for each in said))
            echo.may_accept.set()
            assert (await raw.head()).startswith(b"HTTP/1.1 101 ")
            assert [await raw.frame() for _ in said] == [(TEXT, each) for each in said]

    run(test())


def test_a_peer_that_is_hasty_without_end_is_cut_off(run: Run) -> None:
    async def test() -> None:
        echo = Echo()
        echo.may_accept.clear()
        async with serving(echo) as service:
            async with peer(service, is_upgraded=False) as raw:
                await until(lambda: echo.scope)
                raw.send(bytes(MAX_BYTES + 1))
                await until(lambda: not service.server.server_state.connections)
            echo.may_accept.set()

    run(test())


def test_what_comes_in_one_piece_with_the_request_is_lost_and_what_follows_is_heard(run: Run) -> None:
    """Uvicorn's HTTP protocol drops it. No client may send before it has the answer."""

    async def test() -> None:
        async with serving(Echo()) as service, peer(service, request() + frame(TEXT, b"lost")) as raw:
            raw.send(frame(TEXT, b"heard"))
            assert await raw.frame() == (TEXT, b"heard")

    run(test())


# ---- messages ----


@pytest.mark.parametrize("size", [0, 1, 125, 126, 2048, 2049, 8192, 8193, 65535, 65536])
def test_texts_and_bytes_of_every_size_go_both_ways(run: Run, size: int) -> None:
    async def test() -> None:
        async with serving(Echo()) as service, service.connect() as client:
            for message in ("x" * size, "\u00e4" * (size // 2), b"\xff" * size):
                await client.send(message)
                assert await client.recv() == message

    run(test())


def test_pieces_are_joined_and_may_be_cut_within_a_character_and_by_a_ping(run: Run) -> None:
    async def test() -> None:
        async with serving(Echo()) as service, peer(service) as raw:
            umlaut = "\u00e4".encode()
            raw.send(frame(TEXT, b"a" + umlaut[:1], fin=False), frame(PING, b"?"), frame(CONTINUATION, fin=False))
            raw.send(frame(CONTINUATION, umlaut[1:] + b"b"), frame(BINARY, b"\xff", fin=False))
            raw.send(frame(CONTINUATION, b"\x00"), frame(TEXT, b"whole"))
            assert [await raw.frame() for _ in range(4)] == [
                (PONG, b"?"),
                (TEXT, b"a" + umlaut + b"b"),
                (BINARY, b"\xff\x00"),
                (TEXT, b"whole"),
            ]

    run(test())


def test_a_message_that_comes_one_byte_at_a_time_is_heard(run: Run) -> None:
    async def test() -> None:
        async with serving(Echo()) as service, peer(service) as raw:
            for byte in frame(TEXT, b"slow " * 60):
                raw.send(bytes([byte]))
                await raw.writer.drain()
                await asyncio.sleep(0)
            assert await raw.frame() == (TEXT, b"slow " * 60)

    run(test())


def test_ten_thousand_tiny_messages_at_once_are_heard_in_order(run: Run) -> None:
    async def test() -> None:
        echo = Echo(is_silent=True)
        async with serving(echo) as service, peer(service) as raw:
            raw.send(*(frame(TEXT, b"%d" % number) for number in range(10_000)), closing(1000))
            assert await raw.closed() == (1000, "")
            await service.over()
            assert echo.texts == [str(number) for number in range(10_000)]

    run(test())


def test_ten_thousand_pieces_at_once_are_one_message(run: Run) -> None:
    async def test() -> None:
        echo = Echo(is_silent=True)
        async with serving(echo) as service, peer(service) as raw:
            raw.send(frame(TEXT, b"x", fin=False), frame(CONTINUATION, b"x", fin=False) * 9_998, frame(CONTINUATION))
            raw.send(closing(1000))
            assert await raw.closed() == (1000, "")
            await service.over()
            assert echo.texts == ["x" * 9_999]

    run(test())


def test_a_ping_is_answered_with_its_payload_and_a_pong_is_not(run: Run) -> None:
    async def test() -> None:
        echo = Echo()
        async with serving(echo) as service, peer(service) as raw:
            raw.send(frame(PONG, b"unasked"), frame(PING, b"x" * 125), frame(TEXT, b"hello"))
            assert [await raw.frame(), await raw.frame()] == [(PONG, b"x" * 125), (TEXT, b"hello")]
            assert echo.texts == ["hello"]

    run(test())


def test_pings_of_a_peer_that_reads_no_answers_do_not_pile_up(run: Run) -> None:
    async def test() -> None:
        pings = frame(PING, b"x" * 125) * 1000
        async with serving(Echo()) as service, peer(service) as raw:
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            transport = service.transport
            while not transport.get_write_buffer_size():
                raw.send(pings)
                await raw.writer.drain()
            for _ in range(50):
                raw.send(pings)
                await raw.writer.drain()
            assert transport.get_write_buffer_size() < 3 * len(pings)

    run(test())


# ---- nonsense ----

NONSENSE = {
    "not masked": (1002, frame(TEXT, b"x", is_masked=False)),
    "first reserved bit": (1002, frame(TEXT, b"x", rsv=0x40)),
    "second reserved bit": (1002, frame(BINARY, b"x", rsv=0x20)),
    "third reserved bit in a ping": (1002, frame(PING, b"x", rsv=0x10)),
    "unknown opcode": (1002, frame(3, b"x")),
    "long ping": (1002, frame(PING, b"x" * 126)),
    "ping in pieces": (1002, frame(PING, b"x", fin=False)),
    "a piece of nothing": (1002, frame(CONTINUATION, b"x")),
    "a message within another": (1002, frame(TEXT, b"x", fin=False) + frame(TEXT, b"x")),
    "a begin within another": (1002, frame(TEXT, b"x", fin=False) + frame(BINARY, b"x", fin=False)),
    "not UTF-8": (1007, frame(TEXT, b"\xff")),
    "not UTF-8 in pieces": (1007, frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\xc3")),
    "too long": (1009, frame(TEXT, bytes(MAX_BYTES + 1))),
    "too long in pieces": (1009, frame(BINARY, bytes(MAX_BYTES), fin=False) + frame(CONTINUATION, b"x", fin=False)),
    "half a close code": (1002, frame(CLOSE, b"\x03")),
    "close code 999": (1002, closing(999)),
    "close code 1004": (1002, closing(1004)),
    "close code 1005": (1002, closing(1005)),
    "close code 1006": (1002, closing(1006)),
    "close code 1015": (1002, closing(1015)),
    "close code 2999": (1002, closing(2999)),
    "close code 5000": (1002, closing(5000)),
    "close code 65535": (1002, closing(65535)),
    "close reason that is not UTF-8": (1007, closing(1000, b"\xff")),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_closes_the_connection_with_its_code_and_the_application_is_told(run: Run, name: str) -> None:
    async def test() -> None:
        echo, (code, nonsense) = Echo(), NONSENSE[name]
        async with serving(echo) as service, peer(service) as raw:
            raw.send(frame(TEXT, b"before"))
            assert await raw.frame() == (TEXT, b"before")
            raw.send(nonsense, frame(TEXT, b"after"))
            assert (await raw.closed())[0] == code
            await service.over()
            assert echo.texts == ["before"]
            assert echo.heard[-1]["type"] == "websocket.disconnect"

    run(test())


# ---- closing ----


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1008, "no \u00e4"), (4999, "x" * 123)])
def test_the_application_closes_with_code_and_reason_and_waits_for_the_answer(run: Run, code: int, reason: str) -> None:
    told: list[Message] = []

    async def parting(_: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        await send({"type": "websocket.close", "code": code, "reason": reason})
        for kind in ("send", "close"):
            with pytest.raises(ClientDisconnected):
                await send({"type": f"websocket.{kind}", "text": "late"})
        told.append(await receive())

    async def test() -> None:
        async with serving(parting) as service, peer(service) as raw:
            assert await raw.frame() == (CLOSE, code.to_bytes(2) + reason.encode())
            raw.send(frame(TEXT, b"meanwhile"))
            await until(lambda: not service.server.server_state.tasks)
            assert len(service.server.server_state.connections) == 1
            raw.send(closing(code))
            assert await raw.reader.read() == b""
            assert told == [{"type": "websocket.disconnect", "code": code, "reason": reason}]

    run(test())


def test_a_reason_that_is_too_long_is_cut_at_a_character(run: Run) -> None:
    async def parting(_: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        await send({"type": "websocket.close", "reason": "\u00e4" * 100})

    async def test() -> None:
        async with serving(parting) as service, service.connect() as client:
            await client.wait_closed()
            assert client.close_reason == "\u00e4" * 61

    run(test())


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "gone \u00e4"), (1014, ""), (3000, "x" * 123)])
def test_the_peer_closes_with_code_and_reason(run: Run, code: int, reason: str) -> None:
    async def test() -> None:
        echo = Echo(is_silent=True)
        async with serving(echo) as service, service.connect() as client:
            await client.send("last")
            await client.close(code, reason)
            await service.over()
            assert (client.close_code, client.close_reason) == (code, reason)
            assert (echo.texts, echo.end) == (["last"], (code, reason))

    run(test())


def test_a_close_without_a_code_is_answered_with_one_that_may_be_sent(run: Run) -> None:
    async def test() -> None:
        echo = Echo()
        async with serving(echo) as service, peer(service) as raw:
            raw.send(frame(CLOSE))
            assert await raw.closed() == (1000, "")
            await service.over()
            assert echo.end == (1005, "")

    run(test())


def test_who_sends_to_a_peer_that_has_closed_learns_of_it(run: Run) -> None:
    ended = asyncio.Event()

    async def unaware(_: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        while True:
            try:
                await send({"type": "websocket.send", "text": "hello"})
            except ClientDisconnected:
                break
            await asyncio.sleep(0)
        with pytest.raises(ClientDisconnected):
            await send({"type": "websocket.close"})
        ended.set()

    async def test() -> None:
        async with serving(unaware) as service, peer(service) as raw:
            raw.send(closing(1000))
            await ended.wait()

    run(test())


@pytest.mark.parametrize("is_reset", [True, False])
@pytest.mark.parametrize("is_accepted", [True, False])
def test_a_peer_that_vanishes_is_a_disconnect(run: Run, is_reset: bool, is_accepted: bool) -> None:
    told: list[Message] = []

    async def waiting(_: Message, receive: Receive, send: Send) -> None:
        await receive()
        if is_accepted:
            await send({"type": "websocket.accept"})
        told.append(await receive())
        with pytest.raises(ClientDisconnected):
            await send({"type": "websocket.send" if is_accepted else "websocket.accept", "text": ""})

    async def test() -> None:
        async with serving(waiting) as service:
            async with peer(service, is_upgraded=is_accepted) as raw:
                await until(lambda: service.server.server_state.tasks)
                if is_reset:
                    raw.writer.transport.abort()
                else:
                    raw.writer.write_eof()
                await until(lambda: told)
            assert [(message["type"], message["code"]) for message in told] == [("websocket.disconnect", 1006)]

    run(test())


def test_a_peer_that_never_answers_the_close_is_cut_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSE_TIMEOUT_S", 0.05)

    async def parting(_: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        await send({"type": "websocket.close"})

    async def test() -> None:
        async with serving(parting) as service, peer(service) as raw:
            assert (await raw.frame())[0] == CLOSE
            await service.over()

    run(test())


# ---- peers and applications that are slow ----


async def flood(send: Send, ended: list[BaseException | None]) -> None:
    """Sends until it cannot."""
    try:
        while True:
            await send({"type": "websocket.send", "text": "x" * 1000})
    except BaseException as error:
        ended.append(error)
        raise


@pytest.mark.parametrize("how", ["vanishes", "sends nonsense", "closes"])
def test_who_waits_for_a_peer_that_does_not_read_is_freed_when_it_is_gone(
    run: Run, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSE_TIMEOUT_S", 0.05)
    ended: list[BaseException | None] = []

    async def flooding(_: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        await flood(send, ended)

    async def test() -> None:
        async with serving(flooding) as service, peer(service) as raw:
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: service.transport.get_write_buffer_size() > 65536)
            if how == "vanishes":
                raw.writer.transport.abort()
            else:
                raw.send(closing(1000) if how == "closes" else frame(TEXT, b"\xff"))
            await service.over()
            assert [type(error) for error in ended] == [ClientDisconnected]

    run(test())


def test_a_peer_that_reads_late_gets_all_of_it_whole(run: Run) -> None:
    """Long and short messages, some of which are cut where the kernel takes no more."""
    said = [chr(97 + number % 26) * (number * 997 % 30_000) for number in range(1000)]

    async def talking(_: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        for text in said:
            await send({"type": "websocket.send", "text": text})

    async def test() -> None:
        async with serving(talking) as service, peer(service) as raw:
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: service.transport.get_write_buffer_size() > 65536)
            raw.writer.transport.resume_reading()  # type: ignore[attr-defined]
            for text in said:
                assert await raw.frame() == (TEXT, text.encode())
            assert await raw.closed() == (1000, "")

    run(test())


def test_a_peer_is_made_to_wait_for_an_application_that_does_not_read(run: Run) -> None:
    said = [f"{number:05}" * 200 for number in range(20_000)]

    async def speak(client: ClientConnection) -> None:
        for text in said:
            await client.send(text)

    async def test() -> None:
        echo = Echo(is_silent=True)
        echo.may_read.clear()
        async with serving(echo) as service, service.connect(ping_interval=None) as client:
            speaking = asyncio.create_task(speak(client))
            await until(lambda: client.transport.get_write_buffer_size() and not service.transport.is_reading())
            assert not speaking.done()
            assert MAX_QUEUED <= len(service.connection._messages) < 2 * MAX_QUEUED
            echo.may_read.set()
            await speaking
            await client.close()
            assert echo.texts == said

    run(test())


def test_a_peer_that_floods_the_line_is_read_ahead_of_only_so_far(run: Run) -> None:
    """All that the kernel has is read at once, and each time twice as much may be."""
    smallest = frame(TEXT)

    async def test() -> None:
        echo = Echo(is_silent=True)
        echo.may_read.clear()
        async with serving(echo) as service:
            async with peer(service) as raw:
                raw.send(smallest * 500_000)
                connection = service.connection
                for _ in range(12):
                    await until(lambda: not connection._transport.is_reading())
                    assert len(connection._messages) < 2 * KERNEL_BUFFER_BYTES / len(smallest) + MAX_QUEUED
                    while len(connection._messages) > MAX_QUEUED // 2:
                        await connection.receive()
            connection._transport.abort()
            echo.may_read.set()

    run(test())


def test_an_application_that_closes_without_having_read_hears_the_answer(run: Run) -> None:
    may_close = asyncio.Event()

    async def deaf(_: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        await may_close.wait()
        await send({"type": "websocket.close"})

    async def test() -> None:
        async with serving(deaf) as service, peer(service) as raw:
            raw.send(frame(TEXT, b"hello") * 1000)
            await until(lambda: not service.transport.is_reading())
            may_close.set()
            assert (await raw.frame())[0] == CLOSE
            raw.send(closing(1000))
            assert await raw.reader.read() == b""

    run(test())


@pytest.mark.parametrize("has_closed", [True, False])
def test_what_came_before_the_end_is_heard_also_when_much_was_waiting(run: Run, has_closed: bool) -> None:
    async def test() -> None:
        echo = Echo(is_silent=True)
        echo.may_read.clear()
        async with serving(echo) as service:
            async with peer(service) as raw:
                connection = service.connection
                raw.send(*(frame(TEXT, b"%d" % number) for number in range(MAX_QUEUED - 1)))
                raw.send(closing(1000) if has_closed else b"")
                await until(lambda: len(connection._messages) == MAX_QUEUED - (not has_closed))
            await until(lambda: not service.server.server_state.connections)
            echo.may_read.set()
            await service.over()
            assert echo.texts == [str(number) for number in range(MAX_QUEUED - 1)]
            assert echo.end[0] == (1000 if has_closed else 1006)

    run(test())


# ---- the server stops, and what is left ----


def test_the_server_stops_with_1012_and_the_connection_is_gone(run: Run) -> None:
    async def test() -> None:
        echo = Echo()
        async with serving(echo) as service, peer(service) as raw:
            stopping = asyncio.create_task(service.server.shutdown())
            assert await raw.closed() == (1012, "")
            await stopping
            assert echo.end == (1012, "")

    run(test())


def test_the_server_stops_with_503_before_the_application_accepts(run: Run) -> None:
    async def test() -> None:
        echo = Echo()
        echo.may_accept.clear()
        async with serving(echo) as service, peer(service, is_upgraded=False) as raw:
            await until(lambda: echo.scope)
            stopping = asyncio.create_task(service.server.shutdown())
            assert (await raw.head()).startswith(b"HTTP/1.1 503 ")
            echo.may_accept.set()
            await stopping

    run(test())


def test_the_server_stops_also_when_a_peer_reads_nothing_or_answers_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSE_TIMEOUT_S", 0.05)
    ended: list[BaseException | None] = []

    async def flooding(_: Message, receive: Receive, send: Send) -> None:
        await accepted(receive, send)
        await flood(send, ended)

    async def test() -> None:
        async with serving(flooding) as service, peer(service) as raw:
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: service.transport.get_write_buffer_size() > 65536)
            await service.server.shutdown()
            assert not service.server.server_state.connections
            assert [type(error) for error in ended] == [ClientDisconnected]

    run(test())


@pytest.mark.parametrize("how", ["peer closes", "peer vanishes", "application closes", "nonsense", "refused"])
def test_nothing_of_a_connection_outlives_it(run: Run, how: str) -> None:
    """Without the garbage collector: its buffers are gone at once."""
    left: list[weakref.ref[WebSocketProtocol]] = []

    async def app(service: Callable[[], Serving], _: Message, receive: Receive, send: Send) -> None:
        left.append(weakref.ref(service().connection))
        if how == "refused":
            await send({"type": "websocket.close"})
            return
        await accepted(receive, send)
        if how == "application closes":
            await send({"type": "websocket.close"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def test() -> None:
        services: list[Serving] = []
        gc.collect()
        gc.disable()
        try:
            async with serving(partial(app, services.pop)) as service:
                services.append(service)
                async with peer(service, is_upgraded=how != "refused") as raw:
                    raw.send(frame(TEXT, b"hello"))
                    if how == "application closes":
                        await raw.frame()
                    if how == "nonsense":
                        raw.send(frame(3))
                    if how in ("peer closes", "application closes"):
                        raw.send(closing(1000))
                    if how != "peer vanishes":
                        await raw.reader.read()
                await service.over()
                assert len(left) == 1
                await until(lambda: left[0]() is None)
        finally:
            gc.enable()

    run(test())
