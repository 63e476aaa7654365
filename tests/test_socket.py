"""The provider socket loop against real sockets on loopback, and against sockets that hang."""

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote_plus

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.utils import accept_key

import agents.providers.socket as socket_module
from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    ActivityEnd,
    AudioInputCommit,
    ClientEvent,
    RawEvent,
    ServerEvent,
    SessionCreated,
    SessionError,
)
from agents.providers.socket import (
    Answer,
    Codec,
    KeepAlive,
    Socket,
    SocketConnection,
    Wait,
    WireError,
    open_socket,
    refused,
)
from agents.realtime import RealtimeConnectOptions
from channels.carrier.virtual_time import run_virtual

KEY = "sk-test-never-to-be-seen"
HEADERS = {"Authorization": f"Bearer {KEY}"}
Handler = Callable[[ServerConnection], Awaitable[None]]


class Words(Codec):
    """A wire of one word per event: `hello <id>` opens the session, `bad` is malformed, others are raw."""

    def encode(self, event: ClientEvent) -> Iterable[str]:
        if isinstance(event, ActivityEnd):
            raise NotSupportedError("no activity marks in words")
        return ("first", event.kind)

    def decode(self, message: str | bytes) -> Iterable[ServerEvent | Answer | ProviderError]:
        match str(message).split():
            case ["hello", name]:
                yield SessionCreated(name)
            case ["bad", *_]:
                yield RawEvent("never seen", {})
                raise WireError("expected a good word")
            case words:
                yield from (RawEvent(word, {}) for word in words)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 10))


def address(server: Server) -> str:
    port = next(iter(server.sockets)).getsockname()[1]
    return f"ws://127.0.0.1:{port}/"


@asynccontextmanager
async def talking_to(handler: Handler, abort: asyncio.Event | None = None) -> AsyncIterator[SocketConnection]:
    async with serve(handler, "127.0.0.1", 0) as server:
        socket = await open_socket(address(server), HEADERS, RealtimeConnectOptions(abort=abort), key_name="WORDS_KEY")
        async with SocketConnection(socket, Words()) as connection:
            yield connection


@asynccontextmanager
async def mute_server() -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """Takes TCP connections and never answers: its address, `came` and `left`."""
    came, left = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        while await reader.read(1024):
            pass
        left.set()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", came, left


