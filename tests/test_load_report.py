"""What a load found, as medians, as a table and as JSON."""

import json
from dataclasses import replace

import pytest

from gateway.load import summary
from gateway.load.conditions import Conditions
from gateway.load.measured import Kind, Measured
from gateway.load.report import HEAD, Found, Overload, Report, by_calls, row
from gateway.load.sweep import Sweep
from tests.load_steps import carrying, measured

MOST: dict[Kind, tuple[int, ...]] = {"gateway": (110, 130, 150), "floor": (200, 160, 250)}
"""What each carries, in three runs."""


def runs() -> list[dict[Kind, Sweep]]:
    found = []
    for number in range(3):
        sweeps: dict[Kind, Sweep] = {kind: Sweep(kind) for kind in MOST}
        for kind, sweep in sweeps.items():
            while (calls := sweep.next_calls) is not None:
                sweep.add(
                    carrying(MOST[kind][number], calls, kind, cpu_ms=3.0 if kind == "gateway" else 1.5 + number / 4)
                )
        found.append(sweeps)
    return found


def swept() -> Found:
    three = runs()
    steps = tuple(one for run in three for sweep in run.values() for one in sweep.tried)
    summaries = tuple(summary.of_sweeps(kind, three) for kind in MOST)
    return Found(steps, summaries, summary.ratio_of_sweeps(three))


def of_steps(*steps: Measured, overload: Overload | None = None) -> Found:
    return Found(steps, (summary.of_steps("gateway", steps),), None, overload)


def report(found: Found) -> Report:
    machine: dict[str, str | int] = {"cpu": "EPYC", "cores": 2, "system": "Linux 6", "python": "3.11.7"}
    conditions = Conditions().by_name()
    return Report("voice-gateway load", "2026-11-22T10:00:00+00:00", machine, {"uvloop": "0.22"}, conditions, found)


# ---- medians ----


def test_the_figures_of_a_sweep_are_medians_of_its_runs() -> None:
    gateway, floor = swept().summaries

    assert gateway.calls_of_runs == (109, 128, 150) and gateway.calls == 128
    assert floor.calls == 200
    assert gateway.cpu_ms_per_call_second == pytest.approx(3.0)
    assert floor.cpu_ms_per_call_second == pytest.approx(1.75)
    assert gateway.latency_ms is not None
    assert (gateway.latency_ms.calls, gateway.latency_ms.both_p50, gateway.latency_ms.both_p99) == (50, 1.0, 4.0)


def test_the_ratio_is_of_calls_and_of_cpu_where_both_carry_as_many() -> None:
    ratio = swept().ratio

    assert ratio is not None
    assert ratio.calls == pytest.approx(128 / 200)
    assert ratio.cpu == pytest.approx(3.0 / 1.75)


def test_what_never_held_has_no_figures_beside_its_calls() -> None:
    sweep = Sweep("gateway")
    while (calls := sweep.next_calls) is not None:
        sweep.add(carrying(0, calls))

    nothing = summary.of_sweeps("gateway", [{"gateway": sweep}])

    assert (nothing.calls, nothing.cpu_ms_per_call_second, nothing.latency_ms) == (0, None, None)


def test_of_one_number_of_calls_the_runs_are_put_together() -> None:
    steps = [measured(100, cpu_ms=ms) for ms in (2.0, 9.0, 3.0)]

    found = summary.of_steps("gateway", steps)

    assert (found.calls, found.limit) == (None, None)
    assert found.cpu_ms_per_call_second == pytest.approx(3.0)
    assert found.latency_ms is not None and found.latency_ms.calls == 100


def test_a_curve_leaves_out_the_attempts_that_failed_where_another_held() -> None:
    failed, held, beyond = measured(50, 60.0), measured(50), measured(100, 60.0)

    points = by_calls("gateway", [beyond, failed, held, measured(25, kind="floor")])

    assert points == {50: [held], 100: [beyond]}


# ---- the exit status ----


def test_late_audio_is_a_finding_and_lost_audio_a_failure() -> None:
    assert not of_steps(measured(100, 90.0)).has_failed
    assert of_steps(measured(100), measured(100, frames_lost=1)).has_failed
    assert of_steps(replace(measured(90), asked=100)).has_failed


