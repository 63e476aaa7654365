"""The spans of a model's responses: from asking for one to its end, with its tokens."""

from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import Span, SpanKind

from agents.events import ResponseCreate, ResponseDone, Usage
from agents.tracing import names
from agents.tracing.frame import Attributes, Frame, mark_failed
from agents.tracing.turn import Turn

MAX_OPEN: Final = 32
"""Responses that have not ended at the same time; a model has one or two."""

_FINISHED: Final = {"completed": "stop", "incomplete": "length", "failed": "error"}
"""What the conventions call these ends; the others are called as they are here."""


@dataclass(slots=True)
class Response:
    """A response under way, `asked_at` when it was asked for, or began by itself."""

    span: Span
    turn: Turn
    asked_at: float
    text: str = ""
    has_sounded: bool = False


class Responses:
    """A response that we asked for begins when it was asked for; one of the model's own, when it is told."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._open: dict[str, Response] = {}
        self._asked: tuple[float, ResponseCreate] | None = None

    def asked(self, request: ResponseCreate, at: float) -> None:
        self._asked = at, request

    def refused(self, event_id: str) -> None:
        """That request came to nothing."""
        if self._asked and self._asked[1].event_id == event_id:
            self._asked = None

    def asked_at(self, at: float) -> float:
        """When the response was asked for that begins now."""
        return self._asked[0] if self._asked else at

    def began(self, response_id: str, turn: Turn, at: float) -> None:
        request = self._asked[1] if self._asked else None
        attributes: Attributes = {
            names.OPERATION: "chat",
            names.AGENT: self._frame.agent,
            names.OUTPUT_TYPE: "speech",
            names.STREAM: True,
            names.RESPONSE_ID: response_id,
            names.IS_VERBATIM: request is not None and request.say is not None,
            **self._frame.who,
        }
        began_at, self._asked = self.asked_at(at), None
        name = f"chat {self._frame.model}"
        span = self._frame.start(name, began_at, attributes, parent=turn.span, kind=SpanKind.CLIENT)
        self._open[response_id] = Response(span, turn, began_at)
        if len(self._open) > MAX_OPEN:
            self._close(next(iter(self._open)), at)

    def turn(self, response_id: str) -> Turn | None:
        known = self._open.get(response_id)
        return known.turn if known else None

    def sounded(self, response_id: str, at: float) -> bool:
        """Audio came. False unless it was the first of its response."""
        known = self._open.get(response_id)
        if known is None or known.has_sounded:
            return False
        known.has_sounded = True
        seconds = at - known.asked_at
        known.span.set_attribute(names.FIRST_CHUNK, seconds)
        self._frame.telemetry.meters.first_chunk.record(seconds, {names.OPERATION: "chat", **self._frame.who})
        return True

    def said(self, response_id: str, text: str) -> None:
        if known := self._open.get(response_id):
            known.text = text
            known.turn.said.append(text)

    def done(self, done: ResponseDone, at: float) -> Turn | None:
        """Gives the turn that it belonged to."""
        known = self._open.pop(done.response_id, None)
        if known is None:
            return None
        span = known.span
        figures: Attributes = {names.OPERATION: "chat", **self._frame.who}
        span.set_attribute(names.STATUS, done.status)
        span.set_attribute(names.FINISH_REASONS, [_FINISHED.get(done.status, done.status)])
        span.set_attributes(_tokens(done.usage))
        if done.status == "failed":
            mark_failed(span, "response_failed")
            known.turn.fail("response_failed")
            figures[names.ERROR_TYPE] = "response_failed"
        self._frame.content.put_messages(span, said=[known.text])
        self._frame.telemetry.meters.operation.record(at - known.asked_at, figures)
        self._count(done.usage)
        self._frame.end(span, at)
        return known.turn

    def _count(self, usage: Usage) -> None:
        if not usage.total_tokens:
            return  # of a provider that tells none
        for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            attributes = {names.OPERATION: "chat", names.TOKEN_TYPE: kind, **self._frame.who}
            self._frame.telemetry.meters.tokens.record(tokens, attributes)

    def close(self, at: float) -> None:
        """The conversation is over."""
        for response_id in tuple(self._open):
            self._close(response_id, at)

    def _close(self, response_id: str, at: float) -> None:
        known = self._open.pop(response_id)
        known.turn.responses.discard(response_id)
        known.span.set_attribute(names.FINISH_REASONS, ["session_closed"])
        self._frame.end(known.span, at)


def _tokens(usage: Usage) -> Attributes:
    if not usage.total_tokens:
        return {}
    return {
        names.INPUT_TOKENS: usage.input_tokens,
        names.OUTPUT_TOKENS: usage.output_tokens,
        names.INPUT_AUDIO_TOKENS: usage.input_audio_tokens,
        names.OUTPUT_AUDIO_TOKENS: usage.output_audio_tokens,
        names.CACHED_TOKENS: usage.input_cached_tokens,
    }
