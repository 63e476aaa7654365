"""Whole exchanges of the OpenAI model with a fake OpenAI on loopback: turns, interruptions, tools, errors, ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from agents.errors import ProviderError
from agents.events import (
    AudioInputAppend,
    AudioInputCommit,
    AudioInputCommitted,
    AudioOutputDelta,
    ItemTruncate,
    ItemTruncated,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseInterrupted,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolResult,
    TranscriptInput,
    TranscriptOutput,
)
from agents.providers.openai import OpenAIModel
from agents.providers.socket import SocketConnection
from agents.realtime import (
    AudioFormat,
    RealtimeConnectOptions,
    SessionConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
    Voice,
)
from tests.fake_openai import Call, CallTools, Fail, FakeOpenAI, Speak, tone

NAME = "gpt-realtime-2.1"
CONFIG = SessionConfig(
    instructions="You are kind.",
    tools=(ToolSchema(name="hang_up", description="Ends the call.", parameters={"type": "object"}),),
    voice=Voice(voice_id="marin"),
    turn_detection=TurnDetection(silence_duration_ms=400),
    transcription=Transcription(),
)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


async def until(connection: SocketConnection, kind: type[ServerEvent]) -> list[ServerEvent]:
    """All events up to the first of this kind, with it."""
    heard: list[ServerEvent] = []
    async for event in connection:
        heard.append(event)
        if isinstance(event, kind):
            break
    return heard


def test_a_response_brings_the_same_audio_transcript_status_and_usage() -> None:
    async def main() -> None:
        async with FakeOpenAI(Speak("Good morning to you.", audio_ms=250, delta_ms=100)) as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect(RealtimeConnectOptions(session_config=CONFIG)) as connection:
                await connection.send(ResponseCreate("create_1", say="Good morning to you."))
                heard = await until(connection, ResponseDone)
                audio = b"".join(event.pcm for event in heard if isinstance(event, AudioOutputDelta))
                assert audio == tone(100) + tone(100) + tone(50)
                assert [event.text for event in heard if isinstance(event, TranscriptOutput)] == [
                    "Good morning to you."
                ]
                done = heard[-1]
                assert isinstance(done, ResponseDone)
                assert (done.status, done.reason) == ("completed", "")
                assert done.usage.total_tokens == 135
                assert done.usage.output_audio_tokens == 5
                assert done.usage.input_cached_tokens == 64
        assert fake.violations == []

    run(main())


def test_a_callers_turn_is_detected_transcribed_and_answered() -> None:
    async def main() -> None:
        async with FakeOpenAI(hears="What time is it?") as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect(RealtimeConnectOptions(session_config=CONFIG)) as connection:
                await until(connection, SessionUpdated)
                for pcm in (bytes(48 * 500), tone(600), bytes(48 * 500)):
                    for start in range(0, len(pcm), 960):
                        await connection.send(AudioInputAppend(pcm[start : start + 960]))
                heard = await until(connection, ResponseDone)
                kinds = (SpeechStarted, SpeechStopped, AudioInputCommitted, TranscriptInput, ResponseCreated)
                turn = [event for event in heard if isinstance(event, kinds)]
                item_id = turn[0].item_id if isinstance(turn[0], SpeechStarted) else ""
                assert turn == [
                    SpeechStarted(item_id, 200),
                    SpeechStopped(item_id, 1500),
                    AudioInputCommitted(item_id),
                    TranscriptInput(item_id, "What time is it?"),
                    turn[4],
                ]
        assert fake.violations == []

    run(main())


@pytest.mark.parametrize(
    ("law", "silence", "loud"), [("audio/pcmu", b"\xff", b"\x10"), ("audio/pcma", b"\xd5", b"\x30")]
)
def test_telephone_audio_passes_through_untouched_in_both_directions(law: Any, silence: bytes, loud: bytes) -> None:
    async def main() -> None:
        async with FakeOpenAI(Speak(audio_ms=100), audio=lambda ms: loud * 8 * ms) as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            g711 = AudioFormat(mime_type=law, sample_rate=8_000)
            config = SessionConfig(input_format=g711, output_format=g711, turn_detection=TurnDetection())
            async with await model.connect(RealtimeConnectOptions(session_config=config)) as connection:
                for audio in (silence * 8 * 400, loud * 8 * 400, silence * 8 * 600):
                    await connection.send(AudioInputAppend(audio))
                heard = await until(connection, ResponseDone)
                assert [event.audio_start_ms for event in heard if isinstance(event, SpeechStarted)] == [100]
                assert [event.pcm for event in heard if isinstance(event, AudioOutputDelta)] == [loud * 800]
        assert fake.violations == []

    run(main())


def test_the_callers_voice_interrupts_the_response_that_is_under_way() -> None:
    async def main() -> None:
        async with FakeOpenAI(Speak(audio_ms=1000, holds=True)) as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect(RealtimeConnectOptions(session_config=CONFIG)) as connection:
                await connection.send(ResponseCreate("create_1"))
                await until(connection, AudioOutputDelta)
                await connection.send(AudioInputAppend(tone(40)))
                heard = await until(connection, ResponseDone)
                assert any(isinstance(event, SpeechStarted) for event in heard)
                interrupted, done = heard[-2:]
                assert isinstance(interrupted, ResponseInterrupted)
                assert isinstance(done, ResponseDone)
                assert (done.status, done.reason) == ("interrupted", "turn_detected")
                assert done.response_id == interrupted.response_id
                assert done.usage.total_tokens > 0
        assert fake.violations == []

    run(main())


def test_a_cancelled_response_is_done_and_a_second_cancel_is_a_benign_error() -> None:
    async def main() -> None:
        async with FakeOpenAI(Speak(holds=True)) as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect() as connection:
                await connection.send(ResponseCreate("create_1"))
                await connection.send(ResponseCancel())
                done = (await until(connection, ResponseDone))[-1]
                assert isinstance(done, ResponseDone)
                assert (done.status, done.reason) == ("cancelled", "client_cancelled")
                await connection.send(ResponseCancel(done.response_id))
                [error] = await until(connection, SessionError)
                assert isinstance(error, SessionError)
                assert (error.code, error.benign) == ("response_cancel_not_active", True)
        assert fake.violations == []

    run(main())


def test_a_second_create_is_refused_by_the_name_of_its_event() -> None:
    async def main() -> None:
        async with FakeOpenAI(Speak(holds=True)) as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect() as connection:
                await connection.send(ResponseCreate("create_1"))
                await connection.send(ResponseCreate("create_2"))
                error = (await until(connection, SessionError))[-1]
                assert isinstance(error, SessionError)
                assert error.code == "conversation_already_has_active_response"
                assert (error.event_id, error.benign) == ("create_2", False)
                await (await fake.session()).release()
                await until(connection, ResponseDone)
        assert fake.violations == []

    run(main())


def test_truncating_too_far_is_a_benign_error_and_is_done_up_to_the_end() -> None:
    async def main() -> None:
        async with FakeOpenAI(Speak(audio_ms=300)) as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect() as connection:
                await connection.send(ResponseCreate("create_1"))
                heard = await until(connection, ResponseDone)
                item_id = next(event.item_id for event in heard if isinstance(event, AudioOutputDelta))
                await connection.send(ItemTruncate(item_id, 0, 200))
                assert await until(connection, ItemTruncated) == [ItemTruncated(item_id, 200)]
                await connection.send(ItemTruncate(item_id, 0, 385))
                error, truncated = await until(connection, ItemTruncated)
                assert isinstance(error, SessionError)
                assert error.benign
                assert truncated == ItemTruncated(item_id, 300)
        assert fake.violations == []

    run(main())


def test_committing_less_than_a_tenth_of_a_second_is_a_benign_error() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            config = SessionConfig(turn_detection=TurnDetection(mode="manual"))
            async with await model.connect(RealtimeConnectOptions(session_config=config)) as connection:
                await connection.send(AudioInputAppend(tone(80)))
                await connection.send(AudioInputCommit())
                error = (await until(connection, SessionError))[-1]
                assert isinstance(error, SessionError)
                assert (error.code, error.benign) == ("input_audio_buffer_commit_empty", True)
                await connection.send(AudioInputAppend(tone(20)))
                await connection.send(AudioInputCommit())
                await until(connection, AudioInputCommitted)
        assert fake.violations == []

    run(main())


def test_tool_calls_come_whole_and_their_results_go_back_under_their_ids() -> None:
    async def main() -> None:
        calls = CallTools((Call("look_up", '{"order": 7}'), Call("hang_up")), first=Speak("One moment."))
        async with FakeOpenAI(calls) as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect() as connection:
                await connection.send(ResponseCreate("create_1"))
                heard = await until(connection, ResponseDone)
                called = [event for event in heard if isinstance(event, ToolCall)]
                assert [(call.name, call.arguments) for call in called] == [
                    ("look_up", '{"order": 7}'),
                    ("hang_up", "{}"),
                ]
                for call in called:
                    await connection.send(ToolResult(call.call_id, '{"ok": true}'))
                session = await fake.session()
                await session.expect("conversation.item.create", count=2)
                answered = [message["item"]["call_id"] for message in session.messages("conversation.item.create")]
                assert answered == [call.call_id for call in called]
        assert fake.violations == []

    run(main())


def test_a_failed_response_tells_its_error_and_the_session_goes_on() -> None:
    async def main() -> None:
        async with FakeOpenAI(Fail("rate_limit_exceeded", "Too fast.")) as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect() as connection:
                await connection.send(ResponseCreate("create_1"))
                error, done = (await until(connection, ResponseDone))[-2:]
                assert error == SessionError("rate_limit_exceeded", "Too fast.", retryable=True)
                assert isinstance(done, ResponseDone)
                assert (done.status, done.reason) == ("failed", "rate_limit_exceeded")
                await connection.send(ResponseCreate("create_2"))
                again = (await until(connection, ResponseDone))[-1]
                assert isinstance(again, ResponseDone)
                assert again.status == "completed"
        assert fake.violations == []

    run(main())


def test_a_change_of_voice_after_speech_is_an_error_and_the_session_goes_on() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect(RealtimeConnectOptions(session_config=CONFIG)) as connection:
                await connection.send(ResponseCreate("create_1"))
                await until(connection, ResponseDone)
                await connection.send(SessionUpdate(SessionConfig(voice=Voice(voice_id="cedar"))))
                [error] = await until(connection, SessionError)
                assert isinstance(error, SessionError)
                assert (error.code, error.benign) == ("cannot_update_voice", False)
                await connection.send(SessionUpdate(CONFIG))
                assert await until(connection, SessionUpdated) == [SessionUpdated()]
        assert fake.violations == []

    run(main())


def test_malformed_json_from_the_server_is_an_error_event_and_the_session_goes_on() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect() as connection:
                await until(connection, SessionCreated)
                await fake.say("{broken")
                await fake.say(b"\xff\xfe")
                await connection.send(ResponseCreate("create_1"))
                first, second, *rest = await until(connection, ResponseDone)
                assert isinstance(first, SessionError)
                assert isinstance(second, SessionError)
                assert first.code == second.code == "malformed"
                assert isinstance(rest[0], ResponseCreated)

    run(main())


def test_a_session_at_its_maximum_duration_ends_as_expired_and_retryable() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            async with await OpenAIModel(NAME, api_key=fake.key, base_url=fake.url).connect() as connection:
                await until(connection, SessionCreated)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(fake.expire())
                    with pytest.raises(ProviderError, match="maximum duration") as caught:
                        await anext(connection)
            assert (caught.value.code, caught.value.retryable) == ("session_expired", True)

    run(main())


def test_a_connection_cut_in_the_middle_of_a_reply_is_a_network_error() -> None:
    async def main() -> None:
        async with FakeOpenAI(Speak(holds=True)) as fake:
            async with await OpenAIModel(NAME, api_key=fake.key, base_url=fake.url).connect() as connection:
                await connection.send(ResponseCreate("create_1"))
                await until(connection, AudioOutputDelta)
                fake.drop()
                with pytest.raises(ProviderError) as caught:
                    await until(connection, ResponseDone)
            assert (caught.value.code, caught.value.retryable) == ("network", True)

    run(main())
