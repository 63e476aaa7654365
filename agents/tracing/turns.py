"""The turns of one conversation: which begins and ends when, and what belongs to which."""

from collections.abc import Collection
from typing import Final

from opentelemetry.trace import Span

from agents.tracing import names
from agents.tracing.frame import Attributes, Frame
from agents.tracing.turn import Ending, Turn

MAX_OPEN: Final = 8
"""Turns that are not over at the same time: one that is being answered and one that begins are usual."""


class Turns:
    """A turn of the caller's begins with their voice, goes on in the answer, and ends when that was heard, or cut off.

    What the agent says without a turn of the caller's is a turn of its own. `has_line` is false where nobody tells what
    was heard: turns then end with their last response.
    """

    def __init__(self, frame: Frame, *, has_line: bool) -> None:
        self._frame = frame
        self._has_line = has_line
        self._open: list[Turn] = []
        self._begun = 0

    @property
    def span(self) -> Span | None:
        """That of the turn which goes on; None between two."""
        return self._open[-1].span if self._open else None

    # ---- the caller ----

    def voice_started(self, at: float) -> None:
        """A voice before an answer has begun goes on with the turn; any later one is a turn of its own."""
        if self._open and self._open[-1].is_callers and not self._open[-1].is_answered:
            self._open[-1].stopped_at = None
        else:
            self._begin(at, is_callers=True)

    def voice_stopped(self, at: float, silence_ms: int) -> None:
        """The model takes the voice for over, since it heard so much silence."""
        if turn := self._callers():
            turn.stopped(at - silence_ms / 1000)
            turn.last_at = max(turn.last_at, at)
            turn.span.set_attribute(names.END_SILENCE, silence_ms)

    def model_heard(self, at: float) -> None:
        turn = self._callers()
        if turn and turn.stopped_at is not None:
            turn.mark("model_heard", at)

    def written(self, text: str, at: float) -> None:
        """The words of the turn. A sound without any, to which nobody answers, ends it."""
        turn = self._callers()
        if turn is None:
            return
        if text.strip():
            turn.heard.append(text)
        elif turn.stopped_at is not None and not turn.is_answered and not turn.heard:
            turn.span.set_attribute(names.IS_WORDLESS, True)
            turn.stopped_at = None
            self._end(turn, at, "completed")

    def _callers(self) -> Turn | None:
        return self._open[-1] if self._open and self._open[-1].is_callers else None

    # ---- the answer ----

    def response_began(self, response_id: str, at: float) -> Turn:
        turn = self._open[-1] if self._open else self._begin(at, is_callers=False)
        turn.is_answered, turn.is_owed = True, False
        turn.responses.add(response_id)
        return turn

    def sounds(self, turn: Turn, item_id: str) -> None:
        """Audio of this item came, which is to be heard."""
        if self._has_line:
            turn.items.add(item_id)

    def response_done(self, turn: Turn, response_id: str, at: float, *, was_cut: bool) -> None:
        turn.responses.discard(response_id)
        if was_cut:
            turn.ending = "interrupted"
        self._look(turn, at)

    def tool_began(self, call_id: str) -> Span | None:
        """Gives the span that the call belongs to, if a turn goes on."""
        if not self._open:
            return None
        self._open[-1].tools.add(call_id)
        return self._open[-1].span

    def tool_ended(self, call_id: str, at: float, *, is_answered: bool) -> None:
        """`is_answered` is false for a call that was taken back; else the model is asked to go on."""
        for turn in [turn for turn in self._open if call_id in turn.tools]:
            turn.tools.discard(call_id)
            turn.is_owed = turn.is_owed or is_answered
            self._look(turn, at)

    def heard(self, item_id: str, at: float) -> None:
        """An item was heard to its end, or as far as it ever will be."""
        for turn in [turn for turn in self._open if item_id in turn.items]:
            turn.items.discard(item_id)
            self._look(turn, at)

    def interrupted(self, items: Collection[str], at: float) -> None:
        """The agent was stopped in the middle of these, or before anything sounded."""
        answered = [turn for turn in self._open if turn.is_answered]
        cut = [turn for turn in answered if not turn.items.isdisjoint(items)] or answered[:1]
        for turn in cut:
            self._end(turn, at, "interrupted")

    # ---- beginning and ending ----

    def close(self, at: float) -> None:
        """The conversation is over."""
        for turn in tuple(self._open):
            self._end(turn, at, "session_closed")

    def _begin(self, at: float, *, is_callers: bool) -> Turn:
        for stale in [turn for turn in self._open if not (turn.items or turn.responses or turn.tools)]:
            self._end(stale, stale.last_at, stale.ending)  # no answer to it came after all
        if len(self._open) == MAX_OPEN:
            self._end(self._open[0], at, self._open[0].ending)
        self._begun += 1
        attributes: Attributes = {
            names.OPERATION: "invoke_agent",
            names.AGENT: self._frame.agent,
            names.TURN: self._begun,
            names.TRIGGER: "caller" if is_callers else "agent",
            **self._frame.who,
        }
        span = self._frame.start(f"invoke_agent {self._frame.agent}", at, attributes)
        self._open.append(Turn(span, is_callers, at))
        return self._open[-1]

    def _look(self, turn: Turn, at: float) -> None:
        turn.last_at = max(turn.last_at, at)
        if turn.is_over:
            self._end(turn, at, turn.ending)

    def _end(self, turn: Turn, at: float, ending: Ending) -> None:
        self._open.remove(turn)
        turn.end(self._frame, at, ending)
