"""Google's own types and client against the Gemini wire and its fake."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

pytest.importorskip("google.genai")
pytest.importorskip("trustme")

import trustme
from google import genai
from google.genai import errors, types

from agents.events import (
    AudioInputAppend,
    AudioInputCommit,
    ClientEvent,
    ItemCreate,
    ResponseCreate,
    ResponseDone,
    SessionExpiring,
    SessionUpdate,
    ToolCall,
    ToolResult,
)
from agents.providers.gemini import VOICES
from agents.providers.gemini.setup import make_setup
from agents.providers.gemini.wire import GeminiCodec
from agents.providers.socket import Answer
from agents.realtime import (
    PCM,
    PastMessage,
    PastToolCall,
    RealtimeConnectOptions,
    SessionConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
    Voice,
)
from tests.fake_ear import silence, tone
from tests.fake_gemini import KEY, FakeGemini
from tests.fake_gemini_session import EARS
from tests.fake_gemini_words import ENDS
from tests.fake_net import in_memory, served
from tests.rig import Calls, Fails, Says, ToolUse
from tests.rig_gemini import MODEL, GeminiRig

LOOKUP = ToolSchema(name="lookup", description="Looks up.", parameters={"type": "object", "properties": {}})
RULE = {"lookup": {"behavior": "NON_BLOCKING", "scheduling": "WHEN_IDLE"}}
CONFIG = SessionConfig(
    instructions="Be kind.",
    tools=(LOOKUP,),
    voice=Voice(voice_id="Kore"),
    max_output_tokens=200,
    turn_detection=TurnDetection(silence_duration_ms=400, prefix_padding_ms=20, interrupt_response=True),
    transcription=Transcription(language="en-US", prompt="Acme"),
)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 30))


# ---- what we say, by Google's types ----


def validate_client(text: str | bytes) -> None:
    """Unknown fields and wrong types raise, in Google's own models; words of a list are looked at here."""
    message = orjson.loads(text)
    if "setup" not in message:
        types.LiveClientMessage.model_validate(message)
        _check_words(message)
        return
    setup = dict(message["setup"])
    assert setup.pop("model").startswith("models/")
    types.LiveConnectConfig.model_validate(setup)
    _check_words(setup)


WORDS: dict[str, Any] = {
    "startOfSpeechSensitivity": types.StartSensitivity,
    "endOfSpeechSensitivity": types.EndSensitivity,
    "activityHandling": types.ActivityHandling,
    "behavior": types.Behavior,
    "scheduling": types.FunctionResponseScheduling,
    "responseModalities": types.Modality,
}


