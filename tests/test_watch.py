"""The clocks of a call: when a silent caller is asked and given up, when time is up, when a side has gone quiet."""

import asyncio

import pytest

from agents import ProviderError, RealtimeSession, Transcription, tool
from agents.agent import STALLED_S
from agents.barge_in import BargeInRules
from agents.events import (
    AudioInputAppend,
    AudioInputCommitted,
    Closed,
    Error,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    TranscriptInput,
)
from agents.idle import VOICE_HOLD_S, WORDS_S, IdleStep
from agents.realtime import SessionConfig
from agents.time_limit import DurationWarning
from agents.watch import CHECK_S, MODEL_SILENCE_S, STALL_SILENCE_MS
from tests.scene import (  # noqa: F401 audio_format is for all tests here
    LateLine,
    Scene,
    audio_format,
    play,
    reply,
    silence,
    voice,
    voiced_frame,
)

ASK = IdleStep(after_s=10, say="Are you still there?")
BYE = IdleStep(after_s=5, say="Goodbye.", hang_up=True)
LADDER = (ASK, BYE)
WRITES = SessionConfig(transcription=Transcription())
SLACK_MS = 2000 * CHECK_S
"""How late a clock may be that is looked at so often."""


def asked(call: Scene) -> list[str | None]:
    """What the model was asked to say, in order."""
    return [event.say for event in call.sent(ResponseCreate) if isinstance(event, ResponseCreate)]


async def noise(call: Scene, ms: int, *, item_id: str = "noise") -> None:
    """A sound in which no word is understood."""
    await call.begins_to_speak(item_id)
    await call.passes(ms)
    await call.stops_speaking(item_id, text="")


# ---- a silent caller ----


def test_a_silent_caller_is_asked_then_told_goodbye_and_the_call_ends_when_that_was_heard() -> None:
    async def scene() -> None:
        async with Scene(idle=LADDER, config=WRITES) as call:
            await call.passes(10_000 + SLACK_MS)
            first = asked(call)
            await call.replies("ask", 2000)
            await call.passes(2000 + 5000 + SLACK_MS)
            second = asked(call)
            await call.replies("bye", 2000)
            await call.passes(1900)
            before_the_end = call.session.closed
            await call.passes(100 + SLACK_MS)

            assert (first, second) == (["Are you still there?"], ["Are you still there?", "Goodbye."])
            assert (before_the_end, call.session.closed) == (None, Closed("idle"))

    play(scene)


def test_silence_counts_from_the_end_of_what_the_caller_heard() -> None:
    async def scene() -> None:
        async with Scene(idle=LADDER, config=WRITES, greeting="Hello.") as call:
            await call.replies("hello", 30_000)
            await call.passes(30_000 + 9_000)
            before = asked(call)
            await call.passes(1000 + SLACK_MS)

            assert (before, asked(call)) == (["Hello."], ["Hello.", "Are you still there?"])

    play(scene)


def test_comfort_noise_cannot_keep_a_call_alive() -> None:
    async def scene() -> None:
        async with Scene(idle=LADDER, config=WRITES) as call:
            answered, longest_s = 0, ASK.after_s + BYE.after_s + 3 * VOICE_HOLD_S + 5
            for number in range(round(longest_s / 1.5)):
                await noise(call, 500, item_id=f"n{number}")
                await call.passes(1000)
                if answered < len(asked(call)):
                    answered += 1
                    await call.says(ResponseCreated(f"r{number}"), ResponseDone(f"r{number}", "completed"))

            assert asked(call) == ["Are you still there?", "Goodbye."]
            assert call.session.closed == Closed("idle")

    play(scene)


def test_words_of_the_caller_start_the_ladder_over() -> None:
    async def scene() -> None:
        async with Scene(idle=LADDER, config=WRITES) as call:
            await call.passes(8000)
            await call.begins_to_speak()
            await call.stops_speaking(text="Wait a moment.")
            await call.passes(9000)
            before = asked(call)
            await call.passes(1000 + SLACK_MS)

            assert (before, asked(call)) == ([], ["Are you still there?"])

    play(scene)


