"""Measures how many calls one core carries, and what the gateway adds to each.

Simulated calls over real sockets against a gateway in a process of its own, on a core of its own, with a fake OpenAI
Realtime at the other end: one process is both ends, so that one clock dates a frame here and there, and every sample is
compared. Without --calls, more and more calls are tried, then halves between, until the highest number is known that
holds: added latency p99 within 20 ms upward, downward and both ways together, and nothing lost, doubled, damaged or
stale. Needs Linux, and a second core for the load itself. Exits with 1 when calls failed or lost audio.
"""

import argparse
import asyncio
import json
import shlex
import signal
import sys
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from agents.errors import ConfigError
from gateway.heard_picture import refuse_without_matplotlib
from gateway.load.conditions import Conditions
from gateway.load.machine import machine, versions
from gateway.load.measured import Kind
from gateway.load.plan import Plan, Trials, carry_out
from gateway.load.process import Cores, ProcessEndedError, many_open_files, on_cores, share_cores
from gateway.load.progress import Progress
from gateway.load.report import Found, Report

ENGINE: Final = ("picows", "trustme")
"""What the calls are made with: of the `load` extra."""

LEAST_S: Final = 2.0
LONGEST_S: Final = 3600.0
"""Of a measurement: a caller's words and the answer to them take two seconds; an hour shows what grows."""

DEFAULTS: Final = Conditions()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--calls", type=_whole, metavar="N", help="only so many calls (default: find the most that hold)"
    )
    parser.add_argument(
        "--audio",
        choices=("transcode", "passthrough"),
        default=DEFAULTS.mode,
        help="what the agent hears and speaks: PCM16 at 24 kHz, or the telephone's own mu-law (default: transcode)",
    )
    parser.add_argument(
        "--duration",
        type=_duration,
        default=DEFAULTS.duration_s,
        metavar="S",
        help="seconds that each number of calls is measured for (default: 10: a caller does everything once)",
    )
    parser.add_argument(
        "--connect-rate",
        type=_rate,
        default=DEFAULTS.connect_rate,
        metavar="R",
        help="calls that begin in a second (default: 50)",
    )
    parser.add_argument("--tls", action="store_true", help="speak with the provider over TLS")
    parser.add_argument(
        "--provider-stall",
        type=_stall,
        default=0.0,
        metavar="S",
        help="have the provider neither read nor speak for so many seconds, once in each measurement",
    )
    parser.add_argument("--workers", type=_whole, default=1, metavar="N", help="processes of the gateway (default: 1)")
    parser.add_argument(
        "--floor",
        action="store_true",
        help="measure the barest bridge of the same parts, without a session, in turn with it",
    )
    parser.add_argument("--runs", type=_whole, default=1, metavar="N", help="runs; medians are given (default: 1)")
    parser.add_argument(
        "--overload",
        action="store_true",
        help="at last offer twice the calls that hold, or twice --calls, to a gateway that admits what fits",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write each figure by name; - for standard output, without a table"
    )
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw latency and CPU over calls (needs matplotlib)")


def run(options: argparse.Namespace) -> int:
    """0 when what was asked for was measured, 1 when calls failed. Raises ConfigError where nothing can be measured."""
    _refuse_misuse(options)
    cores, progress = share_cores(options.workers), Progress(sys.stderr)
    if cores.are_shared:
        progress.note("no core is left for the load: it shares those of the gateway, and the figures are worse for it")
    conditions = Conditions(
        options.audio,
        options.duration,
        options.connect_rate,
        options.tls,
        options.provider_stall,
        options.workers,
    )
    kinds: tuple[Kind, ...] = ("gateway", "floor") if options.floor else ("gateway",)
    plan = Plan(kinds, options.calls, options.runs, options.overload)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        found = measure(plan, conditions, cores, progress)
    except ProcessEndedError as error:
        print(f"voice-gateway: {error}", file=sys.stderr)
        return 1
    finally:
        progress.clear()
    command = shlex.join(["voice-gateway", *sys.argv[1:]])
    write(Report(command, date, machine(), versions(), conditions.by_name(), found), options.json, options.png)
    return int(found.has_failed)


def measure(plan: Plan, conditions: Conditions, cores: Cores, progress: Progress) -> Found:
    """Carries the plan out with real processes, this one kept on cores of its own meanwhile.

    Ended by Ctrl-C or SIGTERM, it ends them. Raises ProcessEndedError when one ends by itself.
    """
    from uvloop import new_event_loop

    from gateway.load.trial import hold_calls, offer_calls

    trials = Trials(
        partial(hold_calls, conditions=conditions, cores=cores, tell=progress.doing),
        partial(offer_calls, conditions=conditions, cores=cores, tell=progress.doing),
    )
    asked_to_end = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with on_cores(cores.load), many_open_files(), asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(carry_out(plan, trials, progress))
    finally:
        signal.signal(signal.SIGTERM, asked_to_end)


def write(report: Report, json_to: str | None, png: Path | None) -> None:
    """The table, or with `-` the JSON, to standard output; JSON and picture into files.

    Raises ConfigError for a file that cannot be written.
    """
    text = json.dumps(report.as_json(), indent=2)
    print(text if json_to == "-" else report.as_text())
    if json_to and json_to != "-":
        try:
            Path(json_to).write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{json_to}: the figures could not be written: {error.strerror}") from None
    if png:
        from gateway.load.picture import draw

        draw(report, png)
        print(f"wrote {png}", file=sys.stderr)


def _refuse_misuse(options: argparse.Namespace) -> None:
    """Raises ConfigError, before minutes pass, for what cannot be measured, drawn or written."""
    missing = [name for name in ENGINE if find_spec(name) is None]
    if missing:
        raise ConfigError(f"load needs {' and '.join(missing)}: pip install 'voice-gateway[load]'")
    if options.png:
        refuse_without_matplotlib()
    for file in (options.png, Path(options.json) if options.json and options.json != "-" else None):
        if file and not file.absolute().parent.is_dir():
            raise ConfigError(f"{file}: there is no folder {file.absolute().parent}")
    if options.provider_stall >= options.duration:
        raise ConfigError(f"--provider-stall must be shorter than --duration, which is {options.duration:g} s")


def _whole(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 10_000:
        raise argparse.ArgumentTypeError("must be from 1 to 10000")
    return value


def _duration(text: str) -> float:
    return _number(text, LEAST_S, LONGEST_S)


def _rate(text: str) -> float:
    return _number(text, 0.1, 1000)


def _stall(text: str) -> float:
    return _number(text, 0.01, LONGEST_S)


def _number(text: str, least: float, most: float) -> float:
    value = float(text)
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"must be from {least:g} to {most:g}")
    return value
