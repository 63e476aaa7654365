"""The spans of what an agent does beside talking: tools, guardrails, handoffs, transfers."""

from typing import Final

from opentelemetry.trace import Span, Status, StatusCode

from agents.events import GuardrailTripped, HandedOff, Tool, ToolApproval, TransferStep
from agents.tracing import names
from agents.tracing.frame import Attributes, Frame, mark_failed
from agents.tracing.turns import Turns

MAX_OPEN: Final = 64
"""Tools that run at the same time, at most: as many as threads for them."""

MAX_NAME: Final = 80
"""Characters of what is a model's own words, where a name or an id is expected."""


class Deeds:
    """Each belongs to the turn in which it began, or to none."""

    def __init__(self, frame: Frame, turns: Turns) -> None:
        self._frame = frame
        self._turns = turns
        self._tools: dict[str, tuple[Span, str, float]] = {}
        self._transfer: tuple[Span, bool] | None = None

    # ---- tools ----

    def tool(self, tool: Tool, at: float) -> None:
        """A tool was called, or its call is over."""
        if tool.output is None and tool.failure is None:
            self._tool_began(tool, at)
        elif known := self._tools.pop(tool.call_id, None):
            span, name, began_at = known
            if tool.output is not None:
                self._frame.content.put(span, names.TOOL_RESULT, tool.output)
            if tool.failure in ("error", "timeout"):
                mark_failed(span, tool.failure)
            figures = {names.TOOL_NAME: name, names.AGENT: self._frame.agent}
            self._frame.telemetry.meters.tool.record(at - began_at, figures)
            self._frame.end(span, at)
            self._turns.tool_ended(tool.call_id, at, is_answered=tool.output is not None)

    def _tool_began(self, tool: Tool, at: float) -> None:
        if len(self._tools) == MAX_OPEN or tool.call_id in self._tools:
            return
        name = tool.name[:MAX_NAME]
        attributes: Attributes = {
            names.OPERATION: "execute_tool",
            names.TOOL_NAME: name,
            names.TOOL_CALL: tool.call_id[:MAX_NAME],
            names.TOOL_TYPE: "function",
            names.AGENT: self._frame.agent,
        }
        parent = self._turns.tool_began(tool.call_id)
        span = self._frame.start(f"execute_tool {name}", at, attributes, parent=parent)
        self._frame.content.put(span, names.TOOL_ARGUMENTS, tool.arguments)
        self._tools[tool.call_id] = span, name, at

    def approval_asked(self, asked: ToolApproval, at: float) -> None:
        if known := self._tools.get(asked.call_id):
            self._frame.note(known[0], "voice.tool.approval_asked", at)

    def tool_cancelled(self, call_id: str, at: float) -> None:
        """The call gets no answer."""
        if known := self._tools.pop(call_id, None):
            known[0].set_attribute(names.IS_CANCELLED, True)
            self._frame.end(known[0], at)
            self._turns.tool_ended(call_id, at, is_answered=False)

    # ---- the rest ----

    def tripped(self, trip: GuardrailTripped, at: float) -> None:
        """A guardrail objected: a span without a length, as nobody tells when it began to look."""
        attributes: Attributes = {names.GUARDRAIL: trip.name, names.STAGE: trip.stage}
        self._frame.telemetry.meters.trips.add(1, {**attributes, names.AGENT: self._frame.agent})
        if trip.response_id:
            attributes[names.RESPONSE_ID] = trip.response_id
        if trip.call_id:
            attributes[names.TOOL_CALL] = trip.call_id
        span = self._frame.start(f"guardrail {trip.name}", at, attributes, parent=self._turns.span)
        self._frame.content.put(span, names.DETAIL, trip.detail)
        self._frame.end(span, at)

    def handed_off(self, handoff: HandedOff, at: float) -> None:
        """Another agent goes on: a span without a length. What follows is the other's."""
        attributes: Attributes = {names.FROM_AGENT: handoff.from_agent, names.TO_AGENT: handoff.to_agent}
        span = self._frame.start(f"handoff {handoff.to_agent}", at, attributes, parent=self._turns.span)
        self._frame.end(span, at)
        self._frame.agent = handoff.to_agent

    def transfer(self, step: TransferStep, at: float) -> None:
        """What becomes of putting the caller through: from the first step to the last. A destination by its name."""
        if step.step == "began":
            self._end_transfer(at)
            attributes: Attributes = {names.DESTINATION: step.to, names.IS_WARM: step.is_warm}
            span = self._frame.start(f"transfer {step.to}", at, attributes, parent=self._turns.span)
            self._transfer = span, step.is_warm
        elif self._transfer:
            span, is_warm = self._transfer
            span.set_attribute(names.OUTCOME, step.step)
            if step.step == "answered" and is_warm:
                self._frame.note(span, "voice.transfer.answered", at)  # who may still decline
                return
            if step.step == "failed":
                span.set_status(Status(StatusCode.ERROR))
            self._end_transfer(at)

    def _end_transfer(self, at: float) -> None:
        if self._transfer:
            self._frame.end(self._transfer[0], at)
            self._transfer = None

    def close(self, at: float) -> None:
        """The conversation is over, and with it every tool that runs."""
        self._end_transfer(at)
        for call_id in tuple(self._tools):
            self.tool_cancelled(call_id, at)
