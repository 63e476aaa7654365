"""What became of a conversation, told to OpenTelemetry: spans of what it was made of, and figures over all of them.

An observer makes them of what the model says and the session tells. Where nobody collects there is no observer.
"""

from typing import TYPE_CHECKING

from agents.tracing.session_trace import SessionTrace
from agents.tracing.telemetry import Telemetry, process_telemetry

if TYPE_CHECKING:
    from agents.realtime import RealtimeSessionOptions
    from agents.session import RealtimeSession

__all__ = ["SessionTrace", "Telemetry", "process_telemetry", "start_trace"]


def start_trace(session: "RealtimeSession", options: "RealtimeSessionOptions") -> SessionTrace | None:
    """The trace of a session that begins now, in this task; None where it is disabled, or goes nowhere."""
    telemetry = None if options.tracing_disabled else options.telemetry or process_telemetry()
    return SessionTrace(session, options, telemetry) if telemetry else None
