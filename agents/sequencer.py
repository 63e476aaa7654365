"""Decides when a response may be asked for: never two in flight, one after the last tool's answer. Pure."""

from collections import deque

from agents.events import ResponseCreate


class ResponseSequencer:
    """What a session knows of its responses.

    A response is asked for, becomes active when the model says so, and ends. Requests that come meanwhile wait: plain
    ones merge into one, those with words of their own stay distinct and in order. A plain request also waits for the
    tools that are still running, so that the model answers once, with all results. The answer to tools' results also
    waits for the caller's turn to be over: a response to what the caller says is one to the results as well.
    """

    def __init__(self) -> None:
        self._sent: ResponseCreate | None = None
        self._is_requested = False
        self._active: str | None = None
        self._worded: deque[ResponseCreate] = deque()
        self._plain: ResponseCreate | None = None
        self._after_tools: ResponseCreate | None = None
        self._is_callers_turn = False
        self._running_tools: set[str] = set()
        self._is_cancelling = False

    @property
    def active(self) -> str | None:
        """The id of the response under way; None between responses."""
        return self._active

    @property
    def is_busy(self) -> bool:
        """True while a response is under way or asked for."""
        return self._active is not None or self._is_requested

    @property
    def is_quiet(self) -> bool:
        """True when no response is under way or asked for, and no words of our own wait to be spoken."""
        return not (self.is_busy or self._worded)

    def request(self, create: ResponseCreate, *, is_after_tools: bool = False) -> None:
        if create.say or create.instructions:
            self._worded.append(create)
        elif is_after_tools:
            self._after_tools = self._after_tools or create
        elif self._plain is None:
            self._plain = create

    def next(self) -> ResponseCreate | None:
        """The request to send now, if any; it counts as in flight from here on."""
        if self.is_busy:
            return None
        if self._worded:
            self._sent = self._worded.popleft()
        elif wanted := self._wanted():
            self._sent, self._plain, self._after_tools = wanted, None, None
        else:
            return None
        self._is_requested = True
        return self._sent

    def _wanted(self) -> ResponseCreate | None:
        """The plain request that nothing holds up."""
        if self._running_tools:
            return None
        return self._plain or (None if self._is_callers_turn else self._after_tools)

    def created(self, response_id: str) -> None:
        """The model began a response: ours, or one of its own accord, and then ours will be refused."""
        self._active = response_id
        self._is_requested = False

    def done(self, response_id: str) -> None:
        if self._active in (response_id, None):
            self._active = None
            self._is_requested = False
            self._is_cancelling = False

    def refused(self, event_id: str, *, again: bool) -> None:
        """The model refused a request. `again`: it was busy with a response of its own, so ask once more after it."""
        if self._sent is None or self._sent.event_id != event_id:
            return
        refused, self._sent = self._sent, None
        self._is_requested = False
        if self._active is None:
            self._is_cancelling = False  # what was to be cancelled will not be
        if again:
            if refused.say or refused.instructions:
                self._worded.appendleft(refused)
            else:
                self._plain = refused

    def forget_waiting(self) -> None:
        """Drops requests that were not sent yet; that for tools' results only outside the caller's turn."""
        self._worded.clear()
        self._plain = None
        if not self._is_callers_turn:
            self._after_tools = None

    def cancel(self) -> bool:
        """True when the model must be told to stop: once per response."""
        if not self.is_busy or self._is_cancelling:
            return False
        self._is_cancelling = True
        return True

    def tool_called(self, call_id: str) -> None:
        self._running_tools.add(call_id)

    def tool_answered(self, call_id: str) -> None:
        self._running_tools.discard(call_id)

    def callers_turn(self, *, is_open: bool) -> None:
        """The caller begins a turn, or nothing more will come of it."""
        self._is_callers_turn = is_open

    def forget_after_tools(self) -> None:
        """A response of the model's own takes up the tools' results."""
        self._after_tools = None