@asynccontextmanager
async def forgetful_server() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Opens WebSockets and answers nothing more, not even a close: its address, and `left`."""
    left = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split()[1] for line in request.splitlines() if line.startswith("Sec-WebSocket-Key"))
        upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept_key(key)}"
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\n{upgrade}\r\n\r\n".encode())
        with suppress(ConnectionResetError):
            while await reader.read(1024):
                pass
        left.set()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", left


class HangingSocket:
    """Never finishes anything."""

    async def send(self, message: str | bytes) -> None:
        await asyncio.Event().wait()

    async def recv(self) -> str:
        await asyncio.Event().wait()
        return ""

    async def close(self) -> None:
        await asyncio.Event().wait()


def raw(*words: str) -> list[RawEvent]:
    return [RawEvent(word, {}) for word in words]


# ---- reading ----


def test_the_session_id_is_none_until_session_created_was_iterated_over() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.send("hello sess_7")

    async def main() -> None:
        async with talking_to(server) as connection:
            assert connection.session_id is None
            assert await anext(connection) == SessionCreated("sess_7")
            assert connection.session_id == "sess_7"

    run(main())


def test_events_come_in_order_until_a_close_in_good_order_ends_the_iteration() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.send("one two")
        await socket.send("three")
        await socket.close(1000)

    async def main() -> None:
        async with talking_to(server) as connection:
            assert [event async for event in connection] == raw("one", "two", "three")
            assert [event async for event in connection] == []

    run(main())


def test_a_malformed_message_is_an_error_event_and_the_conversation_goes_on() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.send("bad word")
        await socket.send("good")

    async def main() -> None:
        async with talking_to(server) as connection:
            error, good = [event async for event in connection]
            assert isinstance(error, SessionError)
            assert error.code == "malformed"
            assert "expected a good word" in error.message
            assert good == RawEvent("good", {})

    run(main())


def test_a_peer_that_only_talks_nonsense_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_module, "MAX_MALFORMED_MESSAGES", 3)

    async def server(socket: ServerConnection) -> None:
        for word in ("bad", "good", "bad", "bad", "good"):
            await socket.send(word)
        await socket.wait_closed()

    async def main() -> None:
        async with talking_to(server) as connection:
            kinds = [(await anext(connection)).kind for _ in range(4)]
            assert kinds.count("session.error") == 3
            for _ in range(2):
                with pytest.raises(ProviderError, match="3 messages") as caught:
                    await anext(connection)
                assert (caught.value.code, caught.value.retryable) == ("malformed", True)

    run(main())


def test_cancelling_a_wait_for_the_next_event_loses_nothing() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.recv()
        await socket.send("late")

    async def main() -> None:
        async with talking_to(server) as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(connection)
            await connection.send(AudioInputCommit())
            assert await anext(connection) == RawEvent("late", {})

    run(main())


@pytest.mark.parametrize(
    ("close_code", "reason", "code", "retryable"),
    [
        (1001, "Your session hit the maximum duration of 60 minutes.", "session_expired", True),
        (1001, "going away", "closed", True),
        (1011, "internal error", "closed", True),
        (1008, "policy", "closed", False),
        (3000, "invalid_request_error.invalid_api_key", "auth", False),
        (4000, "whatever", "closed", False),
    ],
)
def test_a_close_in_bad_order_raises_with_its_code_and_reason(
    close_code: int, reason: str, code: str, retryable: bool
) -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.send("last")
        await socket.close(close_code, reason)

    async def main() -> None:
        async with talking_to(server) as connection:
            assert await anext(connection) == RawEvent("last", {})
            with pytest.raises(ProviderError, match=f"{close_code}.*{reason}") as caught:
                await anext(connection)
            assert (caught.value.code, caught.value.retryable) == (code, retryable)

    run(main())


def test_a_connection_lost_without_a_word_is_a_retryable_network_error() -> None:
    async def server(socket: ServerConnection) -> None:
        socket.transport.abort()

    async def main() -> None:
        async with talking_to(server) as connection:
            with pytest.raises(ProviderError, match="1006") as caught:
                await anext(connection)
            assert (caught.value.code, caught.value.retryable) == ("network", True)
            with pytest.raises(ProviderError) as again:
                await connection.send(AudioInputCommit())
            assert again.value.code == "network"

    run(main())


def test_a_message_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_module, "MAX_MESSAGE_BYTES", 1000)

    async def server(socket: ServerConnection) -> None:
        await socket.send("x" * 1001)
        await socket.wait_closed()

    async def main() -> None:
        async with talking_to(server) as connection:
            with pytest.raises(ProviderError, match="1009"):
                await anext(connection)

    run(main())


def test_an_error_among_what_a_message_says_ends_the_conversation() -> None:
    class Strict(Words):
        def decode(self, message: str | bytes) -> Iterable[ServerEvent | Answer | ProviderError]:
            yield RawEvent("before", {})
            yield ProviderError("no such format", code="unsupported", retryable=False)

    async def main() -> None:
        async with SocketConnection(Inbox("anything"), Strict()) as connection:
            assert await anext(connection) == RawEvent("before", {})
            with pytest.raises(ProviderError, match="no such format"):
                await anext(connection)

    run(main())


# ---- waiting for what does not come ----


class Inbox:
    """A socket with these messages and no more."""

    def __init__(self, *messages: str) -> None:
        self.messages: asyncio.Queue[str] = asyncio.Queue()
        self.sent: list[str | bytes] = []
        for message in messages:
            self.messages.put_nowait(message)

    async def send(self, message: str | bytes) -> None:
        self.sent.append(message)

    async def recv(self) -> str:
        return await self.messages.get()

    async def close(self) -> None: ...


class Patient(Words):
    """Waits two seconds after each message, and three after each event of ours."""

    def __init__(self) -> None:
        self.fired = 0

    def encode(self, event: ClientEvent) -> Iterable[str]:
        self.wait = Wait(3)
        return ()

    def decode(self, message: str | bytes) -> Iterable[ServerEvent]:
        self.wait = None if message == "rest" else Wait(2)
        return raw(str(message))

    def waited(self) -> Iterable[ServerEvent | Answer]:
        self.fired += 1
        return (Answer("still there?"), RawEvent(f"nothing {self.fired}", {}))


def test_a_wait_that_is_over_is_told_to_the_codec_once() -> None:
    async def main() -> None:
        inbox, clock = Inbox("word"), asyncio.get_running_loop().time
        connection = SocketConnection(inbox, Patient())
        began = clock()
        assert [await anext(connection), await anext(connection)] == [RawEvent("word", {}), RawEvent("nothing 1", {})]
        assert clock() - began == pytest.approx(2)
        assert inbox.sent == ["still there?"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await anext(connection)

    run_virtual(main())


def test_a_message_in_time_begins_the_wait_anew_or_ends_it() -> None:
    async def main() -> None:
        inbox, clock = Inbox("word"), asyncio.get_running_loop().time
        connection = SocketConnection(inbox, Patient())
        began = clock()
        asyncio.get_running_loop().call_later(1.5, inbox.messages.put_nowait, "another")
        assert [await anext(connection), await anext(connection)] == raw("word", "another")
        assert await anext(connection) == RawEvent("nothing 1", {})
        assert clock() - began == pytest.approx(3.5)
        inbox.messages.put_nowait("rest")
        assert await anext(connection) == RawEvent("rest", {})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await anext(connection)

    run_virtual(main())


def test_an_event_of_ours_begins_a_wait_while_the_next_message_is_being_awaited() -> None:
    async def main() -> None:
        connection, clock = SocketConnection(Inbox(), Patient()), asyncio.get_running_loop().time
        began = clock()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(anext(connection))
            await asyncio.sleep(1)
            await connection.send(AudioInputCommit())
        assert waiting.result() == RawEvent("nothing 1", {})
        assert clock() - began == pytest.approx(4)

    run_virtual(main())


def test_an_event_of_ours_in_the_moment_in_which_a_wait_ends_begins_it_anew() -> None:
    async def main() -> None:
        connection, clock = SocketConnection(Inbox("word"), Patient()), asyncio.get_running_loop().time
        began = clock()

        async def send() -> None:
            await asyncio.sleep(2)
            await connection.send(AudioInputCommit())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send())
            await asyncio.sleep(0)
            assert [await anext(connection), await anext(connection)] == raw("word", "nothing 1")
        assert clock() - began == pytest.approx(5)

    run_virtual(main())


def test_a_wait_goes_on_when_waiting_for_the_next_event_is_cancelled_and_taken_up_again() -> None:
    async def main() -> None:
        connection, clock = SocketConnection(Inbox("word"), Patient()), asyncio.get_running_loop().time
        began = clock()
        assert await anext(connection) == RawEvent("word", {})
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await anext(connection)
        assert await anext(connection) == RawEvent("nothing 1", {})
        assert clock() - began == pytest.approx(2)

    run_virtual(main())


def test_a_connection_is_kept_alive_while_its_codec_waits() -> None:
    class Both(Patient):
        keepalive = KeepAlive("alive", 0.75)

    async def main() -> None:
        inbox = Inbox("word")
        connection = SocketConnection(inbox, Both())
        assert [await anext(connection), await anext(connection)] == [RawEvent("word", {}), RawEvent("nothing 1", {})]
        assert inbox.sent == ["alive", "alive", "still there?"]

    run_virtual(main())


# ---- sending ----


def test_sending_an_event_sends_each_of_its_messages_in_order() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.send(f"{await socket.recv(True)} {await socket.recv(True)}")

    async def main() -> None:
        async with talking_to(server) as connection:
            await connection.send(AudioInputCommit())
            assert [event async for event in connection] == raw("first", "audio.input.commit")

    run(main())


def test_an_event_that_the_wire_has_no_words_for_raises_and_sends_nothing() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.send(str(await socket.recv()))

    async def main() -> None:
        async with talking_to(server) as connection:
            with pytest.raises(NotSupportedError):
                await connection.send(ActivityEnd())
            await connection.send(AudioInputCommit())
            assert await anext(connection) == RawEvent("first", {})

    run(main())


def test_sending_on_a_closed_connection_raises() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async def main() -> None:
        async with talking_to(server) as connection:
            await connection.close()
            with pytest.raises(ProviderError) as caught:
                await connection.send(AudioInputCommit())
            assert caught.value.code == "closed"

    run(main())


def test_sending_after_the_peer_closed_in_good_order_raises() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.close()

    async def main() -> None:
        async with talking_to(server) as connection:
            assert [event async for event in connection] == []
            with pytest.raises(ProviderError) as caught:
                await connection.send(AudioInputCommit())
            assert caught.value.code == "closed"

    run(main())


def test_a_peer_that_takes_nothing_ends_the_wait_of_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_module, "SEND_TIMEOUT_S", 0.01)

    async def main() -> None:
        connection = SocketConnection(HangingSocket(), Words())
        with pytest.raises(ProviderError) as caught:
            await connection.send(AudioInputCommit())
        assert (caught.value.code, caught.value.retryable) == ("timeout", True)

    run(main())


# ---- closing ----


def test_close_works_twice_and_ends_an_iteration_that_waits() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.send("hello sess_1")
        await socket.wait_closed()

    async def main() -> None:
        async with talking_to(server) as connection:
            heard: list[ServerEvent] = []
            opened = asyncio.Event()

            async def listen() -> None:
                async for event in connection:
                    heard.append(event)
                    opened.set()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(listen())
                await opened.wait()
                await connection.close()
                await connection.close()
            assert heard == [SessionCreated("sess_1")]

    run(main())


class PoliteWords(Words):
    """Takes its leave."""

    def farewell(self) -> Iterable[str]:
        return ("good", "bye")


def test_a_wire_that_takes_its_leave_does_so_once_before_the_connection_closes() -> None:
    heard: list[str | bytes] = []

    async def server(socket: ServerConnection) -> None:
        heard.extend([message async for message in socket])

    async def main() -> None:
        async with serve(server, "127.0.0.1", 0) as listening:
            socket = await open_socket(address(listening), HEADERS, RealtimeConnectOptions(), key_name="WORDS_KEY")
            connection = SocketConnection(socket, PoliteWords())
            await connection.close()
            await connection.close()

    run(main())
    assert heard == ["good", "bye"]


def test_a_peer_that_takes_no_leave_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_module, "CLOSE_TIMEOUT_S", 0.01)
    run(SocketConnection(HangingSocket(), PoliteWords()).close())


def test_nothing_is_heard_after_close_even_if_it_had_come_before() -> None:
    async def server(socket: ServerConnection) -> None:
        await socket.send("one two three")
        await socket.wait_closed()

    async def main() -> None:
        async with talking_to(server) as connection:
            assert await anext(connection) == RawEvent("one", {})
            await connection.close()
            assert [event async for event in connection] == []

    run(main())


def test_a_peer_that_forgets_the_closing_handshake_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_module, "CLOSE_TIMEOUT_S", 0.05)

    async def main() -> None:
        async with forgetful_server() as (url, left):
            socket = await open_socket(url, HEADERS, RealtimeConnectOptions(), key_name="WORDS_KEY")
            connection = SocketConnection(socket, Words())
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(anext(connection, None))
                await asyncio.sleep(0)
                await connection.close()
                assert await listening is None
            await left.wait()

    run(main())


def test_a_close_that_is_cancelled_still_frees_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_module, "CLOSE_TIMEOUT_S", 60.0)

    async def main() -> None:
        async with forgetful_server() as (url, left):
            socket = await open_socket(url, HEADERS, RealtimeConnectOptions(), key_name="WORDS_KEY")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await SocketConnection(socket, Words()).close()
            await left.wait()

    run(main())


def test_a_socket_of_a_factory_that_never_closes_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_module, "CLOSE_TIMEOUT_S", 0.01)

    async def main() -> None:
        await SocketConnection(HangingSocket(), Words()).close()

    run(main())


# ---- opening ----


def test_an_abort_set_before_connecting_opens_no_socket() -> None:
    async def main() -> None:
        abort = asyncio.Event()
        abort.set()
        async with mute_server() as (url, came, _):
            with pytest.raises(ProviderError, match="aborted") as caught:
                await open_socket(url, HEADERS, RealtimeConnectOptions(abort=abort), key_name="WORDS_KEY")
            assert caught.value.code == "aborted"
            assert not came.is_set()

    run(main())


def test_an_abort_while_connecting_closes_the_socket_and_raises() -> None:
    async def main() -> None:
        abort = asyncio.Event()
        async with mute_server() as (url, came, left):

            async def give_up() -> None:
                await came.wait()
                abort.set()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(give_up())
                with pytest.raises(ProviderError, match="aborted"):
                    await open_socket(url, HEADERS, RealtimeConnectOptions(abort=abort), key_name="WORDS_KEY")
            await left.wait()

    run(main())


def test_an_abort_in_the_moment_of_opening_closes_the_socket_and_raises() -> None:
    abort = asyncio.Event()

    class Closing(HangingSocket):
        is_closed = False

        async def close(self) -> None:
            self.is_closed = True

    socket = Closing()

    async def factory(url: str, headers: Mapping[str, str]) -> Socket:
        abort.set()
        return socket

    async def main() -> None:
        options = RealtimeConnectOptions(abort=abort, websocket=factory)
        with pytest.raises(ProviderError, match="aborted"):
            await open_socket("ws://nowhere.test/", HEADERS, options, key_name="WORDS_KEY")
        assert socket.is_closed

    run(main())


def test_an_abort_after_opening_changes_nothing() -> None:
    abort = asyncio.Event()

    async def server(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send("still here")

    async def main() -> None:
        async with talking_to(server, abort) as connection:
            abort.set()
            await connection.send(AudioInputCommit())
            assert [event async for event in connection] == raw("still", "here")

    run(main())


def test_a_peer_that_never_answers_the_upgrade_is_a_retryable_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_module, "OPEN_TIMEOUT_S", 0.05)

    async def main() -> None:
        async with mute_server() as (url, _, left):
            with pytest.raises(ProviderError, match="127") as caught:
                await open_socket(url, HEADERS, RealtimeConnectOptions(), key_name="WORDS_KEY")
            assert (caught.value.code, caught.value.retryable) == ("timeout", True)
            await left.wait()

    run(main())


def test_a_port_where_nobody_listens_is_a_retryable_network_error(unused_port: int) -> None:
    async def main() -> None:
        with pytest.raises(ProviderError, match="127") as caught:
            await open_socket(f"ws://127.0.0.1:{unused_port}/", HEADERS, RealtimeConnectOptions(), key_name="WORDS_KEY")
        assert (caught.value.code, caught.value.retryable) == ("network", True)

    run(main())


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_the_websocket_factory_is_used_in_place_of_our_own() -> None:
    asked: list[tuple[str, Mapping[str, str]]] = []
    mine = HangingSocket()

    async def factory(url: str, headers: Mapping[str, str]) -> Socket:
        asked.append((url, headers))
        return mine

    async def main() -> None:
        options = RealtimeConnectOptions(websocket=factory)
        assert await open_socket("wss://words.test/x", HEADERS, options, key_name="WORDS_KEY") is mine
        assert asked == [("wss://words.test/x", HEADERS)]

    run(main())


def test_an_error_of_the_factory_itself_comes_out_as_it_is() -> None:
    async def factory(url: str, headers: Mapping[str, str]) -> Socket:
        raise ZeroDivisionError("mine")

    async def main() -> None:
        with pytest.raises(ZeroDivisionError, match="mine"):
            await open_socket("ws://words.test", {}, RealtimeConnectOptions(websocket=factory), key_name="WORDS_KEY")

    run(main())


def test_a_redirect_is_not_followed() -> None:
    visits: list[str] = []

    def redirect(connection: ServerConnection, request: Request) -> Response | None:
        visits.append(request.path)
        return Response(302, "Found", Headers({"Location": "/elsewhere"}), b"")

    async def handler(socket: ServerConnection) -> None: ...

    async def main() -> None:
        async with serve(handler, "127.0.0.1", 0, process_request=redirect) as server:
            with pytest.raises(ProviderError, match="302") as caught:
                await open_socket(address(server), HEADERS, RealtimeConnectOptions(), key_name="WORDS_KEY")
        assert (caught.value.code, caught.value.retryable) == ("invalid_request", False)
        assert visits == ["/"]

    run(main())


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (400, b"", "invalid_request", False),
        (401, b"{}", "auth", False),
        (403, b"not json", "auth", False),
        (404, b'{"error": {"message": "no such model"}}', "invalid_request", False),
        (402, b"", "payment_required", False),
        (402, b'{"err_code": "NO_CREDIT", "err_msg": "pay first"}', "NO_CREDIT", False),
        (429, b"", "rate_limit_exceeded", True),
        (429, b'{"error": {"message": "pay first", "code": "insufficient_quota"}}', "insufficient_quota", False),
        (500, b"[[", "server_error", True),
        (503, None, "server_error", True),
    ],
)
def test_a_refused_upgrade_says_whether_to_try_again(
    status: int, body: bytes | None, code: str, retryable: bool
) -> None:
    error = refused(status, body, "words.test", "WORDS_KEY")
    assert (error.code, error.retryable) == (code, retryable)
    assert str(status) in str(error)
    assert ("WORDS_KEY" in str(error)) is (code == "auth")


def test_a_peer_that_repeats_the_key_does_not_bring_it_into_our_message() -> None:
    body = f'{{"error": {{"message": "bad key {KEY}", "code": "invalid_api_key"}}}}'.encode()
    error = refused(401, body, "words.test", "WORDS_KEY", secrets=HEADERS.values())
    assert "bad key" in str(error)
    assert KEY not in repr(error)


async def refusal_at(url: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await open_socket(url, HEADERS, RealtimeConnectOptions(), key_name="WORDS_KEY")
    return caught.value


def test_a_peer_that_repeats_the_address_does_not_bring_its_secrets_into_our_message() -> None:
    signature, token = "sig/0123456789+abc", "tok-0123456789"
    query = f"model=words-one&token={token}&signature={quote_plus(signature)}"

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        said = f"{signature} and {token} of {request.path} are for another model than words-one"
        return Response(403, "Forbidden", Headers(), json.dumps({"error": {"message": said}}).encode())

    async def handler(socket: ServerConnection) -> None: ...

    async def main() -> None:
        async with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
            error = await refusal_at(f"{address(server)}?{query}")
        assert error.code == "auth"
        assert "are for another model than words-one" in str(error)
        for secret in (signature, quote_plus(signature), token):
            assert secret not in str(error)

    run(main())


def test_an_address_that_is_none_is_told_without_the_address() -> None:
    async def main() -> None:
        error = await refusal_at("ws://words.test/x?signature=sig-0123456789#part")
        assert (error.code, error.retryable) == ("invalid_request", False)
        assert "words.test" in str(error) and "fragment" in str(error)
        assert "signature" not in "".join(traceback.format_exception(error))

    run(main())


def test_a_proxy_that_is_none_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "gopher://me:pass-0123456789@proxy.test")
    monkeypatch.delenv("no_proxy", raising=False)

    async def main() -> None:
        error = await refusal_at("wss://words.test/x")
        assert (error.code, error.retryable) == ("invalid_request", False)
        assert "proxy" in str(error) and "gopher" in str(error)
        assert "pass-0123456789" not in "".join(traceback.format_exception(error))

    run(main())


def test_a_secret_that_another_begins_with_leaves_nothing_of_the_longer_one() -> None:
    body = b'{"error": {"message": "no 12345678-the-rest here"}}'
    error = refused(404, body, "words.test", "WORDS_KEY", secrets=["12345678", "12345678-the-rest"])
    assert "the-rest" not in str(error)


def test_a_key_on_the_edge_of_what_fits_a_log_line_is_cut_out_too() -> None:
    body = f'{{"error": {{"message": "{"x" * 290}{KEY}"}}}}'.encode()
    error = refused(401, body, "words.test", "WORDS_KEY", secrets=HEADERS.values())
    assert "sk-" not in str(error)


def test_a_refusal_fits_a_log_line_however_long_its_code_and_its_words_are() -> None:
    body = f'{{"error": {{"message": "{"x" * 5000}", "code": "{"y" * 5000}"}}}}'.encode()
    error = refused(429, body, "words.test", "WORDS_KEY")
    assert len(str(error)) < 400
    assert len(error.code) == 100


def test_the_key_is_not_logged_even_when_everything_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def server(socket: ServerConnection) -> None:
        await socket.close()

    async def main() -> None:
        async with serve(server, "127.0.0.1", 0, logger=logging.Logger("elsewhere")) as listening:
            options = RealtimeConnectOptions()
            await (await open_socket(address(listening), HEADERS, options, key_name="WORDS_KEY")).close()

    run(main())
    assert KEY not in caplog.text
