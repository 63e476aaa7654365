"""The OpenAI model: connecting, keys, credentials, and what an agent's file may ask of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import SessionCreated, SessionUpdate
from agents.providers import provider
from agents.providers.openai import OpenAIModel, faults, missing_key, open_model
from agents.providers.openai.wire import OpenAICodec
from agents.providers.socket import Socket
from agents.realtime import (
    RealtimeAuthenticateOptions,
    RealtimeConnection,
    RealtimeConnectOptions,
    RealtimeModel,
    SessionConfig,
    SessionResumeConfig,
    TokenCredential,
    ToolSchema,
    Transcription,
    TurnDetection,
    UrlCredential,
    Voice,
)
from agents.schema import AgentSpec
from tests.fake_openai import KEY, FakeOpenAI

NAME = "gpt-realtime-2.1"
BASE_URL = "https://api.openai.com/v1"
SOON = datetime.now(UTC) + timedelta(hours=1)
CONFIG = SessionConfig(
    instructions="You are kind.",
    tools=(ToolSchema(name="hang_up", description="Ends the call.", parameters={"type": "object"}),),
    voice=Voice(voice_id="marin"),
    turn_detection=TurnDetection(silence_duration_ms=400),
    transcription=Transcription(),
)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


def spec(**fields: Any) -> AgentSpec:
    return AgentSpec.model_validate_json(json.dumps({"model": f"openai/{NAME}"} | fields))


class NoSocket:
    """A factory that says whether a socket was asked for, and refuses it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def __call__(self, url: str, headers: Mapping[str, str]) -> Socket:
        self.asked.append((url, headers))
        raise ProviderError("no sockets today", code="network", retryable=True)

    async def address(self, model: OpenAIModel, **options: Any) -> str:
        with pytest.raises(ProviderError, match="no sockets today"):
            await model.connect(RealtimeConnectOptions(websocket=self, **options))
        return self.asked[-1][0]


# ---- connecting ----


def test_the_first_client_message_is_the_whole_session_configuration() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            model: RealtimeModel = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            connection: RealtimeConnection = await model.connect(RealtimeConnectOptions(session_config=CONFIG))
            async with connection:
                session = await fake.session()
                first = await session.expect("session.update")
                assert session.received == [first]
                assert first["session"]["instructions"] == "You are kind."
                assert first["session"]["tools"][0]["name"] == "hang_up"
                audio = first["session"]["audio"]
                assert audio["output"] == {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin"}
                assert audio["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
                assert audio["input"]["turn_detection"] == {"type": "server_vad", "silence_duration_ms": 400}
        assert fake.violations == []

    run(main())


def test_connecting_names_the_model_sends_the_key_and_no_beta_header() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            await (await model.connect()).close()
            [(path, headers, _)] = fake.requests
            assert path == f"/v1/realtime?model={NAME}"
            assert headers["Authorization"] == f"Bearer {fake.key}"
            assert "OpenAI-Beta" not in headers
            assert "Sec-WebSocket-Extensions" not in headers

    run(main())


def test_a_model_can_be_connected_repeatedly_and_each_session_has_its_own_id() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            async with await model.connect() as one, await model.connect() as two:
                assert one.session_id is None
                for connection, name in ((one, "sess_1"), (two, "sess_2")):
                    created = await anext(connection)
                    assert isinstance(created, SessionCreated)
                    assert connection.session_id == created.session_id == name
                    assert created.expires_at is not None

    run(main())


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        (BASE_URL, "wss://api.openai.com/v1/realtime"),
        ("https://api.openai.com/v1/", "wss://api.openai.com/v1/realtime"),
        ("http://127.0.0.1:8000/v1/realtime", "ws://127.0.0.1:8000/v1/realtime"),
        ("ws://127.0.0.1:8000/v1/realtime/", "ws://127.0.0.1:8000/v1/realtime"),
        ("wss://speech.example/openai/v1", "wss://speech.example/openai/v1/realtime"),
    ],
)
def test_the_address_follows_from_any_spelling_of_the_base_url(base_url: str, address: str) -> None:
    async def main() -> None:
        found = await NoSocket().address(OpenAIModel(NAME, api_key=KEY, base_url=base_url))
        assert found == f"{address}?model={NAME}"

    run(main())


@pytest.mark.parametrize(
    "base_url", ["api.openai.com/v1", "ftp://api.openai.com", "https://", "https://[::1/v1", "http://x:y/"]
)
def test_a_base_url_that_is_none_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ConfigError, match="base URL"):
        OpenAIModel(NAME, base_url=base_url)


