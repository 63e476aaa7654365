"""The last words of a call: nothing is said that was not asked for before, nothing stops them, and then it is over."""

import asyncio

import pytest

from agents import Guardrail, tool
from agents.events import (
    AudioInputAppend,
    Closed,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    SessionError,
    ToolCall,
    TranscriptInput,
    TranscriptOutput,
)
from agents.guardrails.spec import Stage
from agents.replies import BUSY
from tests.scene import Scene, play, reply, size, voice


def test_what_the_model_begins_by_itself_after_the_last_words_is_cancelled_and_silent() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 1000)
            closing = asyncio.create_task(call.session.close("agent", after_playback=True))
            await call.settles()
            await call.replies("r2", 5000, done=False)
            await call.says(ResponseDone("r2", "cancelled"))
            await call.passes(1100)

            assert call.sent(ResponseCancel) == [ResponseCancel("r2")]
            assert call.played("r2") == b""
            assert call.session.closed == Closed("agent")
            await closing

    play(scene)


def test_the_last_words_are_said_in_place_of_all_else_and_then_the_call_is_over() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 10_000, done=False)
            await call.session.say("This waits.")
            call.session.say_last("Goodbye.")
            call.session.say_last("Goodbye again.")
            await call.settles()
            await call.says(ResponseDone("r1", "cancelled"))
            await call.session.say("This comes too late.")
            await call.passes(500)
            await call.replies("r2", 1000)
            await call.hears(900)
            before = call.session.closed
            await call.passes(200)

            assert [event.say for event in call.sent(ResponseCreate) if isinstance(event, ResponseCreate)] == [
                "Goodbye."
            ]
            assert (before, call.session.closed) == (None, Closed("agent"))
            assert (call.session.muted, call.sent(AudioInputAppend)) == (True, [])

    play(scene)


def test_the_last_words_are_asked_for_again_when_the_model_was_busy_with_words_of_its_own() -> None:
    async def scene() -> None:
        async with Scene() as call:
            call.session.say_last("Goodbye.")
            await call.settles()
            [first] = call.sent(ResponseCreate)
            assert isinstance(first, ResponseCreate)
            await call.says(ResponseCreated("r1"), SessionError(BUSY, "busy", event_id=first.event_id, benign=True))
            await call.says(*reply("r1", voice(3000), done=False)[1:], ResponseDone("r1", "cancelled"))
            await call.passes(500)
            await call.replies("r2", 1000)
            await call.passes(1100)

            assert [event.say for event in call.sent(ResponseCreate) if isinstance(event, ResponseCreate)] == [
                "Goodbye.",
                "Goodbye.",
            ]
            assert call.sent(ResponseCancel) == [ResponseCancel("r1")]
            assert (call.played("r1"), call.session.closed) == (b"", Closed("agent"))

    play(scene)


def objecting(stage: Stage) -> Guardrail:
    return Guardrail(
        name="rule", check=lambda text, context: "no" if "bad" in text else None, stages=frozenset({stage})
    )


@pytest.mark.parametrize("stage", ["input", "output"])
def test_neither_a_guardrail_nor_a_late_voice_stops_the_last_words(stage: Stage) -> None:
    async def scene() -> None:
        async with Scene(guardrails=(objecting(stage),)) as call:
            await call.begins_to_speak("u1")
            await call.stops_speaking("u1")
            call.session.say_last("Our bad message.")
            await call.settles()
            await call.replies("r1", 1000, done=False)
            await call.says(
                TranscriptInput("u1", "a bad greeting"), TranscriptOutput("r1", "item-r1", "Our bad message.")
            )
            await call.begins_to_speak("u2")
            await call.says(ResponseDone("r1", "completed"))
            await call.passes(1100)

            assert len(call.played("r1")) == size(1000)
            assert call.channel.interruptions == 0
            assert [event.say for event in call.sent(ResponseCreate) if isinstance(event, ResponseCreate)] == [
                "Our bad message."
            ]
            assert call.session.closed == Closed("agent")

    play(scene)


def test_what_tools_have_found_is_not_spoken_of_after_the_last_words() -> None:
    @tool
    async def look_up() -> str:
        return "at nine"

    async def scene() -> None:
        async with Scene(tools=(look_up,)) as call:
            await call.says(ResponseCreated("r0"), ToolCall("r0", "c0", "look_up", "{}"))
            await call.begins_to_speak()
            await call.says(ResponseDone("r0", "completed"))
            call.session.say_last("Goodbye.")
            await call.settles()
            await call.stops_speaking()
            await call.replies("r1", 1000)
            await call.passes(5000)

            assert [event.say for event in call.sent(ResponseCreate) if isinstance(event, ResponseCreate)] == [
                "Goodbye."
            ]
            assert call.session.closed == Closed("agent")

    play(scene)
