"""Runs a program that speaks the Model Context Protocol over its standard streams, a message a line."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Self

from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""Longest message of a server, 30 times what a model is told of it: while a longer one is read, all calls stutter."""

EXIT_S: Final = 2.0
"""For a program to end when its input has, and again when it is told to. Then it is killed."""

Take = Callable[[bytes], None]


class PipedTo:
    """A file for a program to write to, while it is entered; what it writes goes to the protocol."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Any:
        reading, writing = os.pipe()
        async with AsyncExitStack() as opened:
            file = opened.enter_context(os.fdopen(writing, "w"))
            pipe = opened.enter_context(os.fdopen(reading, "rb", 0))
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: self._protocol, pipe)
            opened.callback(transport.close)
            self._open = opened.pop_all()
        return file

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._open.aclose()


@asynccontextmanager
async def started(
    command: str, args: Sequence[str], env: Mapping[str, str], errors: PipedTo, last_words: Take
) -> AsyncIterator[tuple["_Messages", "_Input"]]:
    """Its messages, and what takes ours, while it runs. Of our environment it sees `env`, and a few harmless variables.

    `errors` is where it writes its errors to; `last_words` is told why we end it. Left, nothing of it runs any more.
    """
    reader = asyncio.StreamReader(limit=MAX_MESSAGE_BYTES)
    loop = asyncio.get_running_loop()
    async with errors as to_errors, PipedTo(asyncio.StreamReaderProtocol(reader)) as to_reader:
        transport, process = await loop.subprocess_exec(
            _Process,
            command,
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=to_reader,
            stderr=to_errors,
            env={**get_default_environment(), **env},
            start_new_session=True,
        )
        program_input = _Input(transport.get_pipe_transport(0), process)
        try:
            to_errors.close()  # the program has its own copies, whose closing is the end
            to_reader.close()
            yield _Messages(reader, last_words), program_input
        finally:
            await program_input.aclose()
            await _stop(transport, process)


class _Process(asyncio.SubprocessProtocol):
    """What is told of the program: that it has ended, and whether it reads what it is sent."""

    def __init__(self) -> None:
        self.has_ended = asyncio.Event()
        self.may_write = asyncio.Event()
        self.may_write.set()

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def process_exited(self) -> None:
        self.has_ended.set()
        self.may_write.set()


async def _stop(transport: asyncio.SubprocessTransport, process: _Process) -> None:
    """Waits for its end. Whatever it has started ends with it."""
    try:
        if not await _has_ended(process):
            _signal(transport, signal.SIGTERM)
            await _has_ended(process)
    finally:
        _signal(transport, signal.SIGKILL)
        try:
            if not process.has_ended.is_set():
                await asyncio.to_thread(_wait_for_the_dead, transport.get_pid())
        finally:
            transport.close()


def _wait_for_the_dead(pid: int) -> None:
    """Waits until a program that was killed is gone, which nothing can put off. The loop notes it later."""
    if hasattr(os, "waitid"):
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


async def _has_ended(process: _Process) -> bool:
    """Waits for the program's end, at most EXIT_S."""
    with suppress(TimeoutError):
        async with asyncio.timeout(EXIT_S):
            await process.has_ended.wait()
    return process.has_ended.is_set()


def _signal(transport: asyncio.SubprocessTransport, number: int) -> None:
    """Tells the program and all that it has started, which are a group of its number."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), number)


class _Messages:
    """What the program says. Ends with it, and at a line that is too long."""

    def __init__(self, reader: asyncio.StreamReader, last_words: Take) -> None:
        self._reader = reader
        self._last_words = last_words

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            raise StopAsyncIteration from None
        except asyncio.LimitOverrunError:
            self._last_words(f"a message was longer than {MAX_MESSAGE_BYTES} bytes".encode())
            raise StopAsyncIteration from None
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValueError as error:
            return error

    async def receive(self) -> SessionMessage | Exception:
        return await anext(self)

    async def aclose(self) -> None:
        """Its end is that of the program."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...


class _Input:
    """Takes our messages. Those to a program that has ended are lost, which `_Messages` tells."""

    def __init__(self, pipe: Any, process: _Process) -> None:
        self._pipe = pipe
        self._process = process

    async def send(self, message: SessionMessage) -> None:
        text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
        await self._process.may_write.wait()  # before: who is cancelled has sent nothing, or all
        if not self._pipe.is_closing():
            self._pipe.write(text.encode() + b"\n")

    async def aclose(self) -> None:
        self._pipe.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
