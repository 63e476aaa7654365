"""Starts the workers at one port, hands signals on to them, and puts another in the place of one that died."""

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from agents.errors import ConfigError
from gateway.server import AFTER_STREAM_S, CLOSING_TIMEOUT_S, FORCED_TIMEOUT_S, GRACEFUL_TIMEOUT_S
from gateway.settings import Settings
from gateway.workers.board import Board, new_block
from gateway.workers.listening import listening
from gateway.workers.post import READY, Post
from gateway.workers.relay import streams_socket

log = logging.getLogger(__name__)

AGAIN_S: Final = (0.0, 1.0, 5.0, 30.0)
"""Before a worker is started again: at once when it served for a while, later each time that it did not."""

STEADY_S: Final = 60.0
"""A worker that served for so long did not die of its start."""

EXIT_S: Final = 10.0
"""Longest from the end of a worker's server to the end of its process: exporters and speech processes end then."""

MAX_SOCKET_PATH: Final = 100
"""Bytes that the name of a local socket may have, of 104 on some systems."""

_ATTRIBUTES: Final = "OTEL_RESOURCE_ATTRIBUTES"

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(slots=True)
class _Worker:
    """A process, once there is one."""

    process: asyncio.subprocess.Process | None = None
    is_ready: bool = False


class Supervisor:
    """The parent of the workers. It serves nothing itself."""

    def __init__(
        self, settings: Settings, command: Sequence[str], environment: Mapping[str, str], when_ready: Callable[[], None]
    ) -> None:
        """`command` starts a worker, with the number of the descriptor behind it that leads to this process.

        `when_ready` is called once, when all workers answer.
        """
        self._settings = settings
        self._command = command
        self._environment = environment
        self._when_ready = when_ready
        self._workers = {number: _Worker() for number in range(1, settings.workers + 1)}
        self._told = 0
        self._is_stopping = asyncio.Event()
        self._was_ready = False
        self._status = 0
        self._kill: asyncio.TimerHandle | None = None

    def run(self) -> int:
        """Until a signal, or until a worker cannot start. The status to exit with. Raises ConfigError."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voice-gateway-")))
            if len(os.fsencode(streams_socket(folder, len(self._workers)))) > MAX_SOCKET_PATH:
                raise ConfigError(f"the path of {folder} is too long for sockets: set TMPDIR to a shorter one")
            listeners = [
                stack.enter_context(listener) for listener in listening(self._settings.host, self._settings.port)
            ]
            block = new_block(len(self._workers), self._settings.max_calls)
            stack.callback(os.close, block)
            board = Board(block, len(self._workers), self._settings.max_calls)
            stack.callback(board.close)
            loop = asyncio.get_running_loop()
            for each in _SIGNALS:
                loop.add_signal_handler(each, self._stop)
                stack.callback(loop.remove_signal_handler, each)
            async with asyncio.TaskGroup() as tasks:
                for number in self._workers:
                    post = Post(
                        number,
                        len(self._workers),
                        tuple(listener.fileno() for listener in listeners),
                        block,
                        str(folder),
                        self._settings.auth_tokens[0] if self._settings.has_invented_token else None,
                    )
                    tasks.create_task(self._keep(post, board), name=f"worker {number}")
            if self._kill:
                self._kill.cancel()
        return self._status

    def _stop(self, status: int = 0) -> None:
        """A first time lets the workers finish their calls, a second time it does not; in the end they are killed."""
        self._told += 1
        if self._told == 1:
            self._status = status
            self._is_stopping.set()
        log.info("stopping %s workers%s", len(self._workers), "" if self._told == 1 else " at once")
        for worker in self._workers.values():
            self._signal(worker, signal.SIGTERM)
        if self._kill:
            self._kill.cancel()
        gentle_s = self._settings.drain_s + AFTER_STREAM_S + GRACEFUL_TIMEOUT_S + CLOSING_TIMEOUT_S + EXIT_S
        limit_s = gentle_s if self._told == 1 else 2 * FORCED_TIMEOUT_S + EXIT_S
        self._kill = asyncio.get_running_loop().call_later(limit_s, self._kill_all)

    def _kill_all(self) -> None:
        log.error("workers that do not stop are killed")
        for worker in self._workers.values():
            self._signal(worker, signal.SIGKILL)

    @staticmethod
    def _signal(worker: _Worker, what: signal.Signals) -> None:
        if worker.process and worker.process.returncode is None:
            worker.process.send_signal(what)

    # ---- one worker ----

    async def _keep(self, post: Post, board: Board) -> None:
        """Has the worker run until all are to stop."""
        loop = asyncio.get_running_loop()
        short_lives = 0
        while not self._is_stopping.is_set():
            began = loop.time()
            status = await self._live(post)
            lost = board.live(post.number)
            board.clear(post.number)
            if self._is_stopping.is_set():
                return
            if not self._was_ready:
                log.error("worker %d could not start", post.number)
                self._stop(status if status > 0 else 1)
                return
            short_lives = 0 if loop.time() - began > STEADY_S else min(short_lives + 1, len(AGAIN_S) - 1)
            wait_s = AGAIN_S[max(short_lives - 1, 0)]
            log.error("worker %d ended (%s) and %d live calls with it; another starts", post.number, status, lost)
            try:
                async with asyncio.timeout(wait_s):
                    await self._is_stopping.wait()
            except TimeoutError:
                continue

    async def _live(self, post: Post) -> int:
        """One process, from its start to its end: its status."""
        worker = self._workers[post.number] = _Worker()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            descriptors = (*post.listeners, post.board, theirs.fileno())
            worker.process = process = await asyncio.create_subprocess_exec(
                *self._command,
                str(theirs.fileno()),
                env=self._with_name(),
                pass_fds=descriptors,
                start_new_session=True,  # a Ctrl-C in the terminal is handed on by us, once
            )
            theirs.close()
            log.info("worker %d is process %d", post.number, process.pid)
            if self._is_stopping.is_set():
                self._signal(worker, signal.SIGTERM)
            try:
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(ours, post.to_bytes())
                worker.is_ready = await loop.sock_recv(ours, len(READY)) == READY
            except ConnectionError:
                pass  # it is over already
            self._check_ready()
            return await process.wait()

    def _with_name(self) -> dict[str, str]:
        """The environment of one process: its metrics are not to be taken for those of another."""
        known = self._environment.get(_ATTRIBUTES, "")
        if "service.instance.id=" in known:
            return dict(self._environment)
        name = f"service.instance.id={uuid4()}"
        return {**self._environment, _ATTRIBUTES: f"{known},{name}" if known else name}

    def _check_ready(self) -> None:
        is_ready = all(worker.is_ready for worker in self._workers.values())
        if is_ready and self._was_ready:
            log.info("all %d workers answer again", len(self._workers))
        elif is_ready:
            self._was_ready = True
            self._when_ready()


def worker_command(arguments: Sequence[str]) -> list[str]:
    """What starts a worker: `serve` with these arguments, in this interpreter, whatever the working folder holds."""
    return [sys.executable, "-P", "-m", "gateway", "serve", *arguments, "--worker"]


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of workers: they find this same package."""
    house = str(Path(__file__).resolve().parents[2])
    known = environment.get("PYTHONPATH")
    return {**environment, "PYTHONPATH": f"{house}{os.pathsep}{known}" if known else house}
