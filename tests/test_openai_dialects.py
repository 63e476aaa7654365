"""Whole conversations in every dialect of OpenAI's protocol, each with a service that is strict about its own."""

from collections.abc import Awaitable, Callable

import pytest

from agents.errors import NotSupportedError
from agents.events import (
    AudioInputAppend,
    AudioOutputDelta,
    AudioOutputDone,
    ItemTruncate,
    ItemTruncated,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
)
from agents.providers.socket import SocketConnection
from agents.realtime import (
    PCM,
    PCMU,
    PastMessage,
    PastToolCall,
    RealtimeConnectOptions,
    SessionConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
    Voice,
)
from channels.carrier.virtual_time import run_virtual
from tests.fake_ear import silence, tone
from tests.rig import Calls, Fails, Says, ToolUse
from tests.rig_openai import RIGS, OpenAIRig

LOOK_UP = ToolSchema(name="look_up", description="Looks up an order.", parameters={"type": "object", "properties": {}})
CONFIG = SessionConfig(
    instructions="You are kind.",
    tools=(LOOK_UP,),
    voice=Voice(voice_id="marin"),
    turn_detection=TurnDetection(silence_duration_ms=500),
    transcription=Transcription(),
    noise_reduction=None,
)

each_dialect = pytest.mark.parametrize("rig_class", RIGS, ids=lambda rig: rig.name)


async def talk(
    rig: OpenAIRig, conversation: Callable[[SocketConnection], Awaitable[None]], config: SessionConfig = CONFIG
) -> None:
    options = RealtimeConnectOptions(session_config=config, websocket=rig.websocket)
    async with await rig.model().connect(options) as connection:
        await conversation(connection)


async def until(connection: SocketConnection, kind: type[ServerEvent]) -> list[ServerEvent]:
    """All events up to the first of this kind, with it."""
    heard: list[ServerEvent] = []
    async for event in connection:
        heard.append(event)
        if isinstance(event, kind):
            break
    return heard


def of(kind: type, events: list[ServerEvent]) -> list[ServerEvent]:
    return [event for event in events if isinstance(event, kind)]


