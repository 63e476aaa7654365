"""The ElevenLabs model: connecting, keys, signed addresses, and what an agent's file may ask of it."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from agents.errors import ConfigError, ErrorCategory, NotSupportedError, ProviderError
from agents.events import SessionCreated
from agents.providers import provider
from agents.providers.elevenlabs import BASE_URL, ElevenLabsModel, faults, missing_key, open_model
from agents.providers.socket import Socket
from agents.realtime import (
    ApiKey,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    RealtimeModel,
    SessionConfig,
    SessionResumeConfig,
    TokenCredential,
    TurnDetection,
    UrlCredential,
)
from agents.schema import AgentSpec
from tests.fake_elevenlabs import AGENT, KEY, FakeElevenLabs, Settings
from tests.fake_net import in_memory, served
from tests.rig_elevenlabs import BASE_URL as FAKE_URL
from tests.rig_elevenlabs import REFUSALS

SOON = datetime.now(UTC) + timedelta(hours=1)
PUBLIC = SessionConfig(provider_options={"public": True})


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


def spec(**fields: Any) -> AgentSpec:
    return AgentSpec.model_validate_json(json.dumps({"model": f"elevenlabs/{AGENT}"} | fields))


def override(**parts: Any) -> dict[str, Any]:
    return {"conversation_config_override": parts}


def model_at(fake: FakeElevenLabs, api_key: ApiKey | None = KEY) -> ElevenLabsModel:
    return ElevenLabsModel(AGENT, api_key=api_key, base_url=FAKE_URL, ask=fake.ask)


async def connected(fake: FakeElevenLabs, model: ElevenLabsModel, **options: Any) -> str:
    """The address of a conversation that begins, and is over."""
    given = RealtimeConnectOptions(websocket=in_memory(fake), **options)
    async with await model.connect(given) as connection:
        assert isinstance(await anext(connection), SessionCreated)
        assert connection.session_id == f"conv_{len(fake.conversations)}"
    return fake.requests[-1][1]


async def refused(fake: FakeElevenLabs, model: ElevenLabsModel, error: type[Exception], **options: Any) -> Exception:
    """The error of a connect that opens no socket."""
    with pytest.raises(error) as caught:
        await model.connect(RealtimeConnectOptions(websocket=in_memory(fake), **options))
    assert not [url for method, url in fake.requests if method == "WS"]
    return caught.value


# ---- connecting ----


def test_a_key_is_exchanged_for_a_signed_address_which_is_all_that_the_socket_sees() -> None:
    async def main() -> None:
        fake = FakeElevenLabs()
        model: RealtimeModel = model_at(fake)
        assert (model.provider, model.model_id) == ("elevenlabs", AGENT)
        url = await connected(fake, model_at(fake))
        assert fake.requests[0] == ("GET", f"{FAKE_URL}/v1/convai/conversation/get-signed-url?agent_id={AGENT}")
        assert parse_qs(urlsplit(url).query) == {
            "agent_id": [AGENT],
            "conversation_signature": ["cvtkn_0123456789abcdef"],
        }
        assert fake.violations == []

    run(main())


@pytest.mark.parametrize("key", [lambda: KEY, lambda: asyncio.sleep(0, KEY), f" {KEY}\n"])
def test_the_key_may_be_a_function_and_the_connects_own_wins(key: ApiKey) -> None:
    async def main() -> None:
        fake = FakeElevenLabs()
        await connected(fake, model_at(fake, key))
        await connected(fake, model_at(fake, "sk_wrong_key_for_all"), api_key=key)

    run(main())


def test_without_a_key_nothing_is_opened_and_the_variable_is_named() -> None:
    async def main() -> None:
        fake = FakeElevenLabs()
        error = await refused(fake, model_at(fake, None), ConfigError)
        assert "ELEVENLABS_API_KEY" in str(error)
        assert fake.requests == []

    run(main())


def test_a_public_agent_needs_no_key_when_the_operator_says_that_it_is_one() -> None:
    async def main() -> None:
        fake = FakeElevenLabs(settings=Settings(is_public=True))
        url = await connected(fake, model_at(fake, None), session_config=PUBLIC)
        assert url == f"wss://elevenlabs.test/v1/convai/conversation?agent_id={AGENT}"
        assert fake.conversations[0].opening == {"type": "conversation_initiation_client_data"}

    run(main())


def test_an_agent_that_is_not_public_after_all_is_an_auth_error() -> None:
    async def main() -> None:
        fake = FakeElevenLabs()
        error = await refused_at_the_door(fake, model_at(fake, None), session_config=PUBLIC)
        assert (error.category, error.retryable) == ("auth", False)

    run(main())


async def refused_at_the_door(fake: FakeElevenLabs, model: ElevenLabsModel, **options: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await model.connect(RealtimeConnectOptions(websocket=in_memory(fake), **options))
    return caught.value


def test_a_url_credential_is_used_as_it_is_and_wins_over_the_key() -> None:
    async def main() -> None:
        fake = FakeElevenLabs()
        credential = await model_at(fake).authenticate()
        fake.requests.clear()
        url = await connected(fake, model_at(fake, None), credential=credential, provider_options={"environment": "x"})
        assert url == f"{credential.url}&environment=x"
        assert len(fake.requests) == 1

    run(main())


@pytest.mark.parametrize(
    ("credential", "error"),
    [
        (UrlCredential("wss://elevenlabs.test/x", datetime.now(UTC) - timedelta(seconds=1)), ConfigError),
        (UrlCredential("https://elevenlabs.test/x", SOON), ConfigError),
        (UrlCredential("wss://[", SOON), ConfigError),
        (UrlCredential("wss://elevenlabs.test/x?signature=s#part", SOON), ConfigError),
        (UrlCredential("wss://elevenlabs.test/x?signature=s#", SOON), ConfigError),
        (TokenCredential("t", SOON), NotSupportedError),
    ],
)
def test_a_credential_that_cannot_be_used_is_refused(
    credential: TokenCredential | UrlCredential, error: type[Exception]
) -> None:
    fake = FakeElevenLabs()
    run(ignored(refused(fake, model_at(fake), error, credential=credential)))


async def ignored(main: Coroutine[Any, Any, Any]) -> None:
    await main


@pytest.mark.parametrize(
    "options",
    [
        {"resume": SessionResumeConfig("h")},
        {"session_config": SessionConfig(turn_detection=TurnDetection(mode="manual"))},
        {"provider_options": {"agent_id": "other"}},
        {"provider_options": {"x": []}},
    ],
)
def test_what_cannot_be_honoured_is_refused_before_any_socket(options: dict[str, Any]) -> None:
    fake = FakeElevenLabs()
    run(ignored(refused(fake, model_at(fake), ConfigError, **options)))


def test_query_parameters_go_to_whom_they_concern() -> None:
    async def main() -> None:
        fake = FakeElevenLabs()
        url = await connected(fake, model_at(fake), provider_options={"branch_id": "b", "source": "phone"})
        assert fake.requests[0][1].endswith(f"?agent_id={AGENT}&branch_id=b")
        assert url.endswith("&source=phone") and "branch_id" not in url

    run(main())


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        (BASE_URL, "wss://api.elevenlabs.io/v1/convai/conversation"),
        ("https://api.eu.residency.elevenlabs.io/", "wss://api.eu.residency.elevenlabs.io/v1/convai/conversation"),
        ("https://api.us.elevenlabs.io/v1", "wss://api.us.elevenlabs.io/v1/convai/conversation"),
        ("ws://127.0.0.1:8000", "ws://127.0.0.1:8000/v1/convai/conversation"),
    ],
)
def test_regions_are_reached_by_the_base_url(base_url: str, address: str) -> None:
    asked: list[str] = []

    async def factory(url: str, headers: Mapping[str, str]) -> Socket:
        asked.append(url)
        raise ProviderError("no sockets today", code="network", retryable=True)

    async def main() -> None:
        model = ElevenLabsModel(AGENT, base_url=base_url)
        with pytest.raises(ProviderError, match="no sockets today"):
            await model.connect(RealtimeConnectOptions(websocket=factory, session_config=PUBLIC))
        assert asked == [f"{address}?agent_id={AGENT}"]

    run(main())


@pytest.mark.parametrize("base_url", ["api.elevenlabs.io", "ftp://api.elevenlabs.io", "https://"])
def test_a_base_url_that_is_none_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ConfigError, match="base URL"):
        ElevenLabsModel(AGENT, base_url=base_url)


@pytest.mark.parametrize("category", ["auth", "quota", "rate", "unavailable", "invalid_request"])
def test_a_refusal_has_its_category(category: ErrorCategory) -> None:
    async def main() -> None:
        fake = FakeElevenLabs()
        fake.refusal = REFUSALS[category]
        error = await refused(fake, model_at(fake), ProviderError)
        assert isinstance(error, ProviderError)
        assert (error.category, error.retryable) == (category, category in ("rate", "unavailable"))
        assert fake.refusal[1]["detail"]["message"] in str(error)
        assert KEY not in str(error)

    run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"signed_url": 5}',
        b'{"signed_url": "https://x.test"}',
        b'{"signed_url": "ws://x.test/plain"}',
        b'{"signed_url": "wss://x.test/y#z"}',
    ],
)
def test_an_answer_without_a_safe_address_is_malformed_and_not_repeated(answer: bytes) -> None:
    async def ask(
        method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, key_name: str
    ) -> bytes:
        return answer

    async def main() -> None:
        model = ElevenLabsModel(AGENT, api_key=KEY, ask=ask)
        with pytest.raises(ProviderError) as caught:
            await model.authenticate()
        assert caught.value.code == "malformed"
        assert "x.test" not in str(caught.value)

    run(main())


def test_an_abort_while_the_address_is_being_signed_ends_the_wait() -> None:
    abort = asyncio.Event()

    async def ask(
        method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, *, key_name: str
    ) -> bytes:
        abort.set()
        await asyncio.Event().wait()
        return b""

    async def main() -> None:
        model = ElevenLabsModel(AGENT, api_key=KEY, ask=ask)
        with pytest.raises(ProviderError) as caught:
            await model.connect(RealtimeConnectOptions(abort=abort))
        assert caught.value.code == "aborted"

    run(main())


def test_an_override_that_the_agent_does_not_allow_is_explained() -> None:
    async def main() -> None:
        fake = FakeElevenLabs(settings=Settings(overrides=frozenset()))
        options = RealtimeConnectOptions(
            websocket=in_memory(fake), session_config=SessionConfig(instructions="Be kind.")
        )
        async with await model_at(fake).connect(options) as connection:
            with pytest.raises(
                ProviderError, match="security settings at ElevenLabs, or leave instructions out"
            ) as caught:
                await anext(connection)
            assert (caught.value.code, caught.value.category) == ("override_error", "invalid_request")

    run(main())


# ---- over the network ----


def test_over_a_real_network_a_key_opens_a_conversation() -> None:
    async def main() -> None:
        fake = FakeElevenLabs()
        async with served(fake) as base_url:
            model = ElevenLabsModel(AGENT, api_key=KEY, base_url=base_url)
            async with await model.connect() as connection:
                assert await anext(connection) == SessionCreated("conv_1")
            wrong = ElevenLabsModel(AGENT, api_key="sk_wrong_key_for_all", base_url=base_url)
            with pytest.raises(ProviderError, match="Invalid API key") as caught:
                await wrong.connect()
            assert caught.value.category == "auth"
            assert "sk_wrong" not in str(caught.value)

    run(main())


def test_the_credential_is_a_signed_address_of_a_quarter_of_an_hour() -> None:
    async def main() -> None:
        fake = FakeElevenLabs()
        credential = await model_at(fake).authenticate(RealtimeAuthenticateOptions(agent_id="agent_other"))
        assert "agent_id=agent_other" in credential.url
        assert "conversation_signature=" in credential.url
        assert "conversation_signature" not in repr(credential)
        left = credential.expires_at - datetime.now(UTC)
        assert timedelta(minutes=14) < left <= timedelta(minutes=15)
        with pytest.raises(NotSupportedError, match="ttl_s"):
            await model_at(fake).authenticate(RealtimeAuthenticateOptions(ttl_s=60))

    run(main())


# ---- what an agent's file may ask of it ----


def test_the_table_knows_it() -> None:
    module = provider("elevenlabs")
    model = module.open_model(spec(base_url="https://api.us.elevenlabs.io"), Path(), {"ELEVENLABS_API_KEY": KEY})
    assert (model.provider, model.model_id) == ("elevenlabs", AGENT)


@pytest.mark.parametrize(
    ("fields", "environment", "missing"),
    [
        ({}, {}, "ELEVENLABS_API_KEY"),
        ({}, {"ELEVENLABS_API_KEY": " "}, "ELEVENLABS_API_KEY"),
        ({}, {"ELEVENLABS_API_KEY": KEY}, None),
        ({"provider_options": {"public": True}}, {}, None),
    ],
)
def test_the_key_is_missing_unless_the_agent_is_public(
    fields: dict[str, Any], environment: dict[str, str], missing: str | None
) -> None:
    assert missing_key(spec(**fields), environment) == missing


def test_the_files_base_url_wins_over_the_environments() -> None:
    async def address(fields: dict[str, Any], environment: dict[str, str]) -> str:
        asked: list[str] = []

        async def factory(url: str, headers: Mapping[str, str]) -> Socket:
            asked.append(url)
            raise ProviderError("no", code="network", retryable=True)

        with pytest.raises(ProviderError):
            await open_model(spec(**fields), Path(), environment).connect(
                RealtimeConnectOptions(websocket=factory, session_config=PUBLIC)
            )
        return str(urlsplit(asked[0]).hostname)

    async def main() -> None:
        eu = {"ELEVENLABS_BASE_URL": "https://api.eu.residency.elevenlabs.io"}
        assert await address({}, {}) == "api.elevenlabs.io"
        assert await address({}, eu) == "api.eu.residency.elevenlabs.io"
        assert await address({"base_url": "https://api.us.elevenlabs.io"}, eu) == "api.us.elevenlabs.io"

    run(main())


def test_a_whole_file_of_what_it_can_do_has_no_faults() -> None:
    good = spec(
        instructions="Be kind.",
        greeting="Hello!",
        voice="21m00Tcm4TlvDq8ikWAM",
        speed=1.1,
        transcription={"language": "en", "prompt": "Acme"},
        interruption={"on_key": True},
        provider_options={"user_id": "u", "conversation_config_override": {"tts": {"stability": 0.4}}},
    )
    assert faults(good, Path()) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"turn_detection": {"mode": "semantic_vad"}}, ("turn_detection", "mode")),
        ({"turn_detection": {"silence_duration_ms": 500}}, ("turn_detection", "silence_duration_ms")),
        ({"turn_detection": {"interrupt_response": False}}, ("turn_detection", "interrupt_response")),
        ({"interruption": {"protect_greeting": True}}, ("interruption", "protect_greeting")),
        ({"interruption": {"min_speech_ms": 200}}, ("interruption", "min_speech_ms")),
        ({"interruption": {"resume_after_ms": 900}}, ("interruption", "resume_after_ms")),
        ({"transcription": {"model": "m"}}, ("transcription", "model")),
        ({"noise_reduction": "near_field"}, ("noise_reduction",)),
        ({"max_output_tokens": 10}, ("max_output_tokens",)),
        ({"speed": 1.4}, ("speed",)),
    ],
)
def test_what_it_cannot_do_is_a_fault_of_that_field(fields: dict[str, Any], path: tuple[str, ...]) -> None:
    assert [fault.path for fault in faults(spec(**fields), Path())] == [path]


@pytest.mark.parametrize(
    ("options", "greeting", "words"),
    [
        ({"public": "yes"}, None, ("public", "true for an agent that needs no key")),
        ({"type": "x"}, None, ("type", "leave the type of the message out")),
        (override(tts={"agent_output_audio_format": "x"}), None, ("tts.agent_output_audio_format", "the audio format")),
        (override(asr={"user_input_audio_format": "x"}), None, ("asr.user_input_audio_format", "the audio format")),
        (override(conversation={"text_only": True}), None, ("conversation.text_only", "a call has sound")),
        (override(agent={"first_message": "Hi!"}), "Hello!", ("agent.first_message", "write one of them only")),
    ],
)
def test_an_option_that_cannot_be_is_a_fault_and_refused_before_any_socket_with_the_same_words(
    options: dict[str, Any], greeting: str | None, words: tuple[str, str]
) -> None:
    found, right = words
    [fault] = faults(spec(provider_options=options, greeting=greeting), Path())
    assert (fault.path, fault.found) == (("provider_options",), found)
    assert right in fault.right

    async def main() -> None:
        fake = FakeElevenLabs()
        config = SessionConfig(provider_options=options, greeting=greeting)
        error = await refused(fake, model_at(fake), NotSupportedError, session_config=config)
        assert str(error) == f"provider_options: found {fault.found}; {fault.right}"
        assert fake.requests == []

    run(main())