def test_a_caller_who_answers_the_goodbye_keeps_the_call() -> None:
    async def scene() -> None:
        async with Scene(idle=(BYE,), config=WRITES) as call:
            await call.passes(5000 + SLACK_MS)
            await call.replies("bye", 2000)
            await call.passes(1000)
            await call.begins_to_speak()
            await call.passes(1000)
            await call.stops_speaking()
            await call.passes(1000)
            await call.says(TranscriptInput("u1", "I am here!"))
            await call.replies("r1", 500)

            await call.passes(500 + 2000)

            assert call.session.closed is None

    play(scene)


def test_a_noise_over_the_goodbye_does_not_keep_the_call() -> None:
    async def scene() -> None:
        async with Scene(idle=(BYE,), config=WRITES) as call:
            await call.passes(5000 + SLACK_MS)
            await call.replies("bye", 2000)
            await call.passes(1000)
            await noise(call, 300)
            await call.passes(1000 * WORDS_S + SLACK_MS)

            assert call.session.closed == Closed("idle")

    play(scene)


def test_a_key_over_the_goodbye_keeps_the_call() -> None:
    async def scene() -> None:
        async with Scene(idle=(BYE,), config=WRITES) as call:
            await call.passes(5000 + SLACK_MS)
            await call.replies("bye", 1000)
            call.channel.press("1")
            await call.passes(1000 + 4000)

            assert call.session.closed is None

    play(scene)


@pytest.mark.parametrize("config", [SessionConfig(), SessionConfig(transcription=None)])
def test_a_caller_whose_words_nobody_writes_down_is_not_taken_for_a_silent_one(config: SessionConfig) -> None:
    async def scene() -> None:
        async with Scene(idle=LADDER, config=config) as call:
            for number in range(10):
                await call.passes(7000)
                await call.begins_to_speak(f"u{number}")
                await call.stops_speaking(f"u{number}")

            assert (asked(call), call.session.closed) == ([], None)

    play(scene)


def test_a_tool_at_work_is_not_the_callers_silence() -> None:
    @tool
    async def lookup() -> str:
        """Takes its time."""
        await asyncio.sleep(12)
        return "found"

    async def scene() -> None:
        async with Scene(idle=LADDER, config=WRITES, tools=(lookup,)) as call:
            await call.says(
                ResponseCreated("r1"), ToolCall("r1", "c1", "lookup", "{}"), ResponseDone("r1", "completed")
            )
            await call.passes(12_000 + SLACK_MS)
            await call.replies("r2", 500)
            await call.passes(9000)

            assert asked(call) == [None]

    play(scene)


def test_a_step_without_words_ends_the_call_by_itself() -> None:
    async def scene() -> None:
        async with Scene(idle=(IdleStep(after_s=3, hang_up=True),), config=WRITES) as call:
            await call.passes(3000 + SLACK_MS)

            assert call.session.closed == Closed("idle")

    play(scene)


def test_a_goodbye_that_has_to_wait_is_said_before_the_call_ends() -> None:
    async def scene() -> None:
        line = LateLine()
        async with Scene(line, idle=(BYE,), config=WRITES) as call:
            await call.replies("r1", 1000)
            await call.passes(1000 + 4800)
            await call.replies("r2", 1000)
            interrupting = asyncio.create_task(call.session.interrupt())
            await call.passes(5000 + SLACK_MS)
            waiting = asked(call), call.session.closed
            line.tell()
            await interrupting
            await call.passes(5000 + SLACK_MS)

            assert waiting == ([], None)
            assert (asked(call), call.session.closed) == (["Goodbye."], None)

    play(scene)


# ---- the time of the whole call ----


