"""Observers learn when the agent's voice begins, when it was generated, and when the caller has heard it."""

from typing import Any

from agents import RealtimeAgent, RealtimeSession
from agents.audio_turns import AudioTurns
from agents.emitter import Emitter
from agents.events import (
    Audio,
    AudioHeard,
    AudioOutputDelta,
    AudioStarted,
    AudioStopped,
    Heard,
    Interrupted,
    ResponseCreated,
    ResponseDone,
    SessionEvent,
)
from agents.realtime import SpokenItem
from tests.scene import DrivenModel, Scene, play, reply, voice

KINDS = ("audio_start", "audio_stopped", "audio_heard")


class Listened(Scene):
    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        for kind in KINDS:
            self.session.on(kind, self.told.append)

    @property
    def turns(self) -> list[SessionEvent]:
        return [event for event in self.told if isinstance(event, AudioStarted | AudioStopped | AudioHeard)]


def test_audio_start_comes_once_per_turn_audio_stopped_when_generated_and_audio_heard_when_played() -> None:
    async def test() -> None:
        async with Listened() as scene:
            await scene.replies("r1", 600, done=False)
            generating = list(scene.turns)
            await scene.says(ResponseDone("r1", "completed"))
            generated = list(scene.turns)
            await scene.passes(300)
            playing = list(scene.turns)
            await scene.passes(400)

            assert generating == [AudioStarted("r1")]
            assert generated == playing == [AudioStarted("r1"), AudioStopped("r1")]
            assert scene.turns == [AudioStarted("r1"), AudioStopped("r1"), AudioHeard("r1")]

    play(test)


def test_observers_hear_of_the_turn_before_its_audio() -> None:
    async def test() -> None:
        async with Listened() as scene:
            scene.session.on("audio", scene.told.append)
            await scene.replies("r1", 200)

            heard = [event for event in scene.told if isinstance(event, AudioStarted | Audio)]
            assert isinstance(heard[0], AudioStarted)

    play(test)


def test_a_turn_of_two_items_begins_once_and_is_heard_once() -> None:
    async def test() -> None:
        async with Listened() as scene:
            first, second = (AudioOutputDelta("r1", item_id, 0, voice(200)) for item_id in ("a1", "a2"))
            await scene.says(ResponseCreated("r1"), first, second, ResponseDone("r1", "completed"))
            await scene.passes(300)
            halfway = list(scene.turns)
            await scene.passes(300)

            assert halfway == [AudioStarted("r1"), AudioStopped("r1")]
            assert scene.turns[2:] == [AudioHeard("r1")]

    play(test)


def test_a_turn_that_was_heard_before_the_model_says_that_it_is_done_is_told_then() -> None:
    async def test() -> None:
        async with Listened() as scene:
            await scene.says(*reply("r1", voice(200))[:-1])
            await scene.passes(400)
            before = list(scene.turns)
            await scene.says(ResponseDone("r1", "completed"))

            assert before == [AudioStarted("r1")]
            assert scene.turns == [AudioStarted("r1"), AudioStopped("r1"), AudioHeard("r1")]

    play(test)


def test_a_turn_that_is_interrupted_is_not_heard_and_the_next_one_is() -> None:
    async def test() -> None:
        async with Listened() as scene:
            await scene.replies("r1", 1000)
            await scene.passes(300)
            await scene.session.interrupt()
            await scene.replies("r2", 200)
            await scene.passes(300)

            assert len(scene.seen(Interrupted)) == 1
            assert scene.turns == [
                AudioStarted("r1"),
                AudioStopped("r1"),
                AudioStarted("r2"),
                AudioStopped("r2"),
                AudioHeard("r2"),
            ]

    play(test)


def test_a_turn_that_is_broken_off_while_it_is_generated_stops_when_the_model_says_so() -> None:
    async def test() -> None:
        async with Listened() as scene:
            await scene.replies("r1", 1000, done=False)
            await scene.session.interrupt()
            interrupted = list(scene.turns)
            await scene.says(ResponseDone("r1", "cancelled"))

            assert interrupted == [AudioStarted("r1")]
            assert scene.turns == [AudioStarted("r1"), AudioStopped("r1")]

    play(test)


def test_a_turn_without_audio_is_none() -> None:
    async def test() -> None:
        async with Listened() as scene:
            await scene.says(ResponseCreated("r1"), ResponseDone("r1", "completed"))

            assert scene.turns == []

    play(test)


def test_where_there_is_no_line_nobody_says_that_it_was_heard() -> None:
    async def test() -> None:
        model, told = DrivenModel(), list[SessionEvent]()
        session = RealtimeSession(RealtimeAgent(name="test", model=model))
        for kind in (*KINDS, "closed"):
            session.on(kind, told.append)
        async with session:
            model.say(*reply("r1", voice(200)), None)
            await session.wait_closed()

        assert told[:2] == [AudioStarted("r1"), AudioStopped("r1")]
        assert len(told) == 3

    play(test)


def test_of_what_was_taken_off_the_line_those_are_heard_that_ended_before_the_cut() -> None:
    told: list[SessionEvent] = []
    emitter = Emitter()
    emitter.on("audio_heard", told.append)
    turns = AudioTurns(emitter)
    spoken = [SpokenItem(f"r{number}", f"a{number}") for number in (1, 2, 3)]
    for item in spoken:
        turns.came(item)
        turns.done(item.response_id, has_line=True)

    turns.cut(spoken, [Heard("a2", 0, 100, 300), Heard("a3", 0, 0, 300)])
    turns.heard(Heard("a3", 0, 300, 300))

    assert told == [AudioHeard("r1")]
