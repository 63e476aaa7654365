"""OpenAI's own types and client against the OpenAI Live wire and its fake."""

import asyncio
import base64
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Annotated, Any, Union, get_args

import orjson
import pytest

pytest.importorskip("openai.types.live")

from openai import AsyncOpenAI
from openai.types.live import ClientEvent, ServerEvent
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from agents.events import (
    AudioInputAppend,
    ItemCreate,
    ResponseCreate,
    ResponseDone,
    SessionError,
    SessionUpdate,
    ToolCall,
    ToolResult,
    TranscriptOutput,
)
from agents.providers.openai_live import LiveModel
from agents.providers.openai_live.wire import LiveCodec
from agents.realtime import (
    PCMU,
    Past,
    PastMessage,
    PastToolCall,
    RealtimeConnectOptions,
    SessionConfig,
    ToolSchema,
    Voice,
)
from tests.fake_ear import silence, tone
from tests.fake_live import KEY, FakeLive
from tests.fake_net import Hearer, Json, Wire, served
from tests.rig import Calls, Fails, Says, ToolUse


def adapter(union: Any) -> TypeAdapter[Any]:
    """Reads by pydantic's own discriminator, which the types lack: its errors are few and to the point."""
    shape: Any = Annotated[Union[get_args(get_args(union)[0])], Field(discriminator="type")]  # noqa: UP007
    return TypeAdapter(shape)


CLIENT = adapter(ClientEvent)
SERVER = adapter(ServerEvent)

