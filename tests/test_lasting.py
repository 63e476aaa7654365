"""A conversation that outlives its model's connections: failover, resuming, renewal."""

import asyncio
from dataclasses import replace

import pytest

from agents import RealtimeAgent, RealtimeSession
from agents.candidates import Candidate
from agents.circuit import FAILURES
from agents.errors import ConfigError, ProviderError
from agents.events import (
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    Closed,
    ItemCreate,
    ItemDelete,
    ItemTruncate,
    ModelStep,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionError,
    SessionExpiring,
    SessionResumable,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.lasting import LastingModel
from agents.lasting_connection import RECOVERY_S, STALL_S
from agents.leg import READY_S
from agents.realtime import (
    PCM,
    PCMU,
    PastMessage,
    PastToolCall,
    RealtimeConnectOptions,
    SessionConfig,
    SessionResumeConfig,
    Voice,
)
from agents.tools import tool
from agents.unfinished import GO_ON, LOST
from channels.memory import MemoryChannel
from tests.lasting_scene import LOST as BROKE
from tests.lasting_scene import LongCall, Model
from tests.scene import play

AUTH = ProviderError("no such key", code="invalid_api_key", retryable=False)
QUOTA = SessionError("insufficient_quota", "Pay first.")
DOWN = ProviderError("not today", code="server_error", retryable=True)
PCM_MS = bytes(48)
FRAME = b"\x01\x00" * 480


def words(response_id: str, text: str, ms: int = 100) -> list[ServerEvent]:
    """A whole response of one item."""
    item = f"item-{response_id}"
    return [
        ResponseCreated(response_id),
        TranscriptOutputDelta(response_id, item, text),
        AudioOutputDelta(response_id, item, 0, ms * PCM_MS),
        AudioOutputDone(response_id, item, 0),
        TranscriptOutput(response_id, item, text),
        ResponseDone(response_id, "completed"),
    ]


def turn(item_id: str, text: str) -> list[ServerEvent]:
    heard: list[ServerEvent] = [SpeechStarted(item_id), SpeechStopped(item_id), AudioInputCommitted(item_id)]
    return [*heard, TranscriptInput(item_id, text)]


# ---- the beginning ----


def test_the_second_model_takes_the_call_when_the_first_cannot_be_reached() -> None:
    async def scene() -> None:
        first, second = Model("first", DOWN), Model("second")
        async with LongCall(first, second) as call:
            assert call.steps == [("failed", "driven/first"), ("replaced", "driven/second")]
            assert len(second.connections) == 1

    play(scene)


def test_a_model_that_does_not_answer_in_time_counts_as_one_that_cannot_be_reached() -> None:
    async def scene() -> None:
        first, second = Model("first"), Model("second")
        first.takes_s = 60
        async with LongCall(first, second) as call:
            assert call.steps[-1] == ("replaced", "driven/second")

    play(scene)


def test_when_no_model_can_be_reached_connecting_raises_what_the_last_one_did() -> None:
    async def scene() -> None:
        call = LongCall(Model("first", DOWN), Model("second", AUTH))
        with pytest.raises(ProviderError, match="no such key"):
            await call.session.connect()

    play(scene)


def test_a_lasting_model_wants_at_least_one_model() -> None:
    with pytest.raises(ConfigError, match="at least one model"):
        LastingModel([])


def test_a_key_a_handle_and_a_query_are_for_the_first_model_only() -> None:
    async def scene() -> None:
        first, second = Model("first", DOWN), Model("second")
        options = RealtimeConnectOptions(resume=SessionResumeConfig("h"), api_key="k", provider_options={"a": "b"})
        async with await LastingModel([Candidate(first), Candidate(second)]).connect(options):
            [connection] = second.connections
            assert connection.options.resume is None and connection.options.api_key is None
            assert connection.options.provider_options == {}

    play(scene)


def test_each_model_has_fields_of_its_own_in_the_configuration() -> None:
    async def scene() -> None:
        first, second = Model("first", DOWN), Model("second")
        own = {"voice": Voice(voice_id="Kore")}
        lasting = LastingModel([Candidate(first), Candidate(second, own)])
        async with LongCall(first, second, lasting=lasting, instructions="Be kind."):
            config = second.connections[0].options.session_config
            assert config and config.voice.voice_id == "Kore"
            assert config.instructions == "Be kind."

    play(scene)


def test_a_model_that_fails_all_the_time_is_left_alone_by_the_calls_that_follow() -> None:
    async def scene() -> None:
        first, second = Model("first", *[DOWN] * 10), Model("second")
        lasting = LastingModel([Candidate(first), Candidate(second)])
        for _ in range(FAILURES + 2):
            async with LongCall(first, second, lasting=lasting) as call:
                last_steps = call.steps
        assert first.asked == FAILURES
        assert last_steps == [("failed", "driven/first"), ("replaced", "driven/second")]
        assert len(second.connections) == FAILURES + 2

    play(scene)


def test_models_that_all_fail_all_the_time_are_asked_all_the_same() -> None:
    async def scene() -> None:
        first, second = Model("first", *[DOWN] * FAILURES), Model("second", *[DOWN] * FAILURES)
        lasting = LastingModel([Candidate(first), Candidate(second)])
        for _ in range(FAILURES):
            with pytest.raises(ProviderError):
                await LongCall(first, second, lasting=lasting).session.connect()
        async with LongCall(first, second, lasting=lasting):
            assert len(first.connections) == 1

    play(scene)


# ---- broken connections ----


def test_a_broken_connection_is_followed_by_one_that_knows_what_was_said() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model, greeting="Hello.") as call:
            first = model.connections[0]
            await call.says(first, *words("r1", "Hello."))
            await call.passes(1)
            await call.says(first, *turn("u1", "Hi there."), *words("r2", "How can I help?"))
            await call.passes(1)
            first.breaks()
            await call.settles()

            second = model.connections[1]
            assert second.options.history == (
                PastMessage("item-r1", "assistant", "Hello."),
                PastMessage("u1", "user", "Hi there."),
                PastMessage("item-r2", "assistant", "How can I help?"),
            )
            assert second.kinds() == []
            assert second.options.session_config and second.options.session_config.greeting is None
            assert call.steps == [("failed", "driven/only"), ("resumed", "driven/only")]
            assert call.session.id == "session-2"
            await call.says(second, *words("r3", "Go on."))
            assert call.seen(Response)[-1] == Response("r3", "completed")

    play(scene)


