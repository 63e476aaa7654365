"""OpenAI Live as a model: connecting to it, agents' files for it, and whole conversations at the pace of speech."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agents import RealtimeAgent, RealtimeSession, hang_up, tool
from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import Closed, Interrupted, Response, SessionEvent, Speech, Transcript
from agents.providers import provider
from agents.providers.openai_live import BASE_URL, KEY_NAME, LiveModel, faults, missing_key, open_model
from agents.providers.socket import Socket
from agents.realtime import (
    PCM,
    PCMU,
    AudioFormat,
    PastMessage,
    RealtimeConnectOptions,
    RealtimeModel,
    SessionConfig,
    SessionResumeConfig,
    TokenCredential,
    Transcription,
    TurnDetection,
    UrlCredential,
)
from agents.schema import AgentSpec
from channels.memory import MemoryChannel
from tests.fake_ear import silence, tone
from tests.fake_live import KEY, FakeLive
from tests.fake_live_session import FakeLiveSession
from tests.fake_net import in_memory, served
from tests.rig import Calls, Reply, Says, ToolUse
from tests.scene import play

NAME = "gpt-live-1"
SOON = datetime.now(UTC) + timedelta(hours=1)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


def spec(**fields: Any) -> AgentSpec:
    return AgentSpec.model_validate_json(json.dumps({"model": f"openai-live/{NAME}"} | fields))


class NoSocket:
    """A factory that says whether a socket was asked for, and refuses it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def __call__(self, url: str, headers: Mapping[str, str]) -> Socket:
        self.asked.append((url, headers))
        raise ProviderError("no sockets today", code="network", retryable=True)

    async def asked_by(self, model: LiveModel, **options: Any) -> tuple[str, Mapping[str, str]]:
        with pytest.raises(ProviderError, match="no sockets today"):
            await model.connect(RealtimeConnectOptions(websocket=self, **options))
        return self.asked[-1]


# ---- connecting ----


def test_over_a_real_socket_the_session_starts_once_and_is_closed_in_words() -> None:
    async def main() -> None:
        service = FakeLive()
        async with served(service) as base_url:
            model: RealtimeModel = LiveModel(NAME, api_key=KEY, base_url=f"{base_url}/v1")
            async with await model.connect() as connection:
                await anext(aiter(connection))
                assert connection.session_id == "live_1"
        assert [message["type"] for message in service.sessions[0].heard] == ["session.start", "session.close"]
        assert service.headers[0]["Authorization"] == f"Bearer {KEY}"
        assert service.violations == []

    run(main())


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        (BASE_URL, "wss://api.openai.com/v1/live/sessions"),
        ("https://api.openai.com/v1/live/sessions/", "wss://api.openai.com/v1/live/sessions"),
        ("http://127.0.0.1:8000/v1/live", "ws://127.0.0.1:8000/v1/live/sessions"),
        ("wss://us.openai.azure.com/openai/v1", "wss://us.openai.azure.com/openai/v1/live/sessions"),
    ],
)
def test_the_address_follows_from_any_spelling_of_the_base_url(base_url: str, address: str) -> None:
    async def main() -> None:
        url, _ = await NoSocket().asked_by(LiveModel(NAME, api_key=KEY, base_url=base_url))
        assert url == address

    run(main())


@pytest.mark.parametrize("base_url", ["api.openai.com/v1", "ftp://api.openai.com", "https://"])
def test_a_base_url_that_is_none_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ConfigError, match="base URL"):
        LiveModel(NAME, base_url=base_url)


def test_provider_options_are_the_query_of_the_address() -> None:
    async def main() -> None:
        model = LiveModel(NAME, api_key=KEY)
        url, _ = await NoSocket().asked_by(model, provider_options={"debug": True})
        assert url == "wss://api.openai.com/v1/live/sessions?debug=true"

    run(main())


