"""A call that somebody wants placed, and where it has come to."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from agents.errors import GatewayError

PlacedState = Literal[
    "queued", "dialing", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled"
]
"""What becomes of a call: Twilio's words, and before them `queued`, while it waits for its turn, and `dialing`."""

OVER: Final[frozenset[PlacedState]] = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})

TWILIOS: Final[Mapping[str, PlacedState]] = {
    "queued": "dialing",
    "initiated": "dialing",
    "ringing": "ringing",
    "in-progress": "in-progress",
    "answered": "in-progress",
    "completed": "completed",
    "busy": "busy",
    "no-answer": "no-answer",
    "failed": "failed",
    "canceled": "canceled",
}
"""What Twilio's words for it mean here."""

RANK: Final[Mapping[PlacedState, int]] = {"queued": 0, "dialing": 1, "ringing": 2, "in-progress": 3}
"""Which of them come first: news may overtake each other."""


class Refused(GatewayError):
    """A call that is not placed. `status` is that of the HTTP answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Unanswered(GatewayError):
    """The network did not say whether it dials: it may ring all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A call that somebody wants. `caller_id` is None for that of the agent's file."""

    to: str = field(repr=False)
    agent: str
    caller_id: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    status_url: str | None = None


@dataclass(slots=True)
class Placed:
    """A call that was asked for: where it has come to. `answered_by` is Twilio's word, once it has one.

    `landed` is set once it is over, or served as every other call. One that `may_ring` failed as far as we know.
    """

    id: str
    wanted: Wanted
    state: PlacedState = "queued"
    call_sid: str | None = None
    answered_by: str | None = None
    detail: str = ""
    may_ring: bool = False
    landed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def is_machine(self) -> bool:
        return (self.answered_by or "").startswith(("machine", "fax"))
