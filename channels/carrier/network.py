"""A network as bad as it is told to be: late, uneven, stalled, cut. Pure; `distance.py` puts it on a line.

"Out" is from the carrier to the service, "in" the other way.
"""

from dataclasses import dataclass, fields
from random import Random
from typing import Literal

Direction = Literal["out", "in"]


@dataclass(frozen=True, slots=True)
class Stall:
    """A time in which nothing gets through: `for_s` seconds from `at_s` on, counted from the media socket's opening.

    What was to arrive in it arrives at its end, all at once and in order.
    """

    at_s: float
    for_s: float
    direction: Literal["both", "out", "in"] = "both"

    def __post_init__(self) -> None:
        if self.at_s < 0 or self.for_s < 0:
            raise ValueError(f"a stall is at and for a number of seconds, 0 or more: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What the network does to a call. Without arguments, nothing.

    rtt_ms             there and back; `asymmetry` is how many times longer out takes than in
    jitter_ms          each message takes up to so much longer, evenly spread; none overtakes another, as over TCP
    stalls             times in which nothing gets through the media socket
    lose_stop          the stream's `stop` does not arrive
    reset_after_s      the media socket is reset, without a word to either side
    silent_after_s     nothing more arrives at the service, which is not told; what it sends still arrives
    playback_delay_ms  audio that finds the caller's phone silent sounds so much later: a jitter buffer, unseen
    duplicate_callbacks    each status callback is posted again when it was answered, as if the answer had been lost
    reorder_callbacks      each is posted by itself, up to `REORDER_S` late: later ones may overtake
    seed               the same seed gives the same jitter and the same order

    Times in seconds count from the opening of each media socket. Posts, and the opening of sockets, take the same way
    there and back; stalls and what follows them do not touch them. Raises ValueError for what no network does.
    """

    rtt_ms: float = 0.0
    jitter_ms: float = 0.0
    asymmetry: float = 1.0
    stalls: tuple[Stall, ...] = ()
    lose_stop: bool = False
    reset_after_s: float | None = None
    silent_after_s: float | None = None
    playback_delay_ms: float = 0.0
    duplicate_callbacks: bool = False
    reorder_callbacks: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and field.name != "seed" and not 0 <= value < float("inf"):
                raise ValueError(f"{field.name} is {value}; a number that is 0 or more is needed")

    def delay_ms(self, direction: Direction) -> float:
        """How long one way takes, without jitter."""
        share = self.asymmetry if direction == "out" else 1.0
        return self.rtt_ms * share / (1.0 + self.asymmetry)

    def arrivals(self, direction: Direction, opened_s: float) -> "Arrivals":
        """When messages of one media socket arrive that was opened then."""
        return Arrivals(self, direction, opened_s)


class Arrivals:
    """When messages of one direction arrive. Pure: times are seconds on one clock, and arguments."""

    def __init__(self, network: Network, direction: Direction, opened_s: float) -> None:
        self._delay_s = network.delay_ms(direction) / 1000
        self._jitter_s = network.jitter_ms / 1000
        self._random = Random(f"{network.seed} {direction}").random
        self._stalls = sorted(
            (opened_s + stall.at_s, opened_s + stall.at_s + stall.for_s)
            for stall in network.stalls
            if stall.direction in ("both", direction)
        )
        self._latest_s = 0.0

    def of(self, sent_s: float) -> float:
        """When a message arrives that is sent then: not before the one that was sent before it."""
        arrival_s = max(sent_s + self._delay_s + self._random() * self._jitter_s, self._latest_s)
        for begins_s, ends_s in self._stalls:
            if begins_s <= arrival_s < ends_s:
                arrival_s = ends_s
        self._latest_s = arrival_s
        return arrival_s
