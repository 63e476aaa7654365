"""`voice-gateway heard` measures, prints, draws, and says when something is wrong."""

import json
import sys
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.heard_command import Result, line


def result(**changed: object) -> Result:
    given: dict[str, object] = {
        "name": "80/10",
        "runs": 100,
        "errors_ms": tuple(float(ms) for ms in range(-50, 50)),
        "stale_ms": 0.0,
        "lost_ms": 0.0,
        "doubled_ms": 0.0,
        "dropped_ms": 1000.0,
        "clears_in_silence": 0,
        "truncates_of_heard": 0,
        "truncates_beyond": 0,
        "truncates_twice": 0,
        "cpu_s": 1.0,
        "problems": (),
    }
    return Result(**(given | changed))  # type: ignore[arg-type]


def test_one_condition_can_be_chosen_and_gives_json(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(
        ["heard", "--json", "--runs", "25", "--rtt-ms", "40", "--jitter-ms", "0", "--seed", "3", "--jobs", "1"]
    )

    (found,) = json.loads(capsys.readouterr().out)
    assert status == 0
    assert (found["name"], found["runs"]) == ("40/0", 25)
    assert found["interrupted"] >= 15
    assert 0 <= found["p50_ms"] <= found["p99_ms"] <= found["worst_ms"] <= 20
    assert (found["stale_ms"], found["lost_ms"], found["doubled_ms"]) == (0, 0, 0)


def test_without_a_choice_the_table_has_the_conditions_and_a_histogram(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["heard", "--runs", "3", "--only", "80/10, deltas", "--jobs", "1"])

    printed = capsys.readouterr().out
    assert status == 0
    assert all(f"80/10, deltas of {size} ms" in printed for size in (20, 100, 400))
    assert "told minus true" in printed
    assert "Clears after the end are no fault" in printed


def test_clears_after_the_end_are_counted_and_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["heard", "--runs", "30", "--only", "400/100", "--jobs", "1"])

    assert "clears after the end" in capsys.readouterr().out.splitlines()[1]
    assert status == 0


def test_the_picture_is_a_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "heard.png"

    status = main(["heard", "--runs", "3", "--rtt-ms", "0", "--jobs", "1", "--png", str(picture)])

    assert status == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "wrote" in capsys.readouterr().err


def test_a_picture_without_matplotlib_is_refused_before_any_trial(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    status = main(["heard", "--runs", "100000", "--png", "x.png"])

    assert status == 2
    assert "pip install" in capsys.readouterr().err


def test_a_condition_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["heard", "--only", "on the moon"]) == 2
    assert "400/100" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--runs", "0"], ["--rtt-ms", "-1"], ["--jitter-ms", "nan"], ["--runs", "many"], ["--jobs", "0"]]
)
def test_numbers_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["heard", *arguments])


def test_the_figures_are_of_the_errors_size() -> None:
    assert result().as_json() | {"p50_ms": 25.0, "worst_ms": 50.0} == result().as_json()
    assert result(errors_ms=()).as_json()["p99_ms"] is None


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"clears_in_silence": 3}, "3 clears after the end"),
        ({"truncates_of_heard": 1}, "1 truncates of what was heard whole"),
        ({"truncates_beyond": 2}, "2 truncates beyond"),
        ({"problems": ("protocol: x",)}, "protocol: x"),
    ],
)
def test_faults_are_said_in_the_table(fault: dict[str, object], said: str) -> None:
    assert said in line(result(**fault))
    assert line(result()).endswith("    0")
