"""A conversation whose line is elsewhere for a while: nothing is heard, said, asked for or expected; then all is."""

import asyncio

from agents import IdleStep
from agents.events import (
    AudioInputAppend,
    Closed,
    Interrupted,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    ResponseDone,
    SpeechStarted,
)
from tests.scene import Scene, audio_format, play, reply, silent_frame, voice

__all__ = ["audio_format"]


async def leaves(scene: Scene) -> None:
    scene.channel.leave()
    await scene.settles()


async def comes_back(scene: Scene) -> None:
    scene.channel.come_back()
    await scene.settles()


def test_what_was_not_heard_when_the_line_left_is_cut_off_and_the_model_told() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 1000)
            await call.passes(400)

            await leaves(call)

            assert call.sent(ItemTruncate) == [ItemTruncate("item-r1", 0, 400)]
            assert [each.heard[0].heard_ms for each in call.seen(Interrupted)] == [400]

    play(scene)


def test_a_reply_under_way_when_the_line_leaves_is_cancelled_and_never_heard() -> None:
    async def scene() -> None:
        async with Scene() as call:
            pcm = await call.replies("r1", 1000, done=False)
            await leaves(call)
            assert len(call.sent(ResponseCancel)) == 1

            await call.says(*reply("r1", voice(500, seed=2), done=False)[1:], ResponseDone("r1", "cancelled"))
            await comes_back(call)

            assert call.played("r1") == pcm

    play(scene)


def test_what_is_asked_for_while_the_line_is_elsewhere_waits_until_it_is_back() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await leaves(call)
            await call.session.send_message("They did not answer.")
            await call.passes(30_000)
            assert call.sent(ResponseCreate) == []

            await comes_back(call)

            assert len(call.sent(ResponseCreate)) == 1
            pcm = await call.replies("r1", 600)
            assert call.played("r1") == pcm

    play(scene)


def test_a_reply_that_the_model_begins_by_itself_while_nobody_hears_it_is_cancelled() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await leaves(call)
            await call.session.send_message("They did not answer.")
            await call.says(*reply("own", voice(500)))
            assert call.sent(ResponseCancel) == [ResponseCancel("own")]
            assert call.played("own") == b""
            assert ItemTruncate("item-own", 0, 0) in call.sent(ItemTruncate)

            await comes_back(call)

            assert len(call.sent(ResponseCreate)) == 1  # what was asked for is not forgotten with it

    play(scene)


def test_the_idle_ladder_rests_while_the_line_is_elsewhere_and_starts_over_when_it_is_back() -> None:
    async def scene() -> None:
        steps = (IdleStep(after_s=10, say="Are you there?"), IdleStep(after_s=10, say="Goodbye.", hang_up=True))
        async with Scene(idle=steps) as call:
            await call.passes(8_000)
            await leaves(call)
            await call.passes(60_000)
            await comes_back(call)
            await call.passes(9_500)
            assert call.sent(ResponseCreate) == []

            await call.passes(1_000)

            [asked] = call.sent(ResponseCreate)
            assert isinstance(asked, ResponseCreate) and asked.say == "Are you there?"

    play(scene)


def test_the_longest_call_goes_on_counting_while_the_line_is_elsewhere() -> None:
    async def scene() -> None:
        async with Scene(max_duration_s=30) as call:
            await leaves(call)
            await call.passes(31_000)

            assert call.seen(Closed) == [Closed("time-limit")]

    play(scene)


def test_a_wait_while_the_line_is_elsewhere_is_no_silence_of_the_agents() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.says(SpeechStarted("u1"))
            await leaves(call)
            await call.stops_speaking("u1")
            await call.passes(15_000)
            assert call.session.worst_silence_ms == 0
            await comes_back(call)
            await call.session.send_message("Go on.")
            await call.passes(700)
            await call.replies("r1", 200)

            assert 650 <= call.session.worst_silence_ms <= 750

    play(scene)


def test_no_silence_is_made_up_for_a_caller_who_left_in_mid_speech() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.begins_to_speak()
            await call.hears(400)
            await leaves(call)
            heard = len(call.sent(AudioInputAppend))
            await call.passes(10_000)
            assert len(call.sent(AudioInputAppend)) == heard

            await comes_back(call)
            await call.hears(100, silent_frame())

            assert len(call.sent(AudioInputAppend)) == heard + 5

    play(scene)


def test_a_line_that_is_elsewhere_counts_as_quiet_so_that_a_connection_may_be_renewed() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.begins_to_speak()
            assert not call.session.is_quiet

            await leaves(call)
            assert call.session.is_quiet

            await comes_back(call)
            assert not call.session.is_quiet

    play(scene)


def test_a_line_that_leaves_and_is_hung_up_there_ends_the_call() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 1000)
            await leaves(call)
            await asyncio.wait_for(call.session.close("caller"), 1)

            assert call.seen(Closed) == [Closed("caller")]

    play(scene)
