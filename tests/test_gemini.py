"""The Gemini model: connecting, keys, credentials, and what an agent's file may ask of it."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import SessionCreated
from agents.providers import provider
from agents.providers.gemini import BASE_URL, PING_TIMEOUT_S, GeminiModel, faults, missing_key, open_model
from agents.providers.gemini.errors import category_in, loss, sharpened
from agents.providers.socket import Socket
from agents.realtime import (
    PCM,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    RealtimeModel,
    SessionConfig,
    TokenCredential,
    UrlCredential,
    Voice,
)
from agents.schema import AgentSpec
from tests.fake_gemini import KEY, FakeGemini, Refusal
from tests.fake_net import in_memory, served

NAME = "gemini-3.8-live"
PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
SOON = datetime.now(UTC) + timedelta(hours=1)
TOKEN = TokenCredential("auth_tokens/abc", SOON)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


def spec(**fields: Any) -> AgentSpec:
    return AgentSpec.model_validate_json(json.dumps({"model": f"gemini/{NAME}"} | fields))


class NoSocket:
    """A factory that says whether a socket was asked for, and refuses it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def __call__(self, url: str, headers: Mapping[str, str]) -> Socket:
        self.asked.append((url, headers))
        raise ProviderError("no sockets today", code="network", retryable=True)

    async def address(self, model: GeminiModel, **options: Any) -> str:
        with pytest.raises(ProviderError, match="no sockets today"):
            await model.connect(RealtimeConnectOptions(websocket=self, **options))
        return self.asked[-1][0]


# ---- connecting ----


def test_a_session_begins_over_a_real_socket() -> None:
    async def main() -> None:
        fake = FakeGemini()
        async with served(fake) as url:
            model: RealtimeModel = GeminiModel(NAME, api_key=KEY, base_url=url)
            async with await model.connect() as connection:
                assert await anext(connection.__aiter__()) == SessionCreated("session-1")
        [(path, headers, _)] = fake.requests
        assert path == PATH
        assert headers["x-goog-api-key"] == KEY
        assert "key" not in path
        assert fake.violations == []

    run(main())


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        (BASE_URL, f"wss://generativelanguage.googleapis.com{PATH}"),
        ("http://127.0.0.1:80/", f"ws://127.0.0.1:80{PATH}"),
        ("wss://x.example/gemini", f"wss://x.example/gemini{PATH}"),
        ("https://x.example/v1alpha", f"wss://x.example{PATH.replace('v1beta', 'v1alpha')}"),
        ("https://x.example/a/v1/", f"wss://x.example/a{PATH.replace('v1beta', 'v1')}"),
    ],
)
def test_the_address_follows_from_any_spelling_of_the_base_url(base_url: str, address: str) -> None:
    async def main() -> None:
        assert await NoSocket().address(GeminiModel(NAME, api_key=KEY, base_url=base_url)) == address

    run(main())


@pytest.mark.parametrize("base_url", ["x.example/v1", "ftp://x.example", "https://", "https://[::1/v1", "http://x:y/"])
def test_a_base_url_that_is_none_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ConfigError, match="base URL"):
        GeminiModel(NAME, base_url=base_url)


def test_the_version_is_an_option_that_wins_over_the_base_url() -> None:
    async def main() -> None:
        model = GeminiModel(NAME, api_key=KEY, base_url=f"{BASE_URL}/v1beta")
        config = SessionConfig(provider_options={"apiVersion": "v1"})
        assert ".v1.GenerativeService" in await NoSocket().address(model, session_config=config)

    run(main())


def test_connect_options_reach_the_address_as_a_query() -> None:
    async def main() -> None:
        url = await NoSocket().address(GeminiModel(NAME, api_key=KEY), provider_options={"trace": True})
        assert parse_qs(urlsplit(url).query) == {"trace": ["true"]}

    run(main())


def test_a_configuration_that_the_wire_cannot_say_is_refused_before_any_socket() -> None:
    async def main() -> None:
        factory = NoSocket()
        options = RealtimeConnectOptions(session_config=SessionConfig(voice=Voice(speed=1.1)), websocket=factory)
        with pytest.raises(NotSupportedError, match="speed"):
            await GeminiModel(NAME, api_key=KEY).connect(options)
        assert factory.asked == []

    run(main())


