"""Tells the cancelling of a task from a CancelledError that something it waited for brought along."""

import asyncio


def is_being_cancelled() -> bool:
    """Whether somebody cancels the task that this runs in."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