def test_the_declared_audio_formats_survive_a_change_of_connections() -> None:
    async def scene() -> None:
        both = (PCM, PCMU)
        model = Model("only", input_formats=both, output_formats=both)
        lasting = LastingModel([Candidate(model)])
        config = SessionConfig(input_format=PCMU, output_format=PCMU)
        agent = RealtimeAgent(name="test", model=lasting, config=config)
        async with RealtimeSession(agent, channel=MemoryChannel(PCMU)):
            await asyncio.sleep(0.1)
            model.connections[0].breaks()
            await asyncio.sleep(1)

        configs = [connection.options.session_config for connection in model.connections]
        assert [each and (each.input_format, each.output_format) for each in configs] == [(PCMU, PCMU)] * 2

    play(scene)


def test_of_words_that_were_cut_off_the_next_connection_knows_what_was_heard() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, *words("r1", "One two three four five six.", ms=6000))
            await call.passes(3)
            await call.says(first, SpeechStarted("u1"))
            await call.says(first, SpeechStopped("u1"), TranscriptInput("u1", "Stop."), *words("r2", "Yes?"))
            first.breaks()
            await call.settles()

            cut = model.connections[1].options.history[0]
            assert isinstance(cut, PastMessage)
            assert cut.text.startswith("One two") and "six" not in cut.text

    play(scene)