def test_provider_options_reach_the_address_beside_the_model() -> None:
    async def main() -> None:
        model = OpenAIModel(NAME, api_key=KEY, base_url="https://x.example/v1?tier=a%20b")
        url = await NoSocket().address(model, provider_options={"intent": "realtime", "debug": True})
        query = {"model": [NAME], "tier": ["a b"], "intent": ["realtime"], "debug": ["true"]}
        assert parse_qs(urlsplit(url).query) == query

    run(main())


@pytest.mark.parametrize("wrong", [{"model": "other"}, {"session": {"a": 1}}])
def test_provider_options_that_no_address_can_hold_are_refused_before_any_socket(wrong: dict[str, Any]) -> None:
    async def main() -> None:
        factory = NoSocket()
        with pytest.raises(ConfigError, match="provider_options"):
            options = RealtimeConnectOptions(provider_options=wrong, websocket=factory)
            await OpenAIModel(NAME, api_key=KEY).connect(options)
        assert factory.asked == []

    run(main())


def test_resuming_is_refused_and_not_ignored() -> None:
    async def main() -> None:
        with pytest.raises(NotSupportedError, match="resume"):
            await OpenAIModel(NAME, api_key=KEY).connect(RealtimeConnectOptions(resume=SessionResumeConfig("sess_1")))

    run(main())


def test_a_configuration_that_the_wire_cannot_say_is_refused_before_any_socket() -> None:
    async def main() -> None:
        factory = NoSocket()
        config = SessionConfig(turn_detection=TurnDetection(mode="semantic_vad", threshold=0.5))
        with pytest.raises(NotSupportedError, match="threshold"):
            options = RealtimeConnectOptions(session_config=config, websocket=factory)
            await OpenAIModel(NAME, api_key=KEY).connect(options)
        assert factory.asked == []

    run(main())


# ---- keys and credentials ----


@pytest.mark.parametrize("key", [None, "", "  \n", lambda: ""])
def test_a_missing_key_is_named_before_any_socket_is_opened(key: Any) -> None:
    async def main() -> None:
        factory = NoSocket()
        with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
            await OpenAIModel(NAME, api_key=key).connect(RealtimeConnectOptions(websocket=factory))
        assert factory.asked == []

    run(main())


def test_the_credential_comes_before_the_options_key_and_that_before_the_models() -> None:
    async def main() -> None:
        factory = NoSocket()
        model = OpenAIModel(NAME, api_key="sk-of-the-model")
        await factory.address(model)
        await factory.address(model, api_key="sk-of-the-options")
        await factory.address(model, api_key="sk-of-the-options", credential=TokenCredential("ek-token", SOON))
        used = [headers["Authorization"].removeprefix("Bearer ") for _, headers in factory.asked]
        assert used == ["sk-of-the-model", "sk-of-the-options", "ek-token"]

    run(main())


def test_a_sync_and_an_async_key_function_are_asked_at_each_connect() -> None:
    async def main() -> None:
        keys = iter(["sk-1", "sk-2", "sk-3", "sk-4\n"])

        async def later() -> str:
            return next(keys)

        factory = NoSocket()
        for model in (OpenAIModel(NAME, api_key=lambda: next(keys)), OpenAIModel(NAME, api_key=later)):
            await factory.address(model)
            await factory.address(model)
        used = [headers["Authorization"].removeprefix("Bearer ") for _, headers in factory.asked]
        assert used == ["sk-1", "sk-2", "sk-3", "sk-4"]

    run(main())


def test_a_key_function_that_never_answers_does_not_keep_the_caller_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.providers.access.KEY_TIMEOUT_S", 0.01)

    async def never() -> str:
        await asyncio.Event().wait()
        return KEY

    async def main() -> None:
        with pytest.raises(ConfigError, match="gave no key"):
            await OpenAIModel(NAME, api_key=never).connect()

    run(main())


def test_a_key_with_characters_that_no_key_has_is_refused_without_showing_it() -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
            await OpenAIModel(NAME, api_key="sk-evil\r\nX-Header: 1").connect()
        assert "evil" not in str(caught.value)

    run(main())


