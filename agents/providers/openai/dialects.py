"""The dialects of OpenAI's realtime protocol, as data: one record for each service that speaks it."""

from collections.abc import Mapping
from typing import Final

from agents.providers.openai.dialect import Dialect, Lack
from agents.realtime import PCM, PCMU, AudioFormat

PCMA: Final = AudioFormat(mime_type="audio/pcma", sample_rate=8_000)
"""The telephone's A-law, which passes through untouched like mu-law."""


def _openai_voice(voice: str) -> object:
    return {"id": voice} if voice.startswith("voice_") else voice  # a custom one


def _azure_voice(voice: str) -> object:
    """OpenAI's voices by their names; Azure's own, such as en-US-AvaNeural, by their type."""
    return {"type": "azure-standard", "name": voice} if "-" in voice else voice


_PCM_24K: Final[Mapping[AudioFormat, object]] = {PCM: {"type": "audio/pcm", "rate": 24_000}}
_PCM_16K: Final = AudioFormat(sample_rate=16_000)
_GA_AUDIO: Final = {**_PCM_24K, PCMU: {"type": "audio/pcmu"}, PCMA: {"type": "audio/pcma"}}
_FLAT_AUDIO: Final[Mapping[AudioFormat, object]] = {PCM: "pcm16", PCMU: "g711_ulaw", PCMA: "g711_alaw"}

_OPENAI_VOICES: Final = (
    *("alloy", "ash", "ballad", "cedar", "coral"),
    *("echo", "marin", "sage", "shimmer", "verse"),
)

_UNSURE: Final[frozenset[Lack]] = frozenset(
    {
        *("create_response", "eagerness", "idle_timeout_ms", "interrupt_response", "max_output_tokens"),
        *("noise_reduction", "prompt", "semantic_vad", "speed"),
    }
)
"""What a server of one's own that says nothing about it is not trusted to heed; `provider_options` reach it all."""

OPENAI: Final = Dialect(
    name="openai",
    title="OpenAI",
    path="/realtime",
    base_url="https://api.openai.com/v1",
    base_url_variable="OPENAI_BASE_URL",
    base_url_example="https://api.openai.com/v1",
    key_variable="OPENAI_API_KEY",
    header_variables={"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"},
    secrets="openai",
    input_formats=_GA_AUDIO,
    output_formats=_GA_AUDIO,
    voice=_openai_voice,
    voices=_OPENAI_VOICES,
    transcription_model="gpt-transcribe",
    max_connection_s=3600,
    has_tracing=True,
)

AZURE: Final = Dialect(
    name="azure",
    title="Azure OpenAI",
    path="/openai/v1/realtime",
    base_url_variable="AZURE_OPENAI_ENDPOINT",
    base_url_example="https://my-resource.openai.azure.com",
    auth="api-key",
    key_variable="AZURE_OPENAI_API_KEY",
    secrets="openai",
    input_formats=_GA_AUDIO,
    output_formats=_GA_AUDIO,
    voice=_openai_voice,
    transcription_model="whisper-1",
    max_connection_s=1800,
)
"""Its pages have said 30 minutes; `SessionCreated.expires_at` says what it is. Its models come later than OpenAI's,
and with them the newer transcription models.
"""

VOICE_LIVE: Final = Dialect(
    name="azure-voice-live",
    title="Azure Voice Live",
    names="beta",
    layout="flat",
    path="/voice-live/realtime",
    query={"api-version": "2026-07-15", "model": "{model}"},
    instead_of_model=frozenset({"agent-name"}),
    base_url_variable="AZURE_VOICELIVE_ENDPOINT",
    base_url_example="https://my-resource.services.ai.azure.com",
    auth="api-key",
    key_variable="AZURE_VOICELIVE_API_KEY",
    input_formats=_FLAT_AUDIO,
    output_formats=_FLAT_AUDIO,
    voice=_azure_voice,
    transcription_model="azure-speech",
    modes={"semantic_vad": "azure_semantic_vad"},
    lacks=frozenset({"eagerness", "idle_timeout_ms", "prompt", "speed"}),
    is_loose=True,
    ignored=frozenset({"response.audio_timestamp.delta", "response.audio_timestamp.done"}),
)