def test_a_response_that_broke_off_is_over_and_the_next_connection_is_asked_to_go_on() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, *words("r1", "It is a long story.", ms=3000)[:3])
            first.breaks()
            await call.settles()

            second = model.connections[1]
            assert [create.instructions for create in second.of(ResponseCreate)] == [GO_ON]
            [past] = second.options.history
            assert isinstance(past, PastMessage) and past.text.startswith("It is a")
            assert call.seen(Response) == [Response("r1")]
            await call.says(second, *words("r2", "And it goes on."))
            assert call.seen(Response)[1:] == [
                Response("r2"),
                Response("r1", "incomplete", LOST),
                Response("r2", "completed"),
            ]
            assert not call.seen(Closed)

    play(scene)


def test_a_response_that_was_asked_for_and_had_not_begun_is_asked_for_again() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model, greeting="Hello.") as call:
            first = model.connections[0]
            [asked] = first.of(ResponseCreate)
            first.breaks()
            await call.settles()

            second = model.connections[1]
            assert second.of(ResponseCreate) == [asked]
            assert second.options.session_config and second.options.session_config.greeting == "Hello."

    play(scene)


def test_words_that_were_to_be_said_and_had_not_sounded_are_asked_for_again() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model, greeting="Hello.") as call:
            first = model.connections[0]
            await call.says(first, ResponseCreated("r1"))
            first.breaks()
            await call.settles()

            assert [create.say for create in model.connections[1].of(ResponseCreate)] == ["Hello."]

    play(scene)


def test_a_response_that_the_caller_interrupted_is_not_gone_on_with() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, *words("r1", "It is a long story.", ms=5000)[:3])
            await call.session.interrupt()
            assert first.of(ResponseCancel)
            first.breaks()
            await call.settles()

            assert model.connections[1].of(ResponseCreate) == []

    play(scene)


def test_a_turn_that_nobody_answered_is_heard_again_and_is_in_the_history_once() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.passes(1, bytes(960))
            await call.says(first, SpeechStarted("u1"))
            await call.passes(0.4, FRAME)
            first.breaks()
            await call.passes(0.2, FRAME)

            second = model.connections[1]
            assert second.heard.count(FRAME) == 30
            await call.says(second, *turn("u2", "Hello?"))
            assert [item.text for item in call.session.history] == ["Hello?"]

    play(scene)


def test_audio_of_the_time_without_a_model_is_kept_and_delivered_in_order() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            frames = [n.to_bytes(2, "big") * 480 for n in range(1, 151)]
            for frame in frames[:50]:
                await call.passes(0.02, frame)
            model.takes_s = 1.0
            model.connections[0].breaks()
            for frame in frames[50:]:
                await call.passes(0.02, frame)

            first, second = model.connections
            assert second.heard.endswith(b"".join(frames[50:]))
            assert first.heard + second.heard[-100 * 960 :] == b"".join(frames)

    play(scene)


def test_what_is_sent_in_the_time_without_a_model_reaches_the_next_once() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            model.takes_s = 1.0
            model.connections[0].breaks()
            await call.settles()
            await call.session.send_message("Are you there?")
            await call.passes(2)

            second = model.connections[1]
            in_history = [past.text for past in second.options.history if isinstance(past, PastMessage)]
            said = in_history + [create.text for create in second.of(ItemCreate)]
            assert said == ["Are you there?"]
            assert len(second.of(ResponseCreate)) == 1

    play(scene)


@pytest.mark.parametrize("takes_s", [0.0, 1.0])
def test_history_that_was_changed_while_there_was_no_model_is_what_the_next_connection_knows(takes_s: float) -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            await call.says(
                model.connections[0], TranscriptInput("u1", "My card is 4111."), TranscriptInput("u2", "Hi.")
            )
            model.takes_s = takes_s
            model.connections[0].breaks()
            if takes_s:
                await call.settles()  # the next connection is being opened, with the history as it was
            await call.session.update_history(lambda old: [replace(old[0], text="My card is [removed]."), old[1]])
            await call.passes(2)

            second = model.connections[1]
            known = {past.item_id: past.text for past in second.options.history if isinstance(past, PastMessage)}
            for delete in second.of(ItemDelete):
                del known[delete.item_id]
            texts = [*known.values(), *(create.text for create in second.of(ItemCreate))]
            assert sorted(texts) == ["Hi.", "My card is [removed]."]

    play(scene)


