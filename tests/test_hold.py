"""A caller on hold hears music and is not heard, until the agent speaks or somebody takes them back."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agents import tool
from agents.barge_in import BargeInRules
from agents.events import (
    AudioInputAppend,
    Interrupted,
    ItemCreate,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ToolCall,
    ToolResult,
)
from agents.hold import LOOK_S, REMIND_AFTER_S
from agents.idle import IdleStep
from agents.recordings import melody
from agents.tools.contract import ToolRules
from tests.scene import Scene, audio_format, play, silent_frame, size  # noqa: F401 the format is for all tests
from tests.test_recordings import tone


def music(call: Scene) -> bytes:
    return b"".join(pcm for item, pcm in call.channel.heard if not item.response_id)


def test_the_caller_hears_music_again_and_again_and_the_model_hears_nobody() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.hears(20_000)
            length = len(melody(call.channel.audio_format))

            assert len(music(call)) == 2 * length
            assert call.sent(AudioInputAppend) == []

    play(scene)


def test_taken_back_the_caller_hears_silence_at_once_and_is_heard_and_the_model_is_told_nothing() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.passes(1000)
            await call.session.resume()
            is_playing = call.channel.is_playing
            await call.hears(100)

            assert not is_playing
            assert len(call.sent(AudioInputAppend)) == 5
            assert call.sent(ResponseCancel, ItemTruncate, ItemCreate, ResponseCreate) == []

    play(scene)


def test_the_agents_voice_ends_the_hold_and_is_heard_at_once() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.passes(3000)
            said = await call.replies("r1", 500)
            await call.passes(500)

            assert call.played("r1") == said
            assert not call.channel.is_playing
            assert not call.session.is_on_hold
            assert call.sent(ItemTruncate, ResponseCancel) == []

    play(scene)


def test_music_waits_until_the_agent_has_said_what_it_is_saying() -> None:
    async def scene() -> None:
        async with Scene() as call:
            said = await call.replies("r1", 400, done=False)
            await call.session.hold()
            await call.passes(300)
            before = music(call)

            assert (before, call.played("r1")) == (b"", said)

    play(scene)


def test_each_time_a_hold_has_lasted_long_the_model_is_told_and_the_music_goes_on_until_it_speaks() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.passes(REMIND_AFTER_S * 1000 - 100)
            before = call.sent(ItemCreate)
            await call.passes(200)
            await call.says(ResponseCreated("r1"), ResponseDone("r1", "completed"))
            await call.passes(REMIND_AFTER_S * 1000)
            is_heard = call.channel.is_playing
            await call.replies("r2", 500)

            assert (before, is_heard, call.session.is_on_hold) == ([], True, False)
            assert [event.text for event in call.sent(ItemCreate) if isinstance(event, ItemCreate)] == [
                f"The caller is still on hold, and hears music until you speak: for {seconds} seconds by now. "
                "Say how things stand."
                for seconds in (120, 240)
            ]
            assert len(call.sent(ResponseCreate)) == 2

    play(scene)


def test_a_caller_on_hold_is_not_asked_whether_they_are_still_there() -> None:
    async def scene() -> None:
        async with Scene(idle=(IdleStep(after_s=5, say="Are you still there?"),)) as call:
            await call.session.hold()
            await call.passes(30_000)

            assert call.sent(ResponseCreate) == []

    play(scene)


def test_the_operators_own_music_is_played(tmp_path: Path) -> None:
    file = tone(tmp_path / "hold.wav", seconds=1)

    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold(file)
            await call.passes(500)

            assert len(music(call)) == size(1000)

    play(scene)


def test_holding_twice_is_holding_once_and_taking_back_nobody_does_nothing() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.resume()
            await call.session.hold()
            await call.session.hold()
            await call.passes(100)

            assert len(music(call)) == len(melody(call.channel.audio_format))

    play(scene)


# ---- what does not end it ----


async def presses_a_key(call: Scene) -> None:
    call.channel.press("1")
    await call.settles()


async def is_away_for_a_moment(call: Scene) -> None:
    call.channel.leave()
    await call.passes(1000)
    call.channel.come_back()
    await call.settles()


async def is_found_to_have_spoken(call: Scene) -> None:
    await call.begins_to_speak()


@pytest.mark.parametrize("happens", [presses_a_key, is_away_for_a_moment, is_found_to_have_spoken])
@pytest.mark.parametrize(
    "rules", [BargeInRules(on_key=True), BargeInRules(on_key=True, min_words=2), BargeInRules(resume_after_ms=500)]
)
def test_the_music_goes_on_whatever_silences_the_line(
    happens: Callable[[Scene], Awaitable[None]], rules: BargeInRules
) -> None:
    async def scene() -> None:
        async with Scene(barge_in=rules) as call:
            await call.session.hold()
            await call.passes(1000)
            await happens(call)
            await call.passes(2000 * LOOK_S)

            assert call.session.is_on_hold
            assert call.channel.is_playing

    play(scene)


@pytest.mark.parametrize("happens", [presses_a_key, is_found_to_have_spoken])
@pytest.mark.parametrize("rules", [BargeInRules(on_key=True), BargeInRules(on_key=True, resume_after_ms=500)])
def test_a_caller_on_hold_who_hears_no_voice_interrupts_nothing(
    happens: Callable[[Scene], Awaitable[None]], rules: BargeInRules
) -> None:
    state: list[str] = []

    @tool(rules=ToolRules(interruptible=True))
    async def look_up() -> str:
        """Looks something up."""
        await asyncio.sleep(5)
        state.append("found")
        return "It is there."

    async def scene() -> None:
        async with Scene(tools=(look_up,), barge_in=rules) as call:
            await call.session.hold()
            await call.says(ResponseCreated("r1"), ToolCall("r1", "c1", "look_up", "{}"))
            await call.passes(500)
            await happens(call)
            await call.says(ResponseDone("r1", "completed"))
            await call.passes(6000)

            assert state == ["found"]
            assert call.sent(ToolResult) == [ToolResult("c1", "It is there.")]
            assert (call.seen(Interrupted), call.sent(ResponseCancel), call.channel.interruptions) == ([], [], 0)

    play(scene)


@pytest.mark.parametrize("rules", [BargeInRules(min_words=2), BargeInRules(min_speech_ms=500)])
def test_words_that_were_said_just_before_the_music_are_answered(rules: BargeInRules) -> None:
    async def scene() -> None:
        async with Scene(barge_in=rules) as call:
            await call.session.hold()
            await call.passes(100)
            await call.begins_to_speak()
            await call.stops_speaking(text="Yes.")

            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_music_of_a_second_is_no_further_ahead_after_a_minute(tmp_path: Path) -> None:
    file = tone(tmp_path / "hold.wav", seconds=1)

    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold(file)
            await call.passes(60_000)

            assert size(60_000) <= len(music(call)) <= size(62_000)

    play(scene)


# ---- a second one ----


def test_who_holds_again_without_a_reminder_turns_it_off() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.passes(1000)
            await call.session.hold(is_reminded=False)
            await call.session.hold()
            await call.passes(REMIND_AFTER_S * 1000 + 5000)

            assert call.session.is_on_hold
            assert call.sent(ItemCreate, ResponseCreate) == []

    play(scene)


def test_a_new_hold_is_reminded_of_again() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold(is_reminded=False)
            await call.session.resume()
            await call.session.hold()
            await call.passes(REMIND_AFTER_S * 1000 + 100)

            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_the_operators_own_music_takes_the_melodys_place(tmp_path: Path) -> None:
    file = tone(tmp_path / "hold.wav", seconds=1)

    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.passes(1000)
            await call.session.hold(file)
            await call.passes(500)
            sounds = [len(pcm) for item, pcm in call.channel.heard if not item.response_id]
            assert sounds == [len(melody(call.channel.audio_format)), size(1000)]

            await call.session.hold()
            await call.passes(600)
            sounds = [len(pcm) for item, pcm in call.channel.heard if not item.response_id]
            assert sounds == [len(melody(call.channel.audio_format)), size(1000), size(1000)]

    play(scene)


# ---- waiting meanwhile ----


def test_on_hold_nobody_waits_for_the_music_to_end() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold()
            await call.passes(1000)
            began_at = asyncio.get_running_loop().time()
            was_heard = await call.session.wait_played(60), await call.session.wait_goodbye(None, 60)

            assert was_heard == (True, True)
            assert asyncio.get_running_loop().time() - began_at < 1

    play(scene)


def test_the_agents_last_words_are_waited_for_with_music_behind_them() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 2000)
            await call.session.hold()
            waiting = asyncio.create_task(call.session.wait_played(60))
            await call.passes(1900)
            before = waiting.done()
            await call.passes(500)

            assert (before, waiting.done(), await waiting) == (False, True, True)

    play(scene)


opened_in: set[threading.Thread] = set()


class Watched(type(Path())):  # type: ignore[misc]
    """A path that notes in which threads it is looked at."""

    def __str__(self) -> str:
        opened_in.add(threading.current_thread())
        return str(super().__str__())


def test_a_file_is_read_beside_the_call(tmp_path: Path) -> None:
    file = Watched(tone(tmp_path / "hold.wav", seconds=1))
    opened_in.clear()

    async def scene() -> None:
        async with Scene() as call:
            await call.session.hold(file)
            await call.passes(500)

            assert len(music(call)) == size(1000)

    play(scene)
    assert opened_in
    assert threading.main_thread() not in opened_in
