"""A process under load: started on cores of its own, asked what it uses, and always ended."""

import asyncio
import json
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from agents.errors import ConfigError, GatewayError
from gateway.load.measured import LoopLag

READY_TIMEOUT_S: Final = 60.0
"""A gateway starts within 2 s; several workers on a machine that does other work need more."""

POLL_S: Final = 0.05
ANSWER_TIMEOUT_S: Final = 5.0
"""Of one question to a process that may have no time for it."""

END_TIMEOUT_S: Final = 10.0
"""From asking it to end until it is killed."""

LAST_LINES: Final = 5
LONGEST_LOG: Final = 64 * 1024
"""Bytes of the log's end that are read for these."""

OPEN_FILES: Final = 20_000
"""Two sockets for each call on either side, for as many calls as a gateway may have."""

INHERITED: Final = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "VIRTUAL_ENV")
"""Variables that the process gets from ours. No other: a gateway is measured as it is, not as this shell sets it."""

TELEMETRY: Final = "OTEL_"
"""These it gets as well: with them the cost of telemetry is measured."""


class ProcessEndedError(GatewayError):
    """The process under load ended by itself. The message has its last words."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the process under load runs on, and which the load. The same where there are too few."""

    process: frozenset[int]
    load: frozenset[int]

    @property
    def are_shared(self) -> bool:
        return bool(self.process & self.load)


def share_cores(workers: int) -> Cores:
    """A core for each worker and the rest for the load; all for both where no core is left over.

    Raises ConfigError on a system that cannot keep processes on cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise ConfigError(
            "voice-gateway load needs Linux: it keeps the gateway on a core of its own, and reads in /proc what it uses"
        )
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) <= workers:
        return Cores(frozenset(cores), frozenset(cores))
    return Cores(frozenset(cores[:workers]), frozenset(cores[workers:]))


@contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Keeps this thread, and every process and thread that it starts meanwhile, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def many_open_files() -> Iterator[None]:
    """Lets this process, and those that it starts meanwhile, open as many files as the system allows it, at most
    OPEN_FILES.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A child that answers at `url`, and runs on `cores`."""

    def __init__(self, child: asyncio.subprocess.Process, url: str, cores: frozenset[int], log: Path) -> None:
        self.pid = child.pid
        self.url = url
        self.cores = cores
        self._child = child
        self._log = log

    def cpu_s(self) -> float:
        """Seconds of processor time since its start, of all its threads and children, to the microsecond.

        Raises ProcessEndedError when it is no more.
        """
        return self._sum(_cpu_s)

    def memory_kb(self) -> float:
        """Its share of memory (PSS), with that of its children. Raises ProcessEndedError when it is no more."""
        return self._sum(_memory_kb)

    def _sum(self, read: Callable[[int], float]) -> float:
        self.refuse_ended()
        try:
            total = read(self.pid)
        except OSError:  # nobody has told us yet
            raise self._ended() from None
        for pid in _descendants(self.pid):
            with suppress(OSError):  # one that ended in between
                total += read(pid)
        return total

    async def loop_lag(self) -> LoopLag | None:
        """How late its event loop comes round; None from a process that does not say it, or has no time to."""
        try:
            _, body = await _ask(f"{self.url}/readyz")
            lag = json.loads(body)["loop_lag_ms"]
            return LoopLag(float(lag["p50"]), float(lag["p95"]), float(lag["max"]))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
            return None

    def refuse_ended(self) -> None:
        """Raises ProcessEndedError, with its last words, when it is no more."""
        if self._child.returncode is not None:
            raise self._ended()

    def _ended(self) -> ProcessEndedError:
        status = "" if self._child.returncode is None else f" with status {self._child.returncode}"
        return ProcessEndedError(f"the process under load ended{status}; {_last_words(self._log)}")

    async def wait_until_ready(self) -> None:
        """Until it answers. Raises ProcessEndedError when it ends first, ConfigError after READY_TIMEOUT_S."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while not await self._is_ready():
                    await asyncio.sleep(POLL_S)
                    self.refuse_ended()
        except TimeoutError:
            raise ConfigError(
                f"the process under load was not ready within {READY_TIMEOUT_S:g} s; {_last_words(self._log)}"
            ) from None

    async def _is_ready(self) -> bool:
        """Whether it answers that it is ready, or, having no such question, that there is nothing there."""
        try:
            status, _ = await _ask(f"{self.url}/readyz")
        except (aiohttp.ClientError, TimeoutError):
            return False
        return status in (200, 404)


@asynccontextmanager
async def running(
    command: Sequence[str], environment: Mapping[str, str], port: int, cores: frozenset[int], folder: Path
) -> AsyncIterator[Process]:
    """The command as a child on these cores, from when it is ready; ended by asking, then by force, at the end.

    What it prints goes to a file in `folder`. A Ctrl-C in the terminal does not reach it: it is ended here.
    """
    log = folder / f"process-{port}.log"
    inherited = {name: value for name, value in os.environ.items() if name in INHERITED or name.startswith(TELEMETRY)}
    with on_cores(cores), log.open("wb") as printed:
        child = await asyncio.create_subprocess_exec(
            *command,
            env={**inherited, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
        )
    try:
        process = Process(child, f"http://127.0.0.1:{port}", cores, log)
        await process.wait_until_ready()
        yield process
    finally:
        await _end(child)


async def _end(child: asyncio.subprocess.Process) -> None:
    try:
        if child.returncode is None:
            child.terminate()
        async with asyncio.timeout(END_TIMEOUT_S):
            await child.wait()
    except TimeoutError:
        pass
    finally:  # also when we are cancelled once more, and with whatever it started and left behind
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


def last_lines(log: Path) -> list[str]:
    """The last LAST_LINES lines that were printed."""
    with log.open("rb") as printed:
        printed.seek(max(0, log.stat().st_size - LONGEST_LOG))
        return printed.read().decode("utf-8", "replace").splitlines()[-LAST_LINES:]


def _last_words(log: Path) -> str:
    return "\n  ".join(["its last words:", *(last_lines(log) or ["none"])])


async def _ask(url: str) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
        return answer.status, await answer.read()


def _cpu_s(pid: int) -> float:
    """Of one process with all its threads, also those that ended: from the clock that the kernel keeps for each
    process (its number is made of the process's), as /proc rounds to 10 ms.
    """
    return time.clock_gettime((~pid << 3) | 2)


def _memory_kb(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    return next((float(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0.0)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):  # one that ended in between
        for listed in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, listed.read_text("ascii").split()):
                found += [child, *_descendants(child)]
    return found
