"""The backend that a live model hands work to: which of its tool calls are answered, and when it may go on. Pure.

A turn of the backend's that called tools goes on when it is asked to, after all its calls were answered: a part of the
answers is refused. Its turns have no names; they follow each other within a delegation.
"""

from dataclasses import dataclass, field
from typing import Final

from agents.events import SessionError, Usage
from agents.providers.socket import MAX_CODE_CHARS, MAX_EXPLANATION_CHARS, WireError
from agents.providers.wire_json import Message, optional_object, optional_text

MAX_CALLS: Final = 1_000
"""Calls that are remembered, so that one which is told of twice runs once; the oldest are forgotten."""

MAX_TURNS: Final = 100
"""Turns that wait for answers; nobody works on so many things at once, and the oldest are given up."""


@dataclass(frozen=True, slots=True)
class Call:
    call_id: str
    name: str
    arguments: str


@dataclass(slots=True)
class _Turn:
    unanswered: set[str] = field(default_factory=set)
    is_finished: bool = False


class LiveBackend:
    """Follows the turns of each delegation, named by its id; None for those that we began."""

    def __init__(self) -> None:
        self._turns: dict[str | None, _Turn] = {}
        self._delegation_of: dict[str, str | None] = {}

    def called(self, delegation_id: str | None, event: Message) -> Call | None:
        """The tool call of an item that is done; None for other items, and for a call that is known."""
        match event.get("item"):
            case {"type": "function_call", "status": "incomplete"}:
                return None
            case {"type": "function_call", "call_id": str(call_id), "name": str(name), "arguments": str(arguments)}:
                return self._new(delegation_id, Call(call_id, name, arguments))
            case {"type": "function_call"}:
                raise WireError("a function call lacks a field, or has one of a wrong type")
            case {"type": str()}:
                return None
            case _:
                raise WireError("an item should be an object with a type")

    def finished(self, delegation_id: str | None) -> bool:
        """The turn is finished. True when it is to go on now: its calls are answered already."""
        turn = self._turns.get(delegation_id)
        if turn is None:
            return False
        turn.is_finished = True
        return self._goes_on(delegation_id, turn)

    def failed(self, delegation_id: str | None) -> None:
        """The turn came to nothing; nobody waits for answers to its calls."""
        self._turns.pop(delegation_id, None)

    def awaits(self, call_id: str) -> bool:
        """Whether anybody waits for the answer to this call."""
        turn = self._turns.get(self._delegation_of.get(call_id))
        return turn is not None and call_id in turn.unanswered

    def answered(self, call_id: str) -> bool:
        """The call was answered. True when its turn is to go on now."""
        delegation_id = self._delegation_of.get(call_id)
        turn = self._turns.get(delegation_id)
        if turn is None or call_id not in turn.unanswered:
            return False
        turn.unanswered.discard(call_id)
        return self._goes_on(delegation_id, turn)

    def _goes_on(self, delegation_id: str | None, turn: _Turn) -> bool:
        if turn.unanswered or not turn.is_finished:
            return False
        del self._turns[delegation_id]
        return True

    def _new(self, delegation_id: str | None, call: Call) -> Call | None:
        if call.call_id in self._delegation_of:
            return None
        self._delegation_of[call.call_id] = delegation_id
        while len(self._delegation_of) > MAX_CALLS:
            del self._delegation_of[next(iter(self._delegation_of))]
        turn = self._turns.get(delegation_id)
        if turn is None or turn.is_finished:
            turn = self._turns[delegation_id] = _Turn(unanswered=turn.unanswered if turn else set())
            while len(self._turns) > MAX_TURNS:
                del self._turns[next(iter(self._turns))]
        turn.unanswered.add(call.call_id)
        return call


def usage_of(event: Message) -> Usage:
    """The tokens of a turn that is finished, as far as it tells."""
    match event:
        case {"response": {"usage": {"input_tokens": int(heard), "output_tokens": int(said)} as usage}}:
            match usage:
                case {"input_tokens_details": {"cached_tokens": int(cached)}}:
                    return Usage(heard, said, input_cached_tokens=cached)
                case _:
                    return Usage(heard, said)
        case _:
            return Usage()


def failure_of(event: Message) -> SessionError:
    """Why a turn came to nothing."""
    response = optional_object(event, "response")
    error = optional_object(response, "error") or optional_object(event, "error") or event
    why = optional_text(optional_object(response, "incomplete_details"), "reason")
    code = optional_text(error, "code") or why or "backend_failed"
    message = optional_text(error, "message") or f"the backend's turn came to nothing: {why or 'it did not say why'}"
    return SessionError(
        code[:MAX_CODE_CHARS],
        message[:MAX_EXPLANATION_CHARS],
        retryable=code in ("server_error", "rate_limit_exceeded"),
    )
