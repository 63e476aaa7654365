"""Measures how exactly a model is told what the caller had heard when the agent was interrupted.

Plays randomised interruptions through the real session, channel and messages on virtual time, against a simulated
model, network and phone; the phone knows the truth. Without --rtt-ms or --jitter-ms, under each of the standard
conditions.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from agents.errors import ConfigError
from channels.carrier.conditions import Condition, standard
from channels.carrier.trial import Outcome, try_once

RUNS: Final = 2000
CHUNK: Final = 20
"""Trials that a process takes at a time: a second of work."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of all trials under one condition. Errors are told minus true, in milliseconds."""

    name: str
    runs: int
    errors_ms: tuple[float, ...]
    stale_ms: float
    lost_ms: float
    doubled_ms: float
    dropped_ms: float
    clears_in_silence: int
    truncates_of_heard: int
    truncates_beyond: int
    truncates_twice: int
    cpu_s: float
    problems: tuple[str, ...]

    def quantile(self, percent: float) -> float | None:
        """The error's size that so many percent of the interruptions stay within; None without any."""
        return round(float(np.percentile(np.abs(self.errors_ms), percent)), 1) if self.errors_ms else None

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "runs": self.runs,
            "interrupted": len(self.errors_ms),
            "p50_ms": self.quantile(50),
            "p99_ms": self.quantile(99),
            "worst_ms": self.quantile(100),
            "stale_ms": round(self.stale_ms, 1),
            "lost_ms": round(self.lost_ms, 1),
            "doubled_ms": round(self.doubled_ms, 1),
            "dropped_ms_mean": round(self.dropped_ms / max(1, len(self.errors_ms)), 1),
            "clears_in_silence": self.clears_in_silence,
            "truncates_of_heard": self.truncates_of_heard,
            "truncates_beyond_sent": self.truncates_beyond,
            "truncates_twice": self.truncates_twice,
            "cpu_ms_mean": round(self.cpu_s * 1000 / self.runs, 1),
            "problems": list(self.problems),
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=_positive, default=RUNS, help=f"trials under each condition (default: {RUNS})")
    parser.add_argument("--rtt-ms", type=_milliseconds, help="only one condition: this round trip (default: 80)")
    parser.add_argument("--jitter-ms", type=_milliseconds, help="and up to so much jitter each way (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed plays the same trials (default: 1)")
    parser.add_argument("--only", metavar="TEXT", help="only the standard conditions with this in their name")
    parser.add_argument("--json", action="store_true", help="print one JSON list, an object for each condition")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw the histograms (needs matplotlib)")
    parser.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, help="processes (default: one per core)")


def run(options: argparse.Namespace) -> int:
    """0 when every trial kept the protocol, with no wrong truncate and nothing stale, lost or played twice; else 1."""
    if options.png:
        from gateway.heard_picture import refuse_without_matplotlib

        refuse_without_matplotlib()
    results = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for condition in _conditions(options):
            results.append(_measure(pool, condition, options.runs, options.seed))
            if not options.json:
                print(line(results[-1]) if len(results) > 1 else f"{_HEAD}\n{line(results[-1])}", flush=True)
    if options.json:
        print(json.dumps([result.as_json() for result in results], indent=2))
    else:
        print(f"\n{_histogram(results)}\n\n{_LEGEND}")
    if options.png:
        from gateway.heard_picture import draw

        draw(results, options.png)
        print(f"wrote {options.png}", file=sys.stderr)
    return int(any(_is_bad(result) for result in results))


def _conditions(options: argparse.Namespace) -> Sequence[Condition]:
    if options.rtt_ms is not None or options.jitter_ms is not None:
        rtt_ms = 80.0 if options.rtt_ms is None else options.rtt_ms
        jitter_ms = 10.0 if options.jitter_ms is None else options.jitter_ms
        return (Condition(name=f"{rtt_ms:g}/{jitter_ms:g}", rtt_ms=rtt_ms, jitter_ms=jitter_ms),)
    chosen = [condition for condition in standard() if not options.only or options.only in condition.name]
    if not chosen:
        raise ConfigError(f"no condition has {options.only!r} in its name: {', '.join(c.name for c in standard())}")
    return chosen


