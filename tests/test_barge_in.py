"""A voice stops the agent when the agent's rules say that it is somebody who speaks, and then it is answered once."""

import asyncio
from typing import Any

import pytest

from agents import RealtimeSession
from agents.barge_in import MAX_SPEECHES, MAX_VOICE_S, BargeInRules
from agents.errors import ChannelError
from agents.events import (
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    Closed,
    Heard,
    Interrupted,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    Resumed,
    SessionError,
    SessionUpdate,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)
from agents.kept_audio import MAX_KEPT_MS
from agents.providers.scripted import ScriptedModel
from agents.realtime import SessionConfig, Transcription, TurnDetection
from tests.scene import (  # noqa: F401 audio_format is for all tests here
    Ear,
    LateLine,
    Line,
    Scene,
    audio_format,
    play,
    reply,
    silent_frame,
    size,
    voice,
)

STOPPING = (ResponseCancel, ItemTruncate, ResponseCreate)

LONG = BargeInRules(min_speech_ms=300)
WORDY = BargeInRules(min_words=2)
PROTECTED = BargeInRules(protect_greeting=True)
PATIENT = BargeInRules(resume_after_ms=1000)


async def sounds(call: Scene, ms: int, item_id: str = "u1", *, text: str | None = None) -> None:
    """The caller makes a sound; the model notices it 100 ms late, and its end after 500 ms of silence."""
    early_ms = min(100, ms)
    await call.hears(early_ms)
    await call.begins_to_speak(item_id)
    await call.hears(ms - early_ms)
    await call.hears(500, silent_frame())
    await call.stops_speaking(item_id, text)


# ---- how long a voice is ----


def test_a_cough_neither_stops_the_agent_nor_gets_an_answer() -> None:
    async def scene() -> None:
        async with Scene(barge_in=LONG) as call:
            await call.replies("r1", 3000, done=False)

            await sounds(call, 200)

            assert (call.channel.interruptions, call.sent(*STOPPING), call.seen(Interrupted)) == (0, [], [])

    play(scene)


def test_a_voice_that_is_long_enough_stops_the_agent_and_gets_one_answer_once_its_turn_is_over() -> None:
    async def scene() -> None:
        async with Scene(barge_in=LONG) as call:
            await call.replies("r1", 3000, done=False)
            await call.hears(100)
            await call.begins_to_speak()
            await call.hears(200)
            after_300_ms = call.sent(*STOPPING)

            await call.hears(400)
            await call.hears(500, silent_frame())
            before_the_end = call.sent(*STOPPING)
            await call.stops_speaking(text="And what about Sunday?")

            assert after_300_ms == [ResponseCancel("r1"), ItemTruncate("item-r1", 0, 300)]
            assert before_the_end == after_300_ms
            assert call.sent(ResponseCreate) == []  # the model has not ended its response yet
            await call.says(ResponseDone("r1", "cancelled"))
            assert call.sent(*STOPPING) == [*after_300_ms, ResponseCreate("request-1")]

    play(scene)


def test_a_voice_that_the_model_hears_and_we_do_not_is_measured_by_the_clock() -> None:
    async def scene() -> None:
        async with Scene(barge_in=LONG) as call:
            await call.replies("r1", 3000)
            await call.begins_to_speak()
            await call.passes(280)
            before = call.channel.interruptions
            await call.passes(40)

            assert (before, call.channel.interruptions) == (0, 1)

    play(scene)


def test_a_voice_too_low_to_be_measured_stops_the_agent_when_it_goes_on_for_long() -> None:
    async def scene() -> None:
        async with Scene(barge_in=LONG) as call:
            await call.replies("r1", 20_000)
            await call.hears(100, silent_frame())
            await call.begins_to_speak()
            await call.passes(MAX_VOICE_S * 1000 - 100)
            before = call.channel.interruptions
            await call.passes(200)

            assert (before, call.channel.interruptions) == (0, 1)

    play(scene)


def test_two_coughs_do_not_add_up_to_a_voice() -> None:
    async def scene() -> None:
        async with Scene(barge_in=LONG) as call:
            await call.replies("r1", 5000)

            await sounds(call, 200, "u1")
            await sounds(call, 200, "u2")

            assert (call.channel.interruptions, call.sent(*STOPPING)) == (0, [])

    play(scene)