def test_the_next_connection_knows_of_tools_that_answered_and_is_told_of_those_that_answer_later() -> None:
    async def scene() -> None:
        waiting = asyncio.Event()

        @tool
        async def slow() -> str:
            """Takes its time."""
            await waiting.wait()
            return "seven"

        @tool
        def quick() -> str:
            """Takes none."""
            return "six"

        model = Model("only")
        async with LongCall(model, tools=(slow, quick)) as call:
            first = model.connections[0]
            calls = [ToolCall("r1", "c1", "quick", "{}"), ToolCall("r1", "c2", "slow", "{}")]
            await call.says(first, *turn("u1", "What is it?"), ResponseCreated("r1"), *calls)
            await call.says(first, ResponseDone("r1", "completed"))
            first.breaks()
            await call.settles()
            second = model.connections[1]
            assert second.options.history == (
                PastMessage("u1", "user", "What is it?"),
                PastToolCall("c1", "quick", "{}", "six"),
            )

            waiting.set()
            await call.settles()

            [told] = second.of(ItemCreate)
            assert told.role == "system" and "slow" in told.text and "seven" in told.text
            assert second.of(ToolResult) == []
            assert len(second.of(ResponseCreate)) == 1

    play(scene)


def test_words_of_an_earlier_connection_are_not_truncated_on_one_that_knows_them_as_text() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, *words("r1", "A long answer that goes on and on.", ms=8000))
            first.breaks()
            await call.settles()
            second = model.connections[1]
            await call.says(second, SpeechStarted("u1"))
            await call.settles()

            assert call.session.history[0].status == "cut"
            assert second.of(ItemTruncate) == []

    play(scene)


def test_a_connection_that_its_provider_closes_in_good_order_ends_the_call() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            await call.says(model.connections[0], None)

            assert call.seen(Closed)[0].reason == "provider"
            assert model.asked == 1

    play(scene)


def test_a_connection_that_breaks_in_sending_is_replaced_and_nothing_of_it_is_lost() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            model.connections[0].failure = BROKE
            await call.session.send_message("Hello?")
            await call.passes(0.5)

            second = model.connections[1]
            in_history = [past.text for past in second.options.history if isinstance(past, PastMessage)]
            assert in_history + [create.text for create in second.of(ItemCreate)] == ["Hello?"]
            assert len(second.of(ResponseCreate)) == 1

    play(scene)


# ---- another model ----


def test_a_model_that_cannot_go_on_is_replaced_by_the_next_with_the_history() -> None:
    async def scene() -> None:
        first, second = Model("first", None, DOWN), Model("second")
        async with LongCall(first, second) as call:
            await call.says(first.connections[0], *turn("u1", "Hi."), *words("r1", "Hello."))
            await call.passes(1)
            first.connections[0].breaks()
            await call.settles()

            assert [past.text for past in second.connections[0].options.history if isinstance(past, PastMessage)] == [
                "Hi.",
                "Hello.",
            ]
            assert call.steps == [("failed", "driven/first")] * 2 + [("replaced", "driven/second")]

    play(scene)


@pytest.mark.parametrize("error", [AUTH, replace(QUOTA)])
def test_an_error_of_the_account_leads_to_the_next_model_at_once(error: ProviderError | SessionError) -> None:
    async def scene() -> None:
        first, second = Model("first"), Model("second")
        async with LongCall(first, second) as call:
            connection = first.connections[0]
            await call.says(connection, *turn("u1", "Hi."), ResponseCreated("r1"))
            await call.says(connection, error)

            assert first.asked == 1
            assert connection.is_closed
            assert len(second.connections) == 1
            assert len(second.connections[0].of(ResponseCreate)) == 1

    play(scene)


def test_an_error_of_the_account_is_told_when_there_is_no_other_model() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            await call.says(model.connections[0], QUOTA)

            assert [event.kind for event in call.told] == ["error"]
            assert not model.connections[0].is_closed

    play(scene)


