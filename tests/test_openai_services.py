"""The services that speak dialects of OpenAI's protocol: addresses, keys, credentials, what a file may ask of each."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import ResponseCreate
from agents.providers import PROVIDERS, provider
from agents.providers.openai import OpenAIModel, faults, missing_key, open_model
from agents.providers.openai.dialects import DIALECTS, PCMA
from agents.providers.openai.session import session_object
from agents.providers.openai.wire import OpenAICodec
from agents.providers.socket import Socket
from agents.realtime import (
    PCM,
    PCMU,
    AudioFormat,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    SessionConfig,
    TokenCredential,
    ToolSchema,
    Transcription,
    TurnDetection,
    Voice,
)
from agents.schema import AgentSpec
from tests.fake_openai import KEY, FakeOpenAI

SOON = datetime.now(UTC) + timedelta(hours=1)

MCP = {"tools": [{"type": "mcp", "server_label": "crm"}]}


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


def spec(model: str, **fields: Any) -> AgentSpec:
    return AgentSpec.model_validate_json(json.dumps({"model": model} | fields))


def session(dialect: str, **config: Any) -> dict[str, Any]:
    return session_object(SessionConfig(**config), DIALECTS[dialect], "some/model")


class NoSocket:
    """A factory that keeps what it was asked for, and refuses."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def __call__(self, url: str, headers: Mapping[str, str]) -> Socket:
        self.asked.append((url, headers))
        raise ProviderError("no sockets today", code="network", retryable=True)

    def ask(self, model: OpenAIModel, **options: Any) -> tuple[str, Mapping[str, str]]:
        with pytest.raises(ProviderError, match="no sockets today"):
            asyncio.run(_connect(model, websocket=self, **options))
        return self.asked[-1]


async def _connect(model: OpenAIModel, **options: Any) -> None:
    await model.connect(RealtimeConnectOptions(**options))


# ---- addresses and keys ----