def test_two_coughs_in_a_row_that_the_model_ends_at_once_do_not_add_up_either() -> None:
    async def scene() -> None:
        async with Scene(barge_in=LONG) as call:
            await call.replies("r1", 5000)
            for item_id in ("u1", "u2"):
                await call.hears(100)
                await call.begins_to_speak(item_id)
                await call.hears(100)
                await call.stops_speaking(item_id)

            assert (call.channel.interruptions, call.sent(*STOPPING)) == (0, [])

    play(scene)


def test_a_voice_that_was_long_enough_before_the_model_noticed_it_stops_the_agent_at_once() -> None:
    async def scene() -> None:
        async with Scene(barge_in=LONG) as call:
            await call.replies("r1", 5000)
            await call.hears(400)
            before = call.channel.interruptions
            await call.begins_to_speak()

            assert (before, call.channel.interruptions) == (0, 1)

    play(scene)


# ---- how many words ----


@pytest.mark.parametrize(
    "words",
    [
        [TranscriptInputDelta("u1", "wait "), TranscriptInputDelta("u1", "please")],
        [TranscriptInput("u1", "wait please")],
        [TranscriptInputDelta("u1", "wait"), TranscriptInput("u1", "wait please")],
    ],
    ids=["deltas", "whole", "both"],
)
def test_enough_words_stop_the_agent_whether_they_come_one_by_one_or_at_once(words: list[Any]) -> None:
    async def scene() -> None:
        async with Scene(barge_in=WORDY) as call:
            await call.replies("r1", 3000)
            await sounds(call, 500)
            before = call.channel.interruptions

            await call.says(*words)

            assert (before, call.channel.interruptions) == (0, 1)
            assert call.sent(*STOPPING) == [ItemTruncate("item-r1", 0, 1000), ResponseCreate("request-1")]

    play(scene)


def test_fewer_words_neither_stop_the_agent_nor_get_an_answer() -> None:
    async def scene() -> None:
        async with Scene(barge_in=WORDY) as call:
            await call.replies("r1", 3000)

            await sounds(call, 500, text="yes")

            assert (call.channel.interruptions, call.sent(*STOPPING)) == (0, [])

    play(scene)


def test_a_word_that_comes_in_pieces_is_one_word() -> None:
    async def scene() -> None:
        async with Scene(barge_in=WORDY) as call:
            await call.replies("r1", 3000)
            await call.begins_to_speak()
            await call.says(*(TranscriptInputDelta("u1", piece) for piece in ("to", "mor", "row")))
            after_one = call.channel.interruptions
            await call.says(TranscriptInputDelta("u1", " please"))

            assert (after_one, call.channel.interruptions) == (0, 1)

    play(scene)


def test_words_that_come_while_the_caller_still_speaks_stop_the_agent_and_are_answered_after_the_turn() -> None:
    async def scene() -> None:
        async with Scene(barge_in=WORDY) as call:
            await call.replies("r1", 3000)
            await call.begins_to_speak()
            await call.says(TranscriptInputDelta("u1", "wait please"))
            stopped = call.sent(*STOPPING)

            await call.stops_speaking(text="wait please stop")

            assert stopped == [ItemTruncate("item-r1", 0, 0)]
            assert call.sent(*STOPPING) == [*stopped, ResponseCreate("request-1")]

    play(scene)


def test_words_that_come_after_their_answer_was_asked_for_do_not_stop_it() -> None:
    async def scene() -> None:
        async with Scene(barge_in=WORDY) as call:
            await call.replies("r1", 1500)
            await sounds(call, 500, "u1")
            await call.passes(800)
            await sounds(call, 500, "u2", text="I said yes please")
            await call.replies("r2", 2000)

            await call.says(TranscriptInput("u1", "yes please"))

            assert (call.channel.interruptions, call.sent(*STOPPING)) == (0, [ResponseCreate("request-1")])

    play(scene)


def test_either_enough_words_or_a_voice_that_is_long_enough_stops_the_agent() -> None:
    async def scene() -> None:
        both = BargeInRules(min_speech_ms=1000, min_words=2)
        for ms, text in ((400, "wait please"), (1200, "no")):
            async with Scene(barge_in=both) as call:
                await call.replies("r1", 5000)

                await sounds(call, ms, text=text)

                assert (call.channel.interruptions, len(call.sent(ResponseCreate))) == (1, 1)

    play(scene)