def _check_words(value: Any) -> None:
    """Google's models take any word where they know a few."""
    if isinstance(value, list):
        for each in value:
            _check_words(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in WORDS:
                known = {member.value for member in WORDS[key]}
                assert set(each if isinstance(each, list) else [each]) <= known, (key, each)
            _check_words(each)


@pytest.mark.parametrize(
    "config",
    [
        SessionConfig(),
        CONFIG,
        replace(CONFIG, turn_detection=TurnDetection(interrupt_response=False)),
        replace(CONFIG, turn_detection=None),
        replace(CONFIG, provider_options={"functions": RULE, "tools": [{"googleSearch": {}}]}),
        replace(CONFIG, provider_options={"contextWindowCompression": {"triggerTokens": 25600}}),
        replace(
            CONFIG,
            provider_options={
                "generation_config": {"temperature": 0.5, "thinkingConfig": {"thinkingBudget": 0}},
                "realtimeInputConfig": {
                    "automaticActivityDetection": {"startOfSpeechSensitivity": "START_SENSITIVITY_LOW"}
                },
            },
        ),
    ],
)
def test_every_setup_is_one_of_googles(config: SessionConfig) -> None:
    codec = GeminiCodec("g", make_setup(MODEL, config, handle="h", has_history=True), config)
    [text] = codec.encode(SessionUpdate(config))
    validate_client(text)


def test_everything_that_is_said_in_a_conversation_is_googles() -> None:
    history = (
        PastMessage("1", "user", "Hello."),
        PastToolCall("2", "f", "{}", None),
        PastMessage("3", "assistant", "Hi"),
    )
    config = replace(CONFIG, provider_options={"functions": RULE})
    codec = GeminiCodec("g", make_setup(MODEL, config, has_history=True), config, history=history, can_update=True)
    said: list[str | bytes] = list(codec.encode(SessionUpdate(config)))
    said += [e.message for e in codec.decode(b'{"setupComplete": {}}') if isinstance(e, Answer)]
    call = {"toolCall": {"functionCalls": [{"id": "c1", "name": "lookup"}, {"id": "c2", "name": "other"}]}}
    events: list[ClientEvent] = [
        AudioInputAppend(tone(40, PCM)),
        AudioInputCommit(),
        ItemCreate("user", "Hello?"),
        ItemCreate("system", "A note."),
        ResponseCreate("1"),
        ResponseCreate("2", say="Say this.", instructions="Be brief."),
        SessionUpdate(replace(config, instructions="Other.", tools=())),
        ToolResult("c1", '{"a": 1}'),
        ToolResult("c2", "Error: no"),
    ]
    for event in events:
        if isinstance(event, ToolResult) and event.call_id == "c1":
            list(codec.decode(orjson.dumps(call)))
        said += codec.encode(event)

    for text in said:
        validate_client(text)
    members = {key for text in said for key in orjson.loads(text)}
    assert members == {"setup", "clientContent", "realtimeInput", "toolResponse", "contextUpdate"}


def test_manual_turns_are_said_in_googles_words() -> None:
    config = replace(CONFIG, turn_detection=TurnDetection(mode="manual"))
    codec = GeminiCodec("g", make_setup(MODEL, config), config)
    codec.encode(SessionUpdate(config))
    list(codec.decode(b'{"setupComplete": {}}'))
    said = [*codec.encode(AudioInputAppend(tone(40, PCM))), *codec.encode(AudioInputCommit())]
    for text in said:
        validate_client(text)
    assert len(said) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"setup": {"model": "models/x", "generationConfig": {"temprature": 1}}},
        {"setup": {"model": "models/x", "realtimeInputConfig": {"activityHandling": "NEVER"}}},
        {"realtimeInput": {"audoi": {}}},
        {"clientContent": {"turns": "hello"}},
    ],
)
def test_the_validation_sees_a_slip_of_the_pen(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, AssertionError)):
        validate_client(orjson.dumps(wrong))


def test_the_voices_are_thirty() -> None:
    assert len(set(VOICES)) == 30


# ---- what the fake says, by Google's types ----


def test_everything_that_the_fake_says_is_googles() -> None:
    """Every message of a conversation with a reply, tools, an interruption and a warning."""
    said: list[bytes] = []
    rig = GeminiRig(FakeGemini())
    rig.will(Calls((ToolUse("lookup"),), first=Says("Let me see.", 200)), Says(holds=True), Says("Yes?"))

    async def main() -> None:
        async def tapped(url: str, headers: Any) -> Any:
            socket = await in_memory(rig.fake)(url, headers)
            receive = socket.recv

            async def recv() -> str | bytes:
                message = await receive()
                said.append(message if isinstance(message, bytes) else message.encode())
                return message

            socket.recv = recv
            return socket

        options = RealtimeConnectOptions(session_config=CONFIG, websocket=tapped)
        async with await rig.model().connect(options) as connection:
            await connection.send(ResponseCreate("1"))
            events = connection.__aiter__()
            while not isinstance(event := await anext(events), ToolCall):
                pass
            while not isinstance(await anext(events), ResponseDone):
                pass
            await connection.send(ToolResult(event.call_id, "one"))
            await connection.send(ResponseCreate("2"))
            for audio in (tone(400, PCM), silence(600, PCM)):
                await connection.send(AudioInputAppend(audio))
            await rig.warn(50)
            while not isinstance(await anext(events), SessionExpiring):
                pass

    run(main())
    found = [types.LiveServerMessage.model_validate(orjson.loads(message)) for message in said]
    members = {name for message in found for name in message.model_fields_set}
    assert members == {
        "setup_complete",
        "server_content",
        "tool_call",
        "usage_metadata",
        "go_away",
        "session_resumption_update",
        "voice_activity",
    }
    assert rig.violations == []


