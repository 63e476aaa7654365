"""Draws the histograms of `voice-gateway heard`."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.errors import ConfigError

if TYPE_CHECKING:
    from gateway.heard_command import Result

COLUMNS: Final = 3
WIDEST_MS: Final = 40


def refuse_without_matplotlib() -> None:
    """Raises ConfigError that says how to install what draws."""
    try:
        is_there = find_spec("matplotlib") is not None
    except ValueError:  # a module that was put out of the way
        is_there = False
    if not is_there:
        raise ConfigError("--png needs matplotlib: pip install 'voice-gateway[picture]'")


def draw(results: Sequence["Result"], path: Path) -> None:
    """Writes one histogram for each condition into a PNG. Raises ConfigError when the file cannot be written."""
    from matplotlib.figure import Figure

    rows = -(-len(results) // COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 2.4 * rows + 0.6), layout="constrained")
    figure.suptitle("What the model was told the caller heard, minus what the phone had played (ms)")
    for number, result in enumerate(results, 1):
        plot = figure.add_subplot(rows, COLUMNS, number)
        errors = np.clip(result.errors_ms, -WIDEST_MS, WIDEST_MS)
        plot.hist(errors, bins=2 * WIDEST_MS + 1, range=(-WIDEST_MS - 0.5, WIDEST_MS + 0.5), color="#2a6f97")
        plot.set_title(result.name, fontsize=10)
        plot.axvline(0, color="#888888", linewidth=0.6)
        plot.set_xlim(-WIDEST_MS, WIDEST_MS)
        plot.tick_params(labelsize=8)
        text = f"p50 {result.quantile(50)}\np99 {result.quantile(99)}\nn {len(result.errors_ms)}"
        plot.text(0.97, 0.93, text, transform=plot.transAxes, ha="right", va="top", fontsize=8)
    try:
        figure.savefig(path, dpi=110, format="png")
    except OSError as error:
        raise ConfigError(f"{path}: the picture could not be written: {error.strerror}") from None