def test_neither_enough_words_nor_a_voice_that_is_long_enough_stops_nothing() -> None:
    async def scene() -> None:
        async with Scene(barge_in=BargeInRules(min_speech_ms=1000, min_words=2)) as call:
            await call.replies("r1", 5000)

            await sounds(call, 400, text="no")

            assert (call.channel.interruptions, call.sent(*STOPPING)) == (0, [])

    play(scene)


def test_a_voice_whose_words_are_being_answered_stops_nothing_when_it_is_long_enough_at_last() -> None:
    async def scene() -> None:
        async with Scene(barge_in=BargeInRules(min_speech_ms=1000, min_words=2)) as call:
            await call.replies("r1", 5000)
            await call.hears(100)
            await call.begins_to_speak()
            await call.hears(400)
            await call.says(TranscriptInputDelta("u1", "wait please"), AudioInputCommitted("u1"))
            await call.replies("r2", 5000)
            await call.hears(1000)

            assert call.sent(*STOPPING) == [ItemTruncate("item-r1", 0, 500), ResponseCreate("request-1")]

    play(scene)


def test_words_of_a_voice_too_long_ago_stop_nothing() -> None:
    async def scene() -> None:
        async with Scene(barge_in=WORDY) as call:
            await call.replies("r1", 5000)
            for number in range(MAX_SPEECHES + 1):
                await call.begins_to_speak(f"u{number}")
                await call.stops_speaking(f"u{number}")

            await call.says(TranscriptInput("u0", "wait please"))
            forgotten = call.channel.interruptions
            await call.says(TranscriptInput("u1", "wait please"))

            assert (forgotten, call.channel.interruptions) == (0, 1)

    play(scene)


# ---- while the agent is silent ----


@pytest.mark.parametrize("rules", [LONG, WORDY, PROTECTED, PATIENT, BargeInRules(min_speech_ms=900, min_words=9)])
def test_what_is_said_while_the_agent_is_silent_always_counts(rules: BargeInRules) -> None:
    async def scene() -> None:
        async with Scene(barge_in=rules) as call:
            await sounds(call, 100)
            await call.says(TranscriptInput("u1", "no"))

            assert call.sent(*STOPPING) == [ResponseCreate("request-1")]

    play(scene)


def test_what_began_in_silence_counts_though_the_agent_begins_to_speak_meanwhile() -> None:
    async def scene() -> None:
        async with Scene(barge_in=WORDY) as call:
            await call.begins_to_speak()
            await call.replies("r1", 2000)
            await call.stops_speaking(text="no")

            assert call.sent(*STOPPING) == [ResponseCreate("request-1")]

    play(scene)


def test_a_turn_that_nobody_heard_begin_is_answered_and_one_that_is_told_twice_once() -> None:
    async def scene() -> None:
        async with Scene(barge_in=WORDY) as call:
            await call.says(AudioInputCommitted("u1"))
            await call.replies("r1", 500)
            await call.passes(500)
            await call.begins_to_speak("u2")
            await call.says(AudioInputCommitted("u2"), AudioInputCommitted("u2"))

            assert call.sent(*STOPPING) == [ResponseCreate("request-1"), ResponseCreate("request-2")]

    play(scene)


@pytest.mark.parametrize("rules", [LONG, WORDY])
def test_a_turn_that_began_over_the_agents_last_words_and_ends_in_silence_is_answered(rules: BargeInRules) -> None:
    async def scene() -> None:
        async with Scene(barge_in=rules) as call:
            await call.replies("r1", 500)
            await call.passes(300)

            await sounds(call, 100, text="yes")

            assert (call.channel.interruptions, call.sent(*STOPPING)) == (0, [ResponseCreate("request-1")])

    play(scene)


@pytest.mark.parametrize("rules", [LONG, WORDY, PATIENT])
def test_a_voice_before_the_answer_begins_to_sound_takes_its_place(rules: BargeInRules) -> None:
    async def scene() -> None:
        async with Scene(barge_in=rules) as call:
            await sounds(call, 400, "u1", text="Book a table")
            await call.says(ResponseCreated("r1"))

            await call.hears(100)
            await call.begins_to_speak("u2")
            await call.hears(300)
            cancelled = call.sent(ResponseCancel)
            await call.says(ResponseDone("r1", "cancelled"))
            await call.stops_speaking("u2", "tomorrow")

            assert cancelled == [ResponseCancel("r1")]
            assert len(call.sent(ResponseCreate)) == 2

    play(scene)