@pytest.mark.parametrize(
    ("model", "environment", "address", "query", "headers"),
    [
        (
            "openai/gpt-realtime-2.1",
            {"OPENAI_API_KEY": KEY, "OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj_1"},
            "wss://api.openai.com/v1/realtime",
            {"model": ["gpt-realtime-2.1"]},
            {"Authorization": f"Bearer {KEY}", "OpenAI-Organization": "org-1", "OpenAI-Project": "proj_1"},
        ),
        (
            "azure/my-deployment",
            {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/"},
            "wss://res.openai.azure.com/openai/v1/realtime",
            {"model": ["my-deployment"]},
            {"api-key": KEY},
        ),
        (
            "azure-voice-live/gpt-4.1",
            {"AZURE_VOICELIVE_API_KEY": KEY, "AZURE_VOICELIVE_ENDPOINT": "https://res.services.ai.azure.com"},
            "wss://res.services.ai.azure.com/voice-live/realtime",
            {"api-version": ["2026-07-15"], "model": ["gpt-4.1"]},
            {"api-key": KEY},
        ),
        (
            "xai/grok-voice-latest",
            {"XAI_API_KEY": KEY},
            "wss://api.x.ai/v1/realtime",
            {"model": ["grok-voice-latest"]},
            {"Authorization": f"Bearer {KEY}"},
        ),
        (
            "qwen/qwen3.5-omni-plus-realtime",
            {"DASHSCOPE_API_KEY": KEY, "QWEN_BASE_URL": "https://dashscope-intl.aliyuncs.com"},
            "wss://dashscope-intl.aliyuncs.com/api-ws/v1/realtime",
            {"model": ["qwen3.5-omni-plus-realtime"]},
            {"Authorization": f"Bearer {KEY}"},
        ),
        (
            "speaches/llama",
            {"SPEACHES_BASE_URL": "http://10.0.0.7:8000"},
            "ws://10.0.0.7:8000/v1/realtime",
            {"model": ["llama"]},
            {},
        ),
        (
            "localai/pipeline",
            {"LOCALAI_BASE_URL": "http://10.0.0.7:8080/v1", "LOCALAI_API_KEY": KEY},
            "ws://10.0.0.7:8080/v1/realtime",
            {"model": ["pipeline"]},
            {"Authorization": f"Bearer {KEY}"},
        ),
        (
            "vllm-omni/qwen",
            {"VLLM_OMNI_BASE_URL": "ws://10.0.0.7:8000/v1/realtime?duplex=0"},
            "ws://10.0.0.7:8000/v1/realtime",
            {"model": ["qwen"], "duplex": ["0"]},
            {},
        ),
        (
            "speech-to-speech/any",
            {"SPEECH_TO_SPEECH_BASE_URL": "ws://10.0.0.7:8765"},
            "ws://10.0.0.7:8765/v1/realtime",
            {"model": ["any"]},
            {},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "://" not in value else "",
)
def test_each_service_is_reached_at_its_address_with_its_key(
    model: str, environment: dict[str, str], address: str, query: dict[str, list[str]], headers: dict[str, str]
) -> None:
    wanted = spec(model)

    url, sent = NoSocket().ask(open_model(wanted, Path(), environment))

    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == address
    assert parse_qs(parts.query) == query
    assert sent == headers
    assert missing_key(wanted, environment) is None


def test_inworld_has_a_new_session_id_in_each_address_and_the_model_in_the_session() -> None:
    factory = NoSocket()
    model = open_model(spec("inworld/openai/gpt-4o-mini"), Path(), {"INWORLD_API_KEY": KEY})

    queries = [parse_qs(urlsplit(factory.ask(model)[0]).query) for _ in range(2)]

    assert queries[0]["protocol"] == ["realtime"]
    assert queries[0].keys() == {"key", "protocol"}
    assert queries[0]["key"] != queries[1]["key"]
    assert factory.asked[0][1] == {"Authorization": f"Basic {KEY}"}
    assert session("inworld")["model"] == "some/model"


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        ("https://res.openai.azure.com", "wss://res.openai.azure.com/openai/v1/realtime"),
        ("https://res.openai.azure.com/openai/v1/", "wss://res.openai.azure.com/openai/v1/realtime"),
        ("https://res.openai.azure.com/openai/v1/realtime", "wss://res.openai.azure.com/openai/v1/realtime"),
        ("https://proxy.example/azure", "wss://proxy.example/azure/openai/v1/realtime"),
        ("https://proxy.example/my-openai", "wss://proxy.example/my-openai/openai/v1/realtime"),
    ],
)
def test_a_base_url_may_have_the_path_or_a_part_of_it(base_url: str, address: str) -> None:
    model = OpenAIModel("d", api_key=KEY, base_url=base_url, dialect=DIALECTS["azure"])
    assert NoSocket().ask(model)[0] == f"{address}?model=d"


def test_what_the_base_url_says_wins_over_what_a_dialect_would_say() -> None:
    base_url = "https://res.services.ai.azure.com?api-version=2025-10-01&agent-name=desk"
    model = OpenAIModel("m", api_key=KEY, base_url=base_url, dialect=DIALECTS["azure-voice-live"])
    query = parse_qs(urlsplit(NoSocket().ask(model)[0]).query)
    assert query == {"api-version": ["2025-10-01"], "agent-name": ["desk"]}


def test_a_call_that_is_already_there_is_joined_without_naming_a_model() -> None:
    model = OpenAIModel("gpt-realtime-2.1", api_key=KEY)
    url, _ = NoSocket().ask(model, provider_options={"call_id": "rtc_1"})
    assert url == "wss://api.openai.com/v1/realtime?call_id=rtc_1"


@pytest.mark.parametrize("name", [name for name, known in DIALECTS.items() if known.base_url is None])
def test_an_address_that_only_the_operator_knows_is_asked_for_by_the_name_of_its_variable(name: str) -> None:
    dialect, wanted = DIALECTS[name], spec(f"{name}/some-model")
    key = {dialect.key_variable: KEY}

    assert missing_key(wanted, key) == dialect.base_url_variable
    assert missing_key(spec(f"{name}/some-model", base_url="http://127.0.0.1:1"), key) is None
    with pytest.raises(ConfigError, match=dialect.base_url_variable):
        open_model(wanted, Path(), key)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_key_is_missing_where_one_is_needed(name: str) -> None:
    dialect, wanted = DIALECTS[name], spec(f"{name}/some-model", base_url="http://127.0.0.1:1")

    assert missing_key(wanted, {}) == (dialect.key_variable if dialect.needs_key else None)
    if dialect.needs_key:
        with pytest.raises(ConfigError, match=dialect.key_variable):
            asyncio.run(_connect(open_model(wanted, Path(), {})))


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_token_credential_is_a_bearers_whatever_a_key_is(name: str) -> None:
    model = OpenAIModel("m", api_key=KEY, base_url="https://somewhere.example", dialect=DIALECTS[name])
    _, headers = NoSocket().ask(model, credential=TokenCredential("a-token", SOON))
    assert headers == {"Authorization": "Bearer a-token"}


def test_headers_of_the_operators_own_go_with_every_request() -> None:
    model = OpenAIModel("m", base_url="http://127.0.0.1:1", dialect=DIALECTS["speaches"], headers={"X-Desk": "7"})
    assert NoSocket().ask(model)[1] == {"X-Desk": "7"}
    assert NoSocket().ask(model, api_key=KEY)[1] == {"Authorization": f"Bearer {KEY}", "X-Desk": "7"}


def test_every_dialect_is_a_provider_of_its_name() -> None:
    assert set(DIALECTS) <= set(PROVIDERS)
    assert all(provider(name) is provider("openai") for name in DIALECTS)
    model = open_model(spec("xai/grok-voice-latest"), Path(), {"XAI_API_KEY": KEY})
    assert (model.provider, model.model_id) == ("xai", "grok-voice-latest")


# ---- client secrets ----


@pytest.mark.parametrize("name", ["azure", "xai"])
def test_a_client_secret_is_asked_for_in_the_services_way_and_connects(name: str) -> None:
    async def main() -> None:
        async with FakeOpenAI(dialect=name) as fake:
            dialect = DIALECTS[name]
            model = OpenAIModel("m", api_key=fake.key, base_url=fake.url, dialect=dialect)
            credential = await model.authenticate(RealtimeAuthenticateOptions(ttl_s=60))
            assert timedelta(seconds=50) < credential.expires_at - datetime.now(UTC) <= timedelta(seconds=60)
            browser = OpenAIModel("m", base_url=fake.url, dialect=dialect)
            async with await browser.connect(RealtimeConnectOptions(credential=credential)) as connection:
                await anext(connection)
            body = json.loads(fake.requests[0][2])
            assert body["expires_after"] == {"seconds": 60} | ({"anchor": "created_at"} if name == "azure" else {})
            assert ("session" in body) == (name == "azure")

    run(main())


@pytest.mark.parametrize("name", sorted(name for name, known in DIALECTS.items() if known.secrets is None))
def test_a_service_without_client_secrets_is_not_asked_for_one(name: str) -> None:
    model = OpenAIModel("m", api_key=KEY, base_url="https://somewhere.example", dialect=DIALECTS[name])
    with pytest.raises(NotSupportedError, match=DIALECTS[name].title):
        asyncio.run(_authenticate(model))


async def _authenticate(model: OpenAIModel) -> None:
    await model.authenticate()


# ---- what each can do ----


@pytest.mark.parametrize(
    ("name", "formats", "truncate", "cancel", "say", "max_s"),
    [
        ("openai", (PCM, PCMU, PCMA), True, True, "asked", 3600),
        ("azure", (PCM, PCMU, PCMA), True, True, "asked", 1800),
        ("azure-voice-live", (PCM, PCMU, PCMA), True, True, "asked", None),
        ("xai", (PCM, PCMU, PCMA), True, True, "verbatim", 1800),
        ("inworld", (PCM, PCMU, PCMA), False, True, "asked", None),
        ("qwen", (PCM,), False, True, "asked", 7200),
        ("speaches", (PCM,), False, True, "asked", None),
        ("localai", (PCM,), True, True, "asked", None),
        ("vllm-omni", (PCM,), False, False, "asked", None),
        ("speech-to-speech", (PCM,), True, True, "asked", None),
    ],
)
def test_what_each_can_do_is_told(
    name: str, formats: tuple[AudioFormat, ...], truncate: bool, cancel: bool, say: str, max_s: float | None
) -> None:
    known = DIALECTS[name].capabilities
    assert known.input_formats == known.output_formats == formats
    assert (known.truncate, known.cancel, known.say) == (truncate, cancel, say)
    assert known.max_connection_s == known.max_session_s == max_s
    assert (known.resume, known.answers_tools_by_itself) == ("history", False)


# ---- sessions ----

FULL: dict[str, Any] = {
    "instructions": "You are kind.",
    "tools": (ToolSchema(name="hang_up", description="Ends the call.", parameters={"type": "object"}),),
    "voice": Voice(voice_id="ara"),
    "turn_detection": TurnDetection(threshold=0.5, silence_duration_ms=400, prefix_padding_ms=200),
    "transcription": Transcription(language="de"),
}


def test_a_flat_session_is_the_betas() -> None:
    assert session("azure-voice-live", **FULL, noise_reduction="far_field", max_output_tokens=300) == {
        "modalities": ["text", "audio"],
        "instructions": "You are kind.",
        "voice": "ara",
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_transcription": {"model": "azure-speech", "language": "de"},
        "input_audio_noise_reduction": {"type": "far_field"},
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "silence_duration_ms": 400,
            "prefix_padding_ms": 200,
        },
        "max_response_output_tokens": 300,
        "tools": [
            {"type": "function", "name": "hang_up", "description": "Ends the call.", "parameters": {"type": "object"}}
        ],
    }


