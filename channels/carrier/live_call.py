"""A call that is under way: its state as REST shows it, what REST orders of it, and time passing on its line."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Final, Literal

from agents.errors import ChannelError
from channels.carrier.call_recording import CallRecording
from channels.carrier.pace import LONGEST_CALL_S, press_s
from channels.carrier.report import CallEvent, CallUpdated, DigitsSent, EndedBy

CallStatus = Literal["queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"]

OVER: Final[frozenset[CallStatus]] = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""A call in one of these states never leaves it."""

MAX_RECORDINGS: Final = 20
"""So many recordings of one call; a service that begins one after the other would never end."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """The next document is fetched from this address, with these parameters beside the call's own."""

    url: str
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Given:
    """The next document is this TwiML."""

    text: str


After = EndedBy | Fetch | Given
"""What follows a document: the end of the call, or the next document."""


class CutShort(Exception):
    """What goes on on the line ends at once, and `after` follows."""

    def __init__(self, after: After) -> None:
        super().__init__(after)
        self.after = after


class LiveCall:
    """One call, from dialling to the end.

    `tell` gets what happens; `post` sends a status callback, after those before it. `now_ms` counts from dialling, and
    so does `leaves_after_s`, when the caller hangs up whatever happens; None for never. `talks_s` is how long they talk
    with others in a conference before they hang up; None for as long as it lasts.
    """

    def __init__(
        self,
        *,
        sid: str,
        account_sid: str,
        from_number: str,
        to_number: str,
        direction: Literal["inbound", "outbound-api"],
        now_ms: Callable[[], int],
        leaves_after_s: float | None,
        talks_s: float | None = None,
        tell: Callable[[CallEvent], None],
        post: Callable[[str, Mapping[str, str]], None],
    ) -> None:
        self.sid = sid
        self.account_sid = account_sid
        self.from_number = from_number
        self.to_number = to_number
        self.direction = direction
        self.status: CallStatus = "queued" if direction == "outbound-api" else "ringing"
        self.created_at = datetime.now(UTC)
        self.answered_ms: int | None = None
        self.ended_ms: int | None = None
        self.recordings: dict[str, CallRecording] = {}
        self.now_ms = now_ms
        self.tell = tell
        self.post = post
        self.talks_s = talks_s
        self._leaves_after_s = inf if leaves_after_s is None else leaves_after_s
        self._order: tuple[After, str] | None = None
        self._ordered = asyncio.Event()
        self._stirred: asyncio.Event | None = None
        self._time_limit: asyncio.TimerHandle | None = None
        self._timers: list[asyncio.TimerHandle] = []

    # ---- from outside ----

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    def order(self, after: After, what: str) -> None:
        """Ends what goes on on the line, its stream too, and lets `after` follow. The last order counts.

        `what` says in words what was ordered.
        """
        self._order = after, what
        self._ordered.set()
        if self._stirred:
            self._stirred.set()

    def limit(self, seconds: float) -> None:
        """Ends the call so long after it was answered; at once when that time is over. The last limit counts."""
        if self._time_limit:
            self._time_limit.cancel()
        left_s = seconds - (self.now_ms() - (self.answered_ms or 0)) / 1000
        self._time_limit = self.later(left_s, self.order, "agent", f"time limit of {seconds:g} s")

    def record(self, status_callback: str | None, status_events: frozenset[str], channels: int) -> CallRecording:
        """Begins a recording, for as long as the call lasts. Raises ChannelError for one too many."""
        if len(self.recordings) >= MAX_RECORDINGS:
            raise ChannelError(f"a call has {MAX_RECORDINGS} recordings at most")
        recording = CallRecording(
            call_sid=self.sid,
            account_sid=self.account_sid,
            source="StartCallRecordingAPI",
            channels=channels,
            status_callback=status_callback,
            status_events=status_events,
            post=self.post,
            counted_since_ms=self.now_ms(),
        )
        self.recordings[recording.sid] = recording
        recording.tell("in-progress")
        return recording

    # ---- on the line ----

    @property
    def party(self) -> str:
        """The number of whoever is on this line."""
        return self.to_number if self.direction == "outbound-api" else self.from_number

    @property
    def is_ordered(self) -> bool:
        """Whether what goes on now is to end, because REST said so."""
        return self._ordered.is_set()

    def answer(self) -> None:
        """The call is no longer ringing, and lasts as long as calls may."""
        if self.answered_ms is None:
            self.answered_ms = self.now_ms()
            self.status = "in-progress"
            self.limit(LONGEST_CALL_S)

    def check(self) -> None:
        """Raises CutShort when something was ordered, and tells of it."""
        if self._order is not None:
            (after, what), self._order = self._order, None
            self._ordered.clear()
            self.tell(CallUpdated(self.now_ms(), what))
            raise CutShort(after)

    def later(self, seconds: float, do: Callable[..., None], *arguments: object) -> asyncio.TimerHandle:
        """Does something in so many seconds, unless the call is over by then."""
        timer = asyncio.get_running_loop().call_later(max(0.0, seconds), do, *arguments)
        self._timers = [known for known in self._timers if not known.cancelled()] + [timer]
        return timer

    def leave_after(self, seconds: float) -> None:
        """Lets whoever is on the line hang up so long after dialling, if not before."""
        self._leaves_after_s = min(self._leaves_after_s, seconds)

    async def hold(self, seconds: float, *, stirred: asyncio.Event | None = None) -> None:
        """Lets time pass; with `stirred`, until that is set. It is unset then.

        Raises CutShort when the caller hangs up meanwhile, or something is ordered.
        """
        left_s = max(0.0, self._leaves_after_s - self.now_ms() / 1000)
        self._stirred = stirred
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, left_s)):
                await (stirred if stirred and not self.is_ordered else self._ordered).wait()
        self._stirred = None
        self.check()
        if stirred and stirred.is_set():
            stirred.clear()
        elif left_s < seconds:
            raise CutShort("caller")

    async def press(self, digits: str) -> None:
        """Presses keys towards the far end. Raises CutShort as `hold` does."""
        self.tell(DigitsSent(self.now_ms(), digits))
        await self.hold(press_s(digits))

    def end(self, status: CallStatus) -> None:
        """The call is over: its recordings are complete, and nothing can be ordered any more."""
        self.status = status
        self.ended_ms = self.now_ms()
        for recording in self.recordings.values():
            recording.turn("completed", self.ended_ms)
        for timer in self._timers:
            timer.cancel()