def test_a_cough_before_the_answer_begins_to_sound_leaves_it_alone() -> None:
    async def scene() -> None:
        async with Scene(barge_in=LONG) as call:
            await sounds(call, 400, "u1", text="Book a table")
            await call.says(ResponseCreated("r1"))

            await sounds(call, 200, "u2")

            assert call.sent(*STOPPING) == [ResponseCreate("request-1")]

    play(scene)


# ---- the greeting ----


async def greets(call: Scene, ms: int) -> None:
    await call.replies("hello", ms)


def test_a_protected_greeting_is_heard_to_its_end_and_the_words_said_into_it_are_answered_after_it() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PROTECTED, greeting="Hello.") as call:
            await call.says(*reply("hello", voice(2000)))

            await sounds(call, 500, text="Book a table, please.")
            asked = call.sent(ResponseCreate)
            await call.replies("r1", 500)
            await call.passes(2000)

            assert (call.channel.interruptions, call.sent(*STOPPING[:2])) == (0, [])
            assert [create.say for create in asked if isinstance(create, ResponseCreate)] == ["Hello.", None]
            assert bytes(line.ear[: size(2000)]) == voice(2000)

    play(scene)


def test_a_sound_without_words_into_a_protected_greeting_gets_no_answer() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PROTECTED, greeting="Hello.") as call:
            await greets(call, 2000)

            await sounds(call, 500, text="")

            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


def test_fewer_words_than_it_takes_get_no_answer_when_said_into_a_protected_greeting() -> None:
    async def scene() -> None:
        async with Scene(barge_in=BargeInRules(protect_greeting=True, min_words=2), greeting="Hello.") as call:
            await greets(call, 2000)

            await sounds(call, 500, text="Hello?")

            assert len(call.sent(ResponseCreate)) == 1

    play(scene)


@pytest.mark.parametrize("rules", [PROTECTED, LONG, WORDY, PATIENT])
def test_no_voice_stops_a_greeting_that_has_not_begun(rules: BargeInRules) -> None:
    async def scene() -> None:
        async with Scene(barge_in=rules, greeting="Hello.") as call:
            await sounds(call, 500)
            await greets(call, 500)

            assert call.sent(*STOPPING) == [ResponseCreate("request-1", say="Hello.")]
            assert call.played("hello")

    play(scene)


def test_only_the_greeting_is_protected() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PROTECTED, greeting="Hello.") as call:
            await greets(call, 500)
            await call.passes(500)
            await call.replies("r1", 1000)
            await call.passes(200)

            await call.begins_to_speak()

            assert call.sent(ItemTruncate) == [ItemTruncate("item-r1", 0, 200)]

    play(scene)


def test_interrupt_stops_a_protected_greeting_and_a_key_does_where_keys_may() -> None:
    async def scene() -> None:
        for rules, key in ((PROTECTED, None), (BargeInRules(protect_greeting=True, on_key=True), "1")):
            async with Scene(barge_in=rules, greeting="Hello.") as call:
                await greets(call, 1000)
                await call.passes(200)

                if key:
                    call.channel.press(key)
                    await call.settles()
                else:
                    await call.session.interrupt()

                assert call.sent(ItemTruncate) == [ItemTruncate("item-hello", 0, 200)]

    play(scene)


def test_a_greeting_that_the_model_refuses_protects_nothing_that_comes_after_it() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PROTECTED, greeting="Hello.") as call:
            await call.says(SessionError("invalid_value", "no", event_id="request-1"))
            await call.replies("r1", 1000, done=False)

            await call.begins_to_speak()

            assert call.channel.interruptions == 1

    play(scene)


def test_a_greeting_that_a_response_of_the_models_own_forestalled_is_protected_when_it_comes() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PROTECTED, greeting="Hello.") as call:
            busy = SessionError("conversation_already_has_active_response", "busy", event_id="request-1")
            await call.says(ResponseCreated("own"), busy, ResponseDone("own", "completed"))
            await greets(call, 1000)

            await call.begins_to_speak()

            assert len(call.sent(ResponseCreate)) == 2
            assert call.channel.interruptions == 0

    play(scene)


# ---- keys ----


