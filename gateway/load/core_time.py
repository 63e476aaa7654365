"""Reads how much of some cores' time was spent, by whomever: what others took of them makes figures worse."""

import os
from pathlib import Path
from typing import Final

STAT: Final = Path("/proc/stat")

SPENT: Final = (0, 1, 2, 7)
"""Columns of user, nice, system and stolen time. Interrupts are left out: the measured sockets have their part."""


def spent_s(cores: frozenset[int], stat: str | None = None) -> float:
    """Seconds that these cores have worked since the machine started, and that its host took from them.

    `stat` is what /proc/stat says, read now when it is not given.
    """
    lines = (STAT.read_text("ascii") if stat is None else stat).splitlines()
    names = {f"cpu{core}" for core in cores}
    columns = [line.split()[1:] for line in lines if line.partition(" ")[0] in names]
    return sum(int(values[at]) for values in columns for at in SPENT) / os.sysconf("SC_CLK_TCK")
