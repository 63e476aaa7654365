"""The calls of functions that Gemini waits for, and the one message that answers those of one message."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from agents.providers.gemini.facts import Call
from agents.providers.gemini.setup import NON_BLOCKING, SILENT, FunctionRule
from agents.providers.wire_json import JsonObject, without_none

MAX_CALLS: Final = 200
"""Calls that are remembered: no conversation has so many that are not answered. The oldest are forgotten first."""


@dataclass(slots=True)
class _Batch:
    """The calls of one message that block: the model goes on when it has all their answers."""

    waiting: set[str]
    answers: list[tuple[str, JsonObject]] = field(default_factory=list)

    def message(self) -> JsonObject | None:
        if self.waiting or not self.answers:
            return None
        return {"toolResponse": {"functionResponses": [answer for _, answer in self.answers]}}


@dataclass(frozen=True, slots=True)
class _OpenCall:
    call: Call
    batch: _Batch | None
    is_taken_back: bool = False


class OpenCalls:
    """The calls of one connection, by our id of them. Answers are JSON, else text; errors begin with `Error:`."""

    def __init__(self, functions: Mapping[str, FunctionRule]) -> None:
        self._functions = functions
        self._calls: dict[str, _OpenCall] = {}

    def called(self, calls: Iterable[tuple[str, Call]]) -> None:
        """One message of the server's, with our id of each call."""
        batch = _Batch(set())
        for call_id, call in calls:
            blocks = self._rule(call.name).behavior != NON_BLOCKING
            if blocks:
                batch.waiting.add(call_id)
            self._calls[call_id] = _OpenCall(call, batch if blocks else None)
        while len(self._calls) > MAX_CALLS:
            del self._calls[next(iter(self._calls))]

    def knows(self, call_id: str) -> bool:
        return call_id in self._calls

    def answered(self, call_id: str, output: str) -> JsonObject | None:
        """What the server is to be told now: nothing of a call it took back, nor while others of its message run."""
        known = self._calls.pop(call_id, None)
        if known is None or known.is_taken_back:
            return None
        rule = self._rule(known.call.name)
        answer = without_none(
            id=known.call.call_id, name=known.call.name, response=_response(output), scheduling=rule.scheduling
        )
        batch = known.batch or _Batch({call_id})
        batch.waiting.discard(call_id)
        batch.answers.append((call_id, answer))
        return batch.message()

    def taken_back(self, call_ids: Iterable[str]) -> list[JsonObject]:
        """The server wants no answer to these calls; what it is to be told now of the others."""
        gone = set(call_ids)
        batches = {id(known.batch): known.batch for known in self._calls.values() if known.batch}
        for call_id in gone & self._calls.keys():
            self._calls[call_id] = replace(self._calls[call_id], is_taken_back=True)
        messages = []
        for batch in batches.values():
            was_waiting = bool(batch.waiting & gone)
            batch.waiting -= gone
            batch.answers = [each for each in batch.answers if each[0] not in gone]
            if was_waiting and (message := batch.message()):
                messages.append(message)
        return messages

    def _rule(self, name: str) -> FunctionRule:
        return self._functions.get(name, FunctionRule())


def goes_on_after(message: JsonObject) -> bool:
    """Whether the model speaks after these answers, all of which may be for its silent use."""
    return any(each.get("scheduling") != SILENT for each in message["toolResponse"]["functionResponses"])


def _response(output: str) -> JsonObject:
    if output.startswith("Error:"):
        return {"error": output}
    return {"output": _structure(output)}


def _structure(output: str) -> Any:
    """An object or a list as itself, everything else as the text that it is."""
    if output.lstrip()[:1] in ("{", "["):
        try:
            return orjson.loads(output)
        except orjson.JSONDecodeError:
            pass  # text that begins like JSON
    return output
