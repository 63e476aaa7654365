"""A recording that Twilio makes of a call, as REST and its callbacks tell of it. No audio is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from channels.carrier.sids import new_sid

MAX_STRETCHES: Final = 1000
"""So many pieces one recording may have; a service that pauses and goes on would never end."""

RecordingStatus = Literal["in-progress", "paused", "stopped", "completed"]

RECORDING_EVENTS: Final = frozenset({"in-progress", "completed", "absent"})
"""What a recording's status callback may be asked to tell."""


@dataclass(slots=True, kw_only=True)
class CallRecording:
    """One recording, under way from `counted_since_ms` on. Times are milliseconds since the call was dialled.

    `held` are the stretches of the call that are in it, `silent` those in whose place there is silence: each from, to.

    `post` sends a status callback; None as `status_callback` for nobody who is told.
    """

    call_sid: str
    account_sid: str
    source: Literal["StartCallRecordingAPI", "RecordVerb"]
    channels: int
    status_callback: str | None
    status_events: frozenset[str]
    post: Callable[[str, Mapping[str, str]], None]
    counted_since_ms: int | None
    sid: str = field(default_factory=lambda: new_sid("RE"))
    status: RecordingStatus = "in-progress"
    duration_ms: int = 0
    held: list[tuple[int, int]] = field(default_factory=list)
    silent: list[tuple[int, int]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return self.status in ("stopped", "completed")

    @property
    def has_room(self) -> bool:
        """Whether it may be paused or go on once more."""
        return len(self.held) + len(self.silent) < MAX_STRETCHES

    @property
    def url(self) -> str:
        return f"https://api.twilio.com/2010-04-01/Accounts/{self.account_sid}/Recordings/{self.sid}"

    def turn(self, status: RecordingStatus, at_ms: int, *, keeps_silence: bool = False) -> None:
        """Changes its state. One that is over stays as it is. Time in a pause counts only with `keeps_silence`."""
        if self.is_over:
            return
        if self.counted_since_ms is not None:
            self.duration_ms += at_ms - self.counted_since_ms
            stretches = self.silent if self.status == "paused" else self.held
            stretches.append((self.counted_since_ms, at_ms))
        is_counted = status == "in-progress" or (status == "paused" and keeps_silence)
        self.counted_since_ms = at_ms if is_counted else None
        self.status = status
        if self.is_over:
            self.tell("completed")

    def tell(self, event: Literal["in-progress", "completed"]) -> None:
        """Posts the status callback, if one was asked for."""
        if self.status_callback and event in self.status_events:
            self.post(self.status_callback, self._params(event))

    def _params(self, event: str) -> dict[str, str]:
        params = {
            "AccountSid": self.account_sid,
            "CallSid": self.call_sid,
            "RecordingSid": self.sid,
            "RecordingStatus": event,
            "RecordingChannels": str(self.channels),
            "RecordingSource": self.source,
        }
        if event == "completed":
            params |= {"RecordingUrl": self.url, "RecordingDuration": str(round(self.duration_ms / 1000))}
        return params
