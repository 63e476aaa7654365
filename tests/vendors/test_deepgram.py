"""Deepgram's own types and client against the Deepgram wire and its fake."""

import asyncio
import importlib
import json
from collections.abc import Coroutine, Iterator
from typing import Any, Final

import pytest

pytest.importorskip("deepgram.agent.v1.types")

import httpx
from deepgram import AsyncDeepgramClient
from deepgram.agent.v1.types import (
    AgentV1InjectAgentMessage,
    AgentV1InjectUserMessage,
    AgentV1SendFunctionCallResponse,
    AgentV1Settings,
    AgentV1UpdateThink,
)
from deepgram.environment import DeepgramClientEnvironment
from pydantic import BaseModel

from agents.errors import ProviderError
from agents.events import (
    AudioInputAppend,
    AudioInputCommit,
    ClientEvent,
    ItemCreate,
    ResponseCreate,
    ResponseDone,
    ServerEvent,
    SessionUpdate,
    SessionUpdated,
    ToolCall,
    ToolCancelled,
    ToolResult,
    TranscriptOutput,
)
from agents.providers.deepgram import DeepgramModel
from agents.providers.deepgram.settings import Thinker
from agents.providers.deepgram.wire import DeepgramCodec
from agents.providers.socket import Answer
from agents.realtime import (
    PCMU,
    Past,
    PastMessage,
    PastToolCall,
    RealtimeConnectOptions,
    SessionConfig,
    ToolSchema,
    Transcription,
    TurnDetection,
    Voice,
)
from tests.fake_deepgram import KEY, FakeDeepgram
from tests.fake_ear import silence, tone
from tests.fake_net import Hearer, Json, Wire, served
from tests.rig import Calls, Fails, Says, ToolUse

pytestmark = pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning")  # the client's own