@each_dialect
def test_the_first_event_says_that_the_session_is_there(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()

    async def conversation(connection: SocketConnection) -> None:
        heard = await until(connection, SessionUpdated)
        assert isinstance(heard[0], SessionCreated)
        assert connection.session_id == heard[0].session_id != ""
        assert len(of(SessionCreated, heard)) == 1

    run_virtual(talk(rig, conversation))
    assert rig.violations == []


@each_dialect
def test_words_that_are_asked_for_come_as_one_whole_response(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()
    rig.will(Says("Good morning to you.", 400))

    async def conversation(connection: SocketConnection) -> None:
        await connection.send(ResponseCreate("create_1", say="Good morning to you."))
        heard = await until(connection, ResponseDone)
        [begun], [done] = of(ResponseCreated, heard), of(ResponseDone, heard)
        deltas = [event for event in heard if isinstance(event, AudioOutputDelta)]
        assert isinstance(begun, ResponseCreated) and isinstance(done, ResponseDone)
        assert {delta.response_id for delta in deltas} == {begun.response_id} == {done.response_id}
        assert len({delta.item_id for delta in deltas}) == 1
        assert sum(len(delta.pcm) for delta in deltas) == 400 * PCM.bytes_per_ms
        assert heard.index(begun) < heard.index(deltas[0]) < heard.index(of(AudioOutputDone, heard)[0])
        [written] = of(TranscriptOutput, heard)
        assert isinstance(written, TranscriptOutput)
        assert written.text == "Good morning to you."
        assert (done.status, done.usage.output_audio_tokens) == ("completed", 8)

    run_virtual(talk(rig, conversation))
    assert (rig.violations, rig.responses()) == ([], 1)


@each_dialect
def test_a_callers_turn_is_heard_written_down_and_answered(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()
    rig.caller_words = "Where is my order?"

    async def conversation(connection: SocketConnection) -> None:
        for pcm in (silence(500), tone(600), silence(600)):
            for start in range(0, len(pcm), 960):
                await connection.send(AudioInputAppend(pcm[start : start + 960]))
        heard = await until(connection, ResponseDone)
        turn = [event for event in heard if isinstance(event, SpeechStarted | SpeechStopped | TranscriptInput)]
        [started, stopped, written] = turn
        assert isinstance(written, TranscriptInput)
        assert written == TranscriptInput(started.item_id, "Where is my order?")
        assert stopped.item_id == started.item_id
        assert heard.index(written) < heard.index(of(AudioOutputDelta, heard)[0])

    run_virtual(talk(rig, conversation))
    assert rig.violations == []
    assert 1690 <= rig.heard_ms() <= 1700


@each_dialect
def test_a_tool_is_called_and_its_answer_is_spoken(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()
    rig.will(Calls((ToolUse("look_up", '{"order": 7}'),), first=Says("One moment.")), Says("It is on its way."))

    async def conversation(connection: SocketConnection) -> None:
        await connection.send(ResponseCreate("create_1"))
        heard = await until(connection, ResponseDone)
        [call] = of(ToolCall, heard)
        assert isinstance(call, ToolCall)
        assert (call.name, call.arguments) == ("look_up", '{"order": 7}')
        await connection.send(ToolResult(call.call_id, '{"where": "near"}'))
        await connection.send(ResponseCreate("create_2"))
        answer = await until(connection, ResponseDone)
        [begun], [done], [spoken] = of(ResponseCreated, answer), of(ResponseDone, answer), of(TranscriptOutput, answer)
        assert isinstance(begun, ResponseCreated) and isinstance(done, ResponseDone)
        assert isinstance(spoken, TranscriptOutput)
        assert begun.response_id == done.response_id == spoken.response_id != call.response_id
        assert spoken.text == "It is on its way."
        assert rig.results() == {call.call_id: '{"where": "near"}'}

    run_virtual(talk(rig, conversation))
    assert rig.violations == []


@each_dialect
def test_a_voice_interrupts_and_nothing_of_the_response_comes_after_its_end(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()
    rig.will(Says(audio_ms=2000, holds=True), Says("Yes?"))

    async def conversation(connection: SocketConnection) -> None:
        await connection.send(ResponseCreate("create_1"))
        [begun] = of(ResponseCreated, await until(connection, AudioOutputDelta))
        await connection.send(AudioInputAppend(tone(60)))
        heard = await until(connection, ResponseDone)
        [done] = of(ResponseDone, heard)
        assert isinstance(begun, ResponseCreated) and isinstance(done, ResponseDone)
        assert (done.response_id, done.status) == (begun.response_id, "interrupted")
        assert heard.index(of(SpeechStarted, heard)[0]) < heard.index(done)
        await connection.send(AudioInputAppend(silence(700)))
        answer = await until(connection, ResponseDone)
        [next_begun] = of(ResponseCreated, answer)
        assert isinstance(next_begun, ResponseCreated)
        assert next_begun.response_id != begun.response_id

    run_virtual(talk(rig, conversation))
    assert rig.violations == []


@each_dialect
def test_history_is_there_before_anything_is_said_and_nobody_answers_it(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()
    long = "an-id-of-another-provider-that-is-too-long-here"
    history = (
        PastMessage("item_1", "user", "Where is my order?"),
        PastToolCall("call_1", "look_up", '{"order": 7}', '{"where": "near"}'),
        PastMessage(long, "assistant", "It is near."),
        PastToolCall(long, "look_up", "{}", None),
        PastMessage("item_2", "system", "The caller is in a hurry."),
    )

    async def conversation() -> None:
        options = RealtimeConnectOptions(session_config=CONFIG, history=history, websocket=rig.websocket)
        async with await rig.model().connect(options) as connection:
            await connection.send(ToolResult(long, "found"))
            await connection.send(ResponseCreate("create_1"))
            heard = await until(connection, ResponseDone)
            assert of(SessionError, heard) == []
            assert len(of(ResponseCreated, heard)) == 1

    run_virtual(conversation())
    assert rig.violations == []
    assert rig.past() == [
        ("user", "Where is my order?"),
        ("assistant", "It is near."),
        ("system", "The caller is in a hurry."),
    ]
    assert sorted(rig.results().values()) == ["found", '{"where": "near"}']


@each_dialect
def test_history_goes_before_a_conversation_that_nobody_configured(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()

    async def conversation() -> None:
        options = RealtimeConnectOptions(history=(PastMessage("item_1", "user", "Hi"),), websocket=rig.websocket)
        async with await rig.model().connect(options) as connection:
            await until(connection, SessionUpdated)

    run_virtual(conversation())
    assert (rig.violations, rig.past()) == ([], [("user", "Hi")])


@each_dialect
def test_what_a_dialect_cannot_do_is_refused_and_what_it_can_do_works(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()
    rig.will(Says(audio_ms=1000, holds=True))
    known = rig.model().capabilities

    async def conversation(connection: SocketConnection) -> None:
        await connection.send(ResponseCreate("create_1"))
        [*_, delta] = await until(connection, AudioOutputDelta)
        assert isinstance(delta, AudioOutputDelta)
        if known.cancel:
            await connection.send(ResponseCancel(delta.response_id))
            [*_, done] = await until(connection, ResponseDone)
            assert isinstance(done, ResponseDone) and done.status == "cancelled"
        else:
            with pytest.raises(NotSupportedError, match="cancel"):
                await connection.send(ResponseCancel(delta.response_id))
        if known.truncate:
            await connection.send(ItemTruncate(delta.item_id, 0, 300))
            assert (await until(connection, ItemTruncated))[-1] == ItemTruncated(delta.item_id, 300)
        else:
            with pytest.raises(NotSupportedError, match="truncate"):
                await connection.send(ItemTruncate(delta.item_id, 0, 300))

    run_virtual(talk(rig, conversation))
    assert rig.violations == []


@each_dialect
def test_a_refused_request_is_told_by_its_name_so_that_another_may_follow(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()
    rig.will(Says(holds=True))

    async def conversation(connection: SocketConnection) -> None:
        await connection.send(ResponseCreate("create_1"))
        await until(connection, AudioOutputDelta)
        await connection.send(ResponseCreate("create_2"))
        [*_, error] = await until(connection, SessionError)
        assert isinstance(error, SessionError)
        assert (error.code, error.event_id) == ("conversation_already_has_active_response", "create_2")
        await rig.release()
        await until(connection, ResponseDone)

    run_virtual(talk(rig, conversation))
    assert rig.violations == []


@each_dialect
def test_a_failure_has_its_category_and_ends_the_response(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()
    rig.will(Fails("quota"))

    async def conversation(connection: SocketConnection) -> None:
        await connection.send(ResponseCreate("create_1"))
        heard = await until(connection, ResponseDone)
        [error], [done] = of(SessionError, heard), of(ResponseDone, heard)
        assert isinstance(error, SessionError) and isinstance(done, ResponseDone)
        assert (error.category, error.retryable, done.status) == ("quota", False, "failed")

    run_virtual(talk(rig, conversation))
    assert rig.violations == []


@pytest.mark.parametrize("rig_class", [rig for rig in RIGS if PCMU in rig().model().capabilities.input_formats])
def test_the_telephones_audio_passes_untouched_where_the_wire_has_it(rig_class: type[OpenAIRig]) -> None:
    rig = rig_class()
    rig.will(Says(audio_ms=200))
    config = SessionConfig(input_format=PCMU, output_format=PCMU, turn_detection=TurnDetection())

    async def conversation(connection: SocketConnection) -> None:
        for ulaw in (tone(200, PCMU), silence(600, PCMU)):
            await connection.send(AudioInputAppend(ulaw))
        heard = await until(connection, ResponseDone)
        spoken = b"".join(event.pcm for event in heard if isinstance(event, AudioOutputDelta))
        assert spoken == tone(100, PCMU) * 2

    run_virtual(talk(rig, conversation, config))
    assert rig.violations == []
    assert rig.heard_ms() == 800