@pytest.mark.parametrize(("on_key", "interruptions"), [(True, 1), (False, 0)])
def test_a_key_stops_the_agent_where_the_rules_say_so(on_key: bool, interruptions: int) -> None:
    async def scene() -> None:
        async with Scene(barge_in=BargeInRules(on_key=on_key)) as call:
            await call.replies("r1", 1000, done=False)
            await call.passes(200)

            call.channel.press("1")
            await call.settles()

            assert call.channel.interruptions == interruptions
            assert len(call.sent(ResponseCancel, ItemTruncate)) == 2 * interruptions

    play(scene)


# ---- who is told of the rules ----


@pytest.mark.parametrize("rules", [LONG, WORDY, PROTECTED, PATIENT])
def test_the_model_neither_stops_nor_answers_by_itself_where_a_voice_is_weighed(rules: BargeInRules) -> None:
    async def scene() -> None:
        model = ScriptedModel([])
        call = Scene(barge_in=rules, config=SessionConfig(turn_detection=TurnDetection(silence_duration_ms=300)))
        async with RealtimeSession(call.session.agent, model=model, channel=Line()):
            [update] = [event for event in model.connections[0].sent if isinstance(event, SessionUpdate)]

        turns = TurnDetection(silence_duration_ms=300, interrupt_response=False, create_response=False)
        assert update.config.turn_detection == turns

    play(scene)


def test_where_nobody_hears_turns_no_rule_asks_for_an_answer() -> None:
    async def scene() -> None:
        config = SessionConfig(turn_detection=TurnDetection(mode="manual"), transcription=Transcription())
        async with Scene(barge_in=WORDY, config=config) as call:
            await call.session.commit()
            await call.says(AudioInputCommitted("u1"), TranscriptInput("u1", "wait please"))

            assert call.sent(ResponseCreate) == []

    play(scene)


# ---- pausing: a voice that may be none ----


async def coughs(call: Scene, item_id: str = "u1", *, ms: int = 200) -> None:
    """A sound without words, that the model takes for a turn."""
    await call.begins_to_speak(item_id)
    await call.passes(ms)
    await call.stops_speaking(item_id)


def test_after_a_sound_without_words_the_agent_goes_on_exactly_where_it_was_heard() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            pcm = await call.replies("r1", 3000)
            await call.passes(1234)
            await coughs(call)
            silent = len(line.ear)
            await call.passes(980)
            still_silent = len(line.ear)
            await call.passes(3000)

            assert silent == still_silent == size(1234)
            assert bytes(line.ear) == pcm
            assert (len(call.seen(Resumed)), call.seen(Interrupted), call.sent(*STOPPING)) == (1, [], [])
            assert [item.heard_ms for item in call.session.history if item.role == "assistant"] == [3000]

    play(scene)


def test_a_sound_that_is_known_to_be_without_words_is_not_waited_for() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            pcm = await call.replies("r1", 3000)
            await call.passes(500)
            await call.begins_to_speak()
            await call.passes(200)
            await call.stops_speaking(text="")
            await call.passes(2600)

            assert bytes(line.ear) == pcm
            assert (len(call.seen(Resumed)), call.seen(Interrupted), call.sent(ResponseCreate)) == (1, [], [])

    play(scene)


def test_audio_that_comes_during_a_pause_is_heard_after_it_in_order_and_whole() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            first, second, third = voice(1000, 1), voice(700, 2), voice(300, 3)
            await call.says(*reply("r1", first, done=False))
            await call.passes(400)
            await call.begins_to_speak()
            await call.says(AudioOutputDelta("r1", "item-r1", 0, second), AudioOutputDone("r1", "item-r1", 0))
            await call.says(AudioOutputDelta("r1", "item-2", 0, third), AudioOutputDone("r1", "item-2", 0))
            await call.says(ResponseDone("r1", "completed"))
            await call.stops_speaking(text="")

            await call.passes(4000)

            assert bytes(line.ear) == first + second + third
            assert not line.is_playing
            heard = {item.item_id: item.heard_ms for item in call.session.history if item.role == "assistant"}
            assert heard == {"item-r1": 1700, "item-2": 300}

    play(scene)


