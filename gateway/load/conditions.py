"""How the calls of a measurement are made."""

from dataclasses import asdict, dataclass

from gateway.load.script import Mode


@dataclass(frozen=True, slots=True)
class Conditions:
    """The audio, the seconds that each number of calls is measured for, how many calls begin in a second.

    The provider speaks TLS when `tls`, and stalls once in each measurement for `stall_s`, not at all when that is 0.
    `workers` is how many processes the gateway has.
    """

    mode: Mode = "transcode"
    duration_s: float = 10.0
    connect_rate: float = 50.0
    tls: bool = False
    stall_s: float = 0.0
    workers: int = 1

    def by_name(self) -> dict[str, str | int | float | bool]:
        return asdict(self)