def test_azure_gets_the_key_in_a_header_of_its_own_and_a_token_as_everywhere() -> None:
    async def main() -> None:
        model = LiveModel(NAME, api_key=KEY, base_url="https://us.openai.azure.com/openai/v1")
        _, by_key = await NoSocket().asked_by(model)
        _, by_token = await NoSocket().asked_by(model, credential=TokenCredential("entra", SOON))
        assert by_key == {"api-key": KEY}
        assert by_token == {"Authorization": "Bearer entra"}

    run(main())


@pytest.mark.parametrize("key", [None, "", "  \n", lambda: ""])
def test_a_missing_key_is_named_before_any_socket_is_opened(key: Any) -> None:
    async def main() -> None:
        factory = NoSocket()
        with pytest.raises(ConfigError, match=KEY_NAME):
            await LiveModel(NAME, api_key=key).connect(RealtimeConnectOptions(websocket=factory))
        assert factory.asked == []

    run(main())


def test_the_key_of_the_connection_goes_before_the_models_own() -> None:
    async def later() -> str:
        return "sk-other"

    async def main() -> None:
        _, headers = await NoSocket().asked_by(LiveModel(NAME, api_key=KEY), api_key=later)
        assert headers == {"Authorization": "Bearer sk-other"}

    run(main())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"credential": TokenCredential("t", datetime(2020, 1, 1, tzinfo=UTC))}, "expired"),
        ({"credential": UrlCredential("wss://x", SOON)}, "token credential"),
        ({"resume": SessionResumeConfig("live_1")}, "resume"),
        ({"session_config": SessionConfig(turn_detection=TurnDetection(mode="manual"))}, "turn detection"),
        ({"provider_options": {"a": {"b": 1}}}, "provider_options"),
    ],
)
def test_what_cannot_be_honoured_is_refused_before_any_socket(options: dict[str, Any], why: str) -> None:
    async def main() -> None:
        factory = NoSocket()
        with pytest.raises(ConfigError, match=why):
            await LiveModel(NAME, api_key=KEY).connect(RealtimeConnectOptions(websocket=factory, **options))
        assert factory.asked == []

    run(main())


def test_an_abort_opens_no_session() -> None:
    async def main() -> None:
        service, abort = FakeLive(), asyncio.Event()
        abort.set()
        with pytest.raises(ProviderError, match="aborted"):
            await LiveModel(NAME, api_key=KEY).connect(
                RealtimeConnectOptions(websocket=in_memory(service), abort=abort)
            )
        assert service.sessions == []

    run(main())


def test_a_session_begins_with_what_was_said_before() -> None:
    async def main() -> None:
        service = FakeLive()
        past = (PastMessage("1", "user", "Is it there?"), PastMessage("2", "assistant", "On its way."))
        options = RealtimeConnectOptions(websocket=in_memory(service), history=past)
        async with await LiveModel(NAME, api_key=KEY).connect(options) as connection:
            await anext(connection)
        said = [(item["role"], item["content"][0]["text"]) for item in service.sessions[0].config["input"]]
        assert said == [("user", "Is it there?"), ("assistant", "On its way.")]
        assert service.violations == []

    run(main())


def test_there_are_no_credentials_for_browsers() -> None:
    async def main() -> None:
        with pytest.raises(NotSupportedError, match="client secrets"):
            await LiveModel(NAME, api_key=KEY).authenticate()

    run(main())