# ---- Google's client and the fake ----


@asynccontextmanager
async def client_of(fake: FakeGemini, version: str = "v1beta", key: str = KEY) -> AsyncIterator[genai.Client]:
    """Google's client, which insists on TLS."""
    authority = trustme.CA()
    here, there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(here)
    authority.configure_trust(there)
    async with served(fake, ssl=here) as url:
        options = types.HttpOptions(base_url=url, api_version=version, async_client_args={"ssl": there})
        yield genai.Client(api_key=key, http_options=options)


async def turn(session: Any) -> list[types.LiveServerMessage]:
    """All messages of one turn, as the client gives them."""
    return [message async for message in session.receive()]


def voice_of(messages: list[types.LiveServerMessage]) -> bytes:
    return b"".join(message.data or b"" for message in messages)


LIVE_CONFIG: dict[str, Any] = {
    "response_modalities": ["AUDIO"],
    "speech_config": {"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}},
    "realtime_input_config": {"automatic_activity_detection": {"silence_duration_ms": 400}},
    "context_window_compression": {"sliding_window": {"target_tokens": 12800}},
    "session_resumption": {},
    "input_audio_transcription": {},
    "output_audio_transcription": {},
    "system_instruction": "Be kind.",
    "tools": [
        {
            "function_declarations": [
                {"name": "lookup", "description": "Looks up.", "parameters_json_schema": {"type": "object"}}
            ]
        }
    ],
}


def test_googles_client_completes_a_conversation_with_the_fake() -> None:
    async def main() -> None:
        fake = FakeGemini()
        fake.replies.extend([Says("Hello.", 300), Calls((ToolUse("lookup", '{"a": 1}'),)), Says("It is noon.", 200)])
        async with client_of(fake) as client, client.aio.live.connect(model=MODEL, config=LIVE_CONFIG) as session:
            await session.send_client_content(turns=types.Content(role="user", parts=[types.Part(text="Greet.")]))
            greeting = await turn(session)
            assert voice_of(greeting) == tone(100, PCM) * 3
            words = [m.server_content.output_transcription for m in greeting if m.server_content]
            assert "".join(each.text or "" for each in words if each) == "Hello."
            assert greeting[-1].usage_metadata and greeting[-1].usage_metadata.prompt_token_count == 140

            for audio in (tone(400, EARS), silence(600, EARS)):
                await session.send_realtime_input(audio=types.Blob(data=audio, mime_type="audio/pcm;rate=16000"))
            heard = ""
            async for message in session.receive():
                if message.server_content and message.server_content.input_transcription:
                    heard += message.server_content.input_transcription.text or ""
                if message.tool_call:
                    [call] = message.tool_call.function_calls or []
                    assert (call.name, call.args) == ("lookup", {"a": 1})
                    answer = types.FunctionResponse(id=call.id, name=call.name, response={"output": "noon"})
                    await session.send_tool_response(function_responses=answer)
            assert heard == fake.words
        assert list(fake.sessions[0].results.values()) == [{"output": "noon"}]
        assert fake.violations == []

    run(main())


def test_googles_client_is_interrupted_and_its_tool_call_taken_back() -> None:
    async def main() -> None:
        fake = FakeGemini()
        fake.replies.extend([Says(holds=True), Calls((ToolUse("lookup"),)), Says("Yes?", 200)])
        async with client_of(fake) as client, client.aio.live.connect(model=MODEL, config=LIVE_CONFIG) as session:
            await session.send_client_content(turns=types.Content(role="user", parts=[types.Part(text="Greet.")]))
            await _until(session, lambda message: message.data is not None)
            await _speak(session)
            stopped = await turn(session)
            assert any(message.server_content and message.server_content.interrupted for message in stopped)
            called = await _until(session, lambda message: message.tool_call is not None)
            await _speak(session)
            taken = await _until(session, lambda message: message.tool_call_cancellation is not None)
            assert taken.tool_call_cancellation.ids == [called.tool_call.function_calls[0].id]
            assert voice_of(await turn(session)) == tone(100, PCM) * 2
        assert fake.violations == []

    run(main())


def test_googles_client_speaks_of_turns_itself_and_resumes_after_a_warning() -> None:
    async def main() -> None:
        fake = FakeGemini()
        manual = {**LIVE_CONFIG, "realtime_input_config": {"automatic_activity_detection": {"disabled": True}}}
        async with client_of(fake) as client:
            async with client.aio.live.connect(model=MODEL, config=manual) as session:
                await session.send_realtime_input(activity_start=types.ActivityStart())
                await session.send_realtime_input(
                    audio=types.Blob(data=tone(200, EARS), mime_type="audio/pcm;rate=16000")
                )
                await session.send_realtime_input(activity_end=types.ActivityEnd())
                messages = await turn(session)
                assert voice_of(messages)
                await fake.sessions[0].send(goAway={"timeLeft": "50s"})
                update = await _until(session, lambda message: message.session_resumption_update is not None)
                assert (await _until(session, lambda message: message.go_away is not None)).go_away.time_left == "50s"
            handle = update.session_resumption_update.new_handle
            assert handle
            again = {**LIVE_CONFIG, "session_resumption": {"handle": handle}}
            await fake.sessions[0].over.wait()
            async with client.aio.live.connect(model=MODEL, config=again):
                pass
        assert fake.sessions[1].handle == handle
        assert fake.violations == []

    run(main())


@pytest.mark.parametrize("category", ["quota", "invalid_request", "session_limit", "unavailable"])
def test_googles_client_learns_of_failures_by_the_close_code(category: Any) -> None:
    async def main() -> None:
        fake = FakeGemini()
        fake.replies.append(Fails(category))
        async with client_of(fake) as client, client.aio.live.connect(model=MODEL, config=LIVE_CONFIG) as session:
            with pytest.raises(errors.APIError) as caught:
                await session.send_realtime_input(text="Hello?")
                await turn(session)
            assert caught.value.code == ENDS[category][0]
            assert ENDS[category][1] in str(caught.value)

    run(main())


def test_googles_client_gets_a_token_and_connects_with_it() -> None:
    async def main() -> None:
        fake = FakeGemini()
        soon = datetime.now(UTC) + timedelta(minutes=5)
        async with served(fake) as url:
            client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=url, api_version="v1alpha"))
            config = {"uses": 1, "expire_time": soon, "new_session_expire_time": soon}
            token = await client.aio.auth_tokens.create(config=config)
        assert token.name in fake.tokens
        async with (
            client_of(fake, "v1alpha", token.name) as client,
            client.aio.live.connect(model=MODEL, config=LIVE_CONFIG) as session,
        ):
            assert session.session_id == "session-1"
        assert fake.violations == []

    run(main())


async def _speak(session: Any) -> None:
    for audio in (tone(400, EARS), silence(600, EARS)):
        await session.send_realtime_input(audio=types.Blob(data=audio, mime_type="audio/pcm;rate=16000"))


async def _until(session: Any, wanted: Any) -> Any:
    """The next message that is wanted, however many turns end before it."""
    while True:
        message = await session._receive()
        if wanted(message):
            return message