def test_late_answers_to_pings_are_waited_for() -> None:
    assert PING_TIMEOUT_S >= 30


@pytest.mark.parametrize(
    ("name", "can_update"),
    [
        (NAME, True),
        ("gemini-3.8-live-extended-thinking", True),
        ("gemini-4-live", True),
        ("gemini-3.1-flash-live-preview", False),
        ("gemini-2.5-flash-native-audio-preview-12-2025", False),
        ("tunedModels/mine", False),
    ],
)
def test_what_the_model_can_do_is_known_beforehand(name: str, can_update: bool) -> None:
    can = GeminiModel(name).capabilities
    assert (can.input_formats, can.output_formats, can.resume, can.one_connection) == ((PCM,), (PCM,), "handle", True)
    assert not (can.truncate or can.cancel or can.delete)
    assert can.cancels_tools and can.answers_tools_by_itself
    assert can.update_instructions is can.update_tools is can_update
    assert can.max_connection_s == 600


# ---- keys and credentials ----


@pytest.mark.parametrize("key", [None, "", "  \n", lambda: ""])
def test_a_missing_key_is_named_before_any_socket_is_opened(key: Any) -> None:
    async def main() -> None:
        factory = NoSocket()
        with pytest.raises(ConfigError, match="GEMINI_API_KEY"):
            await GeminiModel(NAME, api_key=key).connect(RealtimeConnectOptions(websocket=factory))
        assert factory.asked == []

    run(main())


def test_the_options_key_comes_before_the_models_and_functions_are_asked_each_time() -> None:
    async def main() -> None:
        keys = iter(["k1", "k2\n"])

        async def later() -> str:
            return next(keys)

        factory = NoSocket()
        await factory.address(GeminiModel(NAME, api_key=later))
        await factory.address(GeminiModel(NAME, api_key=later))
        await factory.address(GeminiModel(NAME, api_key=later), api_key="k3")
        assert [headers["x-goog-api-key"] for _, headers in factory.asked] == ["k1", "k2", "k3"]

    run(main())


def test_an_ephemeral_token_goes_the_constrained_way_with_its_version() -> None:
    async def main() -> None:
        factory = NoSocket()
        url = await factory.address(GeminiModel(NAME, api_key=KEY), credential=TOKEN)
        assert url.endswith(".v1alpha.GenerativeService.BidiGenerateContentConstrained")
        assert factory.asked[-1][1] == {"Authorization": "Token auth_tokens/abc"}
        url = await factory.address(GeminiModel(NAME), credential=TokenCredential("ya29.oauth", SOON))
        assert url.endswith(PATH)
        assert factory.asked[-1][1] == {"Authorization": "Bearer ya29.oauth"}

    run(main())


@pytest.mark.parametrize(
    ("credential", "match"),
    [
        (TokenCredential("auth_tokens/old", datetime.now(UTC) - timedelta(seconds=1)), "expired"),
        (UrlCredential("wss://secret.example/?token=1", SOON), "url credential"),
    ],
)
def test_credentials_that_cannot_serve_are_refused_before_any_socket(credential: Any, match: str) -> None:
    async def main() -> None:
        factory = NoSocket()
        with pytest.raises(ConfigError, match=match) as caught:
            await GeminiModel(NAME, api_key=KEY).connect(
                RealtimeConnectOptions(credential=credential, websocket=factory)
            )
        assert factory.asked == [] and "secret" not in str(caught.value)

    run(main())


def test_a_wrong_key_is_an_auth_error_though_google_calls_it_a_bad_request() -> None:
    async def main() -> None:
        async with served(FakeGemini()) as url:
            model = GeminiModel(NAME, api_key="AIzaWrong12345", base_url=url)
            for action in (model.connect, model.authenticate):
                with pytest.raises(ProviderError, match="API key not valid") as caught:
                    await action()
                assert (caught.value.category, caught.value.retryable) == ("auth", False)
                assert "AIzaWrong" not in str(caught.value)

    run(main())