# ---- agents' files ----


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"turn_detection": {"mode": "semantic_vad"}}, "turn_detection.mode"),
        ({"turn_detection": {"silence_duration_ms": 400}}, "turn_detection.silence_duration_ms"),
        ({"turn_detection": {"idle_timeout_ms": 6000}}, "turn_detection.idle_timeout_ms"),
        ({"turn_detection": {"interrupt_response": False}}, "turn_detection.interrupt_response"),
        ({"interruption": {"min_words": 2}}, "interruption.min_words"),
        ({"interruption": {"protect_greeting": True}}, "interruption.protect_greeting"),
        ({"interruption": {"resume_after_ms": 900}}, "interruption.resume_after_ms"),
        ({"transcription": {"language": "en"}}, "transcription.language"),
        ({"noise_reduction": "near_field"}, "noise_reduction"),
        ({"speed": 1.2}, "speed"),
        ({"provider_options": {"audio": {"format": {"type": "audio/pcma"}}}}, "provider_options"),
        ({"tools": ["hang_up"], "provider_options": {"delegation": {"type": "client"}}}, "tools"),
        ({"max_output_tokens": 9, "provider_options": {"delegation": None}}, "max_output_tokens"),
    ],
)
def test_what_the_model_cannot_do_is_a_fault_of_the_file(fields: dict[str, Any], path: str) -> None:
    found = faults(spec(**fields), Path())

    assert [".".join(str(part) for part in fault.path) for fault in found] == [path]
    assert all(fault.right for fault in found)


def test_a_file_for_it_has_no_faults() -> None:
    made = spec(
        instructions="Be kind.",
        greeting="Good evening.",
        voice="nuri",
        audio="passthrough",
        tools=["hang_up"],
        max_output_tokens=500,
        interruption={"on_key": True},
        turn_detection={"interrupt_response": True},
        provider_options={"delegation": {"responses": {"model": "gpt-5.5"}}, "store": True},
    )

    assert faults(made, Path()) == []


def test_its_key_is_openais() -> None:
    assert missing_key(spec(), {}) == KEY_NAME
    assert missing_key(spec(), {KEY_NAME: KEY}) is None


def test_the_files_address_goes_before_the_environments() -> None:
    async def main() -> None:
        environment = {KEY_NAME: KEY, "OPENAI_BASE_URL": "https://proxy.example/v1"}
        for made, host in ((spec(), "proxy.example"), (spec(base_url="https://file.example/v1"), "file.example")):
            url, _ = await NoSocket().asked_by(open_model(made, Path(), environment))
            assert url == f"wss://{host}/v1/live/sessions"

    run(main())


def test_agents_find_it_by_its_name() -> None:
    made = provider("openai-live").open_model(spec(), Path(), {KEY_NAME: KEY})

    assert (made.provider, made.model_id) == ("openai-live", NAME)


# ---- whole conversations, in which so much is said as is heard ----


@tool
def look_up(order: int) -> str:
    """Finds an order."""
    return f"order {order} was shipped"