def test_an_expired_credential_is_refused_before_any_socket_is_opened() -> None:
    async def main() -> None:
        factory = NoSocket()
        expired = TokenCredential("ek-old", datetime.now(UTC) - timedelta(seconds=1))
        with pytest.raises(ConfigError, match="expired"):
            await OpenAIModel(NAME, api_key=KEY).connect(RealtimeConnectOptions(credential=expired, websocket=factory))
        assert factory.asked == []

    run(main())


def test_a_url_credential_is_refused_by_its_kind() -> None:
    async def main() -> None:
        credential = UrlCredential("wss://secret.example/?token=1", SOON)
        with pytest.raises(NotSupportedError, match="url credential") as caught:
            await OpenAIModel(NAME, api_key=KEY).connect(RealtimeConnectOptions(credential=credential))
        assert "secret" not in str(caught.value)

    run(main())


def test_a_wrong_key_is_an_auth_error_that_names_the_variable_and_hides_the_key() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            wrong = "sk-wrong-0123456789"
            model = OpenAIModel(NAME, api_key=wrong, base_url=fake.url)
            with pytest.raises(ProviderError, match="OPENAI_API_KEY") as caught:
                await model.connect()
            assert (caught.value.code, caught.value.retryable) == ("auth", False)
            assert "Incorrect API key" in str(caught.value)
            for text in (str(caught.value), repr(caught.value), repr(model), repr(vars(caught.value))):
                assert wrong not in text

    run(main())


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [(404, "invalid_request", False), (429, "rate_limit_exceeded", True), (503, "server_error", True)],
)
def test_a_refused_upgrade_says_whether_to_try_again(status: int, code: str, retryable: bool) -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            fake.refuse_with, fake.refuse_code = status, code
            with pytest.raises(ProviderError, match=str(status)) as caught:
                await OpenAIModel(NAME, api_key=fake.key, base_url=fake.url).connect()
            assert (caught.value.code, caught.value.retryable) == (code, retryable)

    run(main())


def test_authenticate_gives_a_secret_with_its_real_expiry_and_connects() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
            credential = await model.authenticate(RealtimeAuthenticateOptions(ttl_s=60))
            lifetime = credential.expires_at - datetime.now(UTC)
            assert timedelta(seconds=50) < lifetime <= timedelta(seconds=60)
            path, headers, body = fake.requests[0]
            assert path == "/v1/realtime/client_secrets"
            assert headers["Authorization"] == f"Bearer {fake.key}"
            assert json.loads(body) == {
                "session": {"type": "realtime", "model": NAME},
                "expires_after": {"anchor": "created_at", "seconds": 60},
            }
            browser = OpenAIModel(NAME, base_url=fake.url)
            async with await browser.connect(RealtimeConnectOptions(credential=credential)) as connection:
                assert isinstance(await anext(connection), SessionCreated)
            assert credential.token not in repr(credential)

    run(main())


@pytest.mark.parametrize(("status", "code"), [(401, "auth"), (429, "rate_limit_exceeded"), (500, "server_error")])
def test_a_refused_authenticate_says_why(status: int, code: str) -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            fake.refuse_with, fake.refuse_code = status, "rate_limit_exceeded"
            with pytest.raises(ProviderError, match=str(status)) as caught:
                await OpenAIModel(NAME, api_key=fake.key, base_url=fake.url).authenticate()
            assert caught.value.code == code
            assert fake.key not in str(caught.value)

    run(main())


def test_authenticate_without_a_server_is_a_retryable_network_error() -> None:
    async def main() -> None:
        async with FakeOpenAI() as fake:
            model = OpenAIModel(NAME, api_key=fake.key, base_url=fake.url)
        with pytest.raises(ProviderError) as caught:
            await model.authenticate()
        assert (caught.value.code, caught.value.retryable) == ("network", True)

    run(main())


def test_authenticate_follows_no_redirect_which_would_carry_the_key_away() -> None:
    visits: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        visits.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async def main() -> None:
        async with TestServer(_app(redirect)) as server:
            with pytest.raises(ProviderError, match="307") as caught:
                await OpenAIModel(NAME, api_key=KEY, base_url=str(server.make_url("/v1"))).authenticate()
        assert caught.value.code == "invalid_request"
        assert visits == ["/v1/realtime/client_secrets"]

    run(main())