def test_a_refusal_right_after_the_upgrade_says_why_as_well() -> None:
    async def main() -> None:
        words = "models/x is not found for API version v1beta, or is not supported for bidiGenerateContent."
        fake = FakeGemini(refusal=Refusal(0, words, close_code=1008))
        options = RealtimeConnectOptions(websocket=in_memory(fake))
        async with await GeminiModel(NAME, api_key=KEY).connect(options) as connection:
            with pytest.raises(ProviderError, match="is not found") as caught:
                await anext(connection)
        assert (caught.value.code, caught.value.category) == ("1008", "invalid_request")

    run(main())


def test_authenticate_gives_a_token_with_its_real_expiry_that_connects() -> None:
    async def main() -> None:
        fake = FakeGemini()
        async with served(fake) as url:
            credential = await GeminiModel(NAME, api_key=KEY, base_url=url).authenticate(
                RealtimeAuthenticateOptions(ttl_s=90)
            )
            left = credential.expires_at - datetime.now(UTC)
            assert timedelta(seconds=80) < left <= timedelta(seconds=90)
            body = fake.tokens[credential.token]
            assert body["bidiGenerateContentSetup"] == {"model": f"models/{NAME}"}
            assert (body["uses"], body["fieldMask"]) == (1, "model")
            options = RealtimeConnectOptions(credential=credential)
            async with await GeminiModel(NAME, base_url=url).connect(options) as connection:
                assert isinstance(await anext(connection), SessionCreated)
            assert credential.token not in repr(credential)
        assert fake.requests[0][0] == "/v1alpha/auth_tokens"
        assert fake.violations == []

    run(main())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (RealtimeAuthenticateOptions(ttl_s=0), "1 to 68400"),
        (RealtimeAuthenticateOptions(ttl_s=70_000), "1 to 68400"),
        (RealtimeAuthenticateOptions(agent_id="a"), "agent_id"),
    ],
)
def test_authenticate_refuses_what_google_cannot_do(options: RealtimeAuthenticateOptions, match: str) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match=match):
            await GeminiModel(NAME, api_key=KEY).authenticate(options)

    run(main())


# ---- what went wrong ----


@pytest.mark.parametrize(
    ("words", "category"),
    [
        ("API key not valid. Please pass a valid API key.", "auth"),
        ("Method doesn't allow unregistered callers", "auth"),
        ("You exceeded your current quota, please check your plan and billing details.", "quota"),
        ("Your prepayment credits are depleted.", "quota"),
        ("Quota exceeded for metric: generate requests, limit: 10 per minute", "rate"),
        ("Resource has been exhausted (e.g. check quota).", "rate"),
        ("The service is currently unavailable.", "unavailable"),
        ("Deadline expired before operation could complete.", "unavailable"),
        ("Request contains an invalid argument.", None),
    ],
)
def test_googles_words_are_known(words: str, category: str | None) -> None:
    assert category_in(words) == category


@pytest.mark.parametrize(
    ("code", "reason", "flags", "expected"),
    [
        (1007, "Request contains an invalid argument.", {}, ("1007", "invalid_request", False)),
        (1007, "API key not valid.", {}, ("1007", "auth", False)),
        (1007, "handle", {"is_resuming": True}, ("1007", "session_limit", True)),
        (1008, "The operation was aborted.", {}, ("1008", "unavailable", True)),
        (1008, "did not close after GoAway", {}, ("1008", "session_limit", True)),
        (1011, "", {}, ("1011", "unavailable", True)),
        (1011, "exceeded your current quota", {"is_leaving": True}, ("1011", "quota", False)),
        (1000, "", {}, ("1000", "unavailable", True)),
        (1001, "", {"is_leaving": True}, ("1001", "session_limit", True)),
        (None, "no close frame", {}, ("network", "network", True)),
        (None, "no close frame", {"is_leaving": True}, ("1006", "session_limit", True)),
    ],
)
def test_the_end_of_a_connection_has_a_meaning(
    code: int | None, reason: str, flags: dict[str, bool], expected: tuple[str, str, bool]
) -> None:
    lost = loss(code, reason, **{"is_leaving": False, "is_resuming": False} | flags)
    assert (lost.code, lost.category, lost.retryable) == expected


def test_keys_in_googles_words_are_not_repeated() -> None:
    lost = loss(1008, "the key AIzaSecret123456 is leaked", is_leaving=False, is_resuming=False)
    assert "AIzaSecret" not in str(lost)


