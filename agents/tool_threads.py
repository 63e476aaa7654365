"""Runs operators' blocking functions where they can hurt nobody: in daemon threads, so many and no more."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Final, TypeVar

from agents.errors import ToolError

T = TypeVar("T")

MAX_THREADS: Final = 64
"""Blocking tools at the same time, in all calls. One that never returns keeps its place until the process ends."""

_places = threading.BoundedSemaphore(MAX_THREADS)


async def run_in_thread(function: Callable[[], T]) -> T:
    """What the function returns or raises, SystemExit and the like as RuntimeError.

    Cancelling leaves the thread behind, to end by itself; it keeps the process from nothing. Raises ToolError when too
    many run already. Never uses the event loop's own threads, which look up names for every call.
    """
    if not _places.acquire(blocking=False):
        raise ToolError("too many tools are busy; try again later.")
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        try:
            result = function()
        except BaseException as error:
            failure = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
            _tell(loop, lambda: outcome.done() or outcome.set_exception(_settable(failure)))
        else:
            _tell(loop, lambda: outcome.done() or outcome.set_result(result))
        finally:
            _places.release()

    threading.Thread(target=copy_context().run, args=(work,), name="tool", daemon=True).start()
    return await outcome


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(what)


def _settable(error: Exception) -> Exception:
    return RuntimeError("StopIteration") if isinstance(error, StopIteration) else error