def test_qwens_session_is_flat_with_tools_inside_tools() -> None:
    found = session("qwen", **FULL)
    assert (found["input_audio_format"], found["output_audio_format"]) == ("pcm", "pcm")
    assert found["modalities"] == ["text", "audio"]
    assert found["tools"] == [
        {
            "type": "function",
            "function": {"name": "hang_up", "description": "Ends the call.", "parameters": {"type": "object"}},
        }
    ]


def test_xais_session_has_voice_and_turns_on_top_and_asks_for_answers() -> None:
    assert session("xai", **FULL) == {
        "instructions": "You are kind.",
        "voice": "ara",
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "silence_duration_ms": 400,
            "prefix_padding_ms": 200,
            "create_response": True,
        },
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "grok-transcribe", "language_hint": "de"},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}},
        },
        "tools": [
            {"type": "function", "name": "hang_up", "description": "Ends the call.", "parameters": {"type": "object"}}
        ],
    }


@pytest.mark.parametrize(
    ("config", "turns"),
    [
        ({}, {"type": "server_vad", "create_response": True}),
        ({"turn_detection": TurnDetection()}, {"type": "server_vad", "create_response": True}),
        (
            {"turn_detection": TurnDetection(create_response=False, interrupt_response=False)},
            {"type": "server_vad", "create_response": False, "interrupt_response": False},
        ),
        ({"turn_detection": TurnDetection(mode="manual")}, None),
        ({"turn_detection": None}, None),
    ],
)
def test_xai_is_always_told_of_turns_because_it_hears_none_otherwise(
    config: dict[str, Any], turns: dict[str, Any] | None
) -> None:
    assert session("xai", **config)["turn_detection"] == turns