@pytest.mark.parametrize(
    "answer", ["", "[]", '{"value": "ek_1"}', '{"value": "ek_1", "expires_at": 1e300}', "x" * 300_000]
)
def test_an_answer_without_a_credential_is_an_error_that_does_not_show_it(answer: str) -> None:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(text=answer)

    async def main() -> None:
        async with TestServer(_app(respond)) as server:
            with pytest.raises(ProviderError) as caught:
                await OpenAIModel(NAME, api_key=KEY, base_url=str(server.make_url("/v1"))).authenticate()
        assert caught.value.code == "malformed"
        assert "ek_1" not in str(caught.value)

    run(main())


def _app(respond: Callable[[web.Request], Awaitable[web.Response]]) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    return app


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (RealtimeAuthenticateOptions(ttl_s=5), "10 to 7200"),
        (RealtimeAuthenticateOptions(agent_id="agent_1"), "agent_id"),
    ],
)
def test_authenticate_refuses_what_openai_cannot_do(options: RealtimeAuthenticateOptions, match: str) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match=match):
            await OpenAIModel(NAME, api_key=KEY).authenticate(options)

    run(main())


# ---- an agent's file ----


def test_the_provider_table_finds_this_provider() -> None:
    found = provider("openai").open_model(spec(), Path(), {"OPENAI_API_KEY": KEY})
    assert (found.spec, found.provider, found.model_id) == ("1.0", "openai", NAME)


def test_a_good_file_has_no_faults() -> None:
    good = spec(
        voice="marin",
        speed=1.2,
        turn_detection={"mode": "semantic_vad", "eagerness": "low"},
        noise_reduction="far_field",
    )
    assert faults(good, Path()) == []


@pytest.mark.parametrize(
    ("fields", "path", "right"),
    [
        ({"voice": "marvin"}, ("voice",), "marin"),
        ({"turn_detection": {"eagerness": "low"}}, ("turn_detection", "eagerness"), "semantic_vad"),
        ({"turn_detection": {"mode": "manual", "threshold": 0.5}}, ("turn_detection", "threshold"), "server_vad"),
        (
            {"turn_detection": {"mode": "semantic_vad", "silence_duration_ms": 500}},
            ("turn_detection", "silence_duration_ms"),
            "server_vad",
        ),
    ],
)
def test_what_openai_would_refuse_is_a_fault_of_its_field(
    fields: dict[str, Any], path: tuple[str, ...], right: str
) -> None:
    [fault] = faults(spec(**fields), Path())
    assert fault.path == path
    assert right in fault.right


def test_an_audio_format_among_the_provider_options_is_a_fault() -> None:
    options = {"audio": {"output": {"format": {"type": "audio/pcmu"}, "speed": 1.1}}}
    [fault] = faults(spec(provider_options=options), Path())
    assert (fault.path, fault.found) == (("provider_options",), "audio.output.format")


def test_an_unknown_voice_is_a_fault_that_lists_the_voices_and_python_asks_for_it_by_its_own_name() -> None:
    [fault] = faults(spec(voice="marvin"), Path())
    [text] = OpenAICodec().encode(SessionUpdate(SessionConfig(voice=Voice(voice_id="marvin"))))

    assert (fault.path, fault.found) == (("voice",), "'marvin'")
    assert "marin" in fault.right and "alloy" in fault.right
    assert json.loads(text)["session"]["audio"]["output"]["voice"] == "marvin"


@pytest.mark.parametrize("fields", [{"voice": "voice_abc"}, {"voice": "tara", "base_url": "http://127.0.0.1:8000/v1"}])
def test_custom_voices_and_those_of_other_servers_are_no_faults(fields: dict[str, Any]) -> None:
    assert faults(spec(**fields), Path()) == []


@pytest.mark.parametrize("environment", [{}, {"OPENAI_API_KEY": " "}])
def test_a_missing_key_is_told_by_the_name_of_its_variable(environment: dict[str, str]) -> None:
    assert missing_key(spec(), environment) == "OPENAI_API_KEY"
    assert missing_key(spec(), {"OPENAI_API_KEY": KEY}) is None


def test_the_files_base_url_wins_over_the_environments_and_that_over_openais() -> None:
    async def main() -> None:
        environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "https://env.example/v1"}
        factory = NoSocket()
        await factory.address(open_model(spec(base_url="https://file.example/v1"), Path(), environment))
        await factory.address(open_model(spec(), Path(), environment))
        await factory.address(open_model(spec(), Path(), {"OPENAI_API_KEY": KEY}))
        hosts = [urlsplit(url).hostname for url, _ in factory.asked]
        assert hosts == ["file.example", "env.example", "api.openai.com"]

    run(main())