def test_audio_that_comes_after_a_pause_follows_what_was_said_before() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            first, second = voice(1000, 1), voice(700, 2)
            await call.says(*reply("r1", first, done=False))
            await call.passes(400)
            await coughs(call)
            await call.passes(1100)
            await call.says(AudioOutputDelta("r1", "item-r1", 0, second), AudioOutputDone("r1", "item-r1", 0))
            await call.says(ResponseDone("r1", "completed"))

            await call.passes(3000)

            assert bytes(line.ear) == first + second
            assert not line.is_playing

    play(scene)


def test_an_item_heard_before_the_pause_is_not_heard_again() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            first = await call.replies("r1", 500)
            second = await call.replies("r2", 1000)
            await call.passes(700)
            await coughs(call)

            await call.passes(3000)

            assert bytes(line.ear) == first + second

    play(scene)


def test_an_item_that_was_all_but_heard_before_the_pause_is_heard_once() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            first = await call.replies("r1", 500)
            second = await call.replies("r2", 1000)
            await call.passes(495)
            await coughs(call)

            await call.passes(3000)

            assert bytes(line.ear) == first[: size(495)] + second  # of the first less was left than anybody can tell
            assert [item.heard_ms for item in call.session.history if item.role == "assistant"] == [500, 1000]

    play(scene)


def test_the_pause_is_over_when_the_line_has_told_where_it_was_heard() -> None:
    async def scene() -> None:
        line = Ear()
        line.is_near = False
        async with Scene(line, barge_in=PATIENT) as call:
            pcm = await call.replies("r1", 1000)
            await call.passes(400)
            await coughs(call)
            await call.passes(2000)
            waiting = len(call.seen(Resumed))

            line.tell()
            await call.passes(1000)

            assert (waiting, len(call.seen(Resumed))) == (0, 1)
            assert bytes(line.ear) == pcm

    play(scene)


def test_words_stop_the_paused_agent_where_it_was_paused_and_get_one_answer() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            await call.replies("r1", 3000, done=False)
            await call.passes(700)
            await call.begins_to_speak()
            await call.passes(400)
            paused = call.channel.interruptions, call.sent(*STOPPING), call.seen(Interrupted)

            await call.stops_speaking(text="wait")
            await call.says(ResponseDone("r1", "cancelled"))

            assert paused == (1, [], [])
            assert call.sent(*STOPPING) == [
                ResponseCancel("r1"),
                ItemTruncate("item-r1", 0, 700),
                ResponseCreate("request-1"),
            ]
            assert call.seen(Interrupted) == [Interrupted((Heard("item-r1", 0, 700, 3000),))]
            assert (call.channel.interruptions, call.seen(Resumed)) == (1, [])

    play(scene)


def test_words_stop_the_paused_agent_while_the_caller_still_speaks() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            await call.replies("r1", 3000)
            await call.passes(700)
            await call.begins_to_speak()
            await call.says(TranscriptInputDelta("u1", "wait"))

            assert call.sent(*STOPPING) == [ItemTruncate("item-r1", 0, 700)]

    play(scene)


def test_a_voice_whose_words_are_known_when_it_is_long_enough_is_not_waited_for() -> None:
    async def scene() -> None:
        async with Scene(barge_in=BargeInRules(min_speech_ms=300, resume_after_ms=1000)) as call:
            await call.replies("r1", 3000)
            await call.hears(100)
            await call.begins_to_speak()
            await call.says(TranscriptInputDelta("u1", "wait"))
            await call.hears(200)

            assert call.sent(*STOPPING) == [ItemTruncate("item-r1", 0, 300)]

    play(scene)


def test_words_that_come_too_late_stop_the_agent_that_went_on() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            await call.replies("r1", 3000)
            await call.passes(700)
            await coughs(call)
            await call.passes(1200)

            await call.says(TranscriptInput("u1", "wait"))

            assert len(call.seen(Resumed)) == 1
            assert call.sent(*STOPPING) == [ItemTruncate("item-r1", 0, 900), ResponseCreate("request-1")]

    play(scene)


def test_an_interruption_after_a_pause_counts_from_the_items_beginning() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            await call.replies("r1", 3000)
            await call.passes(700)
            await coughs(call)
            await call.passes(1000 + 500)

            await call.session.interrupt()

            assert call.sent(ItemTruncate) == [ItemTruncate("item-r1", 0, 1200)]
            assert call.seen(Interrupted) == [Interrupted((Heard("item-r1", 0, 1200, 3000),))]

    play(scene)