class Call:
    """A caller at a telephone that sends a frame every 20 ms, and a session that is watched."""

    def __init__(self, *replies: Reply, audio_format: AudioFormat = PCM, **agent: Any) -> None:
        self.service = FakeLive(*replies, paced=True)
        self.format = audio_format
        self.line = MemoryChannel(audio_format)
        config = SessionConfig(input_format=audio_format, output_format=audio_format, transcription=Transcription())
        self.session = RealtimeSession(
            RealtimeAgent(name="test", model=LiveModel(NAME, api_key=KEY), config=config, **agent),
            channel=self.line,
            connect_options=RealtimeConnectOptions(websocket=in_memory(self.service)),
        )
        self.told: list[SessionEvent] = []
        for kind in ("closed", "interrupted", "response", "speech", "transcript"):
            self.session.on(kind, self.told.append)

    async def __aenter__(self) -> "Call":
        await self.session.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        assert self.service.violations == []

    async def speaks(self, ms: int) -> None:
        await self._sends(tone(20, self.format), ms)

    async def listens(self, ms: int) -> None:
        await self._sends(silence(20, self.format), ms)

    async def _sends(self, frame: bytes, ms: int) -> None:
        for _ in range(ms // 20):
            self.line.say(frame)
            self.line.play(20)
            await asyncio.sleep(0.02)

    @property
    def far_end(self) -> FakeLiveSession:
        return self.service.sessions[-1]

    @property
    def texts(self) -> list[tuple[str, str]]:
        return [(each.role, each.text) for each in self.told if isinstance(each, Transcript)]

    @property
    def statuses(self) -> list[str | None]:
        return [each.status for each in self.told if isinstance(each, Response) and each.status]

    @property
    def heard_ms(self) -> float:
        return sum(len(pcm) for _, pcm in self.line.heard) / self.format.bytes_per_ms


@pytest.mark.parametrize("audio_format", [PCM, PCMU], ids=str)
def test_a_greeting_a_question_and_its_answer_pass_at_the_pace_of_speech(audio_format: AudioFormat) -> None:
    async def scene() -> None:
        replies = Says("Good evening.", 800), Says("It is noon.", 600)
        async with Call(*replies, audio_format=audio_format, greeting="Good evening.") as call:
            await call.listens(3000)
            await call.speaks(800)
            await call.listens(3000)

            assert call.texts == [
                ("assistant", "Good evening."),
                ("user", "What time is it?"),
                ("assistant", "It is noon."),
            ]
            assert call.statuses == ["completed", "completed"]
            assert [each.active for each in call.told if isinstance(each, Speech)] == [True, False]
            assert call.heard_ms == 1400

    play(scene)


def test_a_caller_who_speaks_into_an_answer_is_given_way_to_by_the_model_and_hears_nothing_late() -> None:
    async def scene() -> None:
        async with Call(Says("A long story.", 9000), Says("Yes?", 400), greeting="A long story.") as call:
            await call.listens(3000)
            await call.speaks(800)
            await call.listens(3000)

            assert len([each for each in call.told if isinstance(each, Interrupted)]) == 1
            assert call.statuses == ["interrupted", "completed"]
            assert call.texts[-1] == ("assistant", "Yes?")
            assert 2900 <= call.heard_ms - 400 <= 3600
            assert [item.status for item in call.session.history if item.role == "assistant"] == ["cut", "completed"]

    play(scene)


def test_a_muted_caller_leaves_the_model_alive_and_able_to_speak() -> None:
    async def scene() -> None:
        async with Call(Says("Are you there?", 500)) as call:
            await call.session.mute()
            await call.session.send_message("Say something.")
            await call.listens(40_000)

            assert call.texts == [("assistant", "Are you there?")]
            assert sum(len(audio) for audio in call.far_end.audio) / PCM.bytes_per_ms > 35_000

    play(scene)


def test_a_tools_answer_is_spoken_of_without_a_second_request() -> None:
    async def scene() -> None:
        replies = Calls((ToolUse("look_up", '{"order": 7}'),), Says("One moment.", 400)), Says("Shipped.", 400)
        async with Call(*replies, tools=(look_up,)) as call:
            await call.speaks(600)
            await call.listens(6000)

            assert list(call.far_end.results.values()) == ["order 7 was shipped"]
            asked = [message["type"] for message in call.far_end.heard[1:]]
            assert asked == ["response.item.create", "response.create"]
            assert ("assistant", "One moment. Shipped.") in call.texts
            assert call.statuses == ["completed", "completed"]

    play(scene)


def test_an_agent_that_hangs_up_says_goodbye_first_and_leaves_the_session_in_words() -> None:
    async def scene() -> None:
        async with Call(Calls((ToolUse("hang_up"),), Says("Goodbye!", 600)), tools=(hang_up,)) as call:
            await call.speaks(600)
            await call.listens(5000)

            assert call.session.closed == Closed("agent")
            assert call.heard_ms == 600
            assert call.far_end.heard[-1] == {"type": "session.close"}

    play(scene)


def test_a_session_that_the_provider_ends_for_what_was_said_ends_the_call() -> None:
    async def scene() -> None:
        async with Call() as call:
            await call.listens(200)
            await call.far_end.end("content")
            await call.listens(200)

            assert call.session.closed is not None
            assert call.session.closed.reason == "provider"
            assert "content" in call.session.closed.detail

    play(scene)