def test_words_to_say_are_forced_on_xai_and_asked_for_where_they_come_with_instructions() -> None:
    codec = OpenAICodec(DIALECTS["xai"])
    [forced] = codec.encode(ResponseCreate("create_1", say="Hello."))
    [asked] = codec.encode(ResponseCreate("create_2", instructions="Sound glad.", say="Hello."))

    content = [{"type": "output_text", "text": "Hello."}]
    assert json.loads(forced) == {
        "type": "conversation.item.create",
        "event_id": "create_1",
        "item": {"type": "force_message", "role": "assistant", "content": content},
    }
    assert json.loads(asked)["type"] == "response.create"
    assert json.loads(asked)["response"].keys() == {"instructions"}


@pytest.mark.parametrize("name", ["qwen", "speaches"])
def test_what_a_wire_does_anyway_is_not_said(name: str) -> None:
    turns = session(name, turn_detection=TurnDetection(create_response=True, interrupt_response=True))["turn_detection"]
    assert turns == {"type": "server_vad"}


@pytest.mark.parametrize(
    ("voice", "wire"),
    [
        ("alloy", "alloy"),
        ("en-US-Ava:DragonHDLatestNeural", {"type": "azure-standard", "name": "en-US-Ava:DragonHDLatestNeural"}),
    ],
)
def test_azures_own_voices_are_named_by_their_type(voice: str, wire: object) -> None:
    assert session("azure-voice-live", voice=Voice(voice_id=voice))["voice"] == wire


def test_a_server_with_ears_of_its_own_is_told_nothing_of_them_that_nobody_set() -> None:
    assert "transcription" not in session("localai", transcription=Transcription())["audio"]["input"]
    assert session("localai", transcription=None)["audio"]["input"]["transcription"] is None
    named = session("localai", transcription=Transcription(model="whisper"))
    assert named["audio"]["input"]["transcription"] == {"model": "whisper"}


def test_semantic_turns_have_azures_name_at_azure_voice_live() -> None:
    turns = session("azure-voice-live", turn_detection=TurnDetection(mode="semantic_vad"))["turn_detection"]
    assert turns == {"type": "azure_semantic_vad"}