def test_our_own_errors_are_left_as_they_are() -> None:
    error = ProviderError("connecting to unavailable.example was aborted", code="aborted", retryable=False)
    assert sharpened(error) is error


# ---- an agent's file ----


def test_the_provider_table_finds_this_provider() -> None:
    found = provider("gemini").open_model(spec(), Path(), {"GEMINI_API_KEY": KEY})
    assert (found.spec, found.provider, found.model_id) == ("1.0", "gemini", NAME)


def test_a_plain_file_has_no_faults() -> None:
    plain = spec(
        voice="Kore",
        greeting="Hello.",
        max_output_tokens=500,
        turn_detection={"silence_duration_ms": 400, "prefix_padding_ms": 20, "interrupt_response": False},
        transcription={"language": "en-US", "prompt": "Acme"},
        interruption={"on_key": True},
        tools=["hang_up"],
        provider_options={"generationConfig": {"temperature": 0.4}, "functions": {"hang_up": {"behavior": "BLOCKING"}}},
    )
    assert faults(plain, Path()) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"voice": "kore"}, ("voice",)),
        ({"speed": 1.2}, ("speed",)),
        ({"noise_reduction": "far_field"}, ("noise_reduction",)),
        ({"transcription": {"model": "whisper"}}, ("transcription", "model")),
        ({"turn_detection": {"threshold": 0.5}}, ("turn_detection", "threshold")),
        ({"turn_detection": {"mode": "semantic_vad"}}, ("turn_detection", "mode")),
        ({"turn_detection": {"idle_timeout_ms": 6000}}, ("turn_detection", "idle_timeout_ms")),
        ({"turn_detection": {"mode": "manual", "prefix_padding_ms": 20}}, ("turn_detection", "prefix_padding_ms")),
        ({"interruption": {"protect_greeting": True}}, ("interruption",)),
        ({"interruption": {"min_words": 2}}, ("interruption",)),
        ({"interruption": {"min_speech_ms": 300}}, ("interruption",)),
        ({"interruption": {"resume_after_ms": 1000}}, ("interruption",)),
        ({"provider_options": {"functions": {"f": {"behavior": "x"}}}}, ("provider_options",)),
        ({"provider_options": {"apiVersion": 1}}, ("provider_options",)),
        ({"provider_options": {"functions": {"lookup": {}}}, "tools": ["hang_up"]}, ("provider_options",)),
        ({"provider_options": {"model": "models/other"}}, ("provider_options",)),
    ],
)
def test_what_gemini_cannot_do_is_a_fault_of_the_field(fields: dict[str, Any], path: tuple[str, ...]) -> None:
    [fault] = faults(spec(**fields), Path())
    assert fault.path == path
    assert fault.found and fault.right


def test_a_tool_that_cannot_be_found_is_not_blamed_on_its_rule() -> None:
    file = spec(tools=["no.such.tool"], provider_options={"functions": {"tool": {}}})
    assert faults(file, Path()) == []


def test_elsewhere_there_may_be_other_voices() -> None:
    assert faults(spec(voice="Mine", base_url="https://x.example"), Path()) == []


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"GEMINI_API_KEY": KEY}, None),
        ({"GOOGLE_API_KEY": KEY}, None),
        ({"GEMINI_API_KEY": " ", "GOOGLE_API_KEY": KEY}, None),
        ({}, "GEMINI_API_KEY"),
        ({"GOOGLE_API_KEY": ""}, "GEMINI_API_KEY"),
    ],
)
def test_either_key_serves_and_the_first_is_the_one_that_is_missed(
    environment: dict[str, str], missing: str | None
) -> None:
    assert missing_key(spec(), environment) == missing


def test_the_files_address_wins_over_the_environments() -> None:
    async def main() -> None:
        environment = {"GEMINI_API_KEY": "one", "GOOGLE_API_KEY": "two", "GOOGLE_GEMINI_BASE_URL": "http://env.example"}
        factory = NoSocket()
        url = await factory.address(open_model(spec(), Path(), environment))
        assert url == f"ws://env.example{PATH}"
        assert factory.asked[-1][1] == {"x-goog-api-key": "one"}
        file = spec(base_url="https://file.example")
        assert await factory.address(open_model(file, Path(), environment)) == f"wss://file.example{PATH}"

    run(main())
