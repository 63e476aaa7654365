"""Compares what the gateway spends on a call with what the barest bridge of the same parts spends.

    python -m tests.benchmarks.capacity [--calls 20] [--seconds 3] [--runs 2] [--audio transcode]

Absolute times are those of the machine and of what else it does; their ratio stays.
"""

import argparse
import sys

from gateway.load.command import measure
from gateway.load.conditions import Conditions
from gateway.load.plan import Plan
from gateway.load.process import share_cores
from gateway.load.progress import Progress
from gateway.load.report import HEAD, Found, row


def compare(calls: int, seconds: float, runs: int, passthrough: bool = False) -> Found:
    """Measures the gateway and the floor in turn, so many runs of each."""
    plan = Plan(("gateway", "floor"), calls=calls, runs=runs)
    conditions = Conditions("passthrough" if passthrough else "transcode", duration_s=seconds)
    return measure(plan, conditions, share_cores(1), Progress(sys.stderr))


def told(found: Found) -> str:
    """Every step in a row, and the ratio."""
    ratio = found.ratio.cpu if found.ratio else None
    lines = [HEAD, *map(row, found.steps)]
    return "\n".join(
        [*lines, f"gateway against floor: {ratio:.2f} of its CPU per call-second" if ratio else "no ratio"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--audio", choices=("transcode", "passthrough"), default="transcode")
    options = parser.parse_args()
    print(told(compare(options.calls, options.seconds, options.runs, options.audio == "passthrough")))


if __name__ == "__main__":
    main()
