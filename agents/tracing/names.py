"""What attributes are called: as OpenTelemetry's GenAI conventions have it, and our own under `voice.`.

The conventions are in development; these are those of the end of 2026. A turn is an `invoke_agent`, as they advise for
voice. https://github.com/open-telemetry/semantic-conventions-genai
"""

from collections.abc import Mapping
from typing import Final

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
MODEL: Final = "gen_ai.request.model"
STREAM: Final = "gen_ai.request.stream"
CONVERSATION: Final = "gen_ai.conversation.id"
WORKFLOW: Final = "gen_ai.workflow.name"
AGENT: Final = "gen_ai.agent.name"
END_REASON: Final = "gen_ai.agent.invocation.end_reason"
OUTPUT_TYPE: Final = "gen_ai.output.type"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
INPUT_AUDIO_TOKENS: Final = "gen_ai.usage.audio.input_tokens"
OUTPUT_AUDIO_TOKENS: Final = "gen_ai.usage.audio.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL: Final = "gen_ai.tool.call.id"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
ERROR_TYPE: Final = "error.type"

GROUP: Final = "voice.group.id"
METADATA: Final = "voice.metadata."
"""What stands before each key of `trace_metadata`."""

REASON: Final = "voice.end_reason"
CALL_ID: Final = "voice.call.id"
DIRECTION: Final = "voice.call.direction"
CALLER: Final = "voice.call.caller"
CALLED: Final = "voice.call.called"
WORST_SILENCE: Final = "voice.call.worst_silence_ms"

TURN: Final = "voice.turn.number"
TRIGGER: Final = "voice.turn.trigger"
END_SILENCE: Final = "voice.turn.end_silence_ms"
IS_WORDLESS: Final = "voice.turn.is_wordless"
IS_VERBATIM: Final = "voice.response.is_verbatim"
STATUS: Final = "voice.response.status"
IS_CANCELLED: Final = "voice.tool.is_cancelled"
GUARDRAIL: Final = "voice.guardrail.name"
STAGE: Final = "voice.guardrail.stage"
DETAIL: Final = "voice.guardrail.detail"
FROM_AGENT: Final = "voice.handoff.from"
TO_AGENT: Final = "voice.handoff.to"
DESTINATION: Final = "voice.transfer.to"
IS_WARM: Final = "voice.transfer.is_warm"
OUTCOME: Final = "voice.transfer.outcome"

_PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "openai-live": "openai",
    "xai": "x_ai",
}
"""What the conventions call a provider that we call otherwise."""


def provider_name(provider: str) -> str:
    """A provider as the conventions know it; one that they do not know keeps its own name."""
    return _PROVIDERS.get(provider, provider)
