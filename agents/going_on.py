"""A response that goes on with one that its connection took along. Pure."""

from collections import deque
from dataclasses import replace

from agents.events import (
    ClientEvent,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionError,
)


class GoingOn:
    """Who asked for the first response knows nothing of the second until it begins: only then the first is over.

    Cancelling the first meanwhile means the second: it is not asked for, or cancelled as it begins, and unheard.
    """

    def __init__(self) -> None:
        self._ended: ResponseDone | None = None
        self._asked_by = ""
        self._is_cancelled = False
        self._unwanted: str | None = None

    def begin(self, ended: ResponseDone, again: ResponseCreate) -> None:
        """`ended` broke off, and `again` is asked for in its place."""
        self._ended, self._asked_by, self._is_cancelled = self._ended or ended, again.event_id, False

    def cancel(self, cancel: ResponseCancel, waiting: deque[ClientEvent], out: deque[ServerEvent]) -> bool:
        """Whether it was the response that broke off that is to be cancelled. `waiting` is what was not asked yet."""
        ended = self._ended
        if ended is None or cancel.response_id not in (None, ended.response_id):
            return False
        request = next((each for each in waiting if _is_request(each, self._asked_by)), None)
        if request is None:
            self._is_cancelled = True
            return True
        waiting.remove(request)
        out.append(replace(ended, status="cancelled"))
        self._ended = None
        return True

    def came(self, event: ServerEvent, out: deque[ServerEvent]) -> ResponseCancel | None:
        """Puts into `out` what follows an event of the new connection; gives what it is to be told."""
        if self._ended is None:
            return None
        match event:
            case ResponseCreated(response_id) if self._is_cancelled and self._unwanted is None:
                self._unwanted = response_id
                return ResponseCancel(response_id)
            case ResponseDone(response_id) if response_id == self._unwanted:
                self.lost(out)
            case ResponseCreated():
                out.append(self._ended)
                self._ended = None
            case SessionError(event_id=event_id) if event_id == self._asked_by:
                out.append(self._ended)
                self._ended = None
        return None

    def lost(self, out: deque[ServerEvent]) -> bool:
        """The connection is over, or the response: true if that was one that nobody wants, which is told as over."""
        if self._ended is None or self._unwanted is None:
            return False
        out.append(replace(self._ended, status="cancelled"))
        self._ended = self._unwanted = None
        return True

    def is_unwanted(self, event: ServerEvent) -> bool:
        """Whether the event is of a response that was cancelled before anybody knew of it."""
        return self._unwanted is not None and getattr(event, "response_id", None) == self._unwanted


def _is_request(event: ClientEvent, event_id: str) -> bool:
    return isinstance(event, ResponseCreate) and event.event_id == event_id
