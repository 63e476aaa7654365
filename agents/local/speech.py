"""Hearing and speaking for every call in this process, done by worker processes that all of them share."""

import asyncio
import multiprocessing
import os
import signal
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from threading import Lock
from typing import Final, TypeVar

from agents.audio import PCM_RATE_HZ
from agents.errors import ProviderError
from agents.local import worker

T = TypeVar("T")

JOB_TIMEOUT_S: Final = 20
"""Longest a caller can be kept waiting for ears or mouth, a new worker's start included (1.5 s). Then it is stuck."""

MAX_WAITING_JOBS: Final = 32
"""Jobs per worker, the one being done included: hearing takes 0.15 s, so the last of them is some 5 s away."""

CACHE_BYTES: Final = 32_000_000
"""Spoken sentences kept, about eleven minutes of voice."""


class Speech:
    """Ears and a mouth. Both raise ProviderError: `busy` when too many wait, `speech` or `timeout` when they failed.

    A failed worker is replaced for the next job, so all of these are retryable, but for a `speech` that only says that
    the engines cannot do this one job. A job whose caller stops waiting is not begun, or its result is dropped.
    """

    def __init__(self, workers: int) -> None:
        self._workers = [_Worker() for _ in range(workers)]
        self._spoken = SpokenCache(CACHE_BYTES)

    async def ready(self) -> None:
        """Waits until every worker has its engines loaded."""
        for each in self._workers:
            each.start()
        for each in self._workers:
            await each.run(worker.process_id)

    async def transcribe(self, pcm: bytes, rate_hz: int = PCM_RATE_HZ) -> str:
        """What is said in PCM16 mono, at most `MAX_TURN_MS` of it at a time; empty when nothing was understood."""
        return await self._idlest().run(worker.hear, pcm, rate_hz)

    async def synthesize(self, text: str, speed: float = 1.0) -> bytes:
        """The text spoken, as `pcm`; empty when there is nothing to pronounce in it. One sentence at a time is best."""
        pcm = self._spoken.get(text, speed)
        if pcm is None:
            pcm = await self._idlest().run(worker.speak, text, speed)
            self._spoken.put(text, speed, pcm)
        return pcm

    def close(self) -> None:
        """Ends the workers. Blocks until they are gone: a job's length."""
        for each in self._workers:
            each.close()

    def _idlest(self) -> "_Worker":
        return min(self._workers, key=lambda each: each.waiting)


@asynccontextmanager
async def speech_workers(workers: int = 1) -> AsyncIterator[Speech]:
    """This process's ears and mouth, for as long as they are held. They start with their first job.

    The first holder says how many workers there are; the last one out ends them.
    """
    speech = _hold(workers)
    try:
        yield speech
    finally:
        if idle := _release():
            await asyncio.to_thread(idle.close)


@contextmanager
def kept_speech_workers(workers: int = 1) -> Iterator[Speech]:
    """The same for code outside of any event loop: keeps the engines loaded between event loops."""
    speech = _hold(workers)
    try:
        yield speech
    finally:
        if idle := _release():
            idle.close()


class SpokenCache:
    """Sentences already spoken; the ones not used for longest make room for new ones."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._pcm: OrderedDict[tuple[str, float], bytes] = OrderedDict()

    def get(self, text: str, speed: float) -> bytes | None:
        pcm = self._pcm.get((text, speed))
        if pcm is not None:
            self._pcm.move_to_end((text, speed))
        return pcm

    def put(self, text: str, speed: float, pcm: bytes) -> None:
        self._bytes += len(pcm) - len(self._pcm.pop((text, speed), b""))
        self._pcm[text, speed] = pcm
        while self._bytes > self._max_bytes:
            _, oldest = self._pcm.popitem(last=False)
            self._bytes -= len(oldest)


class _Worker:
    """One process with both engines, started by its first job and replaced by the next one after it died."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._process_id: Future[int] | None = None
        self.waiting = 0

    async def run(self, job: Callable[..., T], *arguments: object) -> T:
        if self.waiting >= MAX_WAITING_JOBS:
            raise ProviderError(f"{self.waiting} jobs wait for the speech engines", code="busy", retryable=True)
        self.waiting += 1
        try:
            return await self._run(job, *arguments)
        finally:
            self.waiting -= 1

    async def _run(self, job: Callable[..., T], *arguments: object) -> T:
        pool = self.start()
        try:
            async with asyncio.timeout(JOB_TIMEOUT_S):
                return await asyncio.get_running_loop().run_in_executor(pool, job, *arguments)
        except BrokenExecutor as error:
            self._forget(pool)
            raise ProviderError("the speech engines' process died", code="speech", retryable=True) from error
        except TimeoutError as error:
            self._kill()
            self._forget(pool)
            message = f"the speech engines did not answer within {JOB_TIMEOUT_S} s"
            raise ProviderError(message, code="timeout", retryable=True) from error
        except Exception as error:  # of the job; its text may hold what was said
            message = f"the speech engines failed at {job.__name__}: {type(error).__name__}"
            raise ProviderError(message, code="speech", retryable=False) from error

    def start(self) -> ProcessPoolExecutor:
        """Starts the process, unless it is there: 20 ms of the event loop, then it loads by itself."""
        if self._pool:
            return self._pool
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=worker.start)
        self._process_id = self._pool.submit(worker.process_id)
        return self._pool

    def _kill(self) -> None:
        if self._process_id and self._process_id.done() and not self._process_id.exception():
            with suppress(ProcessLookupError):
                os.kill(self._process_id.result(), signal.SIGKILL)

    def _forget(self, pool: ProcessPoolExecutor) -> None:
        """Leaves a pool that failed, unless another job of it already did."""
        if self._pool is pool:
            self._pool = None
            pool.shutdown(wait=False)

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


_lock = Lock()
_holders = 0
_shared: Speech | None = None


def _hold(workers: int) -> Speech:
    global _holders, _shared
    with _lock:
        _holders += 1
        if _shared is None:
            _shared = Speech(workers)
        return _shared


def _release() -> Speech | None:
    """Gives what nobody holds any more."""
    global _holders, _shared
    with _lock:
        _holders -= 1
        if _holders:
            return None
        idle, _shared = _shared, None
        return idle
