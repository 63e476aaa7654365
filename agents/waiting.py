"""Waits for something to happen, for so long and no longer."""

import asyncio


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Waits until the event is set. False when the time ran out."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
