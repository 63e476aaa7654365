"""Which of the model's responses the caller is to hear: asked for in order, silenced for good. Pure."""

import itertools
from typing import Final

from agents.events import ResponseCancel, ResponseCreate, SessionError
from agents.realtime import SpokenItem
from agents.sequencer import ResponseSequencer

BUSY: Final = "conversation_already_has_active_response"
"""The error of a model that began a response of its own just before ours was asked for: ask again after it."""

NOT_ACTIVE: Final = "response_cancel_not_active"
"""The error of a model that had no response to cancel: one that was asked for may still begin."""

MAX_SILENCED: Final = 32
"""Silenced responses that are remembered after their end: audio of older ones is not on its way any more."""


class Replies:
    """The responses of one conversation: what may be asked for now, which is the greeting, what must not sound."""

    def __init__(self) -> None:
        self._sequencer = ResponseSequencer()
        self._numbers = itertools.count(1)
        self._tools: set[str] = set()
        self._sent: str | None = None
        self._is_unwanted = False
        self._silenced: dict[str, dict[SpokenItem, None]] = {}
        self._silence_next = False
        self._was_cancel_early = False
        self._greeting_request: str | None = None
        self._greeting: str | None = None

    @property
    def is_busy(self) -> bool:
        """True while a response is asked for or under way."""
        return self._sequencer.is_busy

    @property
    def is_quiet(self) -> bool:
        """True when no response is under way or asked for, and no words of our own wait to be spoken."""
        return self._sequencer.is_quiet

    @property
    def is_at_work(self) -> bool:
        """True while a tool runs."""
        return bool(self._tools)

    # ---- asking ----

    def ask(self, *, say: str | None = None, instructions: str | None = None, is_greeting: bool = False) -> None:
        """Wants a response, as soon as there may be one."""
        create = ResponseCreate(f"request-{next(self._numbers)}", instructions, say)
        if is_greeting:
            self._greeting_request = create.event_id
        self._sequencer.request(create)

    def next(self) -> ResponseCreate | None:
        """The request to send now, if any; it counts as in flight from here on."""
        create = self._sequencer.next()
        if create:
            self._sent, self._is_unwanted = create.event_id, False
        return create

    def is_last_sent(self, event_id: str | None) -> bool:
        """Whether this is the request that was sent last."""
        return event_id is not None and event_id == self._sent

    def forget_waiting(self) -> None:
        """Drops what is wanted and was not asked for yet, but for the answer to tools' results in the caller's turn."""
        self._sequencer.forget_waiting()

    def ask_after_tools(self) -> None:
        """Wants a response to tools' results, when the last tool is answered and the caller's turn is over."""
        self._sequencer.request(ResponseCreate(f"request-{next(self._numbers)}"), is_after_tools=True)

    def forget_after_tools(self) -> None:
        """A response of the model's own takes up the tools' results."""
        self._sequencer.forget_after_tools()

    def callers_turn(self, *, is_open: bool) -> None:
        """The caller begins a turn, or nothing more will come of it."""
        self._sequencer.callers_turn(is_open=is_open)

    def tool_called(self, call_id: str) -> None:
        self._tools.add(call_id)
        self._sequencer.tool_called(call_id)

    def tool_held(self, call_id: str) -> None:
        """A tool that was called waits for somebody: no response waits for it."""
        self._sequencer.tool_answered(call_id)

    def tool_answered(self, call_id: str) -> None:
        self._tools.discard(call_id)
        self._sequencer.tool_answered(call_id)

    # ---- what becomes of them ----

    def created(self, response_id: str) -> ResponseCancel | None:
        """The model began a response. Gives what to cancel it with when it was to be cancelled, in vain, before."""
        self._sequencer.created(response_id)
        if self._greeting_request and self._greeting is None and self._sent == self._greeting_request:
            self._greeting = response_id
        if not self._silence_next:
            return None
        self._silence_next = False
        self._remember_silenced(response_id)
        was_cancel_early, self._was_cancel_early = self._was_cancel_early, False
        return ResponseCancel(response_id) if was_cancel_early else None

    def done(self, response_id: str) -> None:
        self._sequencer.done(response_id)
        self._silence_next &= self._sequencer.is_busy

    def refused(self, error: SessionError) -> None:
        """The model refuses what was asked for, if this error is about that."""
        self._was_cancel_early |= self._silence_next and error.code == NOT_ACTIVE
        if error.event_id is None or error.event_id != self._sent:
            return
        again = error.code == BUSY and not self._is_unwanted
        self._sequencer.refused(error.event_id, again=again)
        self._silence_next = self._was_cancel_early = False
        if self._greeting_request == error.event_id:
            self._greeting = None  # what began was a response of the model's own
            self._greeting_request = error.event_id if again else None

    # ---- the greeting ----

    @property
    def is_greeting_to_come(self) -> bool:
        """True while the greeting is asked for, or the model says it."""
        if self._greeting_request is None:
            return False
        return not self.is_quiet if self._greeting is None else self._sequencer.active == self._greeting

    def is_greeting(self, response_id: str) -> bool:
        """Whether this response is the greeting, which nothing has stopped."""
        return self._greeting_request is not None and self._greeting == response_id

    def greeting_stopped(self) -> None:
        self._greeting_request = None

    # ---- silencing ----

    def silence(self, *, is_cancelled: bool) -> bool:
        """Lets nothing more of the response under way be heard. False when there is none, or it is silent.

        One that was asked for and has not begun is silenced only when it is cancelled: a model that hears the caller
        before it begins will speak.
        """
        active = self._sequencer.active
        if active is None:
            was_silenced = self._silence_next
            self._silence_next = was_silenced or (is_cancelled and self._sequencer.is_busy)
            self._is_unwanted |= self._silence_next
            return self._silence_next and not was_silenced
        if active in self._silenced:
            return False
        self._remember_silenced(active)
        return True

    def is_silenced(self, response_id: str) -> bool:
        return response_id in self._silenced

    def drop(self, item: SpokenItem) -> None:
        """Audio of this item, which is one of a silenced response, came and was not heard."""
        self._silenced[item.response_id][item] = None

    def dropped(self, response_id: str) -> tuple[SpokenItem, ...]:
        """The items of this response that were dropped, whole or in part."""
        return tuple(self._silenced.get(response_id, ()))

    def cancel(self) -> ResponseCancel | None:
        """What to cancel the response with that was silenced and still goes on: once per response."""
        active = self._sequencer.active
        is_silenced = self._silence_next if active is None else active in self._silenced
        return ResponseCancel(active) if is_silenced and self._sequencer.cancel() else None

    def _remember_silenced(self, response_id: str) -> None:
        self._silenced[response_id] = {}
        while len(self._silenced) > MAX_SILENCED:
            del self._silenced[next(iter(self._silenced))]
