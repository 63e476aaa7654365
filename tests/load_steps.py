"""Made-up steps of a load, for the tests of what is done with them."""

from dataclasses import replace
from typing import Any

from gateway.load.figures import Spread, Step
from gateway.load.measured import Kind, LoopLag, Measured


def spread(p99: float, count: int = 1000) -> Spread:
    """One whose other figures follow from its 99th percentile."""
    return Spread(p99 / 4, p99 / 2, p99, p99 * 2, count)


def step(calls: int, p99: float = 4.0, **changed: Any) -> Step:
    """A step in which nothing went wrong."""
    quiet = Step(
        calls=calls,
        seconds=10.0,
        up_ms=spread(p99),
        down_ms=spread(p99),
        both_ms=spread(p99),
        clear_ms=spread(p99),
        webhook_ms=spread(p99, calls),
        setup_ms=spread(p99, calls),
        lateness_ms=spread(1.0),
        frames_sent=calls * 500,
        frames_lost=0,
        frames_doubled=0,
        frames_damaged=0,
        stale_ms=0.0,
        truncate_error_ms=0.0,
        keys_lost=0,
        marks_lost=0,
        calls_refused=0,
        calls_lost=0,
    )
    return replace(quiet, **changed)


def measured(calls: int, p99: float = 4.0, *, kind: Kind = "gateway", cpu_ms: float = 2.0, **changed: Any) -> Measured:
    """The same with what the process used: so many milliseconds of CPU per call-second, 100 kB and more per call."""
    return Measured(
        kind=kind,
        asked=calls,
        step=step(calls, p99, **changed),
        cpu_s=cpu_ms / 1000 * calls * 10,
        cpu_wall_s=10.0,
        memory_kb=60_000 + 100.0 * calls,
        memory_kb_per_call=100.0,
        loop_lag_ms=LoopLag(0.1, 0.5, 2.0),
    )


def carrying(most: int, calls: int, kind: Kind = "gateway", cpu_ms: float = 2.0) -> Measured:
    """What a process measures that carries so many calls, and is too late with one more."""
    return measured(calls, 4.0 if calls <= most else 60.0, kind=kind, cpu_ms=cpu_ms)