@pytest.mark.parametrize(
    ("name", "config", "match"),
    [
        ("xai", {"noise_reduction": "near_field"}, "noise_reduction"),
        ("xai", {"turn_detection": TurnDetection(mode="semantic_vad")}, "semantic_vad"),
        ("xai", {"max_output_tokens": 100}, "max_output_tokens"),
        ("xai", {"tool_choice": "required"}, "tool_choice"),
        ("xai", {"modalities": ("text",)}, "text"),
        ("xai", {"transcription": Transcription(prompt="Otto")}, "prompt"),
        ("qwen", {"voice": Voice(speed=1.2)}, "speed"),
        ("qwen", {"turn_detection": TurnDetection(interrupt_response=False)}, "interrupt_response"),
        ("speaches", {"turn_detection": TurnDetection(create_response=False)}, "create_response"),
        ("azure-voice-live", {"turn_detection": TurnDetection(idle_timeout_ms=6000)}, "idle_timeout_ms"),
        ("qwen", {"input_format": PCMU}, "audio/pcmu"),
        ("speaches", {"output_format": PCMU}, "audio/pcmu"),
    ],
)
def test_what_a_wire_has_no_words_for_is_refused_before_any_socket(
    name: str, config: dict[str, Any], match: str
) -> None:
    factory = NoSocket()
    model = OpenAIModel("m", api_key=KEY, base_url="https://somewhere.example", dialect=DIALECTS[name])

    with pytest.raises(NotSupportedError, match=match):
        asyncio.run(_connect(model, session_config=SessionConfig(**config), websocket=factory))

    assert factory.asked == []


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_a_plain_file_has_no_faults_and_its_session_can_be_said(name: str) -> None:
    plain = spec(f"{name}/some-model", instructions="Be kind.", greeting="Hello.", tools=["hang_up"])
    assert faults(plain, Path()) == []
    assert session(name, turn_detection=TurnDetection(interrupt_response=True), noise_reduction=None)


@pytest.mark.parametrize(
    ("model", "fields", "path", "right"),
    [
        ("xai/m", {"noise_reduction": "near_field"}, ("noise_reduction",), "provider_options"),
        ("xai/m", {"turn_detection": {"mode": "semantic_vad"}}, ("turn_detection", "mode"), "semantic_vad"),
        ("xai/m", {"transcription": {"prompt": "Otto"}}, ("transcription", "prompt"), "prompt"),
        ("qwen/m", {"speed": 1.2}, ("speed",), "provider_options"),
        ("qwen/m", {"turn_detection": {"interrupt_response": False}}, ("turn_detection", "interrupt_response"), "out"),
        ("speaches/m", {"interruption": {"min_words": 2}}, ("interruption",), "speaches"),
        ("localai/m", {"interruption": {"protect_greeting": True}}, ("interruption",), "LocalAI"),
    ],
)
def test_what_a_service_would_refuse_is_a_fault_of_its_field(
    model: str, fields: dict[str, Any], path: tuple[str, ...], right: str
) -> None:
    [fault] = faults(spec(model, **fields), Path())
    assert fault.path == path
    assert right in fault.right


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("xai/m", {"interruption": {"min_speech_ms": 300}}),
        ("azure/m", {"voice": "any-voice"}),
        ("azure/m", {"turn_detection": {"mode": "semantic_vad", "eagerness": "low"}}),
        ("openai/m", {"provider_options": {"tools": [{"type": "mcp", "require_approval": "never"}]}}),
        ("openai/m", {"provider_options": {"tools": [{"type": "web_search"}]}}),
    ],
)
def test_what_a_service_can_do_is_no_fault(model: str, fields: dict[str, Any]) -> None:
    assert faults(spec(model, **fields), Path()) == []


@pytest.mark.parametrize(
    ("name", "options", "path", "found", "right"),
    [
        ("openai", {"audio": {"input": {"format": {}}}}, "provider_options", "audio.input.format", "agree on it"),
        ("xai", {"audio": {"output": {"format": {}}}}, "provider_options", "audio.output.format", "agree on it"),
        ("qwen", {"input_audio_format": "pcm"}, "provider_options", "input_audio_format", "agree on it"),
        ("openai", MCP, "provider_options.tools", "an mcp tool that asks for approval", "require_approval: never"),
    ],
)
def test_an_option_that_cannot_be_is_a_fault_and_refused_before_any_socket_with_the_same_words(
    name: str, options: dict[str, Any], path: str, found: str, right: str
) -> None:
    [fault] = faults(spec(f"{name}/m", provider_options=options), Path())
    assert (".".join(map(str, fault.path)), fault.found) == (path, found)
    assert right in fault.right

    model, factory = OpenAIModel("m", api_key="k", base_url="https://x.example", dialect=DIALECTS[name]), NoSocket()
    with pytest.raises(NotSupportedError) as caught:
        asyncio.run(_connect(model, session_config=SessionConfig(provider_options=options), websocket=factory))
    assert str(caught.value) == f"{path}: found {found}; {fault.right}"
    assert factory.asked == []
