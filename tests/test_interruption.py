"""Whatever stops the agent, it is stopped in one way: the line first, then the model, which learns what was heard."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from agents import ProviderError, RealtimeAgent, RealtimeSession, ToolContext, Transcription, TurnDetection, tool
from agents.barge_in import BargeInRules
from agents.errors import ChannelError
from agents.events import (
    Audio,
    AudioOutputDelta,
    AudioOutputDone,
    ChannelInterrupt,
    ClientEvent,
    Closed,
    Error,
    Heard,
    History,
    Interrupted,
    ItemCreate,
    ItemDeleted,
    ItemTruncate,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionError,
    SessionEvent,
    Speech,
    SpeechStarted,
    ToolCall,
    ToolCancelled,
    ToolResult,
    Transcript,
    TranscriptInput,
    TranscriptOutput,
)
from agents.floor import ANSWER_S
from agents.providers.openai import OpenAIModel
from agents.realtime import SessionConfig, SpokenItem
from channels.memory import MemoryChannel
from tests.fake_ear import tone
from tests.fake_openai import FakeOpenAI, Speak
from tests.scene import (  # noqa: F401 audio_format is for all tests here
    LateLine,
    Line,
    Scene,
    audio_format,
    play,
    reply,
    silence,
    silent_frame,
    voice,
)

INTERRUPTING = (ResponseCancel, ItemTruncate)


class SlowToSilence(Line):
    """A line whose socket is full when it is to be cleared, for 100 ms: what it has to play is dropped at once."""

    async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
        told = await super().interrupt()
        if told is not None and not self.is_closed:
            await asyncio.sleep(0.1)
        return told


class Breaking(Line):
    """A line that breaks when it is to be cleared."""

    async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
        if not self.is_closed:
            raise ChannelError("the cable is cut")
        return await super().interrupt()


class Asking(Line):
    """A line whose far side has a stop button."""

    def press_stop(self) -> None:
        self._events.put_nowait(ChannelInterrupt())


# ---- what is sent, and in which order ----


def test_a_voice_over_an_active_response_clears_and_truncates_and_leaves_cancelling_to_the_model() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 2000, done=False)
            await call.passes(700)

            await call.begins_to_speak()

            assert call.channel.interruptions == 1
            assert call.sent(*INTERRUPTING) == [ItemTruncate("item-r1", 0, 700)]
            assert call.seen(Interrupted) == [Interrupted((Heard("item-r1", 0, 700, 2000),))]

    play(scene)


def test_a_voice_with_nothing_playing_and_no_response_sends_and_tells_nothing() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.begins_to_speak()
            await call.stops_speaking()

            assert call.sent(*INTERRUPTING, ResponseCreate) == []
            assert (call.channel.interruptions, call.seen(Interrupted)) == (0, [])

    play(scene)


def test_interrupting_an_agent_that_was_heard_out_sends_and_tells_nothing() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 500)
            await call.passes(500)

            await call.session.interrupt()
            await call.begins_to_speak()

            assert call.sent(*INTERRUPTING) == []
            assert (call.channel.interruptions, call.seen(Interrupted)) == (0, [])

    play(scene)


def test_a_voice_after_the_end_of_a_response_that_still_plays_clears_and_truncates_and_does_not_cancel() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 1000)
            await call.passes(300)

            await call.begins_to_speak()

            assert (call.channel.interruptions, call.sent(*INTERRUPTING)) == (1, [ItemTruncate("item-r1", 0, 300)])

    play(scene)


def test_interrupt_after_the_end_of_a_response_that_still_plays_does_not_cancel_either() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 1000)
            await call.passes(300)

            await call.session.interrupt()

            assert (call.channel.interruptions, call.sent(*INTERRUPTING)) == (1, [ItemTruncate("item-r1", 0, 300)])

    play(scene)


def test_the_line_is_cleared_then_the_response_cancelled_then_the_item_truncated() -> None:
    async def scene() -> None:
        class Watched(Line):
            async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
                order.extend(["clear", *call.sent(*INTERRUPTING)])
                return await super().interrupt()

        order: list[str | ClientEvent] = []
        async with Scene(Watched()) as call:
            await call.replies("r1", 2000, done=False)
            await call.passes(700)

            await call.session.interrupt()
            order += call.sent(*INTERRUPTING)

            assert order == ["clear", ResponseCancel("r1"), ItemTruncate("item-r1", 0, 700)]
            assert call.seen(Interrupted) == [Interrupted((Heard("item-r1", 0, 700, 2000),))]

    play(scene)


def test_a_stop_button_of_the_far_side_follows_the_same_path() -> None:
    async def scene() -> None:
        line = Asking()
        async with Scene(line) as call:
            await call.replies("r1", 2000, done=False)
            await call.passes(700)

            line.press_stop()
            await call.settles()

            assert call.sent(*INTERRUPTING) == [ResponseCancel("r1"), ItemTruncate("item-r1", 0, 700)]
            assert len(call.seen(Interrupted)) == 1

    play(scene)


def test_the_model_is_told_to_stop_at_once_and_of_the_position_when_the_line_knows_it() -> None:
    async def scene() -> None:
        line = LateLine()
        async with Scene(line) as call:
            await call.replies("r1", 2000, done=False)
            await call.passes(700)
            interrupting = asyncio.create_task(call.session.interrupt())
            await call.settles()
            before = call.sent(*INTERRUPTING), interrupting.done(), call.seen(Interrupted)

            line.tell()
            await interrupting

            assert before == ([ResponseCancel("r1")], False, [])
            assert call.sent(*INTERRUPTING) == [ResponseCancel("r1"), ItemTruncate("item-r1", 0, 700)]
            assert len(call.seen(Interrupted)) == 1

    play(scene)


def test_of_two_items_on_the_line_the_first_is_truncated_where_it_was_heard_and_the_second_at_zero() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 500)
            await call.replies("r2", 500, done=False)
            await call.passes(200)

            await call.begins_to_speak()

            assert call.sent(*INTERRUPTING) == [ItemTruncate("item-r1", 0, 200), ItemTruncate("item-r2", 0, 0)]
            assert call.seen(Interrupted) == [Interrupted((Heard("item-r1", 0, 200, 500), Heard("item-r2", 0, 0, 500)))]

    play(scene)


@pytest.mark.parametrize("heard_ms", [0, 20, 1980])
def test_a_position_is_a_whole_number_of_milliseconds_between_nothing_and_what_was_sent(heard_ms: int) -> None:
    async def scene() -> None:
        async with Scene() as call:
            pcm = voice(2000) + b"\x01"  # half a sample, whose other half is on its way
            await call.says(*reply("r1", pcm, done=False))
            await call.passes(heard_ms)

            await call.session.interrupt()

            assert call.sent(ItemTruncate) == [ItemTruncate("item-r1", 0, heard_ms)]

    play(scene)


@pytest.mark.parametrize("told", [True, False])
def test_a_model_without_cancel_and_truncate_is_silent_on_the_phone_all_the_same(told: bool) -> None:
    async def scene() -> None:
        async with Scene() as call:
            call.model.knows_no = (ResponseCancel, ItemTruncate)
            await call.replies("r1", 1000, done=False)
            await call.passes(300)

            await (call.session.interrupt() if told else call.begins_to_speak())
            await call.passes(100)
            sent_before = len(call.channel.heard)
            await call.says(AudioOutputDelta("r1", "item-r1", 0, voice(500)), ResponseDone("r1", "completed"))

            assert (call.channel.interruptions, len(call.seen(Interrupted))) == (1, 1)
            assert len(call.channel.heard) == sent_before
            assert call.session.closed is None

    play(scene)


# ---- once ----


def test_two_interrupts_in_a_row_clear_cancel_truncate_and_tell_once() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 1000, done=False)
            await call.passes(300)

            await call.session.interrupt()
            await call.session.interrupt()
            await call.begins_to_speak()

            assert call.channel.interruptions == len(call.seen(Interrupted)) == 1
            assert call.sent(*INTERRUPTING) == [ResponseCancel("r1"), ItemTruncate("item-r1", 0, 300)]

    play(scene)


@pytest.mark.parametrize("line", [Line, SlowToSilence])
def test_two_interrupts_at_once_clear_cancel_truncate_and_tell_once(line: type[Line]) -> None:
    async def scene() -> None:
        async with Scene(line()) as call:
            await call.replies("r1", 1000, done=False)
            await call.passes(300)

            await asyncio.gather(call.session.interrupt(), call.session.interrupt())

            assert call.channel.interruptions == len(call.seen(Interrupted)) == 1
            assert call.sent(*INTERRUPTING) == [ResponseCancel("r1"), ItemTruncate("item-r1", 0, 300)]

    play(scene)


def test_an_interrupt_while_the_line_has_yet_to_tell_adds_nothing() -> None:
    async def scene() -> None:
        line = LateLine()
        async with Scene(line) as call:
            await call.replies("r1", 1000, done=False)
            await call.passes(300)
            await call.begins_to_speak()

            await call.session.interrupt()
            line.tell()
            await call.settles()

            assert call.channel.interruptions == len(call.seen(Interrupted)) == 1
            assert call.sent(*INTERRUPTING) == [ItemTruncate("item-r1", 0, 300)]

    play(scene)


# ---- what is heard by the time that the line is silent ----


def test_a_reply_heard_to_its_end_by_the_time_the_line_is_silent_was_not_interrupted() -> None:
    async def scene() -> None:
        line = LateLine()
        async with Scene(line) as call:
            await call.replies("r1", 500)
            await call.passes(495)
            waiting = asyncio.create_task(call.session.wait_played())
            await call.begins_to_speak()
            line.tell()

            assert await waiting is True
            assert (call.sent(*INTERRUPTING), call.seen(Interrupted)) == ([], [])
            assert [(item.status, item.heard_ms) for item in call.session.history[:1]] == [("completed", 500)]

    play(scene)


def test_a_line_that_finds_nothing_left_to_silence_leaves_all_as_it_was() -> None:
    class AlmostDone(Line):
        """Its marks are late: it knows that all will have been heard, and plays on until it is told so."""

        async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
            return None

    async def scene() -> None:
        async with Scene(AlmostDone()) as call:
            await call.replies("r1", 500)
            await call.passes(480)
            waiting = asyncio.create_task(call.session.wait_played())
            await call.begins_to_speak()
            was_early = waiting.done()
            await call.passes(20)
            is_done = waiting.done()
            await call.session.send_message("And tomorrow?")

            assert (was_early, is_done, await waiting) == (False, True, True)
            assert (call.sent(*INTERRUPTING), call.seen(Interrupted)) == ([], [])
            assert call.sent(ResponseCreate) == [ResponseCreate("request-1")]
            assert [item.heard_ms for item in call.session.history[:1]] == [500]

    play(scene)


def test_who_waits_for_the_end_of_playback_learns_of_an_interruption() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 1000)
            waiting = asyncio.create_task(call.session.wait_played())
            await call.passes(300)

            await call.begins_to_speak()

            assert await waiting is False

    play(scene)


# ---- what comes later ----


def test_audio_that_comes_of_a_stopped_response_is_neither_played_nor_told() -> None:
    async def scene() -> None:
        async with Scene() as call:
            audio: list[Audio] = []
            await call.replies("r1", 500, done=False)
            await call.session.interrupt()
            call.session.on("audio", audio.append)
            sent_before = len(call.channel.heard)

            await call.says(AudioOutputDelta("r1", "item-r1", 0, voice(100)), AudioOutputDone("r1", "item-r1", 0))
            await call.says(ResponseDone("r1", "cancelled"), AudioOutputDelta("r1", "item-r1", 0, voice(100)))
            nothing = len(call.channel.heard) - sent_before, list(audio)
            await call.replies("r2", 100)

            assert nothing == (0, [])
            assert [item.response_id for item, _ in call.channel.heard[sent_before:]] == ["r2"]

    play(scene)


def test_late_audio_of_a_stopped_response_does_not_end_the_item_that_is_being_spoken() -> None:
    class Watched(Line):
        def __init__(self) -> None:
            super().__init__()
            self.ended: list[SpokenItem] = []

        async def end_audio(self, item: SpokenItem) -> None:
            self.ended.append(item)
            await super().end_audio(item)

    async def scene() -> None:
        line = Watched()
        async with Scene(line) as call:
            await call.replies("r1", 500, done=False)
            await call.session.interrupt()
            await call.says(ResponseDone("r1", "cancelled"))
            await call.says(*reply("r2", voice(500), done=False))
            line.ended.clear()

            await call.says(AudioOutputDelta("r1", "item-r1", 0, voice(100)))

            assert line.ended == []

    play(scene)


def test_a_response_that_was_cancelled_before_it_began_never_sounds_and_the_model_learns_that_nothing_was_heard() -> (
    None
):
    async def scene() -> None:
        async with Scene(greeting="Hello.") as call:
            await call.session.interrupt()
            await call.replies("r1", 300)
            played = call.played("r1")
            await call.replies("r2", 300)

            assert played == b""
            assert call.sent(*INTERRUPTING) == [ResponseCancel(None), ItemTruncate("item-r1", 0, 0)]
            assert len(call.seen(Interrupted)) == 1
            assert call.played("r2") != b""
            assert [(item.status, item.heard_ms) for item in call.session.history[:1]] == [("cut", 0)]

    play(scene)


def test_a_cancel_that_came_too_early_is_sent_again_when_the_response_begins() -> None:
    async def scene() -> None:
        async with Scene(greeting="Hello.") as call:
            await call.session.interrupt()
            await call.says(SessionError("response_cancel_not_active", "nothing to cancel", benign=True))
            await call.says(ResponseCreated("r1"), AudioOutputDelta("r1", "item-r1", 0, voice(100)))
            await call.says(ResponseDone("r1", "cancelled"))

            assert call.sent(*INTERRUPTING) == [
                ResponseCancel(None),
                ResponseCancel("r1"),
                ItemTruncate("item-r1", 0, 0),
            ]
            assert call.channel.heard == []

    play(scene)


def test_an_item_that_a_stopped_response_began_afterwards_is_truncated_at_zero() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 500, done=False)
            await call.passes(300)
            await call.begins_to_speak()

            await call.says(
                AudioOutputDelta("r1", "item-r1", 0, voice(100)),
                AudioOutputDelta("r1", "item-2", 0, voice(100)),
                ResponseDone("r1", "cancelled"),
            )

            assert call.sent(*INTERRUPTING) == [ItemTruncate("item-r1", 0, 300), ItemTruncate("item-2", 0, 0)]

    play(scene)


def test_a_refused_request_silences_nothing_that_comes_after_it() -> None:
    async def scene() -> None:
        async with Scene(greeting="Hello.") as call:
            await call.session.interrupt()
            await call.says(SessionError("invalid_value", "no", event_id="request-1"))
            await call.replies("r1", 300)

            assert call.played("r1") != b""

    play(scene)


def test_a_response_that_begins_while_the_line_is_being_silenced_is_heard_whole_and_not_cancelled() -> None:
    async def scene() -> None:
        async with Scene(SlowToSilence()) as call:
            await call.replies("r1", 500)
            await call.passes(300)
            interrupting = asyncio.create_task(call.session.interrupt())
            await call.settles()

            pcm = await call.replies("r2", 500)
            await interrupting

            assert call.sent(*INTERRUPTING) == [ItemTruncate("item-r1", 0, 300)]
            assert call.played("r2") == pcm
            assert call.channel.is_playing

    play(scene)


def test_what_is_told_of_a_cut_says_nothing_of_a_reply_that_began_after_it() -> None:
    async def scene() -> None:
        line = LateLine()
        async with Scene(line) as call:
            await call.replies("r1", 500)
            await call.passes(300)
            await call.begins_to_speak()
            await call.replies("r2", 500, done=False)

            line.tell()
            await call.settles()

            history = {item.item_id: (item.status, item.heard_ms) for item in call.session.history}
            assert (history["item-r1"], history["item-r2"]) == (("cut", 300), ("in_progress", None))

    play(scene)


def test_two_interrupts_at_once_leave_a_response_alone_that_begins_meanwhile() -> None:
    async def scene() -> None:
        async with Scene(SlowToSilence()) as call:
            await call.replies("r1", 500)
            await call.passes(300)
            interrupting = asyncio.gather(call.session.interrupt(), call.session.interrupt())
            await call.settles()

            await call.replies("r2", 500)
            await interrupting

            assert call.sent(*INTERRUPTING) == [ItemTruncate("item-r1", 0, 300)]
            assert call.channel.is_playing

    play(scene)


def test_an_item_whose_first_audio_is_still_on_its_way_to_the_line_was_not_heard() -> None:
    class Full(Line):
        """Takes no second item until its socket is free; then that item is of a time before the last clear."""

        def __init__(self) -> None:
            super().__init__()
            self.is_free = asyncio.Event()

        async def send_audio(self, pcm: bytes, item: SpokenItem) -> None:
            if item.item_id == "item-2" and not self.is_free.is_set():
                await self.is_free.wait()
                return
            await super().send_audio(pcm, item)

    async def scene() -> None:
        line = Full()
        async with Scene(line) as call:
            await call.replies("r1", 500, done=False)
            await call.says(AudioOutputDone("r1", "item-r1", 0), AudioOutputDelta("r1", "item-2", 0, voice(100)))
            await call.passes(300)

            await call.session.interrupt()
            line.is_free.set()
            await call.says(ResponseDone("r1", "cancelled"))

            assert call.sent(ItemTruncate) == [ItemTruncate("item-r1", 0, 300), ItemTruncate("item-2", 0, 0)]
            assert [item.heard_ms for item in call.session.history] == [300, 0]

    play(scene)


# ---- what is asked for meanwhile ----


def test_a_response_that_is_asked_for_before_the_line_has_told_waits_for_the_truncation() -> None:
    async def scene() -> None:
        line = LateLine()
        async with Scene(line) as call:
            await call.replies("r1", 1000)
            await call.passes(300)
            await call.begins_to_speak()
            await call.session.send_message("And tomorrow?")
            early = call.sent(ItemTruncate, ResponseCreate)

            line.tell()
            await call.settles()

            assert (early, len(call.sent(ItemCreate))) == ([], 1)
            assert call.sent(ItemTruncate, ResponseCreate) == [
                ItemTruncate("item-r1", 0, 300),
                ResponseCreate("request-1"),
            ]

    play(scene)


def test_a_tools_answer_after_an_interruption_is_answered_once_when_cut_and_turn_are_over() -> None:
    @tool
    async def lookup(call: ToolContext) -> str:
        """Looks."""
        await asyncio.sleep(1)
        return "found"

    async def scene() -> None:
        line = LateLine()
        async with Scene(line, tools=(lookup,)) as call:
            call_tool = ToolCall("r1", "c1", "lookup", "{}")
            await call.says(*reply("r1", voice(2000), done=False), call_tool, ResponseDone("r1", "completed"))
            await call.passes(800)
            await call.begins_to_speak()
            await call.passes(400)
            early = call.sent(ResponseCreate)

            await call.stops_speaking()
            await call.passes(1000 * ANSWER_S)
            before_the_cut_is_settled = call.sent(ResponseCreate)
            line.tell()
            await call.settles()

            assert (early, before_the_cut_is_settled, len(call.sent(ToolResult))) == ([], [], 1)
            assert call.sent(ItemTruncate, ResponseCreate) == [
                ItemTruncate("item-r1", 0, 800),
                ResponseCreate("request-1"),
            ]

    play(scene)


# ---- voices that do not interrupt ----


def test_interrupt_response_false_lets_no_voice_stop_the_agent_but_interrupt_and_the_stop_button_do() -> None:
    async def scene() -> None:
        line = Asking()
        quiet = SessionConfig(turn_detection=TurnDetection(interrupt_response=False))
        async with Scene(line, config=quiet) as call:
            await call.replies("r1", 1000)
            await call.begins_to_speak()
            await call.stops_speaking(text="stop stop stop")
            after_voice = call.channel.interruptions
            await call.session.interrupt()
            after_interrupt = call.channel.interruptions
            await call.replies("r2", 1000)
            line.press_stop()
            await call.settles()

            assert (after_voice, after_interrupt, call.channel.interruptions) == (0, 1, 2)
            assert call.sent(ResponseCreate) == []

    play(scene)


# ---- what is told, and remembered ----


WORDS = "We open at nine on Monday and at ten on Sunday."


def test_an_interruption_carries_the_words_that_were_heard() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.says(*reply("r1", voice(4000), words=WORDS), TranscriptOutput("r1", "item-r1", WORDS))
            await call.passes(2000)

            await call.begins_to_speak()

            [interrupted] = call.seen(Interrupted)
            [item] = [item for item in call.session.history if item.role == "assistant"]
            assert 0 < len(interrupted.text) < len(WORDS)
            assert WORDS.startswith(interrupted.text)
            assert (item.text, item.heard_text, item.heard_ms, item.total_ms) == (WORDS, interrupted.text, 2000, 4000)
            assert item.status == "cut"

    play(scene)


@pytest.mark.parametrize("is_cut_open", [False, True])
def test_what_was_heard_of_the_last_words_is_known_when_the_caller_hangs_up(is_cut_open: bool) -> None:
    async def scene() -> None:
        line = LateLine()
        async with Scene(line) as call:
            await call.says(*reply("r1", voice(4000), done=False, words=WORDS))
            await call.passes(2000)
            if is_cut_open:
                await call.begins_to_speak()

            line.hang_up()
            closed = await call.session.wait_closed()

            [item] = [item for item in call.session.history if item.role == "assistant"]
            assert closed == Closed("caller")
            assert (item.status, item.heard_ms, item.total_ms) == ("cut", 2000, 4000)
            assert item.heard_text
            assert WORDS.startswith(item.heard_text)
            assert item in [event.item for event in call.seen(History)]

    play(scene)


def test_a_reply_that_was_said_and_not_heard_out_is_cut_when_the_caller_hangs_up() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 1000)
            await call.passes(400)

            call.channel.hang_up()
            await call.session.wait_closed()

            assert [(item.status, item.heard_ms) for item in call.session.history] == [("cut", 400)]

    play(scene)


def test_the_ends_of_saying_and_of_hearing_are_told_apart() -> None:
    async def scene() -> None:
        async with Scene() as call:
            audio: list[Audio] = []
            call.session.on("audio", audio.append)
            await call.says(*reply("r1", voice(500)), TranscriptOutput("r1", "item-r1", "Hello."))
            said = [event.done for event in audio], call.session.history[0].heard_ms

            await call.passes(500)

            assert said == ([False] * 5 + [True], None)
            assert call.seen(History)[-1].item == call.session.history[0]
            assert (call.session.history[0].heard_ms, call.session.history[0].heard_text) == (500, "Hello.")

    play(scene)


def test_history_tells_each_turn_as_it_grows_in_the_order_of_the_call() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.says(*reply("r1", voice(1000), words=WORDS), TranscriptOutput("r1", "item-r1", WORDS))
            await call.passes(600)
            await call.begins_to_speak("u1")
            await call.stops_speaking("u1")
            await call.replies("r2", 500)
            await call.says(TranscriptInput("u1", "Not on Sunday?"))

            history = call.session.history
            assert [(item.item_id, item.role) for item in history] == [
                ("item-r1", "assistant"),
                ("u1", "user"),
                ("item-r2", "assistant"),
            ]
            assert (history[0].heard_ms, history[1].text) == (600, "Not on Sunday?")
            told = {event.item.item_id: event.item for event in call.seen(History)}
            assert tuple(told.values()) == history

    play(scene)


def test_a_deleted_item_vanishes_from_the_history_and_is_told_once() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.begins_to_speak("u1")
            await call.stops_speaking("u1", text="Forget this.")
            call.told.clear()

            await call.says(ItemDeleted("u1"), ItemDeleted("u1"))

            assert call.session.history == ()
            assert [(event.item.item_id, event.item.status) for event in call.seen(History)] == [("u1", "deleted")]

    play(scene)


def test_a_transcript_of_a_stopped_response_still_comes_and_shows_what_was_not_heard() -> None:
    async def scene() -> None:
        async with Scene() as call:
            said: list[SessionEvent] = []
            call.session.on("transcript", said.append)
            await call.replies("r1", 4000, done=False)
            await call.passes(2000)
            await call.begins_to_speak()

            await call.says(TranscriptOutput("r1", "item-r1", WORDS), ResponseDone("r1", "cancelled"))

            [item] = [item for item in call.session.history if item.role == "assistant"]
            assert said == [Transcript("assistant", "item-r1", WORDS)]
            assert (item.text, item.heard_ms) == (WORDS, 2000)
            assert item.unheard_text

    play(scene)


# ---- sides that break, tasks that end ----


def interrupt_by_voice(call: Scene) -> None:
    call.model.say(SpeechStarted("u1"))


def interrupt_by_key(call: Scene) -> None:
    call.channel.press("1")


@pytest.mark.parametrize("interrupt", [interrupt_by_voice, interrupt_by_key])
def test_a_line_that_breaks_when_it_is_silenced_ends_the_call_as_the_lines_fault(
    interrupt: Callable[[Scene], None],
) -> None:
    async def scene() -> None:
        async with Scene(Breaking(), barge_in=BargeInRules(on_key=True)) as call:
            await call.replies("r1", 1000)

            interrupt(call)

            assert await call.session.wait_closed() == Closed("line", "the cable is cut")

    play(scene)


def test_interrupt_on_a_line_that_breaks_returns_and_the_call_is_over() -> None:
    async def scene() -> None:
        async with Scene(Breaking()) as call:
            await call.replies("r1", 1000)

            await call.session.interrupt()

            assert await call.session.wait_closed() == Closed("line", "the cable is cut")

    play(scene)


def test_a_model_that_fails_when_it_is_to_truncate_ends_the_call_as_its_own_fault() -> None:
    async def scene() -> None:
        line = LateLine()
        async with Scene(line) as call:
            await call.replies("r1", 1000)
            await call.begins_to_speak()
            call.model.failure = ProviderError("gone", code="network", retryable=True)

            line.tell()

            assert await call.session.wait_closed() == Closed("provider", "network: gone")
            assert call.seen(Error) == [Error("network", "gone", retryable=True)]

    play(scene)


def test_closing_ends_an_interrupt_that_waits_for_the_line() -> None:
    async def scene() -> None:
        async with Scene(LateLine()) as call:
            await call.replies("r1", 1000)
            interrupting = asyncio.create_task(call.session.interrupt())
            await call.settles()

            await call.session.close()

            await interrupting
            assert call.session.closed == Closed("closed")

    play(scene)


def test_a_tool_that_is_cancelled_while_it_interrupts_has_stopped_the_agent_all_the_same() -> None:
    @tool
    async def hush(call: ToolContext) -> str:
        """Stops the agent."""
        await call.session.interrupt()
        return "done"

    async def scene() -> None:
        line = LateLine()
        async with Scene(line, tools=(hush,)) as call:
            await call.says(*reply("r1", voice(1000), done=False), ToolCall("r1", "c1", "hush", "{}"))
            await call.says(ToolCancelled("c1"))

            line.tell()
            await call.settles()

            assert call.sent(*INTERRUPTING) == [ResponseCancel("r1"), ItemTruncate("item-r1", 0, 0)]
            assert (len(call.seen(Interrupted)), call.sent(ToolResult)) == (1, [])

    play(scene)


def test_an_interrupt_that_is_cancelled_leaves_what_the_line_tells_to_the_others() -> None:
    async def scene() -> None:
        line = LateLine()
        async with Scene(line) as call:
            await call.replies("r1", 1000)
            await call.passes(400)
            interrupting = asyncio.create_task(call.session.interrupt())
            await call.settles()
            interrupting.cancel()
            await call.settles()

            line.tell()
            await call.settles()

            assert interrupting.cancelled()
            assert call.sent(ItemTruncate) == [ItemTruncate("item-r1", 0, 400)]

    play(scene)


# ---- listeners that meddle ----


def test_a_listener_may_interrupt_the_response_that_it_is_told_of() -> None:
    async def scene() -> None:
        async with Scene() as call:

            async def interrupt(event: Response) -> None:
                if event.status is None:
                    await call.session.interrupt()

            call.session.on("response", interrupt)
            await call.replies("r1", 500, done=False)
            await call.says(ResponseDone("r1", "cancelled"))

            assert call.sent(ResponseCancel) == [ResponseCancel("r1")]
            assert call.session.closed is None

    play(scene)


def test_a_listener_may_close_the_session_when_it_is_told_of_an_interruption() -> None:
    async def scene() -> None:
        async with Scene() as call:

            async def close(_: Interrupted) -> None:
                await call.session.close("agent")

            call.session.on("interrupted", close)
            await call.replies("r1", 1000)
            await call.passes(300)
            await call.begins_to_speak()

            assert await call.session.wait_closed() == Closed("agent")
            assert call.session.history[0].heard_ms == 300

    play(scene)


def test_a_listener_that_interrupts_at_every_interruption_goes_round_once() -> None:
    async def scene() -> None:
        async with Scene() as call:

            async def again(_: Interrupted) -> None:
                await call.session.interrupt()

            call.session.on("interrupted", again)
            await call.replies("r1", 1000, done=False)
            await call.session.interrupt()
            await call.settles()

            assert len(call.seen(Interrupted)) == 1

    play(scene)


# ---- without a line ----


def test_without_a_channel_an_interrupt_cancels_and_tells_and_truncates_nothing() -> None:
    async def scene() -> None:
        lineless = Scene()
        lineless.session = RealtimeSession(lineless.session.agent)
        lineless.session.on("interrupted", lineless.told.append)
        async with lineless as call:
            await call.replies("r1", 1000, done=False)
            await call.session.interrupt()
            await call.session.interrupt()
            late: list[ServerEvent] = [AudioOutputDelta("r1", "item-2", 0, voice(100)), ResponseDone("r1", "cancelled")]
            await call.says(*late)

            assert call.sent(*INTERRUPTING) == [ResponseCancel("r1")]
            assert call.seen(Interrupted) == [Interrupted(())]
            assert call.seen(Speech) == []

    play(scene)


# ---- over a provider's wire ----


async def happens(condition: Callable[[], object]) -> None:
    """Waits for something that the wire has to bring."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 what is waited for has no event
            await asyncio.sleep(0.001)


