"""Watches one session and makes spans and figures of it."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from opentelemetry import context as current
from opentelemetry.trace import set_span_in_context

from agents.agent import CallContext
from agents.events import (
    Audio,
    AudioInputCommitted,
    AudioOutputDelta,
    Closed,
    DigitsEntered,
    Error,
    GuardrailTripped,
    HandedOff,
    History,
    Interrupted,
    ModelStep,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionEvent,
    SpeechStarted,
    SpeechStopped,
    Tool,
    ToolApproval,
    ToolCancelled,
    TranscriptInput,
    TranscriptOutput,
    TransferStep,
)
from agents.realtime import SessionConfig, SpokenItem, TurnDetection
from agents.tracing import names
from agents.tracing.content import Content
from agents.tracing.deeds import Deeds
from agents.tracing.frame import Attributes, Frame, SpanClock, mark_failed
from agents.tracing.responses import Responses
from agents.tracing.telemetry import Telemetry
from agents.tracing.turns import Turns

if TYPE_CHECKING:
    from agents.realtime import RealtimeSessionOptions
    from agents.session import RealtimeSession

log = logging.getLogger(__name__)

WATCHED: Final = (
    "digits",
    "error",
    "guardrail",
    "handoff",
    "history",
    "interrupted",
    "model",
    "tool",
    "tool_approval",
    "transfer",
)

USUAL_SILENCE_MS: Final = {"azure": 500, "local": 600, "openai": 500}
"""How much silence ends a turn where nobody says how much. Of other providers it is unknown, and nothing is taken off
the moment at which they say so."""

BROKEN: Final = frozenset({"error", "line", "provider"})
"""Ends of a session that are errors."""


@runtime_checkable
class TellsSound(Protocol):
    """A line that knows when what it was sent is heard."""

    def sounds_in_s(self, item: SpokenItem) -> float | None:
        """How long from now until the caller hears the first of this item, which was sent; below 0 when they have.

        By the line's ledger: what was sent before must be played first, and sound takes half a round trip. None while
        nothing of it was sent.
        """


class SessionTrace:
    """The trace of one connected session. Nothing that goes wrong here can hurt the conversation.

    `model_said` and `model_asked` are to be called with what passes between session and model, as it comes; the rest is
    watched. Its span is current where it is made: spans that tools make are below it.
    """

    def __init__(self, session: "RealtimeSession", options: "RealtimeSessionOptions", telemetry: Telemetry) -> None:
        self._session = session
        clock = SpanClock()
        name = options.workflow_name or session.agent.name
        call = session.context if isinstance(session.context, CallContext) else None
        common = _common(options, call)
        attributes: Attributes = {names.OPERATION: "invoke_workflow", names.WORKFLOW: name, **common}
        root = telemetry.tracer.start_span(
            f"invoke_workflow {name}", attributes=attributes, start_time=clock.ns(clock.now())
        )
        current.attach(set_span_in_context(root))  # for as long as the task lives, which is the session's own
        self._frame = frame = Frame(
            telemetry,
            clock,
            root,
            session.agent.name,
            session.model.provider,
            session.model.model_id,
            Content(is_told=telemetry.has_content),
            call.call_id if call else None,
            common,
        )
        self._turns = Turns(frame, has_line=session.channel is not None)
        self._responses = Responses(frame)
        self._deeds = Deeds(frame, self._turns)
        self._silence_ms = 0
        self._sounding: AudioOutputDelta | None = None
        for kind in WATCHED:
            session.on(kind, self._session_told)

    def configured(self, config: SessionConfig) -> None:
        """What the model is told of turns, which says how much silence it waits for."""
        turns = config.turn_detection if isinstance(config.turn_detection, TurnDetection) else TurnDetection()
        usual_ms = USUAL_SILENCE_MS.get(self._frame.provider, 0) if turns.mode == "server_vad" else 0
        self._silence_ms = usual_ms if turns.silence_duration_ms is None else turns.silence_duration_ms

    # ---- what happens ----

    def model_said(self, event: ServerEvent) -> None:
        """To be called before the session acts on it."""
        self._safely(self._model_said, event)

    def model_asked(self, request: ResponseCreate) -> None:
        """The model is asked for a response now."""
        self._responses.asked(request, self._frame.clock.now())

    def failed(self, error: BaseException) -> None:
        """The session could not begin; `ended` follows."""
        mark_failed(self._frame.root, type(error).__name__)

    def ended(self, closed: Closed | None) -> None:
        """The session is over, and every span of it; None for one that never began."""
        self._safely(self._ended, closed)

    def _safely(self, notice: Callable[[Any, float], None], event: object) -> None:
        try:
            notice(event, self._frame.clock.now())
        except Exception:
            log.exception("the trace of a session broke at %s", type(event).__name__)

    # ---- from the model ----

    def _model_said(self, event: ServerEvent, at: float) -> None:
        match event:
            case AudioOutputDelta():
                if self._responses.sounded(event.response_id, at):
                    self._first_audio(event, at)
                self._note_item(event)
            case SpeechStarted():
                self._turns.voice_started(at)
            case SpeechStopped():
                self._turns.voice_stopped(at, self._silence_ms)
            case AudioInputCommitted():
                self._turns.model_heard(at)
            case TranscriptInput(_, text):
                self._turns.model_heard(at)
                self._turns.written(text, at)
            case TranscriptOutput(response_id, _, text):
                self._responses.said(response_id, text)
            case ResponseCreated(response_id):
                turn = self._turns.response_began(response_id, self._responses.asked_at(at))
                self._responses.began(response_id, turn, at)
            case ResponseDone(response_id, status):
                if ended := self._responses.done(event, at):
                    was_cut = status in ("interrupted", "cancelled")
                    self._turns.response_done(ended, response_id, at, was_cut=was_cut)
            case ToolCancelled(call_id):
                self._deeds.tool_cancelled(call_id, at)
            case SessionError(event_id=str(event_id)):
                self._responses.refused(event_id)
            case SessionCreated(session_id) if not self._frame.conversation_id:
                self._frame.conversation_id = session_id
                self._frame.root.set_attribute(names.CONVERSATION, session_id)

    def _note_item(self, delta: AudioOutputDelta) -> None:
        if turn := self._responses.turn(delta.response_id):
            self._turns.sounds(turn, delta.item_id)

    def _first_audio(self, delta: AudioOutputDelta, at: float) -> None:
        """The session tells when it went to the line, which is all that is listened to of audio."""
        if turn := self._responses.turn(delta.response_id):
            turn.mark("model_first_byte", at)
            self._await_sending(delta)

    def _await_sending(self, delta: AudioOutputDelta) -> None:
        self._sounding = delta
        self._session.off("audio", self._went_out).once("audio", self._went_out)

    def _went_out(self, audio: Audio) -> None:
        delta, self._sounding = self._sounding, None
        turn = self._responses.turn(delta.response_id) if delta else None
        channel = self._session.channel
        if delta is None or turn is None or channel is None:
            return
        at, in_s = self._frame.clock.now(), None
        if isinstance(channel, TellsSound):
            in_s = channel.sounds_in_s(SpokenItem(delta.response_id, delta.item_id, delta.content_index))
            if in_s is None:  # filters, frames or a pause hold all of it back
                if not audio.done:
                    self._await_sending(delta)
                return
        turn.mark("phone_first_byte", at)
        if in_s is not None:
            turn.mark("first_sound", at + in_s)

    # ---- from the session ----

    def _session_told(self, event: SessionEvent) -> None:
        at = self._frame.clock.now()
        match event:
            case History(item):
                if item.heard_ms is not None:
                    self._turns.heard(item.item_id, at)
            case Tool():
                self._deeds.tool(event, at)
            case ToolApproval():
                self._deeds.approval_asked(event, at)
            case GuardrailTripped():
                self._deeds.tripped(event, at)
            case HandedOff():
                self._deeds.handed_off(event, at)
                model = self._session.model
                self._frame.model_is(f"{model.provider}/{model.model_id}")
            case TransferStep():
                self._deeds.transfer(event, at)
            case DigitsEntered(digits, sensitive=True):
                self._frame.content.keep_out(digits)
            case Interrupted(heard):
                self._frame.telemetry.meters.interruptions.add(1, {names.AGENT: self._frame.agent})
                self._turns.interrupted([each.item_id for each in heard], at)
            case ModelStep(step, model):
                if step == "replaced":
                    self._frame.model_is(model)
                self._frame.note(self._frame.root, f"voice.model.{step}", at, {"voice.model": model})
            case Error(code, category=category):
                attributes: Attributes = {names.ERROR_TYPE: code, "voice.error.category": category or ""}
                self._frame.note(self._frame.root, "voice.error", at, attributes)

    # ---- the end ----

    def _ended(self, closed: Closed | None, at: float) -> None:
        self._stop_watching()
        self._deeds.close(at)
        self._responses.close(at)
        self._turns.close(at)
        root = self._frame.root
        if closed:
            root.set_attribute(names.REASON, closed.reason)
        if closed and closed.reason in BROKEN:
            mark_failed(root, closed.reason)
        self._frame.end(root, at)

    def _stop_watching(self) -> None:
        self._session.off("audio", self._went_out)
        for kind in WATCHED:
            self._session.off(kind, self._session_told)


def _common(options: "RealtimeSessionOptions", call: CallContext | None) -> Attributes:
    """What stands in every span of the session."""
    known: Attributes = {} if call is None else {names.CALL_ID: call.call_id}
    if options.group_id:
        known[names.GROUP] = options.group_id
    for key, value in (options.trace_metadata or {}).items():
        known[f"{names.METADATA}{key}"] = value if isinstance(value, bool | int | float | str) else str(value)
    return known
