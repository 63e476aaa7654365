"""Draws the picture of `voice-gateway timeline`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agents.errors import ConfigError
from agents.tracing import names
from agents.tracing.turn import EVENTS, STOPPED

if TYPE_CHECKING:
    from gateway.timeline_command import Drawn

COLOURS: Final = {
    "call": "#5f6b7a",
    "invoke_workflow": "#94a1b2",
    "invoke_agent": "#c9dcee",
    "chat": "#2a6f97",
    "execute_tool": "#e09f3e",
    "guardrail": "#b23a48",
    "handoff": "#7b4fa3",
    "transfer": "#4f8f5b",
}
"""By the first word of a span's name."""

MARKS: Final = {
    STOPPED: ("v", "#222222", 0.0, "caller's last sound"),
    EVENTS["model_heard"]: ("D", "#8a8a8a", 0.0, "model heard it"),
    EVENTS["model_first_byte"]: ("o", "#2a6f97", -0.26, "first byte from the model"),
    EVENTS["phone_first_byte"]: ("s", "#d9822b", 0.0, "first byte to the phone"),
    EVENTS["first_sound"]: ("^", "#1b7f3b", 0.26, "first sound heard"),
}
"""How each is drawn, and how far below the middle of its row: the last three come within milliseconds."""

ROW_INCHES: Final = 0.34
MOST_ROWS: Final = 400
"""Rows of one picture; of a longer call the first are drawn."""

SHORTEST_S: Final = 0.06
"""How wide a span without a length is drawn."""


def draw(spans: Sequence["Drawn"], path: Path) -> None:
    """Writes the timeline into a PNG. Raises ConfigError when the file cannot be written."""
    from matplotlib.figure import Figure

    rows = spans[:MOST_ROWS]
    lasts_s = max(span.ends_s for span in rows)
    figure = Figure(figsize=(14, 1.6 + ROW_INCHES * len(rows)), layout="constrained")
    plot = figure.add_subplot()
    for row, span in enumerate(rows):
        _bar(plot, row, span, lasts_s)
    plot.set_ylim(len(rows) - 0.4, -0.6)
    plot.set_xlim(-lasts_s * 0.005, lasts_s * 1.005)
    plot.set_yticks(range(len(rows)), [f"{'   ' * span.depth}{span.name}" for span in rows], fontsize=9)
    for label in plot.get_yticklabels():
        label.set_horizontalalignment("left")
    plot.tick_params(axis="y", length=0, pad=max(len(span.name) + 2 * span.depth for span in rows) * 4.7)
    plot.set_xlabel("seconds since the call came in")
    plot.grid(axis="x", color="#dddddd", linewidth=0.6)
    plot.set_axisbelow(True)
    for side in ("top", "right", "left"):
        plot.spines[side].set_visible(False)
    for marker, colour, _, meaning in MARKS.values():
        plot.plot([], [], marker=marker, color=colour, linestyle="none", markersize=6, label=meaning)
    plot.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=len(MARKS), fontsize=8.5, frameon=False)
    try:
        figure.savefig(path, dpi=110, format="png", metadata={"Software": None})
    except OSError as error:
        raise ConfigError(f"{path}: the picture could not be written: {error.strerror}") from None


def _bar(plot: Any, row: int, span: "Drawn", lasts_s: float) -> None:
    kind = span.name.split(" ")[0]
    width_s = max(span.ends_s - span.begins_s, SHORTEST_S)
    plot.barh(row, width_s, left=span.begins_s, height=0.74, color=COLOURS.get(kind, "#aaaaaa"))
    for name, at_s in span.marks:
        if known := MARKS.get(name):
            plot.plot(at_s, row + known[2], marker=known[0], color=known[1], markersize=5, markeredgewidth=0, zorder=3)
    if note := _note(kind, span):
        is_late = span.begins_s + width_s > lasts_s * 0.72
        at_s, side = (span.begins_s, "right") if is_late else (span.begins_s + width_s, "left")
        gap = -lasts_s * 0.004 if is_late else lasts_s * 0.004
        plot.text(at_s + gap, row, note, va="center", ha=side, fontsize=8, color="#444444")


def _note(kind: str, span: "Drawn") -> str:
    """What stands beside a bar."""
    known = span.attributes
    match kind:
        case "invoke_agent":
            first_ms = known.get("voice.turn.first_sound_ms")
            waited = f"heard after {first_ms} ms" if first_ms is not None else ""
            ending = known.get(names.END_REASON)
            return ", ".join(part for part in (waited, ending if ending != "completed" else "") if part)
        case "chat":
            tokens = known.get(names.OUTPUT_TOKENS)
            return f"{tokens} tokens" if tokens is not None else ""
        case "execute_tool":
            return f"{(span.ends_s - span.begins_s) * 1000:.0f} ms"
        case _:
            return ""