def test_an_agent_that_is_paused_twice_goes_on_twice() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            pcm = await call.replies("r1", 3000)
            await call.passes(700)
            await coughs(call, "u1")
            await call.passes(1000 + 500)
            await coughs(call, "u2")
            await call.passes(1000 + 400)
            await call.session.interrupt()

            assert bytes(line.ear) == pcm[: size(1600)]
            assert call.sent(ItemTruncate) == [ItemTruncate("item-r1", 0, 1600)]
            assert len(call.seen(Resumed)) == 2

    play(scene)


def test_a_second_sound_during_the_pause_prolongs_it() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            pcm = await call.replies("r1", 1000)
            await call.passes(400)
            await coughs(call, "u1")
            await call.passes(900)
            await call.begins_to_speak("u2")
            await call.passes(500)
            resumed_too_early = len(call.seen(Resumed))
            await call.stops_speaking("u2")
            await call.passes(3000)

            assert (resumed_too_early, len(call.seen(Resumed))) == (0, 1)
            assert bytes(line.ear) == pcm
            assert call.sent(*STOPPING) == []

    play(scene)


def test_words_of_a_second_voice_during_the_pause_stop_the_agent_and_both_get_one_answer() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            await call.replies("r1", 1000)
            await call.passes(400)
            await coughs(call, "u1")
            await call.begins_to_speak("u2")
            await call.stops_speaking("u2", text="hello")
            await call.says(TranscriptInput("u1", "hm"))
            await call.passes(3000)

            assert call.sent(*STOPPING) == [ItemTruncate("item-r1", 0, 400), ResponseCreate("request-1")]

    play(scene)


def test_a_reply_that_was_stopped_is_not_heard_again_when_a_later_one_goes_on() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            first = await call.replies("r1", 1000)
            await call.passes(400)
            await call.session.interrupt()
            second = await call.replies("r2", 1000)
            await call.passes(300)
            await coughs(call)
            await call.passes(3000)

            assert bytes(line.ear) == first[: size(400)] + second

    play(scene)


def test_interrupt_during_a_pause_stops_the_agent_and_nothing_goes_on() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            await call.replies("r1", 1000)
            await call.passes(400)
            await coughs(call)

            await call.session.interrupt()
            await call.passes(3000)

            assert (line.interruptions, len(line.ear)) == (1, size(400))
            assert call.sent(*STOPPING) == [ItemTruncate("item-r1", 0, 400)]
            assert (len(call.seen(Interrupted)), call.seen(Resumed)) == (1, [])

    play(scene)


def test_what_came_during_a_pause_that_is_stopped_was_not_heard() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            await call.replies("r1", 1000, done=False)
            await call.passes(400)
            await call.begins_to_speak()
            await call.says(AudioOutputDone("r1", "item-r1", 0), AudioOutputDelta("r1", "item-2", 0, voice(300)))

            await call.session.interrupt()

            assert call.sent(ItemTruncate) == [ItemTruncate("item-r1", 0, 400), ItemTruncate("item-2", 0, 0)]
            heard = {item.item_id: item.heard_ms for item in call.session.history if item.role == "assistant"}
            assert heard == {"item-r1": 400, "item-2": 0}

    play(scene)


def test_an_interrupt_in_the_moment_of_going_on_wins() -> None:
    async def scene() -> None:
        line = Ear()
        line.is_near = False
        async with Scene(line, barge_in=PATIENT) as call:
            await call.replies("r1", 1000)
            await call.passes(400)
            await coughs(call)
            await call.passes(1200)
            interrupting = asyncio.create_task(call.session.interrupt())
            await call.settles()

            line.tell()
            await interrupting
            await call.passes(1000)

            assert len(line.ear) == size(400)
            assert call.sent(*STOPPING) == [ItemTruncate("item-r1", 0, 400)]

    play(scene)


def test_what_was_heard_before_a_pause_is_known_when_the_caller_hangs_up_in_it() -> None:
    async def scene() -> None:
        async with Scene(LateLine(), barge_in=PATIENT) as call:
            await call.replies("r1", 1000)
            await call.passes(400)
            await coughs(call)
            await call.replies("r2", 500)

            call.channel.hang_up()

            assert await call.session.wait_closed() == Closed("caller")
            heard = [(item.status, item.heard_ms) for item in call.session.history if item.role == "assistant"]
            assert heard == [("cut", 400), ("cut", 0)]

    play(scene)


