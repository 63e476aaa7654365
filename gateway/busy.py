"""What callers get for whom there is no room: the busy tone, words, somebody else's telephone, a place in a queue."""

from collections.abc import Mapping
from typing import Final

from agents.call_spec import is_number
from gateway import twiml
from gateway.busy_spec import BusySpec, QueueSpec
from gateway.waiting_callers import Waiting, WaitingCallers

RETURN_S: Final = 5
"""How long a caller who waits hears nothing before we are asked again: so long a place stays empty at most."""

SAY_AGAIN_S: Final = 30.0
"""How often a caller who waits is told to."""

CHARS_PER_S: Final = 10.0
"""Slower than any voice of Twilio's speaks."""


class BusyAnswers:
    """The answers to a call's webhook that are not an agent, as TwiML."""

    def __init__(self, spec: BusySpec | None, waiting: WaitingCallers, return_url: str) -> None:
        """`return_url` is the voice webhook, where callers who wait come back to. Without a `spec` nobody waits."""
        self._spec = spec
        self._waiting = waiting
        self._return_url = return_url

    def no_room(self, sid: str, parameters: Mapping[str, str]) -> str:
        """For a caller who may be served as soon as there is room; `parameters` are those of the webhook."""
        queue = self._spec.queue if self._spec else None
        known = self._waiting.find(sid)
        if queue and known and self._waiting.clock() - known.since < queue.longest_wait_s:
            return self._hold(sid, queue, known)
        if queue and not known and len(self._waiting) < queue.max_callers:
            return self._hold(sid, queue, self._waiting.put(sid, parameters, 0.0))
        return self.turned_away(sid, parameters)

    def turned_away(self, sid: str, parameters: Mapping[str, str]) -> str:
        """For a caller who does not wait, or no longer. Only a call that rings can be given the busy tone."""
        self._waiting.forget(sid)
        say, number = (self._spec.say, self._spec.number) if self._spec else (None, None)
        is_answered = parameters.get("CallStatus") == "in-progress"
        if not (say or number) and not is_answered:
            return twiml.busy()
        if number is None:
            return twiml.hang_up(say or twiml.STILL_BUSY)
        caller, called = parameters.get("From", ""), parameters.get("To", "")
        return twiml.put_through(number, say, None if is_number(caller) or not is_number(called) else called)

    def _hold(self, sid: str, queue: QueueSpec, waiting: Waiting) -> str:
        """A few seconds of waiting, after which Twilio asks again."""
        now = self._waiting.clock()
        is_told = waiting.spoken_to_at is None or now - waiting.spoken_to_at >= SAY_AGAIN_S
        if is_told:
            waiting.spoken_to_at = now
        said_s = len(queue.say) / CHARS_PER_S if is_told else 0.0
        self._waiting.put(sid, waiting.parameters, RETURN_S + said_s)
        return twiml.hold(queue.say if is_told else None, RETURN_S, self._return_url)
