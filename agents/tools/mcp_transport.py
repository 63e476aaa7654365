"""The ways to an MCP server: a program's standard streams, or an address. Each tells when the server is gone."""

import asyncio
import logging
import os
import shutil
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx2
from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

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
    given = StdioServerParameters(command=_found(command), args=list(args), env=dict(env))

    @asynccontextmanager
    async def opened(gone: Callable[[], None]) -> AsyncIterator[Streams]:
        async with _read_into(last_words) as errors, stdio_client(given, errlog=errors) as (read, write):
            errors.close()  # the program has its own copy, whose closing is the end
            yield _Watched(read, gone), write

    return opened


def address(url: str, headers: Mapping[str, str]) -> Open:
    """A server that is there already, over streamable HTTP."""

    @asynccontextmanager
    async def opened(gone: Callable[[], None]) -> AsyncIterator[Streams]:
        timeout = httpx2.Timeout(HTTP_TIMEOUT_S, read=SILENCE_TIMEOUT_S)
        async with (
            httpx2.AsyncClient(headers=dict(headers), timeout=timeout) as http,
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


@asynccontextmanager
async def _read_into(last_words: LastWords) -> AsyncIterator[Any]:
    """A file for a program to write its errors to, which are read as fast as they come."""
    reading, writing = os.pipe()
    errors = os.fdopen(writing, "w")
    pipe = os.fdopen(reading, "rb", 0)
    try:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: _Lines(last_words.take), pipe)
    except BaseException:
        errors.close()
        pipe.close()
        raise
    try:
        yield errors
    finally:
        errors.close()
        transport.close()


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