def over_openai(fake: FakeOpenAI, channel: MemoryChannel, rules: BargeInRules) -> RealtimeSession:
    config = SessionConfig(
        turn_detection=TurnDetection(silence_duration_ms=500),
        transcription=Transcription(),
        input_format=channel.audio_format,
        output_format=channel.audio_format,
    )
    model = OpenAIModel("gpt-realtime-2.1", api_key=fake.key, base_url=fake.url)
    return RealtimeSession(RealtimeAgent(name="test", model=model, barge_in=rules, config=config), channel=channel)


def sent_bytes(channel: MemoryChannel) -> int:
    return sum(len(pcm) for _, pcm in channel.heard)


def sound(channel: MemoryChannel, pcm: bytes) -> None:
    for at in range(0, len(pcm), len(silent_frame())):
        channel.say(pcm[at : at + len(silent_frame())])


def test_over_openai_an_interrupt_cancels_and_truncates_in_that_order_and_breaks_no_rule() -> None:
    async def main() -> None:
        channel = Line()
        async with (
            FakeOpenAI(Speak(audio_ms=2000, holds=True), audio=partial(tone, format=channel.audio_format)) as fake,
            over_openai(fake, channel, BargeInRules()) as session,
        ):
            server = await fake.session()
            await session.send_message("Hello?")
            await happens(lambda: sent_bytes(channel) == len(silence(2000)))
            channel.play(700)

            await session.interrupt()

            truncate = await server.expect("conversation.item.truncate")
            told = [message["type"] for message in server.received[-2:]]
            assert told == ["response.cancel", "conversation.item.truncate"]
            assert truncate["audio_end_ms"] == 700
        assert fake.violations == []

    asyncio.run(main())


