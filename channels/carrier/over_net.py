"""The way to a service over a real network: HTTP by aiohttp, media sockets by websockets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, Self

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import Close

from agents.errors import ChannelError
from channels.carrier.reach import (
    MAX_ANSWER_BYTES,
    MAX_MESSAGE_BYTES,
    NORMAL_CLOSE,
    OPEN_TIMEOUT_S,
    POST_TIMEOUT_S,
    USER_AGENT,
    Answer,
    Socket,
    SocketClosed,
    Unreachable,
    not_opened,
    refused,
    too_long,
    unanswered,
)

CONNECT_TIMEOUT_S: Final = 5.0
"""So long a service may take to accept a connection: Twilio's own limit."""

CLOSE_TIMEOUT_S: Final = 3.0
"""So long a service may take to answer the closing of its media socket."""


class OverNet:
    """A Reach over sockets, on the real clock. An async context manager."""

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=POST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S)
        self._http = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        named = {**headers, "User-Agent": USER_AGENT}
        try:
            async with self._http.post(url, data=dict(form), headers=named, allow_redirects=False) as answer:
                body = b""
                while chunk := await answer.content.read(MAX_ANSWER_BYTES):
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise too_long(url)
                return Answer(answer.status, answer.content_type, body)
        except TimeoutError:
            raise unanswered(url) from None
        except aiohttp.InvalidURL:
            raise ChannelError(f"{url} is not an address (11100)") from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"cannot reach {url}: {error.os_error.strerror or error} (11205)") from None
        except aiohttp.ClientError as error:
            raise ChannelError(f"{url} broke off: {error or type(error).__name__} (11200)") from None

    @asynccontextmanager
    async def socket(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
        async with open_socket(url, headers) as socket:
            yield socket


@asynccontextmanager
async def open_socket(url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
    """Opens a socket as Twilio does: no origin, no subprotocol, no compression; closed at the end.

    Raises ChannelError, with Twilio's error code, when the service does not accept it.
    """
    try:
        connection = await connect(
            url,
            additional_headers=dict(headers),
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
        raise refused(error.response.status_code) from None
    except InvalidHandshake as error:
        raise ChannelError(f"the media socket's handshake failed (31920): {error}") from None
    except TimeoutError:
        raise not_opened() from None
    except OSError as error:
        raise ChannelError(f"the media socket could not be reached (31902): {error}") from None
    socket = NetSocket(connection)
    try:
        yield socket
    finally:
        await socket.close()


class NetSocket:
    """A websockets client as the carrier's Socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def close_code(self) -> int | None:
        return failed.code if (failed := self._failed) else self._connection.close_code

    @property
    def close_reason(self) -> str | None:
        return failed.reason if (failed := self._failed) else self._connection.close_reason

    @property
    def _failed(self) -> Close | None:
        """Why this side had to break the connection: the service sent what is not WebSocket's, or too much."""
        protocol = self._connection.protocol
        has_failed = protocol.close_sent and not protocol.close_rcvd and protocol.close_sent.code != NORMAL_CLOSE
        return protocol.close_sent if has_failed else None

    async def send(self, message: str | bytes) -> None:
        try:
            await self._connection.send(message)
        except ConnectionClosed:
            raise SocketClosed from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        await self._connection.close()

    async def wait_closed(self) -> None:
        await self._connection.wait_closed()

    def abort(self) -> None:
        self._connection.transport.abort()
