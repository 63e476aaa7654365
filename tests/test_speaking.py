"""The agent's side of a conversation by itself, where tasks meet: what is stopped, paused and gone on with at once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from agents.emitter import Emitter
from agents.events import (
    AudioOutputDelta,
    ClientEvent,
    Error,
    Heard,
    History,
    Interrupted,
    ItemTruncate,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseDone,
    Resumed,
    SessionError,
    SessionEvent,
    Usage,
    UsageReport,
)
from agents.history import CallHistory
from agents.realtime import SpokenItem
from agents.speaking import Speaking
from channels.carrier.virtual_time import START_S
from channels.memory import MemoryChannel
from tests.scene import Ear, LateLine, play, voice

HELLO = SpokenItem("r1", "item-r1")


class Slow(Ear):
    """Its socket is full: what is sent to it takes 100 ms to get there, a clear as well."""

    async def send_audio(self, pcm: bytes, item: SpokenItem) -> None:
        await asyncio.sleep(0.1)
        await super().send_audio(pcm, item)

    async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
        told = await super().interrupt()
        if told is not None:
            await asyncio.sleep(0.1)
        return told


class Stage:
    """A `Speaking` with its surroundings: `sent` to the model, `told` to observers."""

    def __init__(self, channel: MemoryChannel | None, tasks: asyncio.TaskGroup) -> None:
        self.sent: list[ClientEvent] = []
        self.told: list[SessionEvent] = []
        self.history = CallHistory()
        self._tasks = tasks
        emitter = Emitter()
        for kind in ("error", "history", "interrupted", "response", "resumed", "usage"):
            emitter.on(kind, self.told.append)
        self.speaking = Speaking(channel, self._send, emitter, self.history, self._spawn, keeps_audio=True)

    async def says(self, response_id: str, pcm: bytes, *, done: bool = True) -> None:
        """A response of one item."""
        await self.speaking.created(response_id)
        await self.speaking.play(AudioOutputDelta(response_id, f"item-{response_id}", 0, pcm))
        if done:
            await self.speaking.end_item(SpokenItem(response_id, f"item-{response_id}"))
            await self.speaking.done(ResponseDone(response_id, "completed"))

    def start(self, run: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self._tasks.create_task(run)

    async def _send(self, event: ClientEvent) -> None:
        self.sent.append(event)

    def _spawn(self, run: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[None]:
        async def awaited() -> None:
            await run()

        return self._tasks.create_task(awaited(), name=name)


def on_stage(channel: Callable[[], MemoryChannel | None], test: Callable[[Stage], Awaitable[None]]) -> None:
    async def scene() -> None:
        async with asyncio.TaskGroup() as tasks:
            await test(Stage(channel(), tasks))

    play(scene)


async def settles() -> None:
    await asyncio.sleep(1e-6)


# ---- stopping ----


def test_stopping_a_silent_agent_gives_nothing_to_wait_for() -> None:
    async def test(stage: Stage) -> None:
        assert await stage.speaking.stop(cancel=True) is None
        assert (stage.sent, stage.told) == ([], [])

    on_stage(MemoryChannel, test)


def test_stopping_gives_the_task_that_truncates() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500), done=False)
        truncating = await stage.speaking.stop(cancel=True)
        assert truncating is not None
        await truncating

        assert stage.sent == [ResponseCancel("r1"), ItemTruncate("item-r1", 0, 0)]

    on_stage(MemoryChannel, test)


def test_a_stop_that_waits_behind_another_finds_the_work_done() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500), done=False)
        first = stage.start(stage.speaking.stop(cancel=True))
        second = stage.start(stage.speaking.stop(cancel=True))
        third = stage.start(stage.speaking.stop(cancel=False))

        assert [await task is None for task in (first, second, third)] == [False, True, True]
        await settles()
        assert stage.sent == [ResponseCancel("r1"), ItemTruncate("item-r1", 0, 0)]
        assert len([event for event in stage.told if isinstance(event, Interrupted)]) == 1

    on_stage(Slow, test)


def test_a_stop_behind_a_pause_that_is_being_made_takes_a_response_along_that_began_meanwhile() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500))
        pausing = stage.start(stage.speaking.pause())
        await settles()
        stopping = stage.start(stage.speaking.stop(cancel=True))
        await settles()
        await stage.says("r2", voice(500), done=False)
        await asyncio.gather(pausing, stopping)
        await settles()
        await stage.speaking.play(AudioOutputDelta("r2", "item-r2", 0, voice(500)))

        assert stage.sent == [ResponseCancel("r2"), ItemTruncate("item-r1", 0, 0), ItemTruncate("item-r2", 0, 0)]

    on_stage(Slow, test)


def test_of_two_stops_that_wait_the_second_leaves_a_response_alone_that_began_after_the_first() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(1000))
        await stage.speaking.pause()
        going_on = stage.start(stage.speaking.resume())
        await settles()
        stops = [stage.start(stage.speaking.stop(cancel=True)) for _ in range(2)]
        await asyncio.sleep(0.15)  # the agent has gone on, and the first stop silences the line
        await stage.says("r2", voice(500), done=False)
        await asyncio.gather(going_on, *stops)
        await settles()

        assert stage.sent == [ItemTruncate("item-r1", 0, 0)]
        assert stage.speaking.is_heard

    on_stage(Slow, test)


def test_a_pause_that_takes_its_time_is_not_the_end_of_playback() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(1000))
        waiting = stage.start(stage.speaking.wait_played(60))
        await settles()
        await stage.speaking.pause()
        await settles()

        assert not waiting.done()
        await stage.speaking.stop(cancel=True)
        assert await waiting is False

    on_stage(Slow, test)


def test_the_end_of_an_old_response_does_not_end_the_item_of_the_next() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r2", voice(500), done=False)
        await stage.speaking.done(ResponseDone("r1", "completed"))
        line.play_all()

        assert line.is_playing

    line: MemoryChannel

    def make() -> MemoryChannel:
        nonlocal line
        line = MemoryChannel()
        return line

    on_stage(make, test)


def test_after_the_line_is_closed_nothing_is_stopped_and_nobody_waits() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500), done=False)
        waiting = stage.start(stage.speaking.wait_played(60))
        await settles()

        await stage.speaking.close()

        assert await waiting
        assert asyncio.get_running_loop().time() < START_S + 1
        assert await stage.speaking.stop(cancel=True) is None
        assert stage.sent == []

    on_stage(MemoryChannel, test)


# ---- pausing ----


def test_a_silent_agent_is_not_paused() -> None:
    async def test(stage: Stage) -> None:
        assert not await stage.speaking.pause()
        assert await stage.speaking.resume()
        assert not [event for event in stage.told if isinstance(event, Resumed)]

    on_stage(MemoryChannel, test)


def test_a_paused_agent_stays_paused_when_it_is_paused_again() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500))

        assert [await stage.speaking.pause(), await stage.speaking.pause()] == [True, True]
        assert stage.speaking.is_heard

    on_stage(MemoryChannel, test)


def test_a_pause_that_finds_the_line_silent_sends_what_came_meanwhile_and_nothing_twice() -> None:
    class Late(Ear):
        """Its marks are late: it has nothing to silence, and takes its time to say so."""

        async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
            await asyncio.sleep(0.1)
            return None

    line: list[Late] = []

    def make() -> Late:
        line.append(Late())
        return line[0]

    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500))
        line[0].play(480)
        pausing = stage.start(stage.speaking.pause())
        await settles()
        await stage.says("r2", voice(300))

        assert not await pausing
        line[0].play(2000)
        assert bytes(line[0].ear) == voice(500) + voice(300)
        assert [item for item, _ in line[0].heard] == [HELLO, SpokenItem("r2", "item-r2")]

    on_stage(make, test)


def test_a_stop_while_the_agent_goes_on_stops_it_where_it_was_heard() -> None:
    line: list[Slow] = []

    def make() -> Slow:
        line.append(Slow())
        return line[0]

    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(1000))
        line[0].play(300)
        await stage.speaking.pause()
        resuming = stage.start(stage.speaking.resume())
        await settles()

        truncating = await stage.speaking.stop(cancel=True)

        assert await resuming
        assert truncating is not None
        await truncating
        assert stage.sent == [ItemTruncate("item-r1", 0, 300)]
        assert [event for event in stage.told if isinstance(event, Interrupted)] == [
            Interrupted((Heard("item-r1", 0, 300, 1000),))
        ]

    on_stage(make, test)


def test_going_on_waits_for_the_line_without_holding_up_who_stops_the_agent() -> None:
    lines: list[LateLine] = []

    def make() -> LateLine:
        lines.append(LateLine())
        return lines[0]

    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(1000))
        lines[0].play(300)
        await stage.speaking.pause()
        resuming = stage.start(stage.speaking.resume())
        await settles()

        truncating = await stage.speaking.stop(cancel=True)  # the line has not told yet

        lines[0].tell()
        assert await resuming
        assert truncating is not None
        await truncating
        assert stage.sent == [ItemTruncate("item-r1", 0, 300)]

    on_stage(make, test)


def test_without_a_line_nothing_is_paused() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500), done=False)

        assert not await stage.speaking.pause()
        assert await stage.speaking.resume()

    on_stage(lambda: None, test)


# ---- responses ----


def test_a_new_item_ends_the_one_before_when_the_model_did_not() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500), done=False)
        await stage.speaking.play(AudioOutputDelta("r1", "item-2", 0, voice(100)))
        await stage.speaking.end_item(SpokenItem("r1", "item-2"))
        line.play_all()

        assert not line.is_playing

    line: MemoryChannel

    def make() -> MemoryChannel:
        nonlocal line
        line = MemoryChannel()
        return line

    on_stage(make, test)


def test_the_end_of_a_response_ends_its_item_when_the_model_did_not() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500), done=False)
        await stage.speaking.done(ResponseDone("r1", "incomplete"))
        line.play_all()

        assert not line.is_playing

    line: MemoryChannel

    def make() -> MemoryChannel:
        nonlocal line
        line = MemoryChannel()
        return line

    on_stage(make, test)


def test_usage_is_summed_over_all_responses_those_that_were_stopped_included() -> None:
    async def test(stage: Stage) -> None:
        await stage.speaking.done(ResponseDone("r1", "completed", Usage(1, 2)))
        await stage.speaking.done(ResponseDone("r2", "cancelled", Usage(10, 20)))

        assert stage.speaking.usage == Usage(11, 22)
        assert UsageReport(Usage(10, 20), Usage(11, 22)) in stage.told

    on_stage(MemoryChannel, test)


def test_a_greeting_that_a_stop_forgot_before_it_was_asked_for_is_no_greeting_any_more() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("own", voice(500), done=False)
        await stage.speaking.greet("Hello.")
        was_greeting = stage.speaking.is_greeting
        await stage.speaking.stop(cancel=True)
        await settles()
        await stage.speaking.done(ResponseDone("own", "cancelled"))
        await stage.says("r1", voice(500), done=False)

        assert (was_greeting, stage.speaking.is_greeting) == (True, False)
        assert not [event for event in stage.sent if isinstance(event, ResponseCreate)]

    on_stage(MemoryChannel, test)


def test_the_end_of_an_item_that_was_stopped_is_not_told() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500), done=False)
        await stage.speaking.stop(cancel=True)
        await settles()
        before = len(stage.told)
        await stage.speaking.end_item(HELLO)

        assert len(stage.told) == before

    on_stage(MemoryChannel, test)


def test_who_waits_for_the_end_of_playback_waits_for_a_response_that_the_model_began_by_itself() -> None:
    async def test(stage: Stage) -> None:
        await stage.speaking.created("own")
        waiting = stage.start(stage.speaking.wait_played(60))
        await settles()
        was_done = waiting.done()
        await stage.speaking.done(ResponseDone("own", "completed"))

        assert (was_done, await waiting) == (False, True)

    on_stage(MemoryChannel, test)


def test_who_waits_for_the_end_of_playback_waits_for_a_response_that_is_asked_for() -> None:
    async def test(stage: Stage) -> None:
        await stage.speaking.request()
        waiting = stage.start(stage.speaking.wait_played(60))
        await settles()
        was_done = waiting.done()
        await stage.speaking.created("r1")
        await stage.speaking.done(ResponseDone("r1", "completed"))

        assert (was_done, await waiting) == (False, True)

    on_stage(MemoryChannel, test)


def test_who_waits_for_the_end_of_playback_waits_no_longer_than_that() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500))

        assert await stage.speaking.wait_played(10)
        assert asyncio.get_running_loop().time() < START_S + 10.1

    on_stage(MemoryChannel, test)


def test_a_request_that_waits_for_a_tool_is_asked_for_when_the_tool_is_cancelled() -> None:
    async def test(stage: Stage) -> None:
        stage.speaking.tool_called("c1")
        await stage.speaking.request()
        before = list(stage.sent)
        await stage.speaking.tool_answered("c1", respond=False)

        assert (before, stage.sent) == ([], [ResponseCreate("request-1")])

    on_stage(MemoryChannel, test)


def test_a_refused_request_lets_the_next_one_be_asked_for() -> None:
    async def test(stage: Stage) -> None:
        await stage.speaking.request(say="One.")
        await stage.speaking.request(say="Two.")
        await stage.speaking.refused(SessionError("invalid_value", "no", event_id="request-1"))

        assert stage.sent == [ResponseCreate("request-1", say="One."), ResponseCreate("request-2", say="Two.")]

    on_stage(MemoryChannel, test)


def test_an_item_that_is_heard_to_its_end_and_unknown_by_then_is_nothing_to_speak_of() -> None:
    async def test(stage: Stage) -> None:
        stage.speaking.heard(Heard("item-r0", 0, 500, 500))

        assert stage.told == []

    on_stage(MemoryChannel, test)


def test_the_first_audio_of_an_item_tells_of_it_in_the_history() -> None:
    async def test(stage: Stage) -> None:
        await stage.says("r1", voice(500), done=False)

        assert [event.item.item_id for event in stage.told if isinstance(event, History)] == ["item-r1"]

    on_stage(MemoryChannel, test)


def test_the_ends_of_responses_are_told_with_the_errors_of_those_that_failed() -> None:
    async def test(stage: Stage) -> None:
        await stage.speaking.created("r1")
        await stage.speaking.done(ResponseDone("r1", "failed", reason="overloaded"))

        assert [event for event in stage.told if not isinstance(event, UsageReport)] == [
            Response("r1"),
            Response("r1", "failed", "overloaded"),
            Error("response_failed", "overloaded", retryable=True),
        ]

    on_stage(MemoryChannel, test)
