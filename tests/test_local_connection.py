"""The embedded model speaks the contract of a cloud realtime model."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import agents.local as local
from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    ActivityEnd,
    AudioInputAppend,
    AudioInputClear,
    AudioInputCleared,
    AudioInputCommit,
    AudioInputCommitted,
    AudioOutputDelta,
    ItemCreate,
    ItemCreated,
    ItemDelete,
    ItemDeleted,
    ItemTruncate,
    ItemTruncated,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
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
    TranscriptOutputDelta,
    Usage,
)
from agents.local import embedded_ear as ear_module
from agents.local import speech as speech_module
from agents.local.connection import LocalConnection
from agents.local.dialogue import NOT_HEARD, SORRY
from agents.local.reply import PIECE_MS
from agents.local.sentences import sentences
from agents.local.speech import Speech
from agents.realtime import PastMessage, RealtimeConnectOptions, SessionConfig, TurnDetection, Voice
from agents.schema import AgentSpec
from tests.fake_chat import ChatReply, FakeChat, fake_chat
from tests.local_call import SILENCE, engines, kinds, over_the_phone, say, until
from tests.local_phrases import SCRIPT

__all__ = ["engines"]

LONG = "This goes on and on, one sentence after the other, for as long as anybody will listen. "
ENDLESS = " ".join(f"{number}: {LONG}" for number in range(100, 120))
"""More speech than fits between the model and a reader that does not read."""


def script_spec(**fields: Any) -> AgentSpec:
    return AgentSpec(model="local/script", script=SCRIPT, tools=("hang_up",), **fields)


@asynccontextmanager
async def connected(spec: AgentSpec, config: SessionConfig | None = None) -> AsyncIterator[LocalConnection]:
    model = local.open_model(spec, Path(), {})
    opened = await model.connect(RealtimeConnectOptions(session_config=config or SessionConfig()))
    assert isinstance(opened, LocalConnection)
    async with opened as connection:
        await until(connection, SessionUpdated)
        yield connection


def call(talk: Callable[[LocalConnection], Awaitable[None]], config: SessionConfig | None = None) -> None:
    """A call to the script, with nothing left over at its end."""

    async def main() -> None:
        async with connected(script_spec(), config) as connection:
            await talk(connection)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def chat_call(
    talk: Callable[[LocalConnection, FakeChat], Awaitable[None]],
    *replies: ChatReply,
    config: SessionConfig | None = None,
) -> None:
    async def main() -> None:
        async with fake_chat(*replies) as endpoint:
            spec = AgentSpec.model_validate({"model": "local/chat", "brain": {"url": endpoint.url, "model": "m"}})
            async with connected(spec, config) as connection:
                await talk(connection, endpoint)

    asyncio.run(main())


# ---- beginnings and ends ----


def test_the_session_is_created_then_configured_and_named_once_that_was_read(engines: Speech) -> None:
    async def main() -> None:
        model = local.open_model(script_spec(), Path(), {})
        async with await model.connect(RealtimeConnectOptions(session_config=SessionConfig())) as connection:
            assert connection.session_id is None
            events = aiter(connection)
            created = await anext(events)
            assert isinstance(created, SessionCreated) and connection.session_id == created.session_id
            assert isinstance(await anext(events), SessionUpdated)

    asyncio.run(main())


def test_closing_ends_the_reading_and_the_sending_at_any_time(engines: Speech) -> None:
    async def main() -> None:
        model = local.open_model(script_spec(), Path(), {})
        connection = await model.connect()
        await connection.close()
        async with await model.connect() as connection:
            await connection.send(ResponseCreate("e", say=ENDLESS))
            await until(connection, AudioOutputDelta)  # type: ignore[arg-type]
            await connection.close()
            await connection.close()
            assert [event async for event in connection] == []
            with pytest.raises(ProviderError) as caught:
                await connection.send(AudioInputAppend(b""))
            assert caught.value.code == "closed"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_an_error_in_the_callers_code_comes_out_as_it_is(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call(talk)


# ---- a caller's turn and its answer ----


def test_a_turn_and_its_answer_come_in_the_order_of_a_cloud_model(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await say(connection, engines, "When are you open?")

        done, events = await until(connection, ResponseDone)

        assert done.status == "completed"
        assert kinds(events) == [
            "speech.started",
            "speech.stopped",
            "audio.input.committed",
            "transcript.input",
            "response.created",
            "transcript.output.delta",
            "audio.output.delta",
            "audio.output.done",
            "transcript.output",
            "response.done",
        ]
        started, stopped, committed, heard = events[:4]
        assert isinstance(started, SpeechStarted) and isinstance(stopped, SpeechStopped)
        assert isinstance(committed, AudioInputCommitted) and isinstance(heard, TranscriptInput)
        assert started.item_id == stopped.item_id == committed.item_id == heard.item_id
        assert started.audio_start_ms < stopped.audio_end_ms
        assert heard.text == "When are you open?"

    call(talk)


def test_audio_comes_in_short_pieces_after_the_text_of_each_sentence(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e", say="One moment, please. Here I am."))

        _, events = await until(connection, ResponseDone)

        texts = [event.text for event in events if isinstance(event, TranscriptOutputDelta)]
        pieces = [event.pcm for event in events if isinstance(event, AudioOutputDelta)]
        whole = await engines.synthesize("One moment, please.") + await engines.synthesize("Here I am.")
        assert texts == ["One moment, please.", " Here I am."]
        assert b"".join(pieces) == whole
        assert max(map(len, pieces)) == PIECE_MS * 48
        assert [event.text for event in events if isinstance(event, TranscriptOutput)] == ["".join(texts)]

    call(talk)


def test_a_number_of_forty_digits_does_not_end_the_call(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e", say="7" * 40))
        done, events = await until(connection, ResponseDone)

        assert done.status == "completed"
        assert any(isinstance(event, AudioOutputDelta) for event in events)

    call(talk)


def test_goodbye_calls_the_hang_up_tool_after_its_audio(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await say(connection, engines, "That is all, thank you. Goodbye.")

        tool, events = await until(connection, ToolCall)
        done, rest = await until(connection, ResponseDone)

        assert (tool.name, tool.arguments) == ("hang_up", "{}")
        assert kinds(events)[-3:] == ["audio.output.done", "transcript.output", "tool.call"]
        assert rest == [done] and done.status == "completed"
        await connection.send(ToolResult(tool.call_id, "The call goes on."))
        await connection.send(ResponseCreate("e"))
        _, nothing = await until(connection, ResponseDone)
        assert kinds(nothing) == ["response.created", "response.done"]

    call(talk)


def test_noise_is_an_empty_transcript_and_no_answer(engines: Speech) -> None:
    config = SessionConfig(turn_detection=TurnDetection(threshold=0.0, silence_duration_ms=5000))

    async def talk(connection: LocalConnection) -> None:
        await connection.send(AudioInputAppend(bytes(48 * 800)))
        await connection.send(AudioInputCommit())
        heard, _ = await until(connection, TranscriptInput)
        await connection.send(SessionUpdate(SessionConfig()))
        _, events = await until(connection, SessionUpdated)

        assert heard.text == ""
        assert kinds(events) == ["session.updated"]

    call(talk, config)


def test_transcripts_can_be_turned_off(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await say(connection, engines, "When are you open?")
        _, events = await until(connection, ResponseDone)

        assert "transcript.input" not in kinds(events)

    call(talk, SessionConfig(transcription=None))


def test_without_create_response_the_answer_waits_to_be_asked_for(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await say(connection, engines, "When are you open?")
        await until(connection, TranscriptInput)
        await connection.send(ResponseCreate("e"))
        said, events = await until(connection, TranscriptOutput)

        assert kinds(events)[0] == "response.created"
        assert said.text == "We are open from nine to five, Monday to Friday."

    call(talk, SessionConfig(turn_detection=TurnDetection(create_response=False)))


def test_manual_turns_end_by_commit_and_the_answer_waits_for_the_ears(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        pcm = over_the_phone(await engines.synthesize("When are you open?"))
        await connection.send(AudioInputAppend(SILENCE + pcm + SILENCE))
        await connection.send(AudioInputCommit())
        await connection.send(ResponseCreate("e"))

        said, events = await until(connection, TranscriptOutput)

        assert kinds(events)[:3] == ["audio.input.committed", "response.created", "transcript.input"]
        assert said.text.startswith("We are open")

    call(talk, SessionConfig(turn_detection=None))


def test_committing_nothing_is_a_benign_error(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(AudioInputAppend(SILENCE))
        await connection.send(AudioInputClear())
        await connection.send(AudioInputCommit())
        error, events = await until(connection, SessionError)

        assert isinstance(events[0], AudioInputCleared)
        assert error.benign and error.code == "input_audio_buffer_commit_empty"

    call(talk)


# ---- interruption ----


def test_the_callers_voice_cancels_the_response_under_way(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e", say=ENDLESS))
        await until(connection, ResponseCreated)
        await say(connection, engines, "When are you open?")
        done, events = await until(connection, ResponseDone)
        said, later = await until(connection, TranscriptOutput)

        assert (done.status, done.reason) == ("interrupted", "turn_detected")
        assert kinds(events)[-3:] == ["speech.started", "response.interrupted", "response.done"]
        assert said.text.startswith("We are open")
        assert not [event for event in later if getattr(event, "response_id", "") == done.response_id]

    call(talk)


def test_without_interrupt_response_the_answer_comes_after_what_is_being_said(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e", say=ENDLESS))
        await until(connection, ResponseCreated)
        await say(connection, engines, "When are you open?")
        first, _ = await until(connection, ResponseDone)
        said, _ = await until(connection, TranscriptOutput)

        assert first.status == "completed"
        assert said.text.startswith("We are open")

    call(talk, SessionConfig(turn_detection=TurnDetection(interrupt_response=False)))


def test_a_cancelled_response_says_nothing_any_more(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e", say=ENDLESS))
        created, _ = await until(connection, ResponseCreated)
        await connection.send(ResponseCancel(created.response_id))
        done, _ = await until(connection, ResponseDone)
        await connection.send(ResponseCreate("f", say="Again."))
        again, events = await until(connection, ResponseDone)

        assert (done.status, done.reason) == ("cancelled", "client_cancelled")
        assert again.status == "completed"
        assert {getattr(event, "response_id", again.response_id) for event in events} == {again.response_id}

    call(talk)


@pytest.mark.parametrize("response_id", [None, "resp_other"])
def test_cancelling_what_is_not_under_way_is_a_benign_error(engines: Speech, response_id: str | None) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCancel(response_id))
        error, _ = await until(connection, SessionError)

        assert error.benign and error.code == "response_cancel_not_active"

    call(talk)


def test_two_responses_at_once_are_refused(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e", say=ENDLESS))
        await connection.send(ResponseCreate("f", say="Me too."))
        await connection.send(ResponseCancel())
        error, _ = await until(connection, SessionError)

        assert (error.code, error.event_id) == ("conversation_already_has_active_response", "f")

    call(talk)


def test_a_script_refuses_instructions_of_a_response(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(ResponseCreate("e", instructions="Be funny."))
        error, _ = await until(connection, SessionError)

        assert (error.code, error.event_id, error.benign) == ("not_supported", "e", False)

    call(talk)


# ---- the conversation ----


def test_a_written_message_is_answered_when_asked(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(ItemCreate("user", "when are you open", item_id="m"))
        await connection.send(ResponseCreate("e"))
        said, events = await until(connection, TranscriptOutput)

        assert events[0] == ItemCreated("m", "user", None)
        assert said.text.startswith("We are open")

    call(talk)


def test_a_conversation_goes_on_from_its_history(engines: Speech) -> None:
    past = (PastMessage("1", "assistant", "Hello."), PastMessage("2", "user", "when are you open"))

    async def main() -> None:
        model = local.open_model(script_spec(), Path(), {})
        options = RealtimeConnectOptions(session_config=SessionConfig(), history=past)
        async with await model.connect(options) as connection:
            assert isinstance(connection, LocalConnection)
            await connection.send(ResponseCreate("e"))
            said, events = await until(connection, TranscriptOutput)
            await connection.send(ItemDelete("1"))
            await until(connection, ItemDeleted)

        assert kinds(events)[:3] == ["session.created", "session.updated", "response.created"]
        assert said.text.startswith("We are open")

    asyncio.run(main())


def test_unknown_items_are_benign_errors(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        for event in (
            ItemTruncate("x", 0, 10),
            ItemDelete("x"),
            ToolResult("x", ""),
            ItemCreate("user", "a", "b", "x"),
        ):
            await connection.send(event)
            error, _ = await until(connection, SessionError)
            assert (error.code, error.benign) == ("item_not_found", True)

    call(talk)


def test_an_item_can_be_deleted(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        await connection.send(ItemCreate("user", "when are you open", item_id="m"))
        await connection.send(ItemDelete("m"))
        await connection.send(ResponseCreate("e"))
        _, events = await until(connection, ResponseDone)

        assert events[1] == ItemDeleted("m")
        assert "audio.output.delta" not in kinds(events)

    call(talk)


def test_the_configuration_can_change_and_what_cannot_be_honoured_is_refused(engines: Speech) -> None:
    async def talk(connection: LocalConnection) -> None:
        with pytest.raises(NotSupportedError, match="voice"):
            await connection.send(SessionUpdate(SessionConfig(voice=Voice(voice_id="emma"))))
        with pytest.raises(NotSupportedError):
            await connection.send(ActivityEnd())
        await connection.send(SessionUpdate(SessionConfig(voice=Voice(speed=1.5))))
        await connection.send(ResponseCreate("e", say="We are open from nine to five."))
        _, events = await until(connection, ResponseDone)

        spoken = b"".join(event.pcm for event in events if isinstance(event, AudioOutputDelta))
        assert isinstance(events[0], SessionUpdated)
        assert spoken == await engines.synthesize("We are open from nine to five.", 1.5)

    call(talk)


# ---- a brain at a chat endpoint ----


def test_the_endpoint_knows_only_what_the_caller_heard(engines: Speech) -> None:
    async def talk(connection: LocalConnection, endpoint: FakeChat) -> None:
        await connection.send(ItemCreate("user", "Tell me everything."))
        await connection.send(ResponseCreate("e"))
        done, events = await until(connection, ResponseDone)
        item_id = next(event.item_id for event in events if isinstance(event, TranscriptOutput))
        first_ms = len(await engines.synthesize("This is the first.")) // 48
        await connection.send(ItemTruncate(item_id, 0, first_ms))
        assert (await until(connection, ItemTruncated))[0].audio_end_ms == first_ms
        await connection.send(ItemCreate("user", "Stop."))
        await connection.send(ResponseCreate("f"))
        await until(connection, ResponseDone)

        assert done.usage == Usage(7, 5)
        assert endpoint.requests[1]["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Tell me everything."},
            {"role": "assistant", "content": "This is the first."},
            {"role": "user", "content": "Stop."},
        ]

    answers = ChatReply(("This is the first. ", "This is the second.")), ChatReply(("As you like.",))
    chat_call(talk, *answers, config=SessionConfig(instructions="Be brief."))


def test_a_tool_is_called_and_its_result_goes_back(engines: Speech) -> None:
    async def talk(connection: LocalConnection, endpoint: FakeChat) -> None:
        await say(connection, engines, "When is my appointment?")
        tool, events = await until(connection, ToolCall)
        await until(connection, ResponseDone)
        await connection.send(ToolResult(tool.call_id, '{"day":"Monday"}'))
        await connection.send(ResponseCreate("e"))
        said, _ = await until(connection, TranscriptOutput)

        assert (tool.name, tool.arguments) == ("lookup", '{"who":"me"}')
        assert kinds(events)[-2:] == ["transcript.output", "tool.call"]
        assert said.text == "On Monday."
        user, assistant, result = endpoint.requests[1]["messages"]
        assert user == {"role": "user", "content": "When is my appointment?"}
        assert assistant["content"] == "One moment." and assistant["tool_calls"][0]["id"] == tool.call_id
        assert result == {"role": "tool", "tool_call_id": tool.call_id, "content": '{"day":"Monday"}'}

    chat_call(talk, ChatReply(("One moment.",), ("c1", "lookup", ('{"who"', ':"me"}'))), ChatReply(("On Monday.",)))


def test_calls_to_which_the_endpoint_gives_one_id_are_two_calls_each_with_its_result(engines: Speech) -> None:
    async def talk(connection: LocalConnection, endpoint: FakeChat) -> None:
        ids: list[str] = []
        for output in ("Monday", "Tuesday"):
            await connection.send(ResponseCreate("e"))
            tool, _ = await until(connection, ToolCall)
            await until(connection, ResponseDone)
            await connection.send(ToolResult(tool.call_id, output))
            ids.append(tool.call_id)
        await connection.send(ResponseCreate("e"))
        await until(connection, ResponseDone)

        first, second = ids
        assert first != second
        written = endpoint.requests[2]["messages"]
        called = [call["id"] for message in written for call in message.get("tool_calls", ())]
        answered = {message["tool_call_id"]: message["content"] for message in written if message["role"] == "tool"}
        assert called == ids
        assert answered == {first: "Monday", second: "Tuesday"}

    same = ChatReply(call=("call_0", "lookup", ("{}",)))
    chat_call(talk, same, same, ChatReply(("Done.",)))


def test_the_callers_voice_stops_the_endpoint(engines: Speech) -> None:
    async def talk(connection: LocalConnection, endpoint: FakeChat) -> None:
        await connection.send(ResponseCreate("e"))
        await until(connection, TranscriptOutputDelta)
        await say(connection, engines, "Stop it, please.")
        done, _ = await until(connection, ResponseDone)
        async with asyncio.timeout(5):
            await endpoint.left.wait()
        said, _ = await until(connection, TranscriptOutput)

        assert (done.status, done.reason) == ("interrupted", "turn_detected")
        assert said.text == "Okay."
        first, heard = endpoint.requests[1]["messages"]
        assert first["role"] == "assistant" and first["content"] == "One."
        assert heard["content"].startswith("Stop it")

    chat_call(talk, ChatReply(("One. ", "Two"), stalls=True), ChatReply(("Okay.",)))


def test_an_endpoint_that_fails_is_an_error_and_an_apology(engines: Speech) -> None:
    async def talk(connection: LocalConnection, endpoint: FakeChat) -> None:
        await say(connection, engines, "When are you open?")
        error, _ = await until(connection, SessionError)
        done, events = await until(connection, ResponseDone)
        await connection.send(ResponseCreate("e"))
        said, _ = await until(connection, TranscriptOutput)

        assert (error.code, error.retryable, error.benign) == ("http_503", True, False)
        assert (done.status, done.reason) == ("failed", "http_503")
        assert [event.text for event in events if isinstance(event, TranscriptOutput)] == [SORRY]
        assert said.text == "Now I can."

    chat_call(talk, ChatReply(status=503), ChatReply(("Now I can.",)))


# ---- ears and mouth that fail ----


def test_ears_that_are_too_busy_are_an_error_and_an_apology(engines: Speech, monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(connection: LocalConnection) -> None:
        for sentence in sentences(NOT_HEARD):
            await engines.synthesize(sentence)
        pcm = over_the_phone(await engines.synthesize("When are you open?"))
        monkeypatch.setattr(speech_module, "MAX_WAITING_JOBS", 0)
        await connection.send(AudioInputAppend(SILENCE + pcm + SILENCE))
        error, _ = await until(connection, SessionError)
        said, events = await until(connection, TranscriptOutput)

        assert (error.code, error.retryable) == ("busy", True)
        assert isinstance(events[0], TranscriptInput) and events[0].text == ""
        assert said.text == NOT_HEARD

    call(talk)


def test_a_mouth_that_fails_fails_the_response(engines: Speech, monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(connection: LocalConnection) -> None:
        for sentence in sentences(SORRY):
            await engines.synthesize(sentence)
        monkeypatch.setattr(speech_module, "MAX_WAITING_JOBS", 0)
        await connection.send(ResponseCreate("e", say="Something that was never said before."))
        error, _ = await until(connection, SessionError)
        done, events = await until(connection, ResponseDone)

        assert error.code == "busy"
        assert (done.status, done.reason) == ("failed", "busy")
        assert [event.text for event in events if isinstance(event, TranscriptOutput)] == [SORRY]

    call(talk)


def test_more_turns_than_can_be_understood_are_dropped(engines: Speech, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ear_module, "MAX_UNHEARD_TURNS", 1)

    async def talk(connection: LocalConnection) -> None:
        for _ in range(3):
            await connection.send(AudioInputAppend(SILENCE))
            await connection.send(AudioInputCommit())
        error, _ = await until(connection, SessionError)

        assert (error.code, error.retryable) == ("busy", True)

    call(talk, SessionConfig(turn_detection=None))
