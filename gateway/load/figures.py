"""What a measurement gives: spreads of milliseconds and counts, as plain facts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Some durations in milliseconds: how many, the percentiles and the longest. All zero when there were none."""

    p50: float
    p90: float
    p99: float
    max: float
    count: int


@dataclass(frozen=True, slots=True)
class Step:
    """What was measured with so many calls held for so long.

    `calls` were up when the measurement began, `seconds` is how long it took. `up_ms` is from a caller's frame handed
    to the socket until the provider had all of it, `down_ms` from a piece of a reply handed to the socket until the
    carrier had its beginning, `both_ms` from the last frame of a caller's words until the first of the answer, which
    the provider gives at once, `clear_ms` from the provider's word that the caller speaks until the carrier was told
    to clear. `webhook_ms` (answered) and `setup_ms` (the stream open and started), both from the first byte of a call's
    request, are of the calls that began since the measurement before. `lateness_ms` is the load's own: how much later
    than due its frames were sent.

    Frames are of 20 ms, in both directions. `stale_ms` is audio of a reply that came after it was cleared,
    `truncate_error_ms` the most by which the provider was told another length than the caller heard. `calls_refused`
    got a busy answer, `calls_lost` ended without having been ended.
    """

    calls: int
    seconds: float
    up_ms: Spread
    down_ms: Spread
    both_ms: Spread
    clear_ms: Spread
    webhook_ms: Spread
    setup_ms: Spread
    lateness_ms: Spread
    frames_sent: int
    frames_lost: int
    frames_doubled: int
    frames_damaged: int
    stale_ms: float
    truncate_error_ms: float
    keys_lost: int
    marks_lost: int
    calls_refused: int
    calls_lost: int