def test_a_call_is_warned_of_its_end_and_ends() -> None:
    async def scene() -> None:
        warning = DurationWarning(before_s=10, say="We have ten seconds left, {{ who }}.")
        async with Scene(max_duration_s=60, duration_warning=warning, variables={"who": "Bob"}) as call:
            await call.passes(49_000)
            before = asked(call)
            await call.passes(1000 + SLACK_MS)
            warned = asked(call)
            await call.replies("warning", 2000)
            await call.passes(7000)
            alive = call.session.closed
            await call.passes(3000)

            assert (before, warned, asked(call)) == ([], *[["We have ten seconds left, Bob."]] * 2)
            assert (alive, call.session.closed) == (None, Closed("time-limit"))

    play(scene)


def test_a_warning_waits_for_the_reply_that_is_being_said() -> None:
    async def scene() -> None:
        async with Scene(max_duration_s=60, duration_warning=DurationWarning(before_s=30, say="Soon.")) as call:
            await call.says(*reply("r1", voice(500), done=False))
            for _ in range(4):
                await call.passes(8000)
                await call.says(TranscriptInput("u1", "go on"))
            before = asked(call)
            await call.says(ResponseDone("r1", "completed"))
            await call.passes(SLACK_MS)

            assert (before, asked(call)) == ([], ["Soon."])

    play(scene)


def test_a_caller_who_interrupts_the_reply_before_the_warning_is_warned_all_the_same() -> None:
    async def scene() -> None:
        async with Scene(max_duration_s=60, duration_warning=DurationWarning(before_s=30, say="Soon.")) as call:
            await call.passes(29_500)
            await call.says(*reply("r1", voice(5000), done=False))
            await call.passes(1000)
            await call.session.interrupt()
            await call.says(ResponseDone("r1", "cancelled"))
            await call.passes(SLACK_MS)

            assert asked(call) == ["Soon."]

    play(scene)


# ---- a model that is gone ----


def test_a_model_that_owes_an_answer_and_says_nothing_is_given_up_and_told_once() -> None:
    async def scene() -> None:
        async with Scene(greeting="Hello.") as call:
            await call.passes(1000 * MODEL_SILENCE_S - 500)
            alive = call.session.closed
            await call.passes(1000)

            silent = f"the model was silent for {MODEL_SILENCE_S:g} s"
            assert (alive, call.session.closed) == (None, Closed("provider", f"timeout: {silent}"))
            assert call.seen(Error) == [Error("timeout", silent, retryable=True)]

    play(scene)


def test_a_model_that_never_ends_its_response_is_given_up() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.replies("r1", 500, done=False)
            await call.session.interrupt()
            await call.passes(1000 * MODEL_SILENCE_S + SLACK_MS)

            assert call.session.closed is not None
            assert call.session.closed.reason == "provider"

    play(scene)


def test_a_model_that_owes_nothing_may_be_silent_for_as_long_as_it_likes() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.passes(60_000)

            assert call.session.closed is None

    play(scene)


def test_time_spent_in_a_tool_is_not_the_models_silence() -> None:
    @tool(timeout_s=60)
    async def slow() -> str:
        """Takes its time."""
        await asyncio.sleep(40)
        return "done"

    async def scene() -> None:
        async with Scene(tools=(slow,)) as call:
            await call.says(ResponseCreated("r1"), ToolCall("r1", "c1", "slow", "{}"), ResponseDone("r1", "completed"))
            await call.passes(45_000)

            assert call.session.closed is None

    play(scene)


def test_a_model_that_fails_while_it_is_watched_ends_the_call_as_its_own_fault() -> None:
    async def scene() -> None:
        async with Scene(idle=LADDER, config=WRITES) as call:
            call.model.failure = ProviderError("gone", code="network", retryable=True)
            await call.passes(10_000 + SLACK_MS)

            assert call.session.closed == Closed("provider", "network: gone")

    play(scene)


def test_a_wait_for_the_answer_to_words_that_stopped_the_agent_is_counted() -> None:
    async def scene() -> None:
        async with Scene(barge_in=BargeInRules(min_words=2)) as call:
            await call.replies("r1", 5000)
            await call.passes(1000)
            await call.begins_to_speak()
            await call.stops_speaking(text="stop it please")
            await call.passes(3000)
            await call.replies("r2", 1000)

            assert 2900 <= call.session.worst_silence_ms <= 3100

    play(scene)


