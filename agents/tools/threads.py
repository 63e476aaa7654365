"""Runs operators' blocking functions where they can hurt nobody: in daemon threads, so many and no more."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Final, TypeVar

from agents.errors import ToolError

T = TypeVar("T")

MAX_THREADS: Final = 64
"""Blocking tools at the same time, in all calls. One that never returns keeps its place until the process ends."""

TOO_MANY: Final = "too many tools are busy; try again later."

_places = threading.BoundedSemaphore(MAX_THREADS)


async def run_in_thread(function: Callable[[], T]) -> T:
    """What the function returns or raises, SystemExit and the like as RuntimeError.

    Cancelling leaves the thread behind, to end by itself; it keeps the process from nothing. Raises ToolError when too
    many run already. Never uses the event loop's own threads, which look up names for every call.
    """
    places = _places
    if not places.acquire(blocking=False):
        raise ToolError(TOO_MANY)
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        try:
            result = function()
        except BaseException as error:
            _tell(loop, partial(_fail, outcome, error))
        else:
            _tell(loop, partial(_succeed, outcome, result))
        finally:
            places.release()

    try:
        threading.Thread(target=copy_context().run, args=(work,), name="tool", daemon=True).start()
    except RuntimeError as error:  # the process, or the machine, has no more of them
        places.release()
        raise ToolError(TOO_MANY) from error
    return await outcome


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(what)


def _succeed(outcome: asyncio.Future[T], result: T) -> None:
    if not outcome.done():
        outcome.set_result(result)


def _fail(outcome: asyncio.Future[T], error: BaseException) -> None:
    is_ordinary = isinstance(error, Exception) and not isinstance(error, StopIteration)
    if not outcome.done():
        outcome.set_exception(error if is_ordinary else RuntimeError(f"{type(error).__name__}: {error}"))