MINI: Final = Thinker("open_ai", "gpt-4o-mini")
LOOK_UP: Final = ToolSchema(
    name="look_up",
    description="Finds an order.",
    parameters={"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
)
PAST: Final[tuple[Past, ...]] = (
    PastMessage("1", "user", "Is it there?"),
    PastToolCall("c0", "look_up", "{}", "shipped"),
    PastMessage("2", "assistant", "It is on its way."),
)
TYPES: Final = {"FunctionCallResponse": "SendFunctionCallResponse"}
"""Message types whose class has another name."""


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


def type_of(kind: str) -> type[BaseModel]:
    name = f"AgentV1{TYPES.get(kind, kind)}"
    found: type[BaseModel] = getattr(importlib.import_module("deepgram.agent.v1.types"), name)
    return found


def extras(value: object, where: str = "") -> Iterator[str]:
    """Every field that the types do not know, and every object that no type was found for."""
    if isinstance(value, BaseModel):
        yield from (f"{where}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            if name != "parameters":  # a JSON schema
                yield from extras(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from extras(each, f"{where}[{number}]")
    elif isinstance(value, dict):
        yield f"{where}: no type fits {value}"


def strangers(message: Json) -> list[str]:
    """What Deepgram's types find wrong with a message: fields that are missing raise."""
    if message["type"] == "History":
        return []  # a union of its own
    return list(extras(type_of(message["type"]).model_validate(message), message["type"]))


# ---- what we say ----

CONFIGS: Final = [
    SessionConfig(),
    SessionConfig(instructions="Be kind.", tools=(LOOK_UP,), input_format=PCMU, output_format=PCMU),
    SessionConfig(
        voice=Voice(voice_id="flux-alexis-en", speed=0.6),
        turn_detection=TurnDetection(mode="semantic_vad", silence_duration_ms=700),
        transcription=Transcription(prompt="Ann, Bob", language="en"),
    ),
    SessionConfig(transcription=Transcription(language="de"), turn_detection=TurnDetection(mode="semantic_vad")),
    SessionConfig(
        provider_options={
            "tags": ["x"],
            "mip_opt_out": True,
            "agent": {
                "think": [{}, {"provider": {"type": "anthropic", "model": "claude-haiku-4-5", "temperature": 0.2}}],
                "speak": [{}, {"provider": {"model": "aura-2-apollo-en"}}],
                "listen": {"provider": {"smart_format": True}},
            },
        }
    ),
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("history", [(), PAST])
def test_deepgrams_types_know_every_field_of_our_settings(config: SessionConfig, history: tuple[Past, ...]) -> None:
    codec = DeepgramCodec(config, MINI, history)
    [settings] = codec.decode('{"type": "Welcome", "request_id": "r"}')
    assert isinstance(settings, Answer)
    assert strangers(json.loads(settings.message)) == []


def test_the_types_would_have_found_what_is_wrong() -> None:
    codec = DeepgramCodec(SessionConfig(provider_options={"agent": {"thinks": 1}}), MINI)
    [settings] = codec.decode('{"type": "Welcome", "request_id": "r"}')
    assert isinstance(settings, Answer)
    assert strangers(json.loads(settings.message)) == ["Settings.agent.thinks"]


def test_deepgrams_types_know_every_field_of_our_other_messages() -> None:
    codec = DeepgramCodec(SessionConfig(turn_detection=TurnDetection(mode="semantic_vad")), MINI)
    call = {"id": "c1", "name": "look_up", "arguments": "{}", "client_side": True}
    for message in (
        {"type": "Welcome", "request_id": "r"},
        {"type": "SettingsApplied"},
        {"type": "FunctionCallRequest", "functions": [call]},
    ):
        list(codec.decode(json.dumps(message)))
    events: list[ClientEvent] = [
        ToolResult("c1", "7"),
        ResponseCreate("r1"),
        ResponseCreate("r2", say="Hello."),
        ItemCreate("system", "It rains."),
        ItemCreate("user", "Hello?"),
        ResponseCreate("r3", instructions="Be brief."),
        SessionUpdate(SessionConfig(tools=(LOOK_UP,), voice=Voice(voice_id="aura-2-apollo-en"))),
    ]
    sent = [json.loads(message) for event in events for message in codec.encode(event)]
    sent.append(json.loads(str(codec.keepalive and codec.keepalive.message)))
    codec = DeepgramCodec(SessionConfig(turn_detection=TurnDetection(mode="semantic_vad")), MINI)
    list(codec.decode('{"type": "SettingsApplied"}'))
    sent += [json.loads(message) for message in codec.encode(AudioInputCommit())]
    assert [message["type"] for message in sent] == [
        "FunctionCallResponse",
        "InjectAgentMessage",
        "UpdateThink",
        "InjectUserMessage",
        "UpdateThink",
        "UpdateSpeak",
        "UpdateListen",
        "KeepAlive",
        "ForceEndTurn",
    ]
    for message in sent:
        assert strangers(message) == []


# ---- what the fake says ----


class Judged(FakeDeepgram):
    """Every message that it says is one of Deepgram's types."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.said: list[str] = []

    async def accept(self, url: str, headers: Any, wire: Wire) -> Hearer:
        send = wire.send

        async def judged(message: str | bytes) -> None:
            if isinstance(message, str):
                fields = json.loads(message)
                self.said.append(fields["type"])
                if fields["type"] != "EndOfTurn":  # said by the real server, and in none of the types
                    assert strangers(fields) == []
            await send(message)

        setattr(wire, "send", judged)  # noqa: B010
        return await super().accept(url, headers, wire)


def test_all_that_the_fake_says_has_deepgrams_types() -> None:
    calls = Calls((ToolUse("look_up"),), Says("One moment."))

    async def main() -> None:
        service = Judged(Says(), calls, Says(), calls, Fails(), is_chatty=True)
        async with served(service) as base_url:
            model = DeepgramModel("gpt-4o-mini", api_key=KEY, base_url=base_url)
            config = SessionConfig(tools=(LOOK_UP,))
            async with await model.connect(RealtimeConnectOptions(session_config=config)) as connection:

                async def until(kind: type[ServerEvent]) -> Any:
                    async for event in connection:
                        if isinstance(event, kind):
                            return event
                    return None

                await connection.send(AudioInputAppend(tone(400) + silence(700)))
                await until(ResponseDone)
                await connection.send(AudioInputAppend(tone(400) + silence(700)))
                call = await until(ToolCall)
                await connection.send(ToolResult(call.call_id, "7"))
                await until(TranscriptOutput)
                await connection.send(SessionUpdate(SessionConfig(instructions="Be brief.")))
                await until(SessionUpdated)
                await connection.send(AudioInputAppend(tone(400) + silence(700)))
                call = await until(ToolCall)
                await service.sessions[0].take_back(call.call_id)
                await until(ToolCancelled)
                await connection.send(AudioInputAppend(tone(400) + silence(700)))
                with pytest.raises(ProviderError, match="FAILED_TO_THINK"):
                    await until(ToolCall)
        assert {"FunctionCallRequest", "FunctionCallCancelled", "LatencyReport", "ThinkUpdated"} <= set(service.said)
        assert service.violations == []

    run(main())


# ---- Deepgram's client ----


def test_deepgrams_client_converses_with_the_fake() -> None:
    async def main() -> None:
        service = FakeDeepgram(
            Says("Good evening.", 300),
            Says("A long story.", 8000, holds=True),
            Calls((ToolUse("look_up", '{"order": 7}'),)),
            Says("It is there.", 200),
            Fails("unavailable"),
        )
        async with served(service) as base_url, httpx.AsyncClient() as http:
            host = base_url.removeprefix("http://")
            there = DeepgramClientEnvironment(
                base=base_url, production=f"ws://{host}", agent=f"ws://{host}", agent_rest=base_url
            )
            client = AsyncDeepgramClient(api_key=KEY, environment=there, httpx_client=http)
            seen: list[str] = []
            heard = 0
            async with client.agent.v1.connect() as connection:

                async def until(kind: str) -> Any:
                    nonlocal heard
                    while True:
                        message = await connection.recv()
                        if isinstance(message, bytes):
                            heard += len(message)
                            continue
                        seen.append(message.type)
                        if message.type == kind:
                            return message

                welcome = await until("Welcome")
                assert welcome.request_id == "req_1"
                codec = DeepgramCodec(SessionConfig(tools=(LOOK_UP,)), MINI)
                [settings] = codec.decode('{"type": "Welcome", "request_id": "r"}')
                assert isinstance(settings, Answer)
                await connection.send_settings(AgentV1Settings.model_validate_json(settings.message))
                await until("SettingsApplied")
                await connection.send_inject_agent_message(
                    AgentV1InjectAgentMessage(message="Good evening.", behavior="queue")
                )
                assert (await until("ConversationText")).content == "Good evening."
                await until("AgentAudioDone")
                assert heard == 300 * 48

                await connection.send_media(tone(400))
                await connection.send_media(silence(700))
                assert (await until("ConversationText")).role == "user"
                await connection.send_media(tone(400))  # while the story is told
                await until("UserStartedSpeaking")
                await connection.send_media(silence(700))
                request = await until("FunctionCallRequest")
                [function] = request.functions
                assert (function.name, function.arguments, function.client_side) == (
                    "look_up",
                    '{"order": 7}',
                    True,
                )
                await connection.send_function_call_response(
                    AgentV1SendFunctionCallResponse(id=function.id, name=function.name, content='"there"')
                )
                await until("AgentAudioDone")
                await connection.send_update_think(
                    AgentV1UpdateThink.model_validate(
                        {"think": {"provider": {"type": "open_ai", "model": "gpt-4o"}, "prompt": "Be brief."}}
                    )
                )
                await until("ThinkUpdated")
                await connection.send_keep_alive()
                await connection.send_inject_user_message(AgentV1InjectUserMessage(content="Well?"))
                error = await until("Error")
                assert error.code == "FAILED_TO_THINK"
            assert seen.count("UserStartedSpeaking") == 2
            granted = await client.auth.v1.tokens.grant(ttl_seconds=60)
            assert granted.expires_in == 60
        assert service.sessions[0].results == {"req_1_call_1": '"there"'}
        assert service.violations == []

    run(main())
