"""A conversation that outlives its model's connections when several things go wrong at once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agents.barge_in import BargeInRules
from agents.candidates import Candidate
from agents.circuit import FAILURES, REST_S
from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import (
    AudioInputCommit,
    AudioInputCommitted,
    AudioOutputDelta,
    ClientEvent,
    Closed,
    Interrupted,
    ItemCreate,
    ItemTruncate,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionResumable,
    Speech,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    TranscriptInput,
)
from agents.lasting import LastingModel
from agents.lasting_connection import MAX_YOUNG, PAUSE_IN_REPLY_S, STALL_S
from agents.realtime import (
    PastMessage,
    RealtimeConnectOptions,
    SessionConfig,
    TokenCredential,
    Transcription,
    TurnDetection,
)
from agents.tools import tool
from agents.unfinished import GO_ON, LOST
from tests.lasting_scene import Connection, LongCall, Model
from tests.scene import play
from tests.test_lasting import DOWN, FRAME, PCM_MS, turn, words

STORY: list[ServerEvent] = words("r1", "It is a long story.", ms=6000)[:3]
"""A response that is still under way, and has six seconds of audio."""


# ---- hanging up ----


def test_who_hangs_up_while_the_next_connection_is_not_ready_ends_the_call_and_that_connection() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            model.is_ready_at_once = False
            model.connections[0].breaks()
            await call.passes(0.5)
            call.channel.hang_up()
            await call.session.wait_closed()

            assert [connection.is_closed for connection in model.connections] == [True, True]

    play(scene)


def test_who_hangs_up_during_a_renewal_ends_both_connections() -> None:
    async def scene() -> None:
        model = Model("only", max_connection_s=600)
        async with LongCall(model) as call:
            await call.passes(479)
            model.is_ready_at_once = False
            await call.passes(2)
            call.channel.hang_up()
            await call.session.wait_closed()

            assert [connection.is_closed for connection in model.connections] == [True, True]

    play(scene)


# ---- connections that do not live ----


def test_a_model_whose_connections_die_at_once_is_not_asked_for_ever() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            for _ in range(20):
                model.connections[-1].breaks()
                await call.passes(PAUSE_S)
            assert call.seen(Closed)[0].reason == "provider"
            assert len(model.connections) == MAX_YOUNG

    play(scene)


def test_a_model_whose_connection_dies_at_once_is_asked_after_the_others() -> None:
    async def scene() -> None:
        first, second = Model("first"), Model("second")
        async with LongCall(first, second) as call:
            first.connections[0].breaks()
            await call.settles()

            assert call.steps[-1] == ("replaced", "driven/second")
            assert first.asked == 1

    play(scene)


PAUSE_S = 0.6


def test_a_model_that_hangs_leaves_the_others_their_share_of_the_time() -> None:
    async def scene() -> None:
        first, second = Model("first", resume="handle"), Model("second")
        async with LongCall(first, second) as call:
            await call.says(first.connections[0], *words("r1", "Hello."), SessionResumable("h1"))
            await call.passes(1)
            first.takes_s, second.takes_s = 100, 1.5
            first.connections[0].breaks()
            await call.passes(5)

            assert call.steps[-1] == ("replaced", "driven/second")
            assert not call.seen(Closed)

    play(scene)


# ---- circuits ----


def test_a_model_that_is_well_again_serves_again() -> None:
    async def scene() -> None:
        first, second = Model("first", *[DOWN] * FAILURES), Model("second")
        lasting = LastingModel([Candidate(first), Candidate(second)])
        for _ in range(FAILURES + 1):
            async with LongCall(first, second, lasting=lasting):
                pass
        await asyncio.sleep(REST_S)
        served = []
        for _ in range(5):
            async with LongCall(first, second, lasting=lasting):
                served.append(len(first.connections))
        assert served == [1, 2, 3, 4, 5]

    play(scene)


def test_failures_with_good_calls_between_them_keep_nobody_away() -> None:
    async def scene() -> None:
        first, second = Model("first", *[DOWN, None] * FAILURES * 2), Model("second")
        lasting = LastingModel([Candidate(first), Candidate(second)])
        for _ in range(FAILURES * 4):
            async with LongCall(first, second, lasting=lasting):
                pass
        assert first.asked == FAILURES * 4

    play(scene)


def test_a_model_that_rests_is_asked_when_the_others_fail() -> None:
    async def scene() -> None:
        first, second = Model("first"), Model("second")
        lasting = LastingModel([Candidate(first), Candidate(second)])
        for _ in range(FAILURES):
            lasting.candidates[1].circuit.failed(asyncio.get_running_loop().time())
        async with LongCall(first, second, lasting=lasting) as call:
            first.refusals.extend([DOWN] * 100)
            first.connections[0].breaks()
            await call.passes(1)

            assert call.steps[-1] == ("replaced", "driven/second")

    play(scene)


def test_one_callers_expired_credential_is_no_failure_of_the_model() -> None:
    async def scene() -> None:
        first, second = Model("first", ProviderError("expired", code="auth", retryable=False)), Model("second")
        lasting = LastingModel([Candidate(first), Candidate(second)])
        theirs = TokenCredential("token", datetime.now(UTC) + timedelta(hours=1))
        await (await lasting.connect(RealtimeConnectOptions(credential=theirs))).close()
        async with LongCall(first, second, lasting=lasting):
            assert len(first.connections) == 1

    play(scene)


def test_an_abort_after_the_connection_was_open_does_not_keep_it_from_going_on() -> None:
    async def scene() -> None:
        abort = asyncio.Event()
        model = Model("only")
        connection = await LastingModel([Candidate(model)]).connect(RealtimeConnectOptions(abort=abort))
        abort.set()
        async with connection:
            await anext(connection)
            model.connections[0].breaks()
            await anext(connection)
            await anext(connection)

            assert model.connections[1].options.abort is None

    play(scene)


# ---- the caller's turn ----


def test_a_turn_whose_words_are_not_written_down_yet_is_heard_again_though_its_answer_had_begun() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.passes(1, bytes(960))
            await call.says(first, SpeechStarted("u1"))
            await call.passes(3, FRAME)
            await call.says(first, SpeechStopped("u1"), AudioInputCommitted("u1"), ResponseCreated("r1"))
            first.breaks()
            await call.settles()

            second = model.connections[1]
            assert second.heard.count(FRAME) == 150
            assert second.of(ResponseCreate) == []
            assert call.seen(Response)[-1] == Response("r1", "incomplete", LOST)
            assert call.session.history == ()

    play(scene)


def test_a_turn_is_heard_again_by_a_third_connection_when_the_second_dies_before_it_tells_of_it() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, SpeechStarted("u1"))
            await call.passes(3, FRAME)
            first.breaks()
            await call.passes(0.1, FRAME)
            model.connections[1].breaks()
            await call.passes(1, FRAME)

            assert model.connections[2].heard.count(FRAME) >= 155

    play(scene)


def test_what_was_said_since_the_last_commit_is_heard_again_where_nobody_tells_of_turns() -> None:
    async def scene() -> None:
        model = Model("only")
        config = SessionConfig(turn_detection=TurnDetection(mode="manual"))
        async with LongCall(model, config=config) as call:
            await call.passes(4, FRAME)
            await call.session.commit()
            model.connections[0].breaks()
            await call.settles()

            second = model.connections[1]
            assert second.heard.count(FRAME) == 200
            assert second.of(AudioInputCommit) == [AudioInputCommit()]

    play(scene)


def test_a_voice_is_told_to_be_silent_when_its_connection_is_lost_though_an_answer_had_begun() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, SpeechStarted("u1"), ResponseCreated("r1"))
            first.breaks()
            await call.settles()

            assert [each.active for each in call.seen(Speech)] == [True, False]

    play(scene)


# ---- rules that weigh the caller's voice ----


def test_a_models_own_turn_detection_leaves_it_to_the_agent_who_stops_and_answers() -> None:
    async def scene() -> None:
        model = Model("only")
        own = {"turn_detection": TurnDetection(silence_duration_ms=900)}
        lasting = LastingModel([Candidate(model, own)])
        async with LongCall(model, lasting=lasting, barge_in=BargeInRules(min_speech_ms=300)):
            config = model.connections[0].options.session_config
            assert config and config.turn_detection == TurnDetection(
                silence_duration_ms=900, create_response=False, interrupt_response=False
            )

    play(scene)


def test_words_that_did_not_count_keep_no_connection_from_its_renewal_and_stay_in_the_history() -> None:
    async def scene() -> None:
        model = Model("only", max_connection_s=600)
        rules, config = BargeInRules(min_words=3), SessionConfig(transcription=Transcription())
        async with LongCall(model, barge_in=rules, config=config) as call:
            first = model.connections[0]
            await call.says(first, *words("r1", "It is a long story.", ms=2000)[:3])
            await call.says(first, *turn("u1", "Yes."), *words("r1", "It is a long story.", ms=10)[3:])
            await call.passes(500, FRAME)

            assert call.steps == [("renewed", "driven/only")]
            assert [item.text for item in call.session.history if item.role == "user"] == ["Yes."]

    play(scene)


def test_a_reply_that_a_cough_did_not_stop_is_gone_on_with() -> None:
    async def scene() -> None:
        model = Model("only")
        rules, config = BargeInRules(min_words=2), SessionConfig(transcription=Transcription())
        async with LongCall(model, barge_in=rules, config=config) as call:
            first = model.connections[0]
            await call.says(first, *STORY)
            await call.passes(0.5)
            await call.says(first, *turn("u1", ""), AudioOutputDelta("r1", "item-r1", 0, 1000 * PCM_MS))
            first.breaks()
            await call.settles()

            assert [create.instructions for create in model.connections[1].of(ResponseCreate)] == [GO_ON]

    play(scene)


# ---- going on with a reply ----


def test_who_interrupts_in_the_gap_hears_no_more_of_the_reply() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model, barge_in=BargeInRules(on_key=True)) as call:
            await call.says(model.connections[0], *STORY)
            model.takes_s = 1.0
            model.connections[0].breaks()
            await call.passes(0.3)
            call.channel.press("1")
            await call.passes(2)

            assert len(call.seen(Interrupted)) == 1
            assert model.connections[1].of(ResponseCreate) == []
            assert call.seen(Response)[-1] == Response("r1", "cancelled", LOST)

    play(scene)


def test_who_interrupts_before_the_next_model_has_begun_to_go_on_hears_nothing_of_it() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            await call.says(model.connections[0], *STORY)
            model.connections[0].breaks()
            await call.passes(0.2)
            second = model.connections[1]
            await call.session.interrupt()
            await call.says(second, *words("r2", "And it goes on.", 3000)[:3])

            assert second.of(ResponseCancel) == [ResponseCancel("r2")]
            assert not call.channel.is_playing
            await call.says(second, ResponseDone("r2", "cancelled"), *words("r3", "Yes?", 300))
            assert [each.response_id for each in call.seen(Response)] == ["r1", "r1", "r3", "r3"]
            assert call.channel.is_playing

    play(scene)


def test_a_request_that_waited_for_the_reply_waits_for_what_goes_on_with_it() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            await call.says(model.connections[0], *STORY)
            await call.session.send_message("And what of it?")
            model.connections[0].breaks()
            await call.settles()
            second = model.connections[1]
            assert len(second.of(ResponseCreate)) == 1
            await call.says(second, *words("r2", "The end."))

            assert len(second.of(ResponseCreate)) == 2

    play(scene)


def test_a_goodbye_that_breaks_off_is_heard_to_its_end_before_the_call_is_closed() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            await call.says(model.connections[0], *words("r1", "Your code is", ms=600)[:3])
            closing = asyncio.create_task(call.session.close("agent", after_playback=True))
            model.takes_s = 1.0
            model.connections[0].breaks()
            await call.passes(1.5)
            assert not call.seen(Closed)
            await call.says(model.connections[1], *words("r2", "four seven eleven.", ms=900))
            await call.passes(1)
            await closing

            assert call.seen(Closed) == [Closed("agent")]

    play(scene)


# ---- what is told, and in which order ----


def test_a_message_that_could_not_be_sent_comes_before_the_request_for_its_answer() -> None:
    async def scene() -> None:
        model = Model("only", resume="handle")
        async with LongCall(model) as call:
            await call.says(model.connections[0], SessionResumable("h1"))
            await call.passes(6)
            model.connections[0].failure = DOWN
            await call.session.send_message("Hello?")
            await call.passes(0.5)

            assert model.connections[1].kinds() == ["item.create", "response.create"]

    play(scene)


def test_a_message_during_a_renewal_reaches_the_new_connection() -> None:
    async def scene() -> None:
        model = Model("only", max_connection_s=600)
        async with LongCall(model) as call:
            await call.passes(479)
            model.takes_s = 1.0
            await call.passes(1.3)
            await call.session.send_message("The caller is Ann.", respond=False)
            await call.passes(2)

            first, second = model.connections
            assert [create.text for create in first.of(ItemCreate)] == ["The caller is Ann."]
            past = [each.text for each in second.options.history if isinstance(each, PastMessage)]
            assert past + [create.text for create in second.of(ItemCreate)] == ["The caller is Ann."]

    play(scene)


def test_an_item_that_the_next_connection_never_knew_is_not_truncated_there() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            audio: list[ServerEvent] = [ResponseCreated("r1"), AudioOutputDelta("r1", "a1", 0, 5000 * PCM_MS)]
            await call.says(model.connections[0], *audio, ResponseDone("r1", "completed"))
            model.connections[0].breaks()
            await call.settles()
            await call.session.interrupt()

            assert model.connections[1].of(ItemTruncate) == []

    play(scene)


def test_a_tool_call_that_is_told_twice_keeps_no_connection_from_its_renewal() -> None:
    async def scene() -> None:
        @tool
        def quick() -> str:
            """Answers at once."""
            return "six"

        model = Model("only", max_connection_s=600)
        async with LongCall(model, tools=(quick,)) as call:
            first = model.connections[0]
            asked = ToolCall("r1", "c1", "quick", "{}")
            await call.says(first, ResponseCreated("r1"), asked, ResponseDone("r1", "completed"))
            await call.says(first, *words("r2", "Six."), asked)
            await call.passes(490)

            assert call.steps == [("renewed", "driven/only")]

    play(scene)


def test_a_greeting_that_has_sounded_is_not_given_to_the_next_model_as_one() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model, greeting="Good evening.") as call:
            first = model.connections[0]
            await call.says(first, ResponseCreated("r1"), AudioOutputDelta("r1", "a1", 0, 500 * PCM_MS))
            first.breaks()
            await call.settles()

            config = model.connections[1].options.session_config
            assert config and config.greeting is None

    play(scene)


@pytest.mark.parametrize("error", [ConfigError("no key: set DRIVEN_API_KEY"), DOWN])
def test_one_model_alone_raises_what_keeps_it_from_connecting(error: Exception) -> None:
    async def scene() -> None:
        model = Model("only")

        async def refuse(options: RealtimeConnectOptions | None = None) -> None:
            raise error

        model.connect = refuse  # type: ignore[assignment, method-assign]
        with pytest.raises(type(error)):
            await LongCall(model).session.connect()

    play(scene)


def test_words_of_a_turn_that_come_late_do_not_open_it_again() -> None:
    async def scene() -> None:
        model = Model("only", max_connection_s=600)
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, SpeechStarted("u1"), SpeechStopped("u1"), AudioInputCommitted("u1"))
            await call.says(first, *words("r1", "It is noon."), TranscriptInput("u1", "What time is it?"))
            await call.passes(490, FRAME)

            assert call.steps == [("renewed", "driven/only")]

    play(scene)


# ---- several connections at once ----


def test_a_model_that_is_there_and_says_nothing_gives_way_to_another() -> None:
    async def scene() -> None:
        first, second = Model("first"), Model("second")
        async with LongCall(first, second) as call:
            await call.passes(6)
            await call.session.send_message("Hello?")
            await call.passes(STALL_S + 1)

            assert first.asked == 1
            assert len(second.connections[0].of(ResponseCreate)) == 1

    play(scene)


def test_a_model_that_falls_silent_in_the_middle_of_a_reply_gives_way_to_another() -> None:
    async def scene() -> None:
        first, second = Model("first"), Model("second")
        async with LongCall(first, second) as call:
            await call.says(first.connections[0], *STORY)
            await call.passes(PAUSE_IN_REPLY_S + 1)

            assert call.steps[-1] == ("replaced", "driven/second")
            assert [create.instructions for create in second.connections[0].of(ResponseCreate)] == [GO_ON]

    play(scene)


def test_models_that_never_say_anything_end_the_call() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            await call.session.send_message("Hello?")
            await call.passes((MAX_YOUNG + 1) * (STALL_S + 1))

            assert call.seen(Closed)[0].reason == "provider"
            assert model.asked == MAX_YOUNG

    play(scene)


def test_a_second_break_soon_after_the_first_is_recovered_from_as_well() -> None:
    async def scene() -> None:
        for gap_s in (1.0, 4.0, 4.7, 6.0):
            model = Model("only")
            async with LongCall(model) as call:
                model.connections[0].breaks()
                await call.passes(gap_s)
                model.connections[1].breaks()
                await call.passes(1)

                assert len(model.connections) == 3
                assert not call.seen(Closed)

    play(scene)


def test_a_send_that_fails_late_reaches_the_connection_that_took_over() -> None:
    async def scene() -> None:
        model = Model("only", resume="handle")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, *words("r1", "Hello."), SessionResumable("h1"))
            release = asyncio.Event()

            async def slow(event: ClientEvent) -> None:
                await release.wait()
                raise DOWN

            first.send = slow  # type: ignore[method-assign]
            sending = asyncio.create_task(call.session.send_message("Hello?"))
            await call.settles()
            first.say(DOWN)
            await call.settles()
            release.set()
            await sending
            await call.passes(1)

            second = model.connections[1]
            assert [create.text for create in second.of(ItemCreate)] == ["Hello?"]
            assert second.kinds() == ["item.create", "response.create"]

    play(scene)


def test_a_cancelled_continuation_ends_no_call_on_a_model_that_cannot_cancel() -> None:
    async def scene() -> None:
        model = Model("only", cancel=False)
        async with LongCall(model) as call:
            await call.says(model.connections[0], *STORY)
            model.connections[0].breaks()
            await call.passes(0.2)
            second = model.connections[1]
            await call.session.interrupt()
            told = second.send

            async def no_cancel(event: ClientEvent) -> None:
                if isinstance(event, ResponseCancel):
                    raise NotSupportedError("no cancel")
                await told(event)

            second.send = no_cancel  # type: ignore[method-assign]
            await call.says(second, *words("r2", "And it goes on."))

            assert not call.seen(Closed)
            assert call.seen(Response)[-1] == Response("r1", "cancelled", LOST)

    play(scene)


def test_a_cancelled_continuation_whose_connection_breaks_leaves_nothing_behind() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            await call.says(model.connections[0], *STORY)
            model.connections[0].breaks()
            await call.passes(0.2)
            await call.session.interrupt()
            await call.says(model.connections[1], ResponseCreated("r2"), ToolCall("r2", "c1", "hang_up", "{}"))
            model.connections[1].breaks()
            await call.passes(2)

            assert [each.response_id for each in call.seen(Response)] == ["r1", "r1"]
            assert call.session.is_quiet
            await call.session.send_message("Hello?")
            await call.settles()
            assert len(model.connections[2].of(ResponseCreate)) == 1

    play(scene)


def test_a_connection_that_takes_audio_more_slowly_than_it_comes_is_given_up() -> None:
    async def scene() -> None:
        first, second = Model("first", None, None), Model("second")
        async with LongCall(first, second) as call:
            connect = first.connect

            async def slow(options: RealtimeConnectOptions | None = None) -> Connection:
                connection = await connect(options)
                told = connection.send

                async def send(event: ClientEvent) -> None:
                    await asyncio.sleep(0.03)
                    await told(event)

                connection.send = send  # type: ignore[method-assign]
                return connection

            first.connect = slow  # type: ignore[method-assign]
            await call.passes(6, FRAME)
            first.connections[0].breaks()
            await call.passes(6, FRAME)

            assert call.steps[-1] == ("replaced", "driven/second")

    play(scene)


def test_a_connection_lost_while_its_renewal_is_opened_is_recovered_from_with_what_was_said_meanwhile() -> None:
    async def scene() -> None:
        model = Model("only", max_connection_s=600)
        async with LongCall(model) as call:
            await call.passes(479.9)
            model.takes_s = 1.5
            await call.passes(0.6)
            first = model.connections[0]
            await call.says(first, *turn("u1", "My order is 77."), *STORY)
            first.breaks()
            model.takes_s = 0
            await call.passes(3)

            last = model.connections[-1]
            said = [past.text for past in last.options.history if isinstance(past, PastMessage)]
            assert said[:1] == ["My order is 77."]
            assert [create.instructions for create in last.of(ResponseCreate)] == [GO_ON]

    play(scene)


def test_what_is_said_during_the_takeover_comes_after_what_waited() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            model.takes_s = 1.0
            connect = model.connect

            async def slow(options: RealtimeConnectOptions | None = None) -> Connection:
                connection = await connect(options)
                told = connection.send

                async def send(event: ClientEvent) -> None:
                    await asyncio.sleep(0.05)
                    await told(event)

                connection.send = send  # type: ignore[method-assign]
                return connection

            model.connect = slow  # type: ignore[method-assign]
            model.connections[0].breaks()
            await call.passes(0.98)
            for number in range(6):
                await call.session.send_message(f"Message {number}", respond=False)
                await asyncio.sleep(0.02)
            await call.passes(2)

            second = model.connections[1]
            known = [past.text for past in second.options.history if isinstance(past, PastMessage)]
            assert known + [each.text for each in second.of(ItemCreate)] == [f"Message {n}" for n in range(6)]

    play(scene)
