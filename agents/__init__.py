"""The conversation: what an agent is, the session it talks in, the models it talks with. No HTTP, no telephone."""

from agents.agent import CallContext, RealtimeAgent
from agents.barge_in import BargeInRules
from agents.candidates import Candidate
from agents.digits import DigitRules
from agents.errors import (
    ChannelError,
    ConfigError,
    GatewayError,
    NotSupportedError,
    Problem,
    ProviderError,
    ToolError,
)
from agents.guardrails.contract import Guardrail, GuardrailContext, OutputGuardrailSettings
from agents.handoffs import Handoff
from agents.history import HistoryItem
from agents.idle import IdleStep
from agents.last_resort import LastResort
from agents.lasting import LastingModel
from agents.realtime import (
    RealtimeAuthenticateOptions,
    RealtimeChannel,
    RealtimeConnection,
    RealtimeConnectOptions,
    RealtimeModel,
    RealtimeSessionOptions,
    RealtimeTransport,
    SessionConfig,
    SessionResumeConfig,
    TokenCredential,
    Transcription,
    TurnDetection,
    UrlCredential,
    Voice,
)
from agents.session import RealtimeSession
from agents.time_limit import DurationWarning
from agents.tools import (
    AgentTool,
    BackgroundResult,
    Filler,
    FunctionTool,
    ToolContext,
    Toolkit,
    ToolRules,
    hang_up,
    tool,
)
from agents.tools.mcp import McpServer

__all__ = [
    "AgentTool",
    "BackgroundResult",
    "BargeInRules",
    "CallContext",
    "Candidate",
    "ChannelError",
    "ConfigError",
    "DigitRules",
    "DurationWarning",
    "Filler",
    "FunctionTool",
    "GatewayError",
    "Guardrail",
    "GuardrailContext",
    "Handoff",
    "HistoryItem",
    "IdleStep",
    "LastResort",
    "LastingModel",
    "McpServer",
    "NotSupportedError",
    "OutputGuardrailSettings",
    "Problem",
    "ProviderError",
    "RealtimeAgent",
    "RealtimeAuthenticateOptions",
    "RealtimeChannel",
    "RealtimeConnectOptions",
    "RealtimeConnection",
    "RealtimeModel",
    "RealtimeSession",
    "RealtimeSessionOptions",
    "RealtimeTransport",
    "SessionConfig",
    "SessionResumeConfig",
    "TokenCredential",
    "ToolContext",
    "ToolError",
    "ToolRules",
    "Toolkit",
    "Transcription",
    "TurnDetection",
    "UrlCredential",
    "Voice",
    "hang_up",
    "tool",
]