def _measure(pool: ProcessPoolExecutor, condition: Condition, runs: int, seed: int) -> Result:
    outcomes: list[Outcome] = []
    cpu_s = 0.0
    for part, took_s in pool.map(
        _try, *zip(*((condition, seed, at, min(CHUNK, runs - at)) for at in range(0, runs, CHUNK)), strict=True)
    ):
        outcomes += part
        cpu_s += took_s
        if sys.stderr.isatty():
            print(f"\r{condition.name}: {len(outcomes)} of {runs} ", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return Result(
        condition.name,
        len(outcomes),
        tuple(outcome.error_ms for outcome in outcomes if outcome.error_ms is not None),
        sum(outcome.stale_ms for outcome in outcomes),
        sum(outcome.lost_ms for outcome in outcomes),
        sum(outcome.doubled_ms for outcome in outcomes),
        sum(outcome.dropped_ms for outcome in outcomes),
        sum(outcome.clears_in_silence for outcome in outcomes),
        sum(outcome.truncates_of_heard for outcome in outcomes),
        sum(outcome.truncates_beyond for outcome in outcomes),
        sum(outcome.truncates_twice for outcome in outcomes),
        cpu_s,
        tuple(problem for outcome in outcomes for problem in outcome.problems)[:10],
    )


def _try(condition: Condition, seed: int, first: int, count: int) -> tuple[list[Outcome], float]:
    """Some trials, and the seconds of processor time that they took."""
    began = time.process_time()
    outcomes = [try_once(condition.scene(seed, number)) for number in range(first, first + count)]
    return outcomes, time.process_time() - began


def _is_bad(result: Result) -> bool:
    """Whether a trial did what must never be. Clears after the end are none of it: a clear that was on its way when
    the last word ended cannot be called back.
    """
    audio = result.stale_ms or result.lost_ms or result.doubled_ms
    return bool(
        audio or result.truncates_of_heard or result.truncates_beyond or result.truncates_twice or result.problems
    )


_HEAD: Final = (
    f"{'round trip/jitter, ms':36} {'cut':>5} {'p50':>6} {'p99':>6} {'worst':>6} {'stale':>6} {'lost':>5} {'twice':>5}"
)
_LEGEND: Final = (
    "cut: replies interrupted while they played. p50, p99, worst: the size of what the model was told that the\n"
    "caller heard, minus what the phone had played, in ms. stale: ms played after the clear. lost, twice: ms of\n"
    "audio lost or played twice in replies that nobody interrupted. Clears after the end are no fault: a clear\n"
    "that was on its way when the last word ended cannot be called back."
)


def line(result: Result) -> str:
    p50, p99, worst = (result.quantile(percent) for percent in (50, 99, 100))
    figures = f"{p50 or 0:6.1f} {p99 or 0:6.1f} {worst or 0:6.1f} {result.stale_ms:6.0f} {result.lost_ms:5.0f}"
    faults = [
        f"{count} {what}"
        for count, what in (
            (result.clears_in_silence, "clears after the end"),
            (result.truncates_of_heard, "truncates of what was heard whole"),
            (result.truncates_beyond, "truncates beyond what was sent"),
            (result.truncates_twice, "truncates twice"),
            (len(result.problems), f"protocol errors: {result.problems[:1]}"),
        )
        if count
    ]
    return (
        f"{result.name:36} {len(result.errors_ms):5} {figures} {result.doubled_ms:5.0f}  {'; '.join(faults)}".rstrip()
    )


def _histogram(results: Sequence[Result]) -> str:
    """All errors together, in steps of 2 ms."""
    errors = np.array([error for result in results for error in result.errors_ms])
    edges = np.arange(-21, 23, 2)
    counts, _ = np.histogram(np.clip(errors, -21, 21), edges)
    most = max(1, counts.max())
    rows = [
        f"{f'{low + 1:+d}':>4} ms {count:6} {'#' * round(60 * count / most)}"
        for low, count in zip(edges, counts, strict=False)
    ]
    return "\n".join(["told minus true, all conditions (the outermost rows hold what lies beyond):", *rows])


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 10_000:
        raise argparse.ArgumentTypeError("must be from 0 to 10000")
    return value
