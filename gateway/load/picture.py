"""Draws the picture of `voice-gateway load`: how added latency and processor time grow with calls."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from agents.errors import ConfigError
from gateway.load.measured import LIMIT_MS, Kind, Measured
from gateway.load.report import Report, by_calls

COLOURS: Final[dict[Kind, str]] = {"gateway": "#2a6f97", "floor": "#8a8a8a"}
FAILED: Final = "#b23a48"
"""Around the numbers that did not hold."""

LEAST_MS: Final = 0.1
"""Where the logarithmic axis of latency begins at the latest: below, nobody compares."""

NOTHING: Final = 0.01
"""What a figure is drawn at that is less, as a logarithmic axis has no zero."""


def draw(report: Report, path: Path) -> None:
    """Writes both curves into a PNG. Raises ConfigError when the file cannot be written."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FormatStrFormatter

    figure = Figure(figsize=(12, 4.8), layout="constrained")
    figure.suptitle(_title(report), fontsize=11)
    latency, cpu = figure.subplots(1, 2)
    kinds = [kind for kind in COLOURS if any(one.kind == kind for one in report.found.steps)]
    for kind in kinds:
        _curve(latency, kind, report.found.steps, lambda one: one.step.both_ms.p50, "--", f"{kind}, p50")
        _curve(latency, kind, report.found.steps, lambda one: one.step.both_ms.p99, "-", f"{kind}, p99")
        _curve(cpu, kind, report.found.steps, lambda one: one.cpu_percent, "-", kind)
    latency.set_yscale("log")
    latency.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    bottom, top = latency.get_ylim()
    latency.set_ylim(min(LEAST_MS, bottom), max(2 * LIMIT_MS, top))
    latency.axhline(LIMIT_MS, color=FAILED, linewidth=1)
    across = latency.get_yaxis_transform()  # the axis's own coordinates across, the figures' upward
    latency.text(0.99, LIMIT_MS * 1.06, f"{LIMIT_MS:g} ms", color=FAILED, fontsize=8.5, ha="right", transform=across)
    latency.set_ylabel("added latency, both ways together, ms")
    cpu.set_ylabel("processor time, % of a core")
    cpu.set_ylim(bottom=0)
    _mark_failed(latency, report.found.steps)
    for plot in (latency, cpu):
        _dress(plot)
    try:
        figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
    except OSError as error:
        raise ConfigError(f"{path}: the picture could not be written: {error.strerror}") from None


def _title(report: Report) -> str:
    found = ", ".join(f"{one.kind} {one.calls:g}" for one in report.found.summaries if one.calls)
    held = f": calls that hold: {found}" if found else ""
    return f"{report.conditions['mode']}{held}\n{report.machine['cpu']}, {report.date}"


def _curve(
    plot: Any, kind: Kind, steps: Sequence[Measured], figure: Callable[[Measured], float], style: str, name: str
) -> None:
    """A line through the medians of each number of calls."""
    points = {calls: max(NOTHING, median(map(figure, tried))) for calls, tried in by_calls(kind, steps).items()}
    plot.plot(
        list(points), list(points.values()), style, color=COLOURS[kind], marker="o", markersize=3.5, linewidth=1.4,
        label=name,
    )  # fmt: skip


def _mark_failed(plot: Any, steps: Sequence[Measured]) -> None:
    """A ring around the p99 of each number that held in none of its attempts."""
    failed = [
        (calls, median(one.step.both_ms.p99 for one in tried))
        for kind in COLOURS
        for calls, tried in by_calls(kind, steps).items()
        if all(one.verdict != "holds" for one in tried)
    ]
    if failed:
        calls, p99 = zip(*failed, strict=True)
        plot.plot(calls, p99, "o", markersize=9, markerfacecolor="none", color=FAILED, label="does not hold")


def _dress(plot: Any) -> None:
    plot.set_xlabel("calls at once")
    plot.set_xlim(left=0)
    plot.grid(color="#dddddd", linewidth=0.6)
    plot.set_axisbelow(True)
    for side in ("top", "right"):
        plot.spines[side].set_visible(False)
    plot.legend(fontsize=8.5, frameon=False, loc="lower right")
