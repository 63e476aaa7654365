"""The emitter tells everyone who watches, and nobody who watches can hurt the call."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

import agents.emitter as emitter_module
from agents.emitter import MAX_WAITING, Emitter
from agents.events import Dtmf, SessionEvent, Status, Text

ONE, TWO, THREE = Dtmf("1"), Dtmf("2"), Dtmf("3")


class Diary:
    """A listener that is a method, as most listeners are."""

    def __init__(self) -> None:
        self.events: list[SessionEvent] = []

    def write(self, event: SessionEvent) -> None:
        self.events.append(event)


# ---- on, once, off, emit ----


def test_a_listener_hears_the_events_of_its_kind_in_order() -> None:
    emitter, diary = Emitter(), Diary()
    emitter.on("dtmf", diary.write)

    for event in (ONE, Text("item", "not for a listener of keys"), TWO):
        emitter.emit(event)

    assert diary.events == [ONE, TWO]


def test_on_once_and_off_can_be_chained() -> None:
    emitter, diary = Emitter(), Diary()

    assert emitter.on("dtmf", diary.write).once("text", diary.write).off("dtmf", diary.write) is emitter


def test_emit_returns_whether_anyone_listened() -> None:
    emitter, diary = Emitter(), Diary()

    before = emitter.emit(ONE)
    emitter.once("dtmf", diary.write)
    during = emitter.emit(TWO)
    after = emitter.emit(THREE)

    assert (before, during, after) == (False, True, False)


def test_emit_returns_true_when_only_an_iterator_watches() -> None:
    emitter = Emitter()
    stream = emitter.events()

    assert emitter.emit(ONE)
    assert aiter(stream) is stream


def test_off_removes_a_function() -> None:
    emitter = Emitter()
    heard: list[SessionEvent] = []

    def listener(event: SessionEvent) -> None:
        heard.append(event)

    emitter.on("dtmf", listener).off("dtmf", listener)

    assert not emitter.emit(ONE)
    assert heard == []


def test_off_removes_a_method_although_each_look_at_it_is_another_object() -> None:
    emitter, diary = Emitter(), Diary()

    emitter.on("dtmf", diary.write).off("dtmf", diary.write)

    assert not emitter.emit(ONE)
    assert diary.events == []


def test_off_leaves_the_same_method_of_another_object() -> None:
    emitter, mine, yours = Emitter(), Diary(), Diary()
    emitter.on("dtmf", mine.write).on("dtmf", yours.write)

    emitter.off("dtmf", mine.write)
    emitter.emit(ONE)

    assert (mine.events, yours.events) == ([], [ONE])


def test_off_of_a_stranger_does_nothing() -> None:
    emitter, diary = Emitter(), Diary()

    emitter.off("dtmf", diary.write)

    assert not emitter.emit(ONE)


def test_once_fires_once() -> None:
    emitter, diary = Emitter(), Diary()
    emitter.once("dtmf", diary.write)

    emitter.emit(ONE)
    emitter.emit(TWO)

    assert diary.events == [ONE]


def test_once_can_be_removed_before_it_fires() -> None:
    emitter, diary = Emitter(), Diary()

    emitter.once("dtmf", diary.write).off("dtmf", diary.write)
    emitter.emit(ONE)

    assert diary.events == []


def test_a_listener_that_once_fired_keeps_its_lasting_place() -> None:
    emitter, diary = Emitter(), Diary()
    emitter.on("dtmf", diary.write).once("dtmf", diary.write)

    emitter.emit(ONE)
    emitter.emit(TWO)

    assert diary.events == [ONE, ONE, TWO]


def test_once_fires_once_even_when_a_listener_before_it_emits() -> None:
    emitter, diary = Emitter(), Diary()

    def echo(event: Dtmf) -> None:
        if event is ONE:
            emitter.emit(TWO)

    emitter.on("dtmf", echo).once("dtmf", diary.write)
    emitter.emit(ONE)

    assert diary.events == [TWO]


def test_a_listener_added_by_a_listener_hears_from_the_next_event_on() -> None:
    emitter, diary = Emitter(), Diary()
    emitter.once("dtmf", lambda _: emitter.on("dtmf", diary.write))

    emitter.emit(ONE)
    emitter.emit(TWO)

    assert diary.events == [TWO]


def test_a_listener_that_raises_does_not_prevent_the_others(caplog: pytest.LogCaptureFixture) -> None:
    emitter, diary = Emitter(), Diary()

    def broken(_: SessionEvent) -> None:
        raise RuntimeError("bug in a listener")

    emitter.on("dtmf", broken).on("dtmf", diary.write)
    was_heard = emitter.emit(ONE)

    assert was_heard
    assert diary.events == [ONE]
    assert "bug in a listener" in caplog.text


def test_is_watched_says_whether_an_event_would_reach_anyone() -> None:
    emitter, diary = Emitter(), Diary()
    nobody = emitter.is_watched("audio")

    emitter.on("audio", diary.write)
    listener = emitter.is_watched("audio"), emitter.is_watched("dtmf")
    emitter.off("audio", diary.write)
    gone = emitter.is_watched("audio")
    emitter.events()

    assert (nobody, listener, gone) == (False, (True, False), False)
    assert emitter.is_watched("audio")


# ---- sticky kinds ----


def test_a_sticky_event_is_told_to_a_listener_that_comes_late() -> None:
    emitter, lasting, single = Emitter(sticky=frozenset({"status"})), Diary(), Diary()
    emitter.emit(Status("connecting"))
    emitter.emit(Status("connected"))

    emitter.on("status", lasting.write).once("status", single.write)
    emitter.emit(Status("closed"))

    assert lasting.events == [Status("connected"), Status("closed")]
    assert single.events == [Status("connected")]


def test_an_event_that_is_not_sticky_is_not_told_again() -> None:
    emitter, diary = Emitter(sticky=frozenset({"status"})), Diary()
    emitter.emit(ONE)

    emitter.on("dtmf", diary.write)

    assert diary.events == []


def test_an_iterator_begins_with_the_sticky_event() -> None:
    async def main() -> None:
        emitter = Emitter(sticky=frozenset({"status"}))
        emitter.emit(Status("connected"))
        stream = emitter.events()
        emitter.emit(ONE)
        emitter.end()

        assert [event async for event in stream] == [Status("connected"), ONE]

    asyncio.run(main())


def test_after_the_end_no_handler_fires() -> None:
    emitter, diary = Emitter(sticky=frozenset({"status"})), Diary()
    emitter.on("dtmf", diary.write)
    emitter.emit(Status("closed"))
    emitter.end()

    was_heard = emitter.emit(ONE)
    emitter.on("status", diary.write)

    assert not was_heard
    assert diary.events == []


# ---- the iterator ----


def test_an_iterator_gives_every_kind_in_order_and_ends_with_the_emitter() -> None:
    async def main() -> None:
        emitter = Emitter()
        first, second = emitter.events(), emitter.events()
        for event in (ONE, Text("item", "hello"), TWO):
            emitter.emit(event)
        emitter.end()

        assert [event async for event in first] == [ONE, Text("item", "hello"), TWO]
        assert [event async for event in second] == [ONE, Text("item", "hello"), TWO]

    asyncio.run(main())


def test_an_iterator_waits_for_the_next_event_and_for_the_end() -> None:
    async def main() -> None:
        emitter = Emitter()
        stream = emitter.events()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_all_of(stream))
            await asyncio.sleep(0)
            emitter.emit(ONE)
            await asyncio.sleep(0)
            emitter.end()

        assert reading.result() == [ONE]

    asyncio.run(main())


def test_an_iterator_made_after_the_end_is_empty() -> None:
    async def main() -> None:
        emitter = Emitter(sticky=frozenset({"status"}))
        emitter.emit(Status("closed"))
        emitter.end()

        assert [event async for event in emitter.events()] == []

    asyncio.run(main())


def test_a_reader_slower_than_the_call_loses_the_oldest_events() -> None:
    async def main() -> None:
        emitter = Emitter()
        stream = emitter.events()
        for number in range(MAX_WAITING + 5):
            emitter.emit(Text("item", str(number)))
        emitter.end()

        kept = [event async for event in stream]

        assert kept == [Text("item", str(number)) for number in range(5, MAX_WAITING + 5)]

    asyncio.run(main())


# ---- async listeners ----


def test_async_listeners_run_one_after_the_other_in_the_order_of_events() -> None:
    async def main() -> None:
        emitter = Emitter()
        steps: list[str] = []

        async def slow(event: Dtmf) -> None:
            steps.append(f"{event.digit} begins")
            await asyncio.sleep(0)
            steps.append(f"{event.digit} ends")

        emitter.on("dtmf", slow)
        emitter.emit(ONE)
        emitter.emit(TWO)
        assert steps == []
        emitter.end()
        await emitter.run_async_listeners()

        assert steps == ["1 begins", "1 ends", "2 begins", "2 ends"]

    asyncio.run(main())


def test_async_listeners_are_awaited_while_the_call_goes_on() -> None:
    async def main() -> None:
        emitter = Emitter()
        was_heard = asyncio.Event()

        async def listener(_: Dtmf) -> None:
            was_heard.set()

        emitter.on("dtmf", listener)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(emitter.run_async_listeners())
            await asyncio.sleep(0)
            emitter.emit(ONE)
            await was_heard.wait()
            emitter.end()

    asyncio.run(asyncio.wait_for(main(), 5))


def test_an_async_listener_that_raises_does_not_prevent_the_next(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        emitter = Emitter()
        heard: list[str] = []

        async def listener(event: Dtmf) -> None:
            if event is ONE:
                raise RuntimeError("bug in an async listener")
            heard.append(event.digit)

        emitter.on("dtmf", listener)
        emitter.emit(ONE)
        emitter.emit(TWO)
        emitter.end()
        await emitter.run_async_listeners()

        assert heard == ["2"]

    asyncio.run(main())

    assert "bug in an async listener" in caplog.text


def test_an_async_listener_that_hangs_is_cancelled_and_the_next_gets_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emitter_module, "LISTENER_TIMEOUT_S", 0.01)

    async def main() -> None:
        emitter = Emitter()
        heard: list[str] = []

        async def listener(event: Dtmf) -> None:
            if event is ONE:
                await asyncio.Event().wait()
            heard.append(event.digit)

        emitter.on("dtmf", listener)
        emitter.emit(ONE)
        emitter.emit(TWO)
        emitter.end()
        await emitter.run_async_listeners()

        assert heard == ["2"]

    asyncio.run(asyncio.wait_for(main(), 5))


def test_async_listeners_that_fall_far_behind_lose_the_oldest_events() -> None:
    async def main() -> None:
        emitter = Emitter()
        heard: list[str] = []

        async def listener(event: Text) -> None:
            heard.append(event.text)

        emitter.on("text", listener)
        for number in range(MAX_WAITING + 3):
            emitter.emit(Text("item", str(number)))
        emitter.end()
        await emitter.run_async_listeners()

        assert heard == [str(number) for number in range(3, MAX_WAITING + 3)]

    asyncio.run(main())


def test_forget_drops_what_async_listeners_have_not_begun() -> None:
    async def main() -> None:
        emitter = Emitter()
        heard: list[str] = []

        async def listener(event: Dtmf) -> None:
            heard.append(event.digit)

        emitter.on("dtmf", listener)
        emitter.emit(ONE)
        emitter.forget()
        emitter.end()
        await emitter.run_async_listeners()

        assert heard == []

    asyncio.run(main())


def test_cancelling_the_run_is_not_swallowed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)

    async def main() -> None:
        emitter = Emitter()

        async def listener(_: Dtmf) -> None:
            await asyncio.Event().wait()

        emitter.on("dtmf", listener)
        emitter.emit(ONE)
        running = asyncio.ensure_future(emitter.run_async_listeners())
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())

    assert caplog.text == ""


async def _all_of(stream: AsyncIterator[SessionEvent]) -> list[SessionEvent]:
    return [event async for event in stream]
