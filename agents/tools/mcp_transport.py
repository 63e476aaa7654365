"""The ways to an MCP server: a program's standard streams, or an address. Each tells when the server is gone."""

import asyncio
import logging
import shutil
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2
from mcp.client.streamable_http import streamable_http_client

from agents.tools.mcp_program import MAX_MESSAGE_BYTES, PipedTo, started

log = logging.getLogger(__name__)

HTTP_TIMEOUT_S: Final = 10.0
"""For connecting to a server and for sending to it."""

SILENCE_TIMEOUT_S: Final = 300.0
"""Longest between two pieces of an answer: as long as the slowest tool may take."""

MAX_LINE_BYTES: Final = 4096
"""Of what a program writes to its standard error: longer lines are logged in pieces."""

LAST_LINES: Final = 5
"""So many of them are told when the program ends of itself, which mostly say why."""

Streams = tuple[Any, Any]
"""What the `mcp` package reads messages from, and what it writes them to."""

Open = Callable[[Callable[[], None]], AbstractAsyncContextManager[Streams]]
"""Opens the way to a server. What it is given is called when the server is gone."""


class LastWords:
    """The end of what a program wrote to its standard error. All of it goes to the log, at level debug."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.lines: deque[str] = deque(maxlen=LAST_LINES)

    def take(self, line: bytes) -> None:
        if text := line.decode("utf-8", "replace").strip():
            log.debug("%s: %s", self._name, text)
            self.lines.append(text)


def program(command: str, args: Sequence[str], env: Mapping[str, str], last_words: LastWords) -> Open:
    """A program to start. Of our environment it sees `env`, and what the `mcp` package takes for harmless."""

    @asynccontextmanager
    async def opened(gone: Callable[[], None]) -> AsyncIterator[Streams]:
        errors = PipedTo(_Lines(last_words.take))
        async with started(_found(command), args, env, errors, last_words.take) as (read, write):
            yield _Watched(read, gone), write

    return opened


def address(url: str, headers: Mapping[str, str]) -> Open:
    """A server that is there already, over streamable HTTP."""

    given = {"accept-encoding": "identity", **headers}

    async def bound(response: httpx2.Response) -> None:
        """Of events each is bounded by the `mcp` package; of other answers all. What is compressed has no bound."""
        if response.headers.get("content-encoding", "identity") != "identity":
            response.stream = _Bounded(response.stream, 0)
        elif not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            response.stream = _Bounded(response.stream, MAX_MESSAGE_BYTES)

    @asynccontextmanager
    async def opened(gone: Callable[[], None]) -> AsyncIterator[Streams]:
        timeout = httpx2.Timeout(HTTP_TIMEOUT_S, read=SILENCE_TIMEOUT_S)
        async with (
            httpx2.AsyncClient(headers=given, timeout=timeout, event_hooks={"response": [bound]}) as http,
            streamable_http_client(url, http_client=http) as (read, write),
        ):
            yield _Watched(read, gone), write

    return opened


def _found(command: str) -> str:
    """The program's file: on the PATH, or beside the Python that runs us, where packages put theirs."""
    return shutil.which(command) or shutil.which(command, path=str(Path(sys.executable).parent)) or command


class _Lines(asyncio.Protocol):
    """Cuts what comes through a pipe into lines."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest[:MAX_LINE_BYTES])
            self._rest = self._rest[MAX_LINE_BYTES:]
        for line in lines:
            self._take(line)

    def connection_lost(self, exc: Exception | None) -> None:
        self._take(self._rest)


class _Bounded(httpx2.AsyncByteStream):
    """An answer of at most so many bytes. Raises StreamError instead of giving more."""

    def __init__(self, stream: Any, max_bytes: int) -> None:
        self._stream = stream
        self._left = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._left -= len(piece)
            if self._left < 0:
                raise httpx2.StreamError(f"the answer is compressed, or longer than {MAX_MESSAGE_BYTES} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Watched:
    """A stream of messages that tells of its end."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended = ended

    @property
    def last_context(self) -> Any:
        """What the `mcp` package looks for in streams that carry each message's context."""
        return getattr(self._stream, "last_context", None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except BaseException:
            self._ended()
            raise

    async def receive(self) -> Any:
        return await self._stream.receive()

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stream.__aexit__(exc_type, exc, tb)
