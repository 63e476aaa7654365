"""Deepgram's model: addresses, keys, credentials, the agent's file, and calls over a real socket."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    AudioOutputDelta,
    ResponseCreate,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    TranscriptInput,
)
from agents.providers import provider
from agents.providers.deepgram import BASE_URL, DeepgramModel
from agents.realtime import (
    PCMU,
    RealtimeAuthenticateOptions,
    RealtimeConnection,
    RealtimeConnectOptions,
    SessionConfig,
    SessionResumeConfig,
    TokenCredential,
    UrlCredential,
)
from agents.schema import AgentSpec
from channels.carrier.virtual_time import run_virtual
from tests.fake_deepgram import KEY, TOKEN, FakeDeepgram
from tests.fake_ear import silence, tone
from tests.fake_net import in_memory, served
from tests.rig import Says

HERE = Path()
SOON = datetime.now(UTC) + timedelta(minutes=5)


def spec(**fields: Any) -> AgentSpec:
    return AgentSpec.model_validate_json(AgentSpec(**{"model": "deepgram/gpt-4o-mini", **fields}).model_dump_json())


def faults(**fields: Any) -> list[str]:
    return [".".join(map(str, fault.path)) for fault in provider("deepgram").faults(spec(**fields), HERE)]


async def events_until(connection: RealtimeConnection, last: type[ServerEvent]) -> list[ServerEvent]:
    found: list[ServerEvent] = []
    async for event in connection:
        found.append(event)
        if isinstance(event, last):
            break
    return found


# ---- connecting ----


def test_a_key_opens_the_documented_address_with_a_token_header() -> None:
    async def main() -> None:
        service = FakeDeepgram()
        options = RealtimeConnectOptions(websocket=in_memory(service), provider_options={"tag": "night"})
        async with await DeepgramModel("gpt-4o-mini", api_key=KEY).connect(options) as connection:
            assert await anext(connection) == SessionCreated("req_1")
        assert service.urls == ["wss://agent.deepgram.com/v1/agent/converse?tag=night"]
        assert service.headers == [{"Authorization": f"Token {KEY}"}]
        assert service.violations == []

    run_virtual(main())


def test_a_credential_is_a_bearer_and_needs_no_key() -> None:
    async def main() -> None:
        service = FakeDeepgram()
        options = RealtimeConnectOptions(websocket=in_memory(service), credential=TokenCredential(TOKEN, SOON))
        async with await DeepgramModel("gpt-4o-mini").connect(options) as connection:
            assert await anext(connection) == SessionCreated("req_1")
        assert service.headers == [{"Authorization": f"Bearer {TOKEN}"}]

    run_virtual(main())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (RealtimeConnectOptions(), "DEEPGRAM_API_KEY"),
        (RealtimeConnectOptions(api_key="ключ"), "DEEPGRAM_API_KEY"),
        (RealtimeConnectOptions(api_key=KEY, resume=SessionResumeConfig("x")), "resume"),
        (RealtimeConnectOptions(credential=TokenCredential("t", datetime(2020, 1, 1, tzinfo=UTC))), "expired"),
        (RealtimeConnectOptions(credential=UrlCredential("wss://x", SOON)), "token credential"),
        (RealtimeConnectOptions(api_key=KEY, session_config=SessionConfig(max_output_tokens=5)), "max_output_tokens"),
    ],
)
def test_what_the_operator_can_mend_is_refused_before_any_socket(options: RealtimeConnectOptions, error: str) -> None:
    async def main() -> None:
        service = FakeDeepgram()
        with pytest.raises(ConfigError, match=error):
            await DeepgramModel("gpt-4o-mini").connect(replace(options, websocket=in_memory(service)))
        assert service.urls == []

    run_virtual(main())


@pytest.mark.parametrize(
    ("model_id", "base_url"), [("openai/gpt-4o", BASE_URL), ("google/", BASE_URL), ("x", "ftp://")]
)
def test_a_model_or_an_address_that_is_none_is_refused_at_once(model_id: str, base_url: str) -> None:
    with pytest.raises(ConfigError, match="should be"):
        DeepgramModel(model_id, base_url=base_url)


@pytest.mark.parametrize("is_passthrough", [False, True])
def test_a_call_over_a_real_socket(is_passthrough: bool) -> None:
    config = SessionConfig(input_format=PCMU, output_format=PCMU) if is_passthrough else SessionConfig()
    heard = config.input_format

    async def main() -> None:
        service = FakeDeepgram(Says("Good evening.", 300), Says("It is noon.", 500))
        async with served(service) as base_url:
            model = DeepgramModel("gpt-4o-mini", api_key=lambda: KEY, base_url=base_url)
            async with await model.connect(RealtimeConnectOptions(session_config=config)) as connection:
                await connection.send(ResponseCreate("r1", say="Good evening."))
                greeting = await events_until(connection, ResponseDone)
                await connection.send(AudioInputAppend(tone(400, heard)))
                await connection.send(AudioInputAppend(silence(700, heard)))
                answer = await events_until(connection, ResponseDone)
        for said, ms in ((greeting, 300), (answer, 500)):
            audio = b"".join(event.pcm for event in said if isinstance(event, AudioOutputDelta))
            assert audio == tone(ms, heard)
        assert [event.text for event in answer if isinstance(event, TranscriptInput)] == ["What time is it?"]
        assert service.violations == []

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_refused_key_is_told_by_the_name_of_its_variable_and_without_it() -> None:
    async def main() -> None:
        async with served(FakeDeepgram()) as base_url:
            with pytest.raises(ProviderError, match="DEEPGRAM_API_KEY") as caught:
                await DeepgramModel("gpt-4o-mini", api_key="wrong-key-123", base_url=base_url).connect()
        assert (caught.value.category, caught.value.retryable) == ("auth", False)
        assert "Invalid credentials" in str(caught.value)
        assert "wrong-key-123" not in str(caught.value)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_an_account_without_money_is_a_matter_of_quota() -> None:
    async def main() -> None:
        service = FakeDeepgram()
        service.refuses = "quota"
        async with served(service) as base_url:
            with pytest.raises(ProviderError) as caught:
                await DeepgramModel("gpt-4o-mini", api_key=KEY, base_url=base_url).connect()
        assert (caught.value.code, caught.value.category) == ("ASR_PAYMENT_REQUIRED", "quota")

    asyncio.run(asyncio.wait_for(main(), 20))


# ---- credentials for browsers ----


@pytest.mark.parametrize(("ttl_s", "asked", "lasts_s"), [(None, {}, 30), (120, {"ttl_seconds": 120}, 120)])
def test_a_temporary_token_lives_as_long_as_was_asked(ttl_s: int | None, asked: dict[str, int], lasts_s: int) -> None:
    async def main() -> None:
        service = FakeDeepgram()
        async with served(service) as base_url:
            model = DeepgramModel("gpt-4o-mini", api_key=KEY, base_url=base_url)
            credential = await model.authenticate(RealtimeAuthenticateOptions(ttl_s=ttl_s))
            assert credential.token == TOKEN
            assert service.grants == [asked]
            left_s = (credential.expires_at - datetime.now(UTC)).total_seconds()
            assert lasts_s - 20 < left_s <= lasts_s
            async with await model.connect(RealtimeConnectOptions(credential=credential)) as connection:
                assert isinstance(await anext(connection), SessionCreated)

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("options", [RealtimeAuthenticateOptions(ttl_s=0), RealtimeAuthenticateOptions(ttl_s=3601)])
def test_a_time_to_live_that_cannot_be_is_refused(options: RealtimeAuthenticateOptions) -> None:
    with pytest.raises(ConfigError, match="1 to 3600"):
        asyncio.run(DeepgramModel("gpt-4o-mini", api_key=KEY).authenticate(options))


def test_tokens_are_for_no_agent() -> None:
    with pytest.raises(NotSupportedError, match="agent_id"):
        asyncio.run(DeepgramModel("x", api_key=KEY).authenticate(RealtimeAuthenticateOptions(agent_id="a")))


def test_an_answer_without_a_token_is_malformed() -> None:
    class Silent(FakeDeepgram):
        async def request(self, *_: object) -> tuple[int, dict[str, Any]]:
            return 200, {"expires_in": 30}

    async def main() -> None:
        async with served(Silent()) as base_url:
            with pytest.raises(ProviderError) as caught:
                await DeepgramModel("x", api_key=KEY, base_url=base_url).authenticate()
        assert caught.value.code == "malformed"

    asyncio.run(asyncio.wait_for(main(), 20))


# ---- the agent's file ----


def test_a_plain_agent_has_no_faults() -> None:
    assert faults(instructions="Be kind.", greeting="Hello.", voice="aura-2-apollo-en", speed=1.1) == []
    assert faults(model="deepgram/anthropic/claude-haiku-4-5", audio="passthrough") == []
    assert faults(turn_detection={"mode": "semantic_vad", "silence_duration_ms": 900}) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": "deepgram/openai/gpt-4o"}, "model"),
        ({"speed": 0.4}, "speed"),
        ({"noise_reduction": "far_field"}, "noise_reduction"),
        ({"max_output_tokens": 200}, "max_output_tokens"),
        ({"turn_detection": {"mode": "manual"}}, "turn_detection.mode"),
        ({"turn_detection": {"threshold": 0.5}}, "turn_detection.threshold"),
        ({"turn_detection": {"prefix_padding_ms": 100}}, "turn_detection.prefix_padding_ms"),
        ({"turn_detection": {"idle_timeout_ms": 6000}}, "turn_detection.idle_timeout_ms"),
        ({"turn_detection": {"interrupt_response": False}}, "turn_detection.interrupt_response"),
        ({"turn_detection": {"silence_duration_ms": 900}}, "turn_detection.silence_duration_ms"),
        (
            {"turn_detection": {"mode": "semantic_vad", "silence_duration_ms": 200}},
            "turn_detection.silence_duration_ms",
        ),
        ({"turn_detection": {"mode": "semantic_vad", "eagerness": "high"}}, "turn_detection.eagerness"),
        ({"interruption": {"min_words": 2}}, "interruption"),
        ({"transcription": {"model": "flux-general-en", "language": "de"}}, "transcription.language"),
        ({"provider_options": {"audio": {}}}, "provider_options"),
        ({"provider_options": {"agent": "stored"}}, "provider_options.agent"),
        ({"provider_options": {"agent": {"greeting": "Hi"}}}, "provider_options.agent"),
    ],
)
def test_what_deepgram_has_not_is_a_fault_with_its_field(fields: dict[str, Any], path: str) -> None:
    assert faults(**fields) == [path]


def test_the_key_is_missed_until_it_is_set() -> None:
    missing = provider("deepgram").missing_key
    assert missing(spec(), {}) == missing(spec(), {"DEEPGRAM_API_KEY": " "}) == "DEEPGRAM_API_KEY"
    assert missing(spec(), {"DEEPGRAM_API_KEY": KEY}) is None


@pytest.mark.parametrize(
    ("fields", "environment", "address"),
    [
        ({}, {}, "wss://agent.deepgram.com/"),
        ({}, {"DEEPGRAM_BASE_URL": "http://env.test"}, "ws://env.test/"),
        ({"base_url": "https://file.test/x"}, {"DEEPGRAM_BASE_URL": "http://env.test"}, "wss://file.test/x/"),
    ],
)
def test_the_files_address_wins_over_the_environments(
    fields: dict[str, Any], environment: dict[str, str], address: str
) -> None:
    async def main() -> None:
        service = FakeDeepgram()
        service.refuses = "rate"
        model = provider("deepgram").open_model(spec(**fields), HERE, {**environment, "DEEPGRAM_API_KEY": KEY})
        with pytest.raises(ProviderError):
            await model.connect(RealtimeConnectOptions(websocket=in_memory(service)))
        assert service.urls == [f"{address}v1/agent/converse"]

    run_virtual(main())