LOOK_UP = ToolSchema(
    name="look_up",
    description="Finds an order.",
    parameters={"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
)
PAST: tuple[Past, ...] = (
    PastMessage("1", "system", "A regular."),
    PastMessage("2", "user", "Is it there?"),
    PastToolCall("c0", "look_up", "{}", "shipped"),
    PastMessage("3", "assistant", "It is on its way."),
)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


def extras(value: object, where: str = "") -> Iterator[str]:
    """Every field that the types do not know."""
    if isinstance(value, BaseModel):
        yield from (f"{where}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from extras(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from extras(each, f"{where}[{number}]")


def judged(types: TypeAdapter[Any], message: str | bytes) -> list[str]:
    """What is wrong with a message for OpenAI's types, fields that they do not know included."""
    try:
        return list(extras(types.validate_json(message, strict=True)))
    except ValidationError as error:
        return [str(error)]


class JudgedLive(FakeLive):
    """Lets the vendor's types see all that it is told and says; what is wrong goes to `violations`."""

    async def accept(self, url: str, headers: Any, wire: Wire) -> Any:
        return JudgedHearer(await super().accept(url, headers, JudgedWire(wire, self.violations)), self.violations)


class JudgedWire(Wire):
    def __init__(self, wire: Wire, violations: list[str]) -> None:
        self._wire = wire
        self._violations = violations

    async def send(self, message: str | bytes) -> None:
        self._violations += judged(SERVER, message)
        await self._wire.send(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._wire.close(code, reason)

    def drop(self) -> None:
        self._wire.drop()


class JudgedHearer(Hearer):
    def __init__(self, session: Hearer, violations: list[str]) -> None:
        self._session = session
        self._violations = violations

    async def hear(self, message: str | bytes) -> None:
        self._violations += judged(CLIENT, message)
        await self._session.hear(message)

    async def left(self, code: int) -> None:
        await self._session.left(code)


# ---- what we send ----


def test_all_that_the_codec_sends_is_known_to_the_vendors_types() -> None:
    config = SessionConfig(
        instructions="Be kind.",
        tools=(LOOK_UP,),
        tool_choice="auto",
        max_output_tokens=500,
        voice=Voice(voice_id="voice_1"),
        input_format=PCMU,
        output_format=PCMU,
        provider_options={
            "store": False,
            "delegation": {"responses": {"reasoning": {"effort": "low"}, "parallel_tool_calls": True}},
        },
    )
    live = LiveCodec("gpt-live-1", config, PAST)
    sent = list(live.encode(SessionUpdate(config)))
    list(live.decode(orjson.dumps({"type": "session.started", "session": {"id": "live_1"}})))
    changed = SessionUpdate(replace(config, tools=()))
    for event in (
        AudioInputAppend(tone(20, PCMU)),
        ItemCreate("user", "Hello."),
        ItemCreate("assistant", "Hi."),
        ItemCreate("system", "Speak French."),
        ResponseCreate("r1"),
        ResponseCreate("r2", say="Good evening. " * 200, instructions="Be cheerful."),
        ToolResult("c1", "7"),
        changed,
    ):
        sent += live.encode(event)
    sent += live.farewell()
    assert live.keepalive is not None
    sent.append(str(live.keepalive.message))

    assert [judged(CLIENT, message) for message in sent] == [[]] * len(sent)
    assert len({orjson.loads(message)["type"] for message in sent}) == 8


def test_a_conversation_of_our_model_with_the_fake_is_known_to_the_vendors_types_both_ways() -> None:
    codes: list[str] = []

    async def main() -> None:
        service = JudgedLive(
            Says("Good evening.", 300), Calls((ToolUse("look_up", '{"order": 7}'),)), Says("Shipped.", 300), Fails()
        )
        async with served(service) as base_url:
            config = SessionConfig(tools=(LOOK_UP,), instructions="Be kind.")
            options = RealtimeConnectOptions(session_config=config, history=PAST)
            model = LiveModel("gpt-live-1", api_key=KEY, base_url=f"{base_url}/v1")
            async with await model.connect(options) as connection:
                await connection.send(ResponseCreate("r1", say="Good evening."))
                async for event in connection:
                    match event:
                        case ToolCall(_, call_id):
                            await connection.send(ToolResult(call_id, "shipped"))
                        case TranscriptOutput(text="Good evening."):
                            await connection.send(AudioInputAppend(tone(600)))
                            await connection.send(AudioInputAppend(silence(800)))
                        case TranscriptOutput(text="Shipped."):
                            await connection.send(ResponseCreate("r2", say="Goodbye."))
                        case SessionError(code):
                            codes.append(code)
                        case ResponseDone(status="failed"):
                            break
        assert codes == ["server_error"]
        assert service.violations == []

    run(main())


# ---- the vendor's client ----


def test_the_vendors_client_holds_a_conversation_with_the_fake() -> None:
    heard: list[Json] = []
    service = JudgedLive(
        Says("Good evening.", 300), Calls((ToolUse("look_up", "{}"),)), Says("A long one.", 500, holds=True), Fails()
    )

    async def main() -> None:
        async with served(service) as base_url:
            client = AsyncOpenAI(api_key=KEY, base_url=f"{base_url}/v1")
            async with client.live.connect() as connection:
                tools: Any = [
                    {"type": "function", "name": "look_up", "parameters": LOOK_UP.parameters, "strict": False}
                ]
                await connection.session.start(
                    session={
                        "model": "gpt-live-1",
                        "audio": {"format": {"type": "audio/pcmu", "rate": 8000}, "output": {"voice": "marin"}},
                        "delegation": {"type": "responses", "responses": {"model": "gpt-5.5", "tools": tools}},
                    }
                )
                async for event in connection:
                    heard.append(event.to_dict())
                    await _answer(connection, event, heard)
            await client.close()

    run(main())
    kinds = [event["type"] for event in heard]
    spoken = b"".join(base64.b64decode(e["delta"]) for e in heard if e["type"] == "session.output_audio.delta")
    said = "".join(event["delta"] for event in heard if event["type"] == "session.output_transcript.delta")
    assert tone(100, PCMU) in spoken
    assert said == "Good evening.A long one."
    assert "session.input_transcript.delta" in kinds
    assert "error" in kinds
    assert (kinds[0], kinds[-1]) == ("session.started", "session.closed")
    assert heard[-1]["reason"] == "close_requested"
    assert service.violations == []


async def _answer(connection: Any, event: Any, heard: list[Json]) -> None:
    """What a program does with that client: greets, lets the caller speak, answers tools, is interrupted, leaves."""
    match event.type:
        case "session.started":
            await connection.session.commentary.append(content="Say good evening.", delegation_id=None)
        case "session.commentary.appended" if len(heard) < 5:
            await _speak(connection)
        case "response.event" if event.event["type"] == "response.output_item.done":
            item: Any = {
                "type": "function_call_output",
                "call_id": event.event["item"]["call_id"],
                "output": "shipped",
            }
            await connection.response.item.create(item=item)
            await connection.response.create()
        case "session.output_transcript.delta" if event.delta == " one.":
            await _speak(connection)
        case "error":
            await connection.session.close()


async def _speak(connection: Any) -> None:
    for audio in (tone(600, PCMU), silence(700, PCMU)):
        await connection.session.input_audio.append(audio=base64.b64encode(audio).decode())


def test_the_vendors_client_is_told_what_it_did_wrong() -> None:
    service = FakeLive()

    async def main() -> None:
        async with served(service) as base_url:
            client = AsyncOpenAI(api_key=KEY, base_url=f"{base_url}/v1")
            async with client.live.connect() as connection:
                await connection.session.commentary.append(content="Too early.", delegation_id=None, event_id="e1")
                error: Any = await connection.recv()
                assert (error.type, error.error.client_event_id) == ("error", "e1")
            await client.close()

    run(main())
    assert service.violations == ["session.commentary.append before session.started"]
