"""ElevenLabs' own client talks with our fake ElevenLabs, and ElevenLabs' own types judge what our codec says."""

import asyncio
import threading
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, Final

import orjson
import pytest

pytest.importorskip("elevenlabs")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of websockets' old client, which theirs names
    import httpx
    from elevenlabs import ElevenLabs
    from elevenlabs.conversational_ai.conversation import (
        AudioInterface,
        ClientTools,
        ContextualUpdateClientToOrchestratorEvent,
        Conversation,
        ConversationInitiationData,
        DisconnectionDetails,
        UserMessageClientToOrchestratorEvent,
    )
    from elevenlabs.types import ConversationInitiationClientDataRequestInput
from pydantic import BaseModel

from agents.events import (
    AudioInputAppend,
    ClientEvent,
    ItemCreate,
    ResponseCreate,
    SessionUpdate,
    ToolResult,
)
from agents.providers.elevenlabs.wire import ElevenLabsCodec
from agents.providers.socket import Answer
from agents.realtime import PastMessage, SessionConfig, Transcription, Voice
from tests.elevenlabs_messages import client_faults
from tests.elevenlabs_talk import message
from tests.fake_ear import silence, tone
from tests.fake_elevenlabs import AGENT, KEY, FakeElevenLabs, Settings
from tests.fake_net import served
from tests.rig import Calls, Fails, Says, ToolUse

PATIENCE_S: Final = 30


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, PATIENCE_S))


class Ear(AudioInterface):
    """The loudspeaker and the microphone of the client."""

    def __init__(self) -> None:
        self.heard = b""
        self.interruptions = 0
        self.speak: Callable[[bytes], None] | None = None

    def start(self, input_callback: Callable[[bytes], None]) -> None:
        self.speak = input_callback

    def stop(self) -> None:
        self.speak = None

    def output(self, audio: bytes) -> None:
        self.heard += audio

    def interrupt(self) -> None:
        self.interruptions += 1


class Client:
    """A conversation of the official client's, on its own threads, and all that it was called back with."""

    def __init__(self, base_url: str, *, requires_auth: bool, config: ConversationInitiationData | None = None) -> None:
        self.ear = Ear()
        self.http = httpx.Client()
        self.words: list[tuple[str, ...]] = []
        self.tools: list[dict[str, Any]] = []
        self.ended: DisconnectionDetails | None = None
        self.over = threading.Event()
        tools = ClientTools()
        tools.register("lookup", self._lookup)
        self.conversation = Conversation(
            ElevenLabs(api_key=KEY, base_url=base_url, httpx_client=self.http),
            AGENT,
            requires_auth=requires_auth,
            audio_interface=self.ear,
            config=config,
            client_tools=tools,
            callback_agent_response=lambda text: self.words.append(("agent", text)),
            callback_agent_response_correction=lambda was, now: self.words.append(("correction", was, now)),
            callback_user_transcript=lambda text: self.words.append(("caller", text)),
            callback_disconnect=self._end,
        )

    def _lookup(self, parameters: dict[str, Any]) -> str:
        self.tools.append(parameters)
        return "rain"

    def _end(self, details: DisconnectionDetails) -> None:
        self.ended = details
        self.over.set()

    async def begin(self) -> None:
        await asyncio.to_thread(self.conversation.start_session)
        await until(lambda: self.ear.speak is not None)

    async def says(self, audio: bytes) -> None:
        assert self.ear.speak
        await asyncio.to_thread(self.ear.speak, audio)

    async def end(self) -> None:
        await asyncio.to_thread(self.conversation.end_session)
        await asyncio.to_thread(self.conversation.wait_for_session_end)
        self.http.close()