# ---- audio that stalls ----


def appended(call: Scene) -> list[bytes]:
    return [event.pcm for event in call.sent(AudioInputAppend) if isinstance(event, AudioInputAppend)]


def test_audio_that_stalls_in_mid_speech_is_followed_by_a_second_of_silence_once() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.hears(100)
            await call.begins_to_speak()
            await call.hears(200)
            await call.passes(1000 * STALLED_S - 100)
            before = len(appended(call))
            await call.passes(10_000)

            assert before == 15
            assert appended(call)[15:] == [silence(STALL_SILENCE_MS)]

    play(scene)


def test_a_stall_is_left_alone_where_the_agent_says_so() -> None:
    async def scene() -> None:
        async with Scene(stalled_s=None) as call:
            await call.hears(100)
            await call.begins_to_speak()
            await call.hears(200)
            await call.passes(10_000)

            assert len(appended(call)) == 15

    play(scene)


def test_each_stall_gets_its_silence() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.hears(100)
            await call.begins_to_speak()
            for _ in range(2):
                await call.hears(100)
                await call.passes(3000)

            assert appended(call).count(silence(STALL_SILENCE_MS)) == 2

    play(scene)


def test_outside_speech_nothing_takes_the_place_of_audio_that_is_missing() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.hears(100)
            await call.begins_to_speak()
            await call.hears(100)
            await call.stops_speaking()
            await call.passes(10_000)

            assert silence(STALL_SILENCE_MS) not in appended(call)

    play(scene)


def test_audio_that_goes_on_is_not_mended() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.hears(100)
            await call.begins_to_speak()
            await call.hears(4000)

            assert silence(STALL_SILENCE_MS) not in appended(call)

    play(scene)


# ---- dead air ----


def test_the_wait_for_the_greeting_is_dead_air() -> None:
    async def scene() -> None:
        async with Scene(greeting="Hello.") as call:
            await call.passes(1200)
            await call.replies("hello", 500)
            await call.passes(3000)

            assert call.session.worst_silence_ms == 1200

    play(scene)


def test_the_longest_wait_for_an_answer_is_what_counts() -> None:
    async def scene() -> None:
        async with Scene(config=WRITES) as call:
            for number, wait_ms in enumerate((400, 1600, 800)):
                await call.begins_to_speak(f"u{number}")
                await call.stops_speaking(f"u{number}", text="And then?")
                await call.passes(wait_ms)
                await call.replies(f"r{number}", 500)
                await call.passes(2000)

            assert call.session.worst_silence_ms == 1600

    play(scene)


def test_a_noise_that_gets_no_answer_is_no_dead_air() -> None:
    async def scene() -> None:
        async with Scene(config=WRITES) as call:
            await noise(call, 300)
            await call.passes(8000)
            await call.begins_to_speak()

            assert call.session.worst_silence_ms == 0

    play(scene)


def test_a_wait_that_the_end_of_the_call_cuts_off_counts() -> None:
    async def scene() -> None:
        async with Scene() as call:
            await call.begins_to_speak()
            await call.stops_speaking()
            await call.passes(3000)
            call.channel.hang_up()
            await call.session.wait_closed()

            assert call.session.worst_silence_ms == 3000

    play(scene)


# ---- without a line ----


def test_a_session_without_a_channel_is_watched_as_well() -> None:
    async def scene() -> None:
        lineless = Scene(idle=LADDER, config=WRITES)
        lineless.session = RealtimeSession(lineless.session.agent)
        async with lineless as call:
            await call.session.send_audio(voiced_frame())
            await call.says(SpeechStarted("u1"))
            await call.passes(2000)
            stalled = appended(call)
            await call.says(SpeechStopped("u1"), AudioInputCommitted("u1"), TranscriptInput("u1", "Hello."))
            await call.passes(10_000 + SLACK_MS)

            assert stalled == [voiced_frame(), silence(STALL_SILENCE_MS)]
            assert asked(call) == ["Are you still there?"]

    play(scene)
