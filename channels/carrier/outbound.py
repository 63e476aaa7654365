"""A call that a service places by REST: rings the callee, detects machines, tells of the progress."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from channels.carrier.far_party import FarParty
from channels.carrier.live_call import After, CutShort, Fetch, Given, LiveCall
from channels.carrier.machine import AnsweringMachine, Detection, verdict
from channels.carrier.webhooks import progress_params

DETECTION_S: Final = 30
"""Longest that Twilio listens for a machine, unless it is told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """What the service asked for, and who is rung.

    `first` is the TwiML for who answers: `party`, or their `machine`. `status_callback` gets those of the call's events
    that are in `status_events`. With `detection` the verdict is waited for before `first`, or posted later to
    `amd_callback` where there is one; digits to send leave it out, as Twilio does.
    """

    first: Fetch | Given
    party: FarParty
    timeout_s: int
    time_limit_s: int
    status_callback: str | None = None
    status_events: frozenset[str] = frozenset({"completed"})
    send_digits: str = field(default="", repr=False)
    machine: AnsweringMachine | None = None
    detection: Detection | None = None
    detection_timeout_s: int = DETECTION_S
    amd_callback: str | None = None


class Progress:
    """The numbered status callbacks of such a call. `params` gives what every one has, for a CallStatus."""

    def __init__(self, outbound: Outbound, line: LiveCall, params: Callable[[str], dict[str, str]]) -> None:
        self._outbound = outbound
        self._line = line
        self._params = params
        self._sequence = 0

    def tell(self, event: str, status: str, more: Mapping[str, str] | None = None) -> None:
        """Posts an event, if it was asked for."""
        callback = self._outbound.status_callback
        if callback and event in self._outbound.status_events:
            self._line.post(callback, {**self._params(status), **(more or {}), **progress_params(self._sequence)})
        self._sequence += 1


async def ring_out(outbound: Outbound, line: LiveCall, progress: Progress, hear_keys: Callable[[str], None]) -> After:
    """Rings until somebody answers, or nobody does, and says what follows. `hear_keys` gets the digits to send."""
    party = outbound.party
    progress.tell("initiated", "initiated")
    line.status = "ringing"
    progress.tell("ringing", "ringing")
    try:
        await line.hold(party.rings_for(outbound.timeout_s))
    except CutShort:
        line.status = "canceled"
        return "unanswered"
    match party.outcome(outbound.timeout_s):
        case "busy" | "no-answer" | "failed" as outcome:
            line.status = outcome
            return "unanswered"
    line.answer()
    progress.tell("answered", "in-progress")
    line.limit(outbound.time_limit_s)
    if outbound.machine:
        line.leave_after(line.now_ms() / 1000 + outbound.machine.hangs_up_after_s)
    try:
        if outbound.send_digits:
            await line.press(outbound.send_digits)
            hear_keys(outbound.send_digits)
        elif outbound.detection:
            return await _detected(outbound, outbound.detection, line)
    except CutShort as cut:
        return cut.after
    return outbound.first


async def _detected(outbound: Outbound, detection: Detection, line: LiveCall) -> After:
    """Machine detection: the verdict comes before the call goes on, or by itself while it does."""
    answered_by, after_s = verdict(detection, outbound.party, outbound.machine, outbound.detection_timeout_s)
    found = {"AnsweredBy": answered_by, "MachineDetectionDuration": str(round(after_s * 1000))}
    if outbound.amd_callback:
        params = {"CallSid": line.sid, "AccountSid": line.account_sid, **found}
        line.later(after_s, line.post, outbound.amd_callback, params)
        return outbound.first
    await line.hold(after_s)
    if isinstance(outbound.first, Fetch):
        return replace(outbound.first, params={**outbound.first.params, **found})
    return outbound.first
