"""Draws the spans of one call as a timeline, with what each turn's answer took.

Of the last call in a file of spans, one JSON object after the other, as OTEL_TRACES_EXPORTER=console prints them (other
lines may stand between); without a file, of a call that is simulated.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from agents.errors import ConfigError
from channels.carrier import run_virtual

LARGEST_FILE: Final = 256 * 1024 * 1024
"""Bytes: of some ten thousand calls. A larger file would not fit into memory well."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A span as it is drawn: `depth` spans are above it; seconds count from the beginning of the call."""

    name: str
    depth: int
    begins_s: float
    ends_s: float
    attributes: dict[str, Any]
    marks: tuple[tuple[str, float], ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spans", type=Path, nargs="?", metavar="FILE", help="the spans (default: of a simulated call)")
    parser.add_argument("--png", type=Path, required=True, metavar="FILE", help="the picture (needs matplotlib)")


def run(options: argparse.Namespace) -> int:
    """Raises ConfigError for a file that holds no call, and where nothing can draw."""
    from gateway.heard_picture import refuse_without_matplotlib
    from gateway.timeline_picture import draw

    refuse_without_matplotlib()
    drawn = timeline(_read(options.spans) if options.spans else _simulated())
    draw(drawn, options.png)
    print(f"wrote {options.png}", file=sys.stderr)
    return 0


def timeline(spans: Sequence[dict[str, Any]]) -> list[Drawn]:
    """The spans of the last call, each below the one that it is part of, in the order of their beginnings.

    Raises ConfigError when there is no call.
    """
    roots = [span for span in spans if span.get("parent_id") is None]
    if not roots:
        raise ConfigError("there is no call among the spans: one without a parent is needed")
    root = max(roots, key=lambda span: str(span["start_time"]))
    below: dict[str, list[dict[str, Any]]] = {}
    for span in sorted(spans, key=lambda span: str(span["start_time"])):
        below.setdefault(str(span.get("parent_id")), []).append(span)
    return list(_walk(root, below, 0, _seconds(root["start_time"])))


def _walk(span: dict[str, Any], below: dict[str, list[dict[str, Any]]], depth: int, zero_s: float) -> Iterator[Drawn]:
    marks = tuple((event["name"], _seconds(event["timestamp"]) - zero_s) for event in span["events"])
    begins_s, ends_s = (_seconds(span[key]) - zero_s for key in ("start_time", "end_time"))
    yield Drawn(span["name"], depth, begins_s, ends_s, span["attributes"], marks)
    for child in below.pop(span["context"]["span_id"], ()):
        yield from _walk(child, below, depth + 1, zero_s)


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


def _simulated() -> list[dict[str, Any]]:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from agents.tracing import Telemetry
    from gateway.timeline_call import place_traced_call

    spans = InMemorySpanExporter()
    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(spans))
    report = run_virtual(place_traced_call(Telemetry.to(traces)))
    if report.errors:
        raise ConfigError(f"the simulated call went wrong: {'; '.join(report.errors)}")
    return [json.loads(span.to_json()) for span in spans.get_finished_spans()]


def _read(file: Path) -> list[dict[str, Any]]:
    """Every span in the file. Raises ConfigError for one that cannot be read, or holds none."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ConfigError(f"{file}: larger than {LARGEST_FILE // 1024**2} MB; give the spans of fewer calls")
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from None
    spans = [span for span in _objects(text) if {"name", "context", "start_time", "end_time", "events"} <= span.keys()]
    if not spans:
        raise ConfigError(f"{file}: holds no spans as OTEL_TRACES_EXPORTER=console prints them")
    return spans


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Every JSON object that begins a line."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        if at and text[at - 1] not in "\n[ ,":
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            at += 1
            continue
        if isinstance(value, dict):
            yield value