XAI: Final = Dialect(
    name="xai",
    title="xAI",
    layout="xai",
    path="/realtime",
    base_url="https://api.x.ai/v1",
    base_url_variable="XAI_BASE_URL",
    base_url_example="https://api.x.ai/v1",
    key_variable="XAI_API_KEY",
    secrets="bare",
    input_formats=_GA_AUDIO,
    output_formats=_GA_AUDIO,
    transcription_model="grok-transcribe",
    renamed={"language": "language_hint"},
    lacks=frozenset(
        {"eagerness", "max_output_tokens", "noise_reduction", "prompt", "semantic_vad", "text", "tool_choice"}
    ),
    says_turns=True,
    says_verbatim="force_message",
    is_loose=True,
    truncate_may_fail=True,
    ready=frozenset({"session.created", "session.updated", "conversation.created"}),
    ignored=frozenset({"ping"}),
    max_connection_s=1800,
)
"""A session lasts 30 minutes by its older pages, 120 by the newer."""

INWORLD: Final = Dialect(
    name="inworld",
    title="Inworld",
    path="/api/v1/realtime/session",
    query={"key": "{unique}", "protocol": "realtime"},
    base_url="https://api.inworld.ai",
    base_url_variable="INWORLD_BASE_URL",
    base_url_example="https://api.inworld.ai",
    auth="basic",
    key_variable="INWORLD_API_KEY",
    input_formats=_GA_AUDIO,
    output_formats=_GA_AUDIO,
    lacks=frozenset({"truncate"}),
    model_in_session=True,
    is_loose=True,
)

QWEN: Final = Dialect(
    name="qwen",
    title="Qwen-Omni",
    names="beta",
    layout="flat",
    path="/api-ws/v1/realtime",
    base_url_variable="QWEN_BASE_URL",
    base_url_example="https://dashscope-intl.aliyuncs.com or https://my-workspace.ap-southeast-1.maas.aliyuncs.com",
    key_variable="DASHSCOPE_API_KEY",
    input_formats={_PCM_16K: "pcm"},
    output_formats={PCM: "pcm"},
    transcription_model="gummy-realtime-v1",
    lacks=frozenset({*_UNSURE, "tool_choice", "truncate"}) - {"semantic_vad"},
    nested_tools=True,
    is_loose=True,
    max_connection_s=7200,
)

SPEACHES: Final = Dialect(
    name="speaches",
    title="speaches",
    names="beta",
    layout="flat",
    path="/v1/realtime",
    base_url_variable="SPEACHES_BASE_URL",
    base_url_example="http://127.0.0.1:8000",
    key_variable="SPEACHES_API_KEY",
    needs_key=False,
    input_formats={PCM: "pcm16"},
    output_formats={PCM: "pcm16"},
    lacks=frozenset({*_UNSURE, "truncate"}),
    is_loose=True,
    ignored=frozenset({"partial_message", "full_message"}),
)

LOCALAI: Final = Dialect(
    name="localai",
    title="LocalAI",
    path="/v1/realtime",
    base_url_variable="LOCALAI_BASE_URL",
    base_url_example="http://127.0.0.1:8080",
    key_variable="LOCALAI_API_KEY",
    needs_key=False,
    input_formats=_PCM_24K,
    output_formats=_PCM_24K,
    lacks=_UNSURE,
    is_loose=True,
    truncate_may_fail=True,
)

VLLM_OMNI: Final = Dialect(
    name="vllm-omni",
    title="vLLM-Omni",
    path="/v1/realtime",
    base_url_variable="VLLM_OMNI_BASE_URL",
    base_url_example="http://127.0.0.1:8000",
    key_variable="VLLM_OMNI_API_KEY",
    needs_key=False,
    input_formats={_PCM_16K: {"type": "audio/pcm", "rate": 16_000}},
    output_formats=_PCM_24K,
    lacks=frozenset({*_UNSURE, "cancel", "delete", "truncate"}),
    is_loose=True,
)

SPEECH_TO_SPEECH: Final = Dialect(
    name="speech-to-speech",
    title="speech-to-speech",
    path="/v1/realtime",
    base_url_variable="SPEECH_TO_SPEECH_BASE_URL",
    base_url_example="http://127.0.0.1:8765",
    key_variable="SPEECH_TO_SPEECH_API_KEY",
    needs_key=False,
    input_formats=_PCM_24K,
    output_formats=_PCM_24K,
    lacks=_UNSURE,
    is_loose=True,
    truncate_may_fail=True,
)

DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        *(OPENAI, AZURE, VOICE_LIVE, XAI, INWORLD, QWEN),
        *(SPEACHES, LOCALAI, VLLM_OMNI, SPEECH_TO_SPEECH),
    )
}