def test_a_pause_is_not_the_end_of_playback() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            await call.replies("r1", 1000)
            waiting = asyncio.create_task(call.session.wait_played())
            await call.passes(400)
            await coughs(call)
            await call.passes(900)
            was_done = waiting.done()
            await call.passes(3000)

            assert (was_done, await waiting) == (False, True)

    play(scene)


def test_a_response_asked_for_during_a_pause_waits_for_its_end() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            await call.replies("r1", 1000)
            await call.passes(400)
            await coughs(call)
            await call.session.send_message("Hello?")
            early = call.sent(ResponseCreate)
            await call.passes(1100)

            assert (early, call.sent(ResponseCreate)) == ([], [ResponseCreate("request-1")])

    play(scene)


def test_a_reply_too_long_to_be_kept_is_stopped_where_it_was_paused() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            minute = voice(60_000)
            too_much = [AudioOutputDelta("r1", "item-r1", 0, minute) for _ in range(MAX_KEPT_MS // 60_000 + 1)]
            await call.says(ResponseCreated("r1"), *too_much, AudioOutputDone("r1", "item-r1", 0))
            await call.says(ResponseDone("r1", "completed"))
            await call.passes(400)
            await coughs(call)
            await call.passes(1100)

            assert call.seen(Resumed) == []
            assert call.sent(*STOPPING) == [ItemTruncate("item-r1", 0, 400), ResponseCreate("request-1")]

    play(scene)


def test_a_voice_that_never_stops_stops_the_agent_after_a_while() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            await call.replies("r1", 30_000)
            await call.passes(400)
            await call.begins_to_speak()
            await call.passes(MAX_VOICE_S * 1000 - 100)
            before = call.sent(*STOPPING)
            await call.passes(200)
            stopped = call.sent(*STOPPING)
            await call.stops_speaking(text="")

            assert (before, stopped) == ([], [ItemTruncate("item-r1", 0, 400)])
            assert call.sent(*STOPPING) == [*stopped, ResponseCreate("request-1")]

    play(scene)


def test_a_pause_of_a_line_that_has_nothing_left_to_play_stops_the_response_that_goes_on() -> None:
    async def scene() -> None:
        async with Scene(barge_in=PATIENT) as call:
            await call.says(ResponseCreated("r1"))

            await call.begins_to_speak()

            assert (call.channel.interruptions, call.sent(*STOPPING)) == (0, [ResponseCancel("r1")])

    play(scene)


def test_a_line_that_breaks_when_the_agent_is_to_go_on_ends_the_call_as_the_lines_fault() -> None:
    class Breaking(Line):
        is_broken = False

        async def send_audio(self, pcm: bytes, item: Any) -> None:
            if self.is_broken:
                raise ChannelError("the cable is cut")
            await super().send_audio(pcm, item)

    async def scene() -> None:
        line = Breaking()
        async with Scene(line, barge_in=PATIENT) as call:
            await call.replies("r1", 1000)
            await coughs(call)
            line.is_broken = True

            await call.passes(1100)

            assert await call.session.wait_closed() == Closed("line", "the cable is cut")

    play(scene)


def test_a_voice_is_weighed_by_its_length_first_and_by_its_words_then() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=BargeInRules(min_speech_ms=300, resume_after_ms=1000)) as call:
            pcm = await call.replies("r1", 5000)
            await sounds(call, 200, "u1", text="")
            after_a_cough = line.interruptions
            await sounds(call, 400, "u2", text="")
            await call.passes(6000)

            assert (after_a_cough, line.interruptions) == (0, 1)
            assert bytes(line.ear) == pcm
            assert call.sent(*STOPPING) == []

    play(scene)


def test_a_turn_whose_voice_is_not_said_to_have_stopped_holds_nothing_up() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            pcm = await call.replies("r1", 1000)
            await call.begins_to_speak()
            await call.says(AudioInputCommitted("u1"))
            await call.passes(3000)

            assert bytes(line.ear) == pcm

    play(scene)


def test_a_sound_that_ends_without_a_turn_holds_nothing_up() -> None:
    async def scene() -> None:
        line = Ear()
        async with Scene(line, barge_in=PATIENT) as call:
            pcm = await call.replies("r1", 1000)
            await call.begins_to_speak()
            await call.says(SpeechStopped("u1"))
            await call.passes(3000)

            assert bytes(line.ear) == pcm

    play(scene)
