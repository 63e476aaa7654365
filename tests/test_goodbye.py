"""The agent hangs up when it had the last word, and not on a caller who is speaking or has spoken up."""

import asyncio
from typing import Any

import pytest

from agents import Transcription, TurnDetection, hang_up, tool
from agents.barge_in import BargeInRules
from agents.events import Closed, ResponseCreate, ResponseCreated, ResponseDone, ToolCall, ToolResult
from agents.floor import ANSWER_S
from agents.idle import VOICE_HOLD_S, WORDS_S
from agents.realtime import SessionConfig
from agents.time_limit import DurationWarning
from agents.tools.hang_up import GOODBYE_TIMEOUT_S
from agents.watch import CHECK_S
from tests.scene import Scene, play, reply, voice

WRITES = SessionConfig(transcription=Transcription())
TWO_WORDS = BargeInRules(min_words=2)
LONG_VOICE = BargeInRules(min_speech_ms=500)
GOES_ON = ToolResult("c1", "The caller spoke before the goodbye was over: the call goes on.", has_failed=True)
SLACK_MS = 2000 * CHECK_S
"""How late the end may be where the time is looked at so often."""


def goodbye(**more: Any) -> Scene:
    return Scene(tools=(hang_up,), **({"config": WRITES} | more))


async def says_goodbye(call: Scene, ms: int = 1000) -> None:
    """A response that says goodbye and then hangs up."""
    await call.says(
        *reply("r1", voice(ms), done=False), ToolCall("r1", "c1", "hang_up", "{}"), ResponseDone("r1", "completed")
    )


def test_the_call_ends_as_soon_as_the_goodbye_was_heard_by_a_silent_caller() -> None:
    async def scene() -> None:
        async with goodbye() as call:
            await call.begins_to_speak()
            await call.stops_speaking(text="That is all.")
            await says_goodbye(call)
            await call.passes(980)
            before_the_end = call.session.closed
            await call.passes(20)

            assert (before_the_end, call.session.closed) == (None, Closed("agent"))

    play(scene)


# ---- a goodbye that was stopped ----


@pytest.mark.parametrize("is_cut_by_voice", [True, False])
def test_a_hang_up_that_comes_after_its_goodbye_was_stopped_is_called_off(is_cut_by_voice: bool) -> None:
    async def scene() -> None:
        async with goodbye() as call:
            await call.replies("r1", 1000, done=False)
            await call.passes(300)
            await (call.begins_to_speak() if is_cut_by_voice else call.session.interrupt())
            await call.says(ToolCall("r1", "c1", "hang_up", "{}"), ResponseDone("r1", "cancelled"))
            await call.passes(2000)

            assert call.sent(ToolResult) == [GOES_ON]
            assert call.session.closed is None

    play(scene)


@pytest.mark.parametrize("config", [WRITES, SessionConfig()], ids=["written", "unwritten"])
def test_a_cough_that_stops_the_goodbye_is_followed_by_another_word_of_the_agents(config: SessionConfig) -> None:
    async def scene() -> None:
        async with goodbye(config=config) as call:
            await says_goodbye(call, 3000)
            await call.passes(1000)
            await call.begins_to_speak()
            await call.passes(300)
            await call.stops_speaking(text="")
            await call.passes(1000 * ANSWER_S + SLACK_MS)

            assert (call.sent(ToolResult), call.session.closed) == ([GOES_ON], None)
            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_another_tool_of_a_stopped_response_runs_all_the_same() -> None:
    @tool
    async def look_up() -> str:
        return "at nine"

    async def scene() -> None:
        async with Scene(tools=(look_up,)) as call:
            await call.replies("r1", 1000, done=False)
            await call.begins_to_speak()
            await call.says(ToolCall("r1", "c1", "look_up", "{}"))

            assert call.sent(ToolResult) == [ToolResult("c1", "at nine")]

    play(scene)


# ---- a caller who is speaking ----


def test_words_that_count_and_come_after_the_goodbye_keep_the_call_and_are_answered() -> None:
    async def scene() -> None:
        async with goodbye(barge_in=TWO_WORDS) as call:
            await says_goodbye(call)
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(2000)
            in_mid_sentence = call.session.closed
            await call.stops_speaking()
            await call.passes(1000 * WORDS_S - 1000)
            await call.stops_speaking(text="Wait, one more thing.")
            await call.passes(SLACK_MS)

            assert (in_mid_sentence, call.session.closed) == (None, None)
            assert call.sent(ToolResult) == [GOES_ON]
            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_words_that_do_not_count_end_the_call_when_their_time_is_over() -> None:
    async def scene() -> None:
        async with goodbye(barge_in=TWO_WORDS) as call:
            await says_goodbye(call)
            await call.passes(300)
            await call.begins_to_speak()
            await call.passes(400)
            await call.stops_speaking(text="Thanks.")
            await call.passes(1000 * WORDS_S - 100)
            before_the_end = call.session.closed
            await call.passes(100 + SLACK_MS)

            assert (before_the_end, call.session.closed) == (None, Closed("agent"))

    play(scene)


