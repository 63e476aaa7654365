"""Tasks that run beside a piece of code and end with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _Over(Exception):
    """Ends the task group from inside."""


@asynccontextmanager
async def tasks_beside() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup whose tasks are cancelled when the body ends.

    What the body raises comes out as it is; what a task raises ends the body, in an ExceptionGroup, as ever.
    """
    raised: Exception | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            try:
                yield tasks
            except Exception as error:
                raised = error
            raise _Over
    except* _Over:
        pass
    if raised is not None:
        raise raised
