"""The conditions under which trials are made: how bad the network is, and what a clock cannot see."""

from dataclasses import dataclass
from random import Random
from typing import Final

from channels.carrier.network import Network
from channels.carrier.trial_model import Reply, Scene

DELTAS_MS: Final = (1.0, 20.0, 100.0, 400.0, 1000.0, 4000.0)
SPEEDS: Final = (1.0, 1.5, 5.0, 20.0)
SHORT_DELTA_S: Final = 3.0
"""The longest reply in deltas of 1 ms: a thousand messages a second say the same over three seconds as over sixty."""

UNINTERRUPTED: Final = 0.05
"""The share of trials in which nobody interrupts, for what is lost or doubled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Of each range the trials take any value. None for `delta_ms` and `speed` takes any of those above."""

    name: str
    rtt_ms: float = 80.0
    jitter_ms: float = 10.0
    delta_ms: float | None = None
    speed: float | None = None
    playback_delay_ms: float = 0.0
    asymmetry: float = 1.0
    has_pauses: bool = False
    has_stalls: bool = False
    lead_ms: float | None = None

    def scene(self, seed: int, number: int) -> Scene:
        """The scene of one trial: the same seed and number give the same scene, of the same condition."""
        random = Random(f"{self.name} {seed} {number}")
        length_s = 0.2 * 300 ** random.random()  # 0.2 to 60 s, short ones as often as long ones
        delta_ms = self.delta_ms or random.choice(DELTAS_MS if length_s < SHORT_DELTA_S else DELTAS_MS[1:])
        speed = self.speed or random.choice(SPEEDS)
        reply = Reply(
            items_ms=_items(random, length_s * 1000),
            delta_ms=delta_ms,
            speed=speed,
            pauses=_pauses(random, length_s * 1000) if self.has_pauses else (),
        )
        paused_s = sum(pause_ms for _, pause_ms in reply.pauses) / 1000
        stalls = tuple((1 + random.uniform(0, length_s), 0.2) for _ in range(3)) if self.has_stalls else ()
        network = Network(
            rtt_ms=self.rtt_ms,
            jitter_ms=self.jitter_ms,
            asymmetry=random.uniform(1 / self.asymmetry, 1)
            if random.random() < 0.5
            else random.uniform(1, self.asymmetry),
            playback_delay_ms=random.uniform(0, self.playback_delay_ms),
            seed=random.getrandbits(32),
        )
        late_s = (self.rtt_ms + self.playback_delay_ms) / 1000
        interrupt_s = random.uniform(0, length_s + paused_s + late_s)
        return Scene(
            reply=reply,
            network=network,
            interrupt_s=None if random.random() < UNINTERRUPTED else interrupt_s,
            stalls=_apart(stalls),
            lead_ms=self.lead_ms,
        )


def standard() -> tuple[Condition, ...]:
    """What the figures in the documentation are about: first what a clock can see, then what it cannot."""
    hidden = {"playback_delay_ms": 250.0, "asymmetry": 3.0, "has_pauses": True, "has_stalls": True}
    return (
        Condition(name="0/0", rtt_ms=0, jitter_ms=0),
        Condition(name="10/0", rtt_ms=10, jitter_ms=0),
        Condition(name="80/10"),
        Condition(name="80/10, deltas of 20 ms", delta_ms=20),
        Condition(name="80/10, deltas of 100 ms", delta_ms=100),
        Condition(name="80/10, deltas of 400 ms", delta_ms=400),
        Condition(name="80/10, bursts of 20 times real time", delta_ms=100, speed=20),
        Condition(name="80/10, paced 200 ms ahead", lead_ms=200),
        Condition(name="hidden playback delay", playback_delay_ms=250),
        Condition(name="the model pauses", has_pauses=True),
        Condition(name="stalled event loop", has_stalls=True),
        Condition(name="asymmetric up to 3:1", asymmetry=3),
        Condition(name="all of these", **hidden),  # type: ignore[arg-type]
        Condition(name="all of these, paced 200 ms ahead", lead_ms=200, **hidden),  # type: ignore[arg-type]
        Condition(name="400/100", rtt_ms=400, jitter_ms=100),
    )


def _items(random: Random, length_ms: float) -> tuple[float, ...]:
    """One to three items; their lengths are whole samples, and no whole frames."""
    cuts = sorted(random.uniform(0, length_ms) for _ in range(random.choice((0, 0, 1, 2))))
    ends = [*cuts, length_ms]
    return tuple(max(5.0, end - begin) for begin, end in zip([0.0, *cuts], ends, strict=True))


def _pauses(random: Random, length_ms: float) -> tuple[tuple[float, float], ...]:
    return tuple((random.uniform(0, length_ms), random.uniform(100, 1500)) for _ in range(random.randint(1, 4)))


def _apart(stalls: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """One after the other: a stall within another is none."""
    kept: list[tuple[float, float]] = []
    for begins_s, for_s in sorted(stalls):
        if not kept or begins_s > sum(kept[-1]):
            kept.append((begins_s, for_s))
    return tuple(kept)
