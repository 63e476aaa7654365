"""What the embedded model says waits for its reader, within bounds."""

import asyncio

import pytest

from agents.errors import ProviderError
from agents.events import ServerEvent, SessionUpdated, TextOutputDelta
from agents.local.outbox import MAX_UNREAD, ROOM, Outbox


def event(number: int) -> ServerEvent:
    return TextOutputDelta("r", "i", str(number))


def test_events_come_in_order() -> None:
    async def main() -> list[ServerEvent | None]:
        out = Outbox()
        for number in range(3):
            out.put_now(event(number))
        return [await out.get() for _ in range(3)]

    assert asyncio.run(main()) == [event(0), event(1), event(2)]


def test_speech_waits_for_room_and_goes_on_when_there_is() -> None:
    async def main() -> tuple[bool, bool]:
        out = Outbox()
        for number in range(ROOM):
            await out.put(event(number))
        async with asyncio.TaskGroup() as tasks:
            late = tasks.create_task(out.put(event(ROOM)))
            await asyncio.sleep(0)
            waited = not late.done()
            await out.get()
            await late
        return waited, late.done()

    assert asyncio.run(main()) == (True, True)


def test_a_reader_that_waits_is_woken_by_closing() -> None:
    async def main() -> ServerEvent | None:
        out = Outbox()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(out.get())
            await asyncio.sleep(0)
            out.close()
        return reading.result()

    assert asyncio.run(main()) is None


def test_nothing_is_read_after_closing() -> None:
    async def main() -> ServerEvent | None:
        out = Outbox()
        out.put_now(SessionUpdated())
        out.close()
        out.put_now(SessionUpdated())
        return await out.get()

    assert asyncio.run(main()) is None


def test_events_that_nobody_reads_end_the_conversation() -> None:
    async def main() -> None:
        out = Outbox()
        for number in range(MAX_UNREAD + 1):
            out.put_now(event(number))
        assert out.is_closed
        await out.get()

    with pytest.raises(ProviderError, match="not read"):
        asyncio.run(main())