async def until(condition: Callable[[], object]) -> None:
    """Waits for what another thread does."""
    while not condition():  # noqa: ASYNC110 it is no task of ours that makes it true
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("requires_auth", [True, False])
def test_the_official_client_talks_calls_a_tool_and_interrupts(requires_auth: bool) -> None:
    async def main() -> None:
        fake = FakeElevenLabs(
            Says("Welcome!", audio_ms=200),
            Calls((ToolUse("lookup", '{"city": "Bern"}'),)),
            Says("A very long story", audio_ms=3000, holds=True),
            Says("Yes?", audio_ms=300),
            settings=Settings(first_message="Welcome!", is_public=not requires_auth, interruption_ahead=False),
        )
        async with served(fake) as base_url:
            client = Client(base_url, requires_auth=requires_auth)
            await client.begin()
            await until(lambda: client.words == [("agent", "Welcome!")])
            format = fake.conversations[0].ear.format
            await client.says(silence(300, format) + tone(500, format) + silence(600, format))
            await until(lambda: ("agent", "A very long story") in client.words)
            assert [each["city"] for each in client.tools] == ["Bern"]
            assert fake.conversations[0].heard.results == {"call_1": "rain"}
            await until(lambda: len(client.ear.heard) >= 32 * 3200)
            await client.says(tone(500, format) + silence(600, format))
            await until(lambda: len(client.ear.heard) >= 32 * 3500)
            assert client.ear.interruptions == 1
            assert client.words[3:] == [
                ("correction", "A very long story", "A very l..."),
                ("caller", "What time is it?"),
                ("agent", "Yes?"),
            ]
            await asyncio.to_thread(client.conversation.send_user_message, "And?")
            await until(lambda: client.words[-1] == ("agent", Says().text))
            await asyncio.to_thread(client.conversation.send_contextual_update, "It rains.")
            await until(lambda: fake.conversations[0].heard.context == ["It rains."])
            await client.end()
        assert client.ended == DisconnectionDetails(reason="user")
        assert fake.conversations[0].heard.pongs
        assert fake.violations == []

    run(main())


def test_the_official_client_is_told_of_both_ends() -> None:
    async def main() -> None:
        fake = FakeElevenLabs(Fails("unavailable"), settings=Settings(is_public=True))
        async with served(fake) as base_url:
            failing = Client(base_url, requires_auth=False)
            await failing.begin()
            await asyncio.to_thread(failing.conversation.send_user_message, "Hello?")
            await until(failing.over.is_set)
            assert failing.ended is not None
            assert (failing.ended.reason, failing.ended.close_code) == ("error", 1011)

            ending = Client(base_url, requires_auth=False)
            await ending.begin()
            await fake.conversations[1].close()
            await until(ending.over.is_set)
            assert ending.ended is not None
            assert (ending.ended.reason, ending.ended.close_code) == ("agent", 1000)
        assert fake.violations == []

    run(main())


def test_the_official_client_is_refused_what_the_fake_refuses() -> None:
    async def main() -> None:
        fake = FakeElevenLabs(settings=Settings(is_public=True, overrides=frozenset()))
        async with served(fake) as base_url:
            override = {"agent": {"first_message": "Hi!"}}
            client = Client(
                base_url,
                requires_auth=False,
                config=ConversationInitiationData(conversation_config_override=override),
            )
            await asyncio.to_thread(client.conversation.start_session)
            await until(client.over.is_set)
            assert client.ended is not None
            assert client.ended.close_code == 1008
        assert fake.violations == ["Override for field 'first_message' is not allowed by config."]

    run(main())


# ---- what our codec says ----


def unknown_fields(found: BaseModel, at: str = "") -> list[str]:
    """Every field, at any depth, that the vendor's type has not: its types keep what they do not know."""
    unknown = [f"{at}{name}" for name in found.model_extra or {}]
    for name in type(found).model_fields:
        value = getattr(found, name)
        if isinstance(value, BaseModel):
            unknown += unknown_fields(value, f"{at}{name}.")
    return unknown