def test_a_voice_that_begins_shortly_before_the_end_of_the_goodbye_is_heard_out_and_answered() -> None:
    async def scene() -> None:
        async with goodbye(barge_in=LONG_VOICE) as call:
            await says_goodbye(call)
            await call.passes(800)
            await call.begins_to_speak()
            await call.passes(1500)
            in_mid_sentence = call.session.closed
            await call.stops_speaking()
            await call.passes(SLACK_MS)

            assert (in_mid_sentence, call.session.closed) == (None, None)
            assert call.sent(ToolResult) == [GOES_ON]
            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_a_caller_whom_the_model_answers_by_itself_keeps_the_call() -> None:
    async def scene() -> None:
        quiet = SessionConfig(turn_detection=TurnDetection(interrupt_response=False))
        async with goodbye(config=quiet) as call:
            await says_goodbye(call)
            await call.passes(700)
            await call.begins_to_speak()
            await call.passes(1500)
            in_mid_sentence = call.session.closed
            await call.stops_speaking()
            await call.passes(1000)
            await call.replies("r2", 500)
            await call.passes(500 + SLACK_MS)

            assert (in_mid_sentence, call.session.closed) == (None, None)
            assert call.sent(ToolResult) == [GOES_ON]

    play(scene)


def test_a_sound_that_never_ends_holds_the_call_only_so_long() -> None:
    async def scene() -> None:
        async with goodbye(barge_in=TWO_WORDS) as call:
            await says_goodbye(call)
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(500 + 1000 * VOICE_HOLD_S - 100)
            before_the_end = call.session.closed
            await call.passes(100 + SLACK_MS)

            assert (before_the_end, call.session.closed) == (None, Closed("agent"))

    play(scene)


def test_a_long_goodbye_may_be_held_as_long() -> None:
    async def scene() -> None:
        async with goodbye(barge_in=TWO_WORDS) as call:
            await says_goodbye(call, 1000 * int(GOODBYE_TIMEOUT_S) - 1000)
            await call.begins_to_speak()
            await call.passes(1000 * (GOODBYE_TIMEOUT_S - 1 + VOICE_HOLD_S) + SLACK_MS)

            assert call.session.closed == Closed("agent")

    play(scene)


def test_a_message_that_asks_for_an_answer_keeps_the_call() -> None:
    async def scene() -> None:
        async with goodbye() as call:
            await says_goodbye(call)
            await call.session.send_message("And tomorrow?")
            await call.passes(1000 + SLACK_MS)

            assert call.session.closed is None
            assert call.sent(ToolResult) == [GOES_ON]

    play(scene)


def test_the_answer_of_a_tool_that_was_called_beside_it_does_not_keep_the_call() -> None:
    @tool
    async def write_down() -> str:
        return "written"

    async def scene() -> None:
        async with Scene(tools=(hang_up, write_down)) as call:
            await call.says(
                *reply("r1", voice(500), done=False),
                ToolCall("r1", "c1", "hang_up", "{}"),
                ToolCall("r1", "c2", "write_down", "{}"),
                ResponseDone("r1", "completed"),
            )
            await call.passes(500)

            assert call.session.closed == Closed("agent")

    play(scene)


def test_an_announcement_of_our_own_is_heard_out_before_the_call_ends() -> None:
    async def scene() -> None:
        warning = DurationWarning(before_s=8, say="Our time is nearly over.")
        async with goodbye(barge_in=TWO_WORDS, max_duration_s=10, duration_warning=warning) as call:
            await says_goodbye(call)
            await call.begins_to_speak()
            await call.passes(2000 + SLACK_MS)
            await call.replies("r2", 5000)
            await call.stops_speaking(text="Yes.")
            await call.passes(4980)
            before_the_end = call.session.closed
            await call.passes(20 + SLACK_MS)

            assert (before_the_end, call.session.closed) == (None, Closed("agent"))

    play(scene)


def test_who_waits_for_the_end_of_a_goodbye_waits_no_longer_than_the_call() -> None:
    async def scene() -> None:
        async with goodbye(barge_in=TWO_WORDS) as call:
            await call.begins_to_speak()
            waiting = asyncio.create_task(call.session.wait_goodbye())
            await call.passes(500)
            was_done = waiting.done()

            await call.session.close()
            await call.passes(SLACK_MS)

            assert (was_done, waiting.done()) == (False, True)

    play(scene)


# ---- a caller on hold ----


def test_a_caller_on_hold_is_let_go_without_waiting_for_the_music_to_end() -> None:
    async def scene() -> None:
        async with goodbye() as call:
            await call.session.hold()
            await call.passes(1000)
            await call.says(ResponseCreated("r1"), ToolCall("r1", "c1", "hang_up", "{}"))
            await call.says(ResponseDone("r1", "completed"))
            await call.passes(SLACK_MS)

            assert call.session.closed == Closed("agent")

    play(scene)