def test_a_model_that_was_refused_for_good_is_not_asked_again_in_the_call() -> None:
    async def scene() -> None:
        first, second = Model("first", AUTH), Model("second")
        async with LongCall(first, second) as call:
            first.refusals.append(AUTH)
            second.connections[0].breaks()
            second.refusals.extend([DOWN] * 2)
            await call.passes(RECOVERY_S)

            assert not call.seen(Closed)
            assert len(second.connections) == 2
            assert first.asked <= 2

    play(scene)


def test_the_call_ends_within_five_seconds_when_no_model_can_go_on() -> None:
    async def scene() -> None:
        first, second = Model("first"), Model("second", *[DOWN] * 100)
        async with LongCall(first, second) as call:
            first.refusals.extend([DOWN] * 100)
            first.connections[0].breaks()
            await call.passes(5)

            [closed] = call.seen(Closed)
            assert closed.reason == "provider"
            assert first.asked > 2

    play(scene)


def test_models_that_hang_cost_no_more_than_five_seconds_either() -> None:
    async def scene() -> None:
        first, second = Model("first"), Model("second")
        async with LongCall(first, second) as call:
            first.takes_s = second.takes_s = 100
            first.connections[0].breaks()
            await call.passes(5)

            assert call.seen(Closed)[0].reason == "provider"

    play(scene)


def test_a_model_that_cannot_take_a_history_is_not_resumed() -> None:
    async def scene() -> None:
        model = Model("only", resume="none")
        async with LongCall(model) as call:
            model.connections[0].breaks()
            await call.settles()

            assert call.seen(Closed)[0].detail.endswith(str(BROKE))
            assert model.asked == 1

    play(scene)


def test_a_model_that_is_asked_and_says_nothing_is_given_up() -> None:
    async def scene() -> None:
        first, second = Model("first"), Model("second")
        async with LongCall(first, second, greeting="Hello.") as call:
            first.refusals.append(DOWN)
            await call.passes(STALL_S + 1)

            assert call.steps[-1] == ("replaced", "driven/second")
            assert [create.say for create in second.connections[0].of(ResponseCreate)] == ["Hello."]

    play(scene)


def test_a_model_that_is_never_ready_is_given_up() -> None:
    async def scene() -> None:
        first, second = Model("first"), Model("second")
        first.is_ready_at_once = False
        async with LongCall(first, second) as call:
            await call.passes(READY_S + 5)

            assert call.steps[-1] == ("replaced", "driven/second")

    play(scene)


# ---- resuming by a handle ----


def test_a_session_is_resumed_by_the_latest_handle_and_what_waits_is_sent() -> None:
    async def scene() -> None:
        model = Model("only", resume="handle")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, *words("r1", "Hello."), SessionResumable("h1"), SessionResumable("h2"))
            model.takes_s = 1
            first.breaks()
            await call.settles()
            await call.session.send_message("Are you there?")
            await call.passes(2)

            second = model.connections[1]
            assert second.options.resume == SessionResumeConfig("h2")
            assert second.kinds() == ["item.create", "response.create"]

    play(scene)


def test_a_handle_that_is_refused_is_followed_by_the_history() -> None:
    async def scene() -> None:
        model = Model("only", resume="handle")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, *words("r1", "Hello."), SessionResumable("h1"))
            model.refusals.append(ProviderError("unknown handle", code="1011", retryable=True))
            first.breaks()
            await call.settles()

            options = model.connections[1].options
            assert options.resume is None
            assert len(options.history) == 1
            assert call.steps[-1] == ("resumed", "driven/only")

    play(scene)


def test_a_handle_that_was_taken_back_is_not_used() -> None:
    async def scene() -> None:
        model = Model("only", resume="handle")
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, SessionResumable("h1"), SessionResumable(None))
            first.breaks()
            await call.settles()

            assert model.connections[1].options.resume is None

    play(scene)


# ---- renewal ----


