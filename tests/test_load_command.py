"""`voice-gateway load` refuses what it cannot do, carries out what is asked, and says what it found."""

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.load.command import write
from gateway.load.machine import machine, versions
from gateway.load.measured import Kind, Measured
from gateway.load.plan import Plan, Trials, carry_out
from gateway.load.progress import Progress
from gateway.load.report import Found
from tests.load_steps import carrying
from tests.test_load_report import report, swept

MOST: dict[Kind, int] = {"gateway": 60, "floor": 120}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def carried_out(plan: Plan, stream: io.StringIO | None = None) -> tuple[Found, list[tuple[str, int]]]:
    """What is found of processes that carry MOST, and what was tried."""
    tried: list[tuple[str, int]] = []

    async def hold(kind: Kind, calls: int) -> Measured:
        tried.append((kind, calls))
        return carrying(MOST[kind], calls, kind)

    async def offer(calls: int) -> Measured:
        tried.append(("offered", calls))
        return carrying(calls, calls)

    found = asyncio.run(carry_out(plan, Trials(hold, offer), Progress(stream or io.StringIO())))
    return found, tried


# ---- what is carried out ----


def test_one_number_of_calls_is_tried_in_each_run_with_the_floor_in_turn() -> None:
    found, tried = carried_out(Plan(("gateway", "floor"), calls=40, runs=2))

    assert tried == [("gateway", 40), ("floor", 40)] * 2
    assert found.ratio is not None and found.ratio.cpu == pytest.approx(1.0)
    assert [one.calls for one in found.summaries] == [None, None]


def test_without_a_number_each_run_is_a_sweep() -> None:
    found, tried = carried_out(Plan(runs=2))

    assert tried[0] == ("gateway", 25) and tried.count(("gateway", 25)) == 2
    assert found.summaries[0].calls_of_runs == (60, 60)
    assert found.ratio is None


def test_in_overload_twice_what_holds_is_offered() -> None:
    found, tried = carried_out(Plan(has_overload=True))

    assert tried[-1] == ("offered", 120)
    assert found.overload is not None and found.overload.offered == 120


def test_in_overload_twice_the_number_that_was_given_is_offered() -> None:
    _, tried = carried_out(Plan(calls=10, has_overload=True))

    assert tried == [("gateway", 10), ("offered", 20)]


# ---- progress ----


def test_where_lines_stay_there_is_one_for_each_step() -> None:
    stream = io.StringIO()

    found, _ = carried_out(Plan(), stream)

    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 + len(found.steps)
    assert lines[2].startswith("gateway     25") and lines[2].endswith("holds")
    assert "\r" not in stream.getvalue()


def test_on_a_terminal_one_line_is_written_over() -> None:
    stream = Terminal()
    progress = Progress(stream)

    progress.doing("gateway, 25 calls: measuring")
    progress.step("gateway, 25 calls: holds", "a long line")
    progress.doing("gateway, 50 calls: starting")
    progress.clear()

    shown = stream.getvalue()
    assert "\n" not in shown and "a long line" not in shown
    assert shown.split("\r\033[K")[1:] == [
        "gateway, 25 calls: measuring",
        "gateway, 25 calls: holds; gateway, 50 calls: starting",
        "",
    ]


def test_a_line_is_cut_where_the_terminal_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "11")
    stream = Terminal()

    Progress(stream).doing("0123456789 and more")

    assert stream.getvalue() == "\r\033[K0123456789"


# ---- what is written ----


def test_the_table_is_printed_and_the_json_goes_into_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(report(swept()), str(tmp_path / "load.json"), tmp_path / "load.png")

    shown = capsys.readouterr()
    assert "gateway against floor" in shown.out
    assert shown.err == f"wrote {tmp_path / 'load.png'}\n"
    assert json.loads((tmp_path / "load.json").read_text())["ratio"]["calls"] == 0.64


def test_a_dash_prints_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    write(report(swept()), "-", None)

    assert json.loads(capsys.readouterr().out)["gateway"]["calls"] == 128


def test_the_machine_and_the_versions_are_named() -> None:
    assert machine()["python"] == sys.version.split()[0]
    assert machine()["cpu"] and int(machine()["cores"]) >= 1
    assert {"uvicorn", "websockets", "uvloop", "numpy"} <= versions().keys()


# ---- what is refused ----


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["load", "--help"])

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for option in ("calls", "audio", "duration", "connect-rate", "tls", "provider-stall", "workers", "floor", "runs"):
        assert f"--{option}" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["--calls", "0"],
        ["--calls", "many"],
        ["--duration", "1"],
        ["--duration", "inf"],
        ["--connect-rate", "0"],
        ["--provider-stall", "-1"],
        ["--audio", "opus"],
        ["--workers", "0"],
    ],
)
def test_wrong_options_are_misuse(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["load", *arguments])

    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "none/x.json"], "none/x.json: there is no folder"),
        (["--png", "none/x.png"], "none/x.png: there is no folder"),
        (["--provider-stall", "10"], "--provider-stall must be shorter than --duration, which is 10 s"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_measured(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["load", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_without_the_extra_it_is_said_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "picows", None)

    assert main(["load", "--calls", "1"]) == 2
    assert "pip install 'voice-gateway[load]'" in capsys.readouterr().err


def test_without_matplotlib_no_picture_is_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    assert main(["load", "--png", "x.png"]) == 2
    assert "pip install" in capsys.readouterr().err
