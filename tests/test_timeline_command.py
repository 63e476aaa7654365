"""`voice-gateway timeline` draws the spans of one call."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.tracing import names
from channels.carrier import run_virtual
from gateway.cli import main
from gateway.timeline_call import place_traced_call
from gateway.timeline_command import Drawn, timeline
from tests.traced import Collected


@pytest.fixture(scope="module")
def spans() -> list[dict[str, Any]]:
    """Those of the simulated call."""
    collected = Collected()
    run_virtual(place_traced_call(collected.telemetry))
    return [json.loads(span.to_json()) for span in collected.spans]


def span(name: str, span_id: str, parent: str | None, begins: str, ends: str) -> dict[str, Any]:
    return {
        "name": name,
        "context": {"trace_id": "0x1", "span_id": span_id},
        "parent_id": parent,
        "start_time": f"2026-11-21T10:00:{begins}Z",
        "end_time": f"2026-11-21T10:00:{ends}Z",
        "attributes": {},
        "events": [],
    }


def test_the_simulated_call_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "timeline.png"

    status = main(["timeline", "--png", str(picture)])

    assert status == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "wrote" in capsys.readouterr().err


def test_the_simulated_call_has_a_tool_an_interruption_and_a_handoff(spans: list[dict[str, Any]]) -> None:
    drawn = timeline(spans)

    found = {each.name for each in drawn}
    endings = [each.attributes.get(names.END_REASON) for each in drawn if each.name.startswith("invoke_agent")]
    assert {"execute_tool find_times", "handoff billing", "chat billing-script"} <= found
    assert endings == ["completed", "interrupted", "completed", "completed", "completed"]


def test_each_span_is_below_the_one_that_it_is_part_of(spans: list[dict[str, Any]]) -> None:
    drawn = timeline(spans)

    assert [(each.name, each.depth) for each in drawn[:4]] == [
        ("call", 0),
        ("invoke_workflow desk", 1),
        ("invoke_agent desk", 2),
        ("chat desk-script", 3),
    ]
    assert drawn[0].begins_s == 0
    assert drawn[0].ends_s == pytest.approx(25, abs=0.5)


def test_what_the_console_exporter_printed_among_other_lines_is_drawn(
    spans: list[dict[str, Any]], tmp_path: Path
) -> None:
    file, picture = tmp_path / "said.txt", tmp_path / "timeline.png"
    lines = ["Ready on http://127.0.0.1:8080; {reception} answers.", *(json.dumps(each, indent=4) for each in spans)]
    file.write_text("\n".join([*lines, '{"resource_metrics": []}']), encoding="utf-8")

    assert main(["timeline", str(file), "--png", str(picture)]) == 0
    assert picture.stat().st_size > 20_000


def test_of_several_calls_the_last_is_drawn() -> None:
    calls = [
        span("call", "0xa", None, "00", "30"),
        span("call", "0xb", None, "05", "20"),
        span("invoke_agent late", "0xc", "0xb", "06", "08"),
        span("invoke_agent early", "0xd", "0xa", "06", "08"),
    ]

    assert timeline(calls) == [
        Drawn("call", 0, 0.0, 15.0, {}, ()),
        Drawn("invoke_agent late", 1, 1.0, 3.0, {}, ()),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no spans here", "holds no spans"),
        ('{"name": "call"}', "holds no spans"),
        (json.dumps(span("chat x", "0xa", "0xb", "00", "01")), "there is no call among the spans"),
    ],
)
def test_a_file_without_a_call_is_refused(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "spans.json"
    file.write_text(content, encoding="utf-8")

    assert main(["timeline", str(file), "--png", str(tmp_path / "x.png")]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", str(tmp_path / "none.json"), "--png", str(tmp_path / "x.png")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_picture_without_matplotlib_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    assert main(["timeline", "--png", "x.png"]) == 2
    assert "pip install" in capsys.readouterr().err


def test_a_picture_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", "--png", str(tmp_path / "none" / "x.png")]) == 2
    assert "could not be written" in capsys.readouterr().err