def test_before_its_provider_ends_a_connection_another_takes_over_beside_it() -> None:
    async def scene() -> None:
        model = Model("only", max_connection_s=600)
        async with LongCall(model, greeting="Hello.") as call:
            await call.says(model.connections[0], *words("r1", "Hello."))
            await call.passes(595, FRAME)

            first, second = model.connections
            assert model.was_open == [False, True]
            assert first.is_closed and not second.is_closed
            assert second.kinds() == []
            assert [past.text for past in second.options.history if isinstance(past, PastMessage)] == ["Hello."]
            assert call.steps == [("renewed", "driven/only")]
            assert len(first.heard) + len(second.heard) >= 595 * 48_000
            assert not call.seen(Closed)

    play(scene)


def test_a_renewal_waits_until_nobody_speaks() -> None:
    async def scene() -> None:
        model = Model("only", max_connection_s=600)
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.passes(470, FRAME)
            await call.says(first, *words("r1", "A long story.", ms=30_000))
            await call.passes(20, FRAME)
            assert len(model.connections) == 1
            await call.passes(20, FRAME)
            assert len(model.connections) == 2

    play(scene)


def test_a_connection_whose_end_is_announced_is_renewed_after_the_old_one_is_closed_where_it_must_be() -> None:
    async def scene() -> None:
        model = Model("only", resume="handle", one_connection=True)
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.says(first, SessionResumable("h1"), SessionExpiring(50))
            model.takes_s = 0.5
            frames = [n.to_bytes(2, "big") * 480 for n in range(1, 201)]
            for frame in frames:
                await call.passes(0.02, frame)

            second = model.connections[1]
            assert model.was_open == [False, False]
            assert second.options.resume == SessionResumeConfig("h1")
            told = first.heard + second.heard
            assert all(frame in told for frame in frames)
            assert call.steps == [("renewed", "driven/only")]

    play(scene)


def test_a_connection_without_a_quiet_moment_is_given_up_just_before_its_end() -> None:
    async def scene() -> None:
        model = Model("only", max_connection_s=600)
        async with LongCall(model) as call:
            first = model.connections[0]
            await call.passes(400, FRAME)
            await call.says(first, SpeechStarted("u1"))
            await call.passes(199, FRAME)

            assert len(model.connections) == 2
            assert call.steps == [("failed", "driven/only"), ("resumed", "driven/only")]
            assert not call.seen(Closed)

    play(scene)


def test_a_renewal_that_fails_leaves_the_old_connection_and_is_tried_again() -> None:
    async def scene() -> None:
        model = Model("only", None, DOWN, max_connection_s=600)
        async with LongCall(model) as call:
            await call.passes(490, FRAME)

            assert call.steps == [("failed", "driven/only"), ("renewed", "driven/only")]
            assert not call.seen(Closed)

    play(scene)


def test_a_session_at_its_own_limit_is_renewed_with_the_history_and_not_by_its_handle() -> None:
    async def scene() -> None:
        model = Model("only", resume="handle", max_connection_s=600, max_session_s=1000)
        async with LongCall(model) as call:
            await call.says(model.connections[0], *words("r1", "Hello."), SessionResumable("h1"))
            await call.passes(490, FRAME)
            assert [each.options.resume for each in model.connections] == [None, SessionResumeConfig("h1")]
            await call.says(model.connections[1], SessionResumable("h2"))
            await call.passes(450, FRAME)

            third = model.connections[2]
            assert third.options.resume is None
            assert [past.text for past in third.options.history if isinstance(past, PastMessage)] == ["Hello."]
            assert call.steps == [("renewed", "driven/only")] * 2

    play(scene)


def test_a_connection_without_a_limit_is_never_renewed() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            await call.passes(1000)

            assert len(model.connections) == 1
            assert call.steps == []

    play(scene)


def test_hanging_up_in_the_middle_of_a_recovery_ends_the_call_at_once() -> None:
    async def scene() -> None:
        model = Model("only")
        async with LongCall(model) as call:
            model.takes_s = 100
            model.connections[0].breaks()
            await call.passes(0.5)
            call.channel.hang_up()
            await call.settles()

            assert call.seen(Closed)[0].reason == "caller"
            assert call.seen(ModelStep)[0].step == "failed"

    play(scene)