def test_over_openai_a_cough_is_let_pass_and_a_voice_is_answered_once() -> None:
    async def main() -> None:
        channel = Line()
        async with (
            FakeOpenAI(
                Speak(audio_ms=5000, holds=True),
                hears="Wait, please.",
                audio=partial(tone, format=channel.audio_format),
            ) as fake,
            over_openai(fake, channel, BargeInRules(min_speech_ms=300)) as session,
        ):
            speech: list[bool] = []
            session.on("speech", lambda event: speech.append(event.active))
            server = await fake.session()
            await session.send_message("Hello?")
            await happens(lambda: sent_bytes(channel) == len(silence(5000)))

            sound(channel, tone(200, channel.audio_format) + silence(600))
            await happens(lambda: speech == [True, False])
            after_a_cough = server.messages("response.cancel"), channel.interruptions
            sound(channel, tone(400, channel.audio_format))
            await server.expect("response.cancel")
            sound(channel, silence(600))
            await server.expect("response.create", count=2)
            await happens(lambda: not server.is_responding)

            assert after_a_cough == ([], 0)
            assert channel.interruptions == 1
            assert [len(server.messages(f"response.{verb}")) for verb in ("create", "cancel")] == [2, 1]
        assert fake.violations == []

    asyncio.run(main())
