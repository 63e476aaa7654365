"""Conversations with Gemini: the model, its wire and a strict fake of the service, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from agents import RealtimeAgent, RealtimeSession, tool
from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    ActivityStart,
    AudioInputAppend,
    AudioInputCommit,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    Interrupted,
    ItemCreate,
    ItemTruncate,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionExpiring,
    SessionResumable,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolCancelled,
    ToolResult,
    Transcript,
    TranscriptInput,
    TranscriptInputDelta,
    TranscriptOutput,
)
from agents.providers.socket import SocketConnection
from agents.realtime import (
    PCM,
    PastMessage,
    PastToolCall,
    RealtimeConnectOptions,
    SessionConfig,
    SessionResumeConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
)
from channels.carrier.virtual_time import run_virtual
from channels.memory import MemoryChannel
from tests.fake_ear import silence, tone
from tests.fake_gemini import FakeGemini
from tests.rig import Calls, Fails, Says, ToolUse
from tests.rig_gemini import GeminiRig

LOOKUP = ToolSchema(name="lookup", description="Looks up.", parameters={"type": "object", "properties": {}})
CONFIG = SessionConfig(instructions="Be kind.", tools=(LOOKUP,), transcription=Transcription())
ROUTINE = (SessionResumable,)


class Talk:
    """A connection to the fake, and every event that came of it so far."""

    def __init__(self, rig: GeminiRig, connection: SocketConnection) -> None:
        self.rig = rig
        self.connection = connection
        self.events: list[ServerEvent] = []

    async def until(self, wanted: Callable[[ServerEvent], bool] | type[ServerEvent]) -> list[ServerEvent]:
        """Takes events up to the first that is wanted; those events, without routine."""
        came: list[ServerEvent] = []
        async for event in self.connection:
            self.events.append(event)
            if not isinstance(event, ROUTINE):
                came.append(event)
            if isinstance(event, wanted) if isinstance(wanted, type) else wanted(event):
                return came
        raise AssertionError(f"it ended; came {came}")

    async def say(self, *events: ClientEvent) -> None:
        for event in events:
            await self.connection.send(event)

    async def caller_speaks(self, ms: int = 600, silent_ms: int = 700) -> None:
        for audio in (tone(ms, PCM), silence(silent_ms, PCM)):
            for start in range(0, len(audio), 960):
                await self.say(AudioInputAppend(audio[start : start + 960]))


def talk(
    scene: Callable[[Talk], Awaitable[None]],
    *replies: Any,
    rig: GeminiRig | None = None,
    config: SessionConfig = CONFIG,
    are_violations_expected: bool = False,
    **options: Any,
) -> GeminiRig:
    rig = rig or GeminiRig()
    rig.will(*replies)

    async def main() -> None:
        given = RealtimeConnectOptions(session_config=config, websocket=rig.websocket, **options)
        async with await rig.model().connect(given) as connection:
            await scene(Talk(rig, connection))

    run_virtual(main())
    assert are_violations_expected or rig.violations == []
    return rig


def kinds(events: list[ServerEvent]) -> list[str]:
    """The kinds in order, repeated ones once."""
    found = [event.kind for event in events]
    return [kind for at, kind in enumerate(found) if at == 0 or found[at - 1] != kind]


# ---- beginning ----


def test_the_first_event_is_the_session_with_googles_name_of_it() -> None:
    async def scene(it: Talk) -> None:
        [created] = await it.until(SessionCreated)
        assert created == SessionCreated("session-1")
        assert it.connection.session_id == "session-1"

    rig = talk(scene)
    assert rig.fake.sessions[0].received == []


def test_what_is_sent_before_the_setup_is_accepted_waits_and_of_audio_the_latest() -> None:
    async def scene(it: Talk) -> None:
        await it.say(AudioInputAppend(silence(5000, PCM)), AudioInputAppend(silence(1000, PCM)))
        await it.say(ItemCreate("user", "Hello."), AudioInputAppend(silence(500, PCM)))
        assert it.rig.fake.sessions[0].received == []
        await it.until(SessionCreated)
        kinds = [kind for kind, _ in it.rig.fake.sessions[0].received]
        assert kinds == ["realtimeInput", "clientContent", "realtimeInput"]
        assert 2990 <= it.rig.heard_ms() <= 3000

    talk(scene)


def test_a_greeting_is_asked_for_word_for_word_and_answered_with_a_response() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("greet", say="Welcome to Acme."))
        came = await it.until(ResponseDone)
        assert kinds(came) == [
            "session.created",
            "response.created",
            "item.created",
            "transcript.output.delta",
            "audio.output.delta",
            "transcript.output.delta",
            "audio.output.delta",
            "transcript.output.delta",
            "audio.output.delta",
            "audio.output.done",
            "transcript.output",
            "response.done",
        ]
        [(kind, content)] = it.rig.fake.sessions[0].received
        assert kind == "clientContent"
        assert content["turnComplete"] is True
        [turn] = content["turns"]
        assert "word" in turn["parts"][0]["text"] and "Welcome to Acme." in turn["parts"][0]["text"]

    talk(scene, Says("Welcome to Acme.", audio_ms=300))


def test_the_voice_comes_untouched_and_whole_with_its_words() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        came = await it.until(ResponseDone)
        pcm = b"".join(event.pcm for event in came if isinstance(event, AudioOutputDelta))
        assert pcm == tone(100, PCM) * 7
        [whole] = [event for event in came if isinstance(event, TranscriptOutput)]
        assert whole.text == "One two three."
        ids = {
            event.response_id for event in came if isinstance(event, AudioOutputDelta | ResponseCreated | ResponseDone)
        }
        assert len(ids) == 1

    talk(scene, Says("One two three.", audio_ms=700))


def test_tokens_are_counted_with_the_response_that_they_were_spent_on() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        *_, done = await it.until(ResponseDone)
        assert isinstance(done, ResponseDone)
        assert (done.usage.input_tokens, done.usage.output_tokens) == (140, 30)
        assert (done.usage.input_audio_tokens, done.usage.output_audio_tokens) == (40, 25)
        assert done.usage.input_cached_tokens == 64

    talk(scene, Says(audio_ms=1000))


# ---- the caller ----


@pytest.mark.parametrize("has_signals", [True, False])
@pytest.mark.parametrize("finishes", [True, False])
def test_a_callers_turn_has_a_beginning_an_end_and_its_words(has_signals: bool, finishes: bool) -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        await it.caller_speaks()
        came = await it.until(ResponseDone)
        turn = [
            event
            for event in came
            if isinstance(event, SpeechStarted | SpeechStopped | AudioInputCommitted | ResponseCreated)
        ]
        assert [event.kind for event in turn] == [
            "speech.started",
            "speech.stopped",
            "audio.input.committed",
            "response.created",
        ]
        said = [event for event in came if isinstance(event, TranscriptInput | TranscriptInputDelta)]
        assert [event.text for event in said if isinstance(event, TranscriptInput)] == ["What time is it?"]
        assert "".join(event.text for event in said if isinstance(event, TranscriptInputDelta)) == "What time is it?"
        assert len({event.item_id for event in (*turn[:3], *said) if not isinstance(event, ResponseCreated)}) == 1

    talk(scene, rig=GeminiRig(FakeGemini(has_signals=has_signals, finishes=finishes)))


def test_frames_may_be_text_as_well_as_binary() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        await it.caller_speaks()
        assert isinstance((await it.until(ResponseDone))[-1], ResponseDone)

    talk(scene, rig=GeminiRig(FakeGemini(sends_text=True)))


def test_the_model_hears_all_of_the_callers_audio_at_its_own_rate() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        for _ in range(50):
            await it.say(AudioInputAppend(tone(20, PCM)))
        assert 990 <= it.rig.heard_ms() <= 1000
        assert it.rig.fake.sessions[0].ear.is_speech

    talk(scene)


@pytest.mark.parametrize("has_signals", [True, False])
def test_a_caller_who_interrupts_is_told_of_first_and_late_audio_is_no_response(has_signals: bool) -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        await it.until(AudioOutputDelta)
        await it.caller_speaks()
        came = await it.until(ResponseInterrupted)
        assert "speech.started" in [event.kind for event in came[:-1]]
        done, *rest = await it.until(AudioInputCommitted)
        assert isinstance(done, ResponseDone) and done.status == "interrupted"
        assert not [event for event in rest if isinstance(event, AudioOutputDelta | ResponseCreated | SpeechStarted)]
        answer = await it.until(ResponseDone)
        [created] = [event for event in answer if isinstance(event, ResponseCreated)]
        assert {event.response_id for event in answer if isinstance(event, AudioOutputDelta)} == {created.response_id}

    talk(scene, Says(holds=True), Says("Yes?"), rig=GeminiRig(FakeGemini(has_signals=has_signals)))


def test_an_interruption_while_the_reply_is_only_played_is_one_all_the_same() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        await it.until(AudioOutputDone)
        await it.caller_speaks()
        came = await it.until(ResponseDone)
        assert kinds(came)[-4:] == ["speech.started", "transcript.output", "response.interrupted", "response.done"]

    rig = GeminiRig(FakeGemini(plays_out=True))
    talk(scene, Says(audio_ms=3000), rig=rig)


def test_a_voice_that_may_not_interrupt_does_not() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        await it.until(AudioOutputDelta)
        await it.caller_speaks()
        await it.rig.release()
        came = await it.until(ResponseDone)
        assert isinstance(came[-1], ResponseDone) and came[-1].status == "completed"
        assert "response.interrupted" not in kinds(came)

    config = replace(CONFIG, turn_detection=TurnDetection(interrupt_response=False))
    talk(scene, Says(holds=True), config=config)


# ---- when a response ends ----


def test_a_reply_lasts_until_the_server_believes_that_it_was_heard() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        came = await it.until(AudioOutputDone)
        await it.say(ItemCreate("user", "By the way."))
        await it.rig.fake.sessions[0].played()
        came = await it.until(ResponseDone)
        assert kinds(came) == ["transcript.output", "response.done"]
        assert [kind for kind, _ in it.rig.fake.sessions[0].received] == ["clientContent"]
        await it.until(SessionResumable)
        contents = [fields for _, fields in it.rig.fake.sessions[0].received]
        assert contents[1] == {
            "turns": [{"role": "user", "parts": [{"text": "By the way."}]}],
            "turnComplete": False,
        }

    talk(scene, rig=GeminiRig(FakeGemini(plays_out=True)))


def test_a_long_reply_is_over_when_it_was_generated_so_that_nobody_takes_the_model_for_dead() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        came = await it.until(ResponseDone)
        assert isinstance(came[-1], ResponseDone) and came[-1].status == "completed"
        await it.rig.fake.sessions[0].played()
        await it.until(SessionResumable)
        assert it.events[-1] != came[-1]
        assert [event for event in it.events if isinstance(event, ResponseDone)] == [came[-1]]

    talk(scene, Says(audio_ms=10_100), rig=GeminiRig(FakeGemini(plays_out=True)))


def test_words_of_ours_into_a_long_playback_are_no_voice_of_the_callers() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        await it.until(ResponseDone)
        await it.say(ResponseCreate("r2", say="A minute is left."))
        came = await it.until(AudioOutputDone)
        assert kinds(came)[:2] == ["response.created", "item.created"]

    talk(scene, Says(audio_ms=10_100), Says("A minute is left."), rig=GeminiRig(FakeGemini(plays_out=True)))


def test_a_request_into_a_reply_of_the_models_own_is_refused_as_busy_and_cuts_nothing() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        await it.caller_speaks()
        await it.until(AudioOutputDelta)
        await it.say(ResponseCreate("r1", say="Are you still there?"))
        [*_, refused] = await it.until(SessionError)
        assert isinstance(refused, SessionError)
        await it.rig.release()
        came = await it.until(ResponseDone)
        assert (refused.code, refused.event_id) == ("conversation_already_has_active_response", "r1")
        assert isinstance(came[-1], ResponseDone) and came[-1].status == "completed"

    talk(scene, Says(holds=True))


# ---- tools ----


def test_a_tool_is_called_answered_and_spoken_of() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        came = await it.until(ResponseDone)
        [call] = [event for event in came if isinstance(event, ToolCall)]
        assert (call.name, call.arguments) == ("lookup", '{"city":"Rome"}')
        assert kinds(came)[-4:] == ["audio.output.done", "transcript.output", "tool.call", "response.done"]
        await it.say(ToolResult(call.call_id, '{"sky":"blue"}'), ResponseCreate("r2"))
        answer = await it.until(ResponseDone)
        assert kinds(answer)[0] == "response.created"
        assert it.rig.results() == {call.call_id: '{"sky":"blue"}'}
        assert [kind for kind, _ in it.rig.fake.sessions[0].received] == ["clientContent", "toolResponse"]
        assert it.rig.responses() == 2

    use = ToolUse("lookup", '{"city": "Rome"}')
    talk(scene, Calls((use,), first=Says("Let me see.", 200)), Says("The sky is blue."))


def test_the_results_of_one_message_of_calls_are_given_together() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        first, second = [event for event in await it.until(ResponseDone) if isinstance(event, ToolCall)]
        await it.say(ToolResult(second.call_id, "two"))
        assert it.rig.results() == {}
        await it.say(ToolResult(first.call_id, "Error: it is closed"), ResponseCreate("r2"))
        assert it.rig.results() == {first.call_id: "Error: it is closed", second.call_id: "two"}
        assert it.rig.fake.sessions[0].results[first.call_id] == {"error": "Error: it is closed"}
        await it.until(ResponseDone)

    talk(scene, Calls((ToolUse("lookup"), ToolUse("lookup"))))


def test_a_function_that_does_not_block_answers_alone_with_its_schedule() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        first, _ = [event for event in await it.until(ResponseDone) if isinstance(event, ToolCall)]
        await it.say(ToolResult(first.call_id, "one"))
        [_, (kind, answer)] = it.rig.fake.sessions[0].received
        assert kind == "toolResponse"
        assert answer["functionResponses"] == [
            {"id": first.call_id, "name": "lookup", "response": {"output": "one"}, "scheduling": "INTERRUPT"}
        ]

    rule = {"lookup": {"behavior": "NON_BLOCKING", "scheduling": "INTERRUPT"}}
    config = replace(CONFIG, provider_options={"functions": rule})
    talk(scene, Calls((ToolUse("lookup"), ToolUse("lookup"))), config=config)


def test_a_call_that_is_taken_back_gets_no_answer_and_the_others_theirs() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        first, second = [event for event in await it.until(ResponseDone) if isinstance(event, ToolCall)]
        await it.say(ToolResult(first.call_id, "one"))
        await it.rig.take_back(second.call_id)
        assert (await it.until(ToolCancelled))[-1] == ToolCancelled(second.call_id)
        await it.say(ToolResult(second.call_id, "two"), ResponseCreate("r2"))
        await it.until(ResponseDone)
        assert it.rig.results() == {first.call_id: "one"}

    talk(scene, Calls((ToolUse("lookup"), ToolUse("lookup"))))


def test_a_caller_who_speaks_while_a_tool_runs_takes_the_call_back() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        [call] = [event for event in await it.until(ResponseDone) if isinstance(event, ToolCall)]
        await it.caller_speaks()
        came = await it.until(ResponseDone)
        assert ToolCancelled(call.call_id) in came

    talk(scene, Calls((ToolUse("lookup"),)))


def test_an_answer_to_a_tool_that_came_before_it_was_asked_for_is_not_asked_for_again() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        [call] = [event for event in await it.until(ResponseDone) if isinstance(event, ToolCall)]
        await it.say(ToolResult(call.call_id, "one"))
        [*_, first] = await it.until(ResponseDone)
        await it.until(SessionResumable)
        await it.say(ResponseCreate("r2"))
        created, done = await it.until(ResponseDone)
        assert isinstance(created, ResponseCreated) and isinstance(done, ResponseDone)
        assert done.status == "completed" and done != first
        assert it.rig.responses() == 2

    talk(scene, Calls((ToolUse("lookup"),)))


def test_a_function_that_is_answered_for_silent_use_is_followed_by_an_empty_response() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        [call] = [event for event in await it.until(ResponseDone) if isinstance(event, ToolCall)]
        await it.say(ToolResult(call.call_id, "one"), ResponseCreate("r2"))
        created, done = await it.until(ResponseDone)
        assert isinstance(created, ResponseCreated) and isinstance(done, ResponseDone)
        assert it.rig.responses() == 1
        assert list(it.rig.results().values()) == ["one"]

    rule = {"lookup": {"behavior": "NON_BLOCKING", "scheduling": "SILENT"}}
    config = replace(CONFIG, provider_options={"functions": rule})
    talk(scene, Calls((ToolUse("lookup"),)), config=config)


def test_the_result_of_another_connections_call_is_told_in_words() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        await it.say(ToolResult("call-of-before", "the sky is blue"), ResponseCreate("r1"))
        await it.until(ResponseDone)
        (_, told), (_, asked) = it.rig.fake.sessions[0].received
        assert "the sky is blue" in told["turns"][0]["parts"][0]["text"]
        assert (told["turnComplete"], asked) == (False, {"turnComplete": True})

    talk(scene)


# ---- turns that we end ----


def test_manual_turns_begin_with_audio_and_end_with_a_commit() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        await it.caller_speaks()
        await it.say(AudioInputCommit())
        came = await it.until(ResponseDone)
        assert "speech.started" not in kinds(came)
        assert kinds(came)[0] == "audio.input.committed"
        assert [event.text for event in came if isinstance(event, TranscriptInput)] == ["What time is it?"]
        members = [next(iter(fields)) for kind, fields in it.rig.fake.sessions[0].received if kind == "realtimeInput"]
        assert (members[0], members[-1]) == ("activityStart", "activityEnd")
        assert set(members[1:-1]) == {"audio"}
        assert it.rig.heard_ms() == 1300

    talk(scene, config=replace(CONFIG, turn_detection=TurnDetection(mode="manual")))


def test_a_commit_of_nothing_and_a_second_start_are_not_passed_on() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        await it.say(AudioInputCommit(), ActivityStart(), ActivityStart(), AudioInputCommit(), AudioInputCommit())
        assert len(it.rig.fake.sessions[0].received) == 2

    talk(scene, config=replace(CONFIG, turn_detection=None))


def test_a_commit_where_gemini_listens_by_itself_says_that_no_more_comes() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        await it.caller_speaks(silent_ms=0)
        await it.say(AudioInputCommit())
        await it.until(ResponseDone)
        assert it.rig.fake.sessions[0].received[-1] == ("realtimeInput", {"audioStreamEnd": True})

    talk(scene)


# ---- what was said before ----

HISTORY = (
    PastMessage("i1", "user", "I am Ann."),
    PastToolCall("c1", "lookup", "{}", "found"),
    PastMessage("i2", "assistant", "Hello Ann."),
    PastMessage("i3", "system", "The caller is a member."),
    PastMessage("i4", "user", "  "),
)


def test_a_conversation_begins_with_what_was_said_and_without_an_answer_to_it() -> None:
    async def scene(it: Talk) -> None:
        assert await it.until(SessionCreated) == [SessionCreated("session-1")]
        await it.caller_speaks()
        await it.until(ResponseDone)
        said = [("user", "I am Ann."), ("assistant", "Hello Ann."), ("system", "The caller is a member.")]
        assert it.rig.past() == said
        assert it.rig.responses() == 1
        texts = [text for _, text in it.rig.fake.sessions[0].past]
        assert "lookup" in texts[1] and "found" in texts[1]

    talk(scene, history=HISTORY)


def test_where_history_is_not_configured_it_is_told_without_asking_for_an_answer() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        [(_, content)] = it.rig.fake.sessions[0].received
        assert content["turnComplete"] is False and len(content["turns"]) == 4
        assert it.rig.responses() == 0

    talk(scene, history=HISTORY, config=replace(CONFIG, provider_options={"historyConfig": None}))


def test_a_session_is_resumed_by_its_handle_and_not_told_what_it_knows() -> None:
    rig = GeminiRig()

    async def main() -> None:
        options = RealtimeConnectOptions(session_config=CONFIG, websocket=rig.websocket)
        async with await rig.model().connect(options) as first:
            handles = [event.handle async for event in _some(first, SessionResumable, 1)]
        resume = replace(options, resume=SessionResumeConfig(str(handles[0])), history=HISTORY)
        async with await rig.model().connect(resume) as second:
            assert [event.session_id async for event in _some(second, SessionCreated, 1)] == ["session-2"]
        assert rig.resumed() == handles[0]
        assert rig.fake.sessions[1].received == []

    run_virtual(main())
    assert rig.violations == []


async def _some(connection: SocketConnection, kind: type[Any], number: int) -> Any:
    async for event in connection:
        if isinstance(event, kind):
            yield event
            number -= 1
            if not number:
                return


def test_while_the_model_speaks_there_is_nothing_to_resume_with() -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        await it.until(ResponseDone)
        await it.until(SessionResumable)
        handles = [event.handle for event in it.events if isinstance(event, SessionResumable)]
        assert [handle is None for handle in handles] == [False, True, False]
        assert "handle-" not in repr(it.events)

    talk(scene)


def test_a_handle_that_is_not_known_any_more_is_a_session_that_is_over() -> None:
    rig = GeminiRig()

    async def main() -> None:
        options = RealtimeConnectOptions(websocket=rig.websocket, resume=SessionResumeConfig("long ago"))
        async with await rig.model().connect(options) as connection:
            with pytest.raises(ProviderError) as caught:
                await anext(connection)
        assert (caught.value.code, caught.value.category) == ("1007", "session_limit")

    run_virtual(main())


# ---- ends ----


@pytest.mark.parametrize("category", ["auth", "quota", "rate", "invalid_request", "session_limit", "unavailable"])
def test_a_failure_to_answer_ends_the_connection_with_its_category(category: Any) -> None:
    async def scene(it: Talk) -> None:
        await it.say(ResponseCreate("r1"))
        with pytest.raises(ProviderError) as caught:
            await it.until(ResponseDone)
        assert caught.value.category == category
        assert caught.value.code in ("1007", "1008", "1011")
        assert caught.value.retryable is (category in ("rate", "session_limit", "unavailable"))

    talk(scene, Fails(category))


def test_a_connection_that_is_to_end_is_announced_and_its_end_is_no_end_of_the_conversation() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        await it.rig.warn(49.5)
        assert (await it.until(SessionExpiring))[-1] == SessionExpiring(49.5)
        await it.rig.fake.sessions[0].close(1000, "")
        with pytest.raises(ProviderError) as caught:
            await it.until(ResponseDone)
        assert (caught.value.category, caught.value.retryable) == ("session_limit", True)

    talk(scene)


def test_a_connection_that_breaks_is_a_matter_of_the_network() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        it.rig.drop()
        with pytest.raises(ProviderError) as caught:
            await it.until(ResponseDone)
        assert (caught.value.code, caught.value.category) == ("network", "network")

    talk(scene)


@pytest.mark.parametrize("category", ["auth", "quota", "rate", "unavailable"])
def test_a_refused_connection_says_why_in_our_categories(category: Any) -> None:
    rig = GeminiRig()
    rig.refuse(category)

    async def main() -> None:
        with pytest.raises(ProviderError) as caught:
            await rig.model().connect(RealtimeConnectOptions(websocket=rig.websocket))
        assert caught.value.category == category
        assert caught.value.retryable is (category in ("rate", "unavailable"))

    run_virtual(main())
    assert rig.connections == 0


# ---- what the wire cannot say ----


@pytest.mark.parametrize(
    "event", [ResponseCancel(), ItemTruncate("i1", 0, 100), ActivityStart(), ItemCreate("user", "x", "i2", "i1")]
)
def test_what_the_wire_has_no_words_for_is_refused_at_once(event: ClientEvent) -> None:
    async def scene(it: Talk) -> None:
        with pytest.raises(NotSupportedError):
            await it.say(event)

    talk(scene)


def test_new_instructions_and_tools_reach_a_conversation_under_way() -> None:
    async def scene(it: Talk) -> None:
        await it.until(SessionCreated)
        await it.say(SessionUpdate(replace(CONFIG, instructions="Be brief.", tools=())))
        assert await it.until(SessionUpdated) == [SessionUpdated()]
        assert it.rig.fake.sessions[0].received[0] == (
            "contextUpdate",
            {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "tools": {"tools": []}},
        )
        with pytest.raises(NotSupportedError, match="transcription"):
            await it.say(SessionUpdate(replace(CONFIG, transcription=None)))

    talk(scene)


# ---- a whole session ----


def test_a_session_greets_hears_calls_a_tool_and_is_interrupted() -> None:
    rig = GeminiRig()
    rig.will(Says("Welcome."), Calls((ToolUse("time"),)), Says("It is noon.", audio_ms=4000))
    told: list[Any] = []

    @tool
    def time() -> dict[str, int]:
        """Tells the time."""
        return {"hour": 12}

    async def main() -> None:
        line = MemoryChannel()
        config = SessionConfig(transcription=Transcription())
        agent = RealtimeAgent(name="test", model=rig.model(), greeting="Welcome.", tools=(time,), config=config)
        options = RealtimeConnectOptions(websocket=rig.websocket)
        async with RealtimeSession(agent, channel=line, connect_options=options) as session:
            for kind in ("transcript", "interrupted", "tool", "error"):
                session.on(kind, told.append)
            await asyncio.sleep(0.5)
            line.play(2000)
            for audio in (tone(400, PCM), silence(600, PCM)):
                line.say(audio)
            await asyncio.sleep(1)
            line.play(1000)
            line.say(tone(400, PCM))
            await asyncio.sleep(1)

    run_virtual(main())

    said = [(event.role, event.text) for event in told if isinstance(event, Transcript)]
    assert said[:3] == [("assistant", "Welcome."), ("user", "What time is it?"), ("assistant", "It is noon.")]
    assert [event.kind for event in told if event.kind == "tool"] == ["tool", "tool"]
    assert list(rig.results().values()) == ['{"hour":12}']
    [interrupted] = [event for event in told if isinstance(event, Interrupted)]
    assert [heard.heard_ms for heard in interrupted.heard] == [1000]
    assert [event for event in told if event.kind == "error"] == []
    assert rig.violations == []