def test_a_sweep_fails_when_not_even_its_first_step_holds() -> None:
    nothing = replace(summary.of_steps("gateway", []), calls_of_runs=(0, 25, 0), limit="process")

    assert not swept().has_failed
    assert Found((), (nothing,), None).has_failed


def test_calls_that_are_turned_away_in_overload_are_no_failure_and_lost_ones_are() -> None:
    offered = Overload(200, replace(measured(110, calls_refused=90), asked=200))
    losing = Overload(200, replace(measured(110, calls_refused=90, calls_lost=1), asked=200))

    assert not of_steps(measured(100), overload=offered).has_failed
    assert of_steps(measured(100), overload=losing).has_failed


# ---- JSON ----


def test_json_has_each_figure_by_name() -> None:
    told = json.loads(json.dumps(report(swept()).as_json()))

    step = told["steps"][0]
    assert told["gateway"]["calls"] == 128 and told["floor"]["calls"] == 200
    assert told["ratio"] == {"calls": 0.64, "cpu": 1.7143}
    assert told["gateway"]["latency_ms"]["up_p99"] == 4.0
    assert (step["kind"], step["calls"], step["up_ms"]["p99"], step["frames_lost"]) == ("gateway", 25, 4.0, 0)
    assert (step["cpu_ms_per_call_second"], step["memory_kb_per_call"], step["loop_lag_ms"]["p95"]) == (3.0, 100.0, 0.5)
    assert told["machine"]["cores"] == 2 and told["date"].startswith("2026") and told["versions"] == {"uvloop": "0.22"}
    assert told["conditions"]["mode"] == "transcode" and told["conditions"]["connect_rate"] == 50.0


def test_json_of_an_overload_says_who_was_admitted() -> None:
    overload = Overload(200, replace(measured(110, calls_refused=90), asked=200))

    told = report(of_steps(measured(100), overload=overload)).as_json()["overload"]

    assert (told["offered"], told["admitted"], told["refused"]) == (200, 110, 90)
    assert told["step"]["both_ms"]["p99"] == 4.0


# ---- text ----


def test_one_step_is_told_in_full() -> None:
    lines = report(of_steps(measured(100, frames_lost=2))).as_text().splitlines()

    assert lines[0] == "gateway: 100 calls for 10.0 s: fails: 2 frames lost"
    assert lines[2].split() == ["added", "upward", "1.00", "2.00", "4.00", "8.00", "1000"]
    assert "frames sent 50000, lost 2, doubled 0, damaged 0" in lines
    assert "CPU 2.00 ms per call-second, 20 % of a core" in lines
    assert "memory 100 kB per call, 70 MB in all" in lines
    assert "event-loop lag p50 0.1, p95 0.5, max 2.0 ms" in lines


def test_what_was_not_measured_is_a_dash() -> None:
    bare = replace(
        measured(5), memory_kb_per_call=None, loop_lag_ms=None, step=replace(measured(5).step, clear_ms=NONE)
    )
    lines = report(of_steps(bare)).as_text().splitlines()

    assert next(line for line in lines if line.startswith("until clear")).split()[2:] == ["-", "-", "-", "-", "0"]
    assert "memory 60 MB in all" in lines
    assert not any("lag" in line for line in lines)
    assert row(bare).split()[-3:] == ["-", "-", "holds"]


def test_a_sweep_is_told_in_rows_and_ends_with_what_was_found() -> None:
    text = report(swept()).as_text()

    assert text.startswith(HEAD)
    assert "gateway: 128 calls, the median of 109, 128, 150 (the process's own limit); 3.00 ms of CPU" in text
    assert "gateway against floor: 0.64 of its calls, 1.71 of its CPU per call-second" in text
    assert "with 50 calls, p50/p99: up 1.00/4.00 ms" in text
    assert text.endswith("2026-11-22T10:00:00+00:00, EPYC, 2 cores, Linux 6, Python 3.11.7\nvoice-gateway load")


def test_an_overload_is_told_with_its_admitted_calls() -> None:
    overload = Overload(200, replace(measured(110, calls_refused=90), asked=200))

    text = report(of_steps(measured(100), overload=overload)).as_text()

    assert "overload: 200 calls offered, 110 admitted, 90 refused" in text


NONE = replace(measured(1).step.clear_ms, p50=0.0, p90=0.0, p99=0.0, max=0.0, count=0)