@pytest.mark.parametrize(
    "config",
    [
        SessionConfig(),
        SessionConfig(
            instructions="Be kind.",
            greeting="Hello!",
            voice=Voice(voice_id="v", speed=1.1),
            transcription=Transcription(language="en", prompt="Acme, Bern"),
            variables={"caller": "+15550100100"},
            provider_options={
                "user_id": "u",
                "custom_llm_extra_body": {"a": 1},
                "conversation_config_override": {
                    "tts": {"stability": 0.5, "similarity_boost": 0.8},
                    "agent": {"prompt": {"llm": "gpt-4o-mini"}},
                },
            },
        ),
    ],
)
@pytest.mark.parametrize("history", [(), (PastMessage("1", "user", "Hi."),)])
def test_our_opening_is_of_the_vendors_type(config: SessionConfig, history: tuple[PastMessage, ...]) -> None:
    [text] = ElevenLabsCodec(config, history, name="el").encode(SessionUpdate(config))
    opening = orjson.loads(text)
    assert opening.pop("type") == "conversation_initiation_client_data"

    found = ConversationInitiationClientDataRequestInput.model_validate(opening)

    assert unknown_fields(found) == []
    assert orjson.loads(found.model_dump_json(exclude_none=True, exclude_unset=True)) == opening


def test_an_unknown_field_would_be_noticed() -> None:
    wrong = {"conversation_config_override": {"tts": {"voice": "v"}}}
    found = ConversationInitiationClientDataRequestInput.model_validate(wrong)
    assert unknown_fields(found) == ["conversation_config_override.tts.voice"]


def test_our_other_messages_are_those_of_the_official_client() -> None:
    codec = ElevenLabsCodec(SessionConfig(), name="el")
    list(codec.encode(SessionUpdate(SessionConfig())))
    formats = {"agent_output_audio_format": "pcm_16000", "user_input_audio_format": "pcm_16000"}
    codec.decode(message("conversation_initiation_metadata", conversation_id="c", **formats))

    def sent(event: ClientEvent) -> list[dict[str, Any]]:
        return [orjson.loads(text) for text in codec.encode(event)]

    sent(ItemCreate("user", "Hi."))
    user = UserMessageClientToOrchestratorEvent(text="Hi.").to_dict()
    context = ContextualUpdateClientToOrchestratorEvent(text="It rains.").to_dict()
    assert sent(ResponseCreate("r")) == [user | {"type": user["type"].value}]
    assert sent(ItemCreate("system", "It rains.")) == [context | {"type": context["type"].value}]

    [pong] = codec.decode(message("ping", event_id=4))
    assert isinstance(pong, Answer)
    ours = [*sent(AudioInputAppend(bytes(960))), *sent(ToolResult("c1", "rain")), orjson.loads(pong.message)]
    assert [sorted(each) for each in ours] == OFFICIAL
    assert [client_faults(each) for each in ours] == [[], [], []]


OFFICIAL: Final = [
    ["user_audio_chunk"],
    ["is_error", "result", "tool_call_id", "type"],
    ["event_id", "type"],
]
"""The fields of those messages that the official client writes without a type of its own; seen below."""


def test_the_official_client_writes_the_fields_that_ours_are_compared_with() -> None:
    async def main() -> None:
        fake = FakeElevenLabs(Calls((ToolUse("lookup"),)), settings=Settings(is_public=True))
        async with served(fake) as base_url:
            client = Client(base_url, requires_auth=False)
            await client.begin()
            format = fake.conversations[0].ear.format
            await client.says(tone(300, format) + silence(600, format))
            await until(lambda: client.words[-1:] == [("agent", Says().text)])
            await client.end()
        messages = fake.conversations[0].heard.messages
        kinds = {each.get("type", "user_audio_chunk"): sorted(each) for each in messages}
        assert [kinds[kind] for kind in ("user_audio_chunk", "client_tool_result", "pong")] == OFFICIAL

    run(main())
