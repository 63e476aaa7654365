"""Spans and metrics leave the process as the standard environment variables say, and hold up nothing."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from agents.errors import ConfigError
from agents.tracing import names
from channels.carrier import CallReport, Dial, Script, place_call, run_virtual
from gateway import telemetry
from gateway.cli import main
from gateway.loop_lag import LOOK_BACK, LoopLoad
from gateway.telemetry import Exporting, exporting, wrong_variables
from gateway.timeline_call import NETWORK, place_traced_call
from tests.collector import collecting
from tests.service import free_port

SID = "CA" + "7" * 32
ONE_WAY_MS = NETWORK.rtt_ms / 2


@contextmanager
def exported(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Iterator[Exporting]:
    """Exporters as this environment asks for them, which they read by themselves too."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = exporting(environment)
    assert found
    with found:
        yield found


def call(exports: Exporting) -> CallReport:
    report = run_virtual(place_traced_call(exports.telemetry, SID))
    assert report.errors == ()
    return report


def plain(pairs: Any) -> dict[str, Any]:
    def value(it: AnyValue) -> Any:
        kind = it.WhichOneof("value")
        return [value(each) for each in it.array_value.values] if kind == "array_value" else getattr(it, str(kind))

    return {pair.key: value(pair.value) for pair in pairs if isinstance(pair, KeyValue)}


# ---- what is asked for ----


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
        },
    ],
)
def test_nothing_is_exported_unless_it_is_asked_for(environment: Mapping[str, str]) -> None:
    assert exporting(environment) is None


def test_the_sdk_is_not_even_loaded_where_nobody_asks() -> None:
    look = "import gateway.serve_command, sys; print([m for m in sys.modules if m.startswith('opentelemetry.sdk')])"

    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)

    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("environment", "wrong"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: must be otlp, console or none"),
        ({"OTEL_METRICS_EXPORTER": "otlp, prometheus"}, "OTEL_METRICS_EXPORTER: must be"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: must be http/protobuf"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_name_of_its_variable(
    environment: dict[str, str], wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=wrong):
        exporting(environment)

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["check"]) == 1
    assert wrong in capsys.readouterr().out


def test_the_usual_protocol_is_right() -> None:
    assert (
        wrong_variables({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_TRACES_EXPORTER": "otlp,console"}) == []
    )


# ---- what comes of it ----


def test_a_whole_call_comes_to_the_collector_as_one_trace_with_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector, exported(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as exports:
        call(exports)

    spans = {span.span_id: span for span in collector.spans}
    roots = [span for span in spans.values() if not span.parent_span_id]
    assert [root.name for root in roots] == ["call"]
    assert len({span.trace_id for span in spans.values()}) == 1
    assert {span.parent_span_id for span in spans.values() if span.parent_span_id} <= spans.keys()
    assert {span.name for span in spans.values()} == {
        *("call", "invoke_workflow desk", "invoke_agent desk", "invoke_agent billing"),
        *("chat desk-script", "chat billing-script"),
        *("execute_tool find_times", "execute_tool transfer_to_billing", "handoff billing"),
    }
    metrics = {metric.name for metric in collector.metrics}
    assert {
        *("voice.calls", "voice.interruptions", "voice.turn.first_sound", "voice.turn.model_first_byte"),
        *("gen_ai.client.operation.duration", "gen_ai.client.token.usage", "gen_ai.execute_tool.duration"),
    } <= metrics
    [resource] = {str(plain(traced.resource.attributes)["service.name"]) for traced in collector.traces}
    assert resource == "voice-gateway"


def test_what_the_event_loop_has_to_do_is_sent_as_gauges(monkeypatch: pytest.MonkeyPatch) -> None:
    load = LoopLoad()
    for _ in range(LOOK_BACK):
        load.came_round(0.0, 0.004)
        load.second_passed(0.25)
    with collecting() as collector, exported(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as exports:
        exports.observe(load)

    lag, cpu = (
        {plain(point.attributes).get("percentile"): point.as_double for point in metric.gauge.data_points}
        for name in ("voice.loop.lag", "voice.loop.cpu")
        for metric in collector.metrics
        if metric.name == name
    )
    assert lag == {"p50": 0.004, "p95": 0.004, "max": 0.004}
    assert cpu == {None: 0.25}


def test_the_span_of_a_call_says_how_it_went_and_no_whole_number(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector, exported(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as exports:
        call(exports)

    [whole] = [span for span in collector.spans if span.name == "call"]
    known = plain(whole.attributes)
    assert known[names.CALL_ID] == SID
    assert (known[names.AGENT], known[names.DIRECTION], known[names.REASON]) == ("desk", "inbound", "caller")
    assert (known[names.CALLER], known[names.CALLED]) == ("…100", "…200")
    assert known[names.WORST_SILENCE] > 0
    assert (whole.end_time_unix_nano - whole.start_time_unix_nano) / 1e9 == pytest.approx(25, abs=0.5)
    assert not any(b"5550100" in span.SerializeToString() for span in collector.spans)


def test_each_turn_tells_when_the_callers_phone_first_sounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector, exported(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as exports:
        report = call(exports)

    turns = [plain(span.attributes) for span in collector.spans if span.name.startswith("invoke_agent")]
    callers = [turn for turn in turns if turn[names.TRIGGER] == "caller"]
    assert len(callers) == 4
    for turn in callers:
        assert turn["voice.turn.model_first_byte_ms"] <= turn["voice.turn.phone_first_byte_ms"]
        assert turn["voice.turn.first_sound_ms"] - turn["voice.turn.phone_first_byte_ms"] == pytest.approx(40, abs=5)
    assert report.played_ms > 0


def test_a_first_sound_is_told_as_the_phone_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector, exported(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as exports:
        report = call(exports)

    [greeting] = [span for span in collector.spans if plain(span.attributes).get(names.TURN) == 1]
    [whole] = [span for span in collector.spans if span.name == "call"]
    [sound] = [event for event in greeting.events if event.name == "voice.phone.first_sound"]
    told_ms = (sound.time_unix_nano - whole.start_time_unix_nano) / 1e6
    assert report.answer_ms is not None
    assert told_ms == pytest.approx(report.answer_ms - ONE_WAY_MS, abs=20)  # the phone plays in frames of 20 ms


def test_live_calls_are_counted_up_and_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector, exported(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as exports:
        call(exports)

    [live] = [metric for metric in collector.metrics if metric.name == "voice.calls"]
    assert [point.as_int for point in live.sum.data_points] == [0]
    assert not live.sum.is_monotonic


def test_words_leave_only_when_the_standard_switch_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for switch in ("false", "true"):
        with (
            collecting() as collector,
            exported(
                monkeypatch,
                OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
                OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=switch,
            ) as exports,
        ):
            call(exports)
        told.append(any(b"Three, please." in span.SerializeToString() for span in collector.spans))

    assert told == [False, True]


def test_a_service_may_have_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"OTEL_SERVICE_NAME": "desk-7"}
    with (
        collecting() as collector,
        exported(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **named) as exports,
    ):
        call(exports)

    assert {plain(traced.resource.attributes)["service.name"] for traced in collector.traces} == {"desk-7"}


def test_the_console_exporter_prints_the_spans(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with exported(monkeypatch, OTEL_TRACES_EXPORTER="console") as exports:
        call(exports)

    assert '"name": "invoke_workflow desk"' in capsys.readouterr().out


def test_a_service_that_is_stopped_has_sent_the_spans_of_its_last_call(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "desk.yaml").write_text("model: scripted/hello.yaml\ngreeting: Hello.\n", "utf-8")
    (tmp_path / "hello.yaml").write_text("- expect: response.create\n- say: Hello.\n", "utf-8")
    (tmp_path / "numbers.yaml").write_text("default: desk\n", "utf-8")
    url, token = f"http://127.0.0.1:{free_port()}", "test-token-0123456789abcdef"
    with collecting() as collector:
        environment = os.environ | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "TWILIO_AUTH_TOKEN": token,
            "PORT": url.rpartition(":")[2],
            "CONFIG_DIR": str(tmp_path),
            "DRAIN_S": "0",
        }
        command = [sys.executable, "-m", "gateway", "serve"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as service:
            try:
                assert service.stdout
                assert any(line.startswith("Ready on") for line in service.stdout)
                dial = Dial(public_url=url, auth_token=token)
                report = asyncio.run(place_call(dial, Script(hang_up_after_s=1.5)))
            finally:
                service.send_signal(signal.SIGTERM)
                status = service.wait(30)

    assert (report.errors, status) == ((), 0)
    assert {"call", "invoke_workflow desk", "invoke_agent desk"} <= {span.name for span in collector.spans}


# ---- collectors that fail ----


def test_a_collector_that_cannot_be_reached_hurts_no_call_and_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(telemetry, "FLUSH_TIMEOUT_S", 1.0)
    began = time.monotonic()

    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", "OTEL_EXPORTER_OTLP_TIMEOUT": "2"}
    others = set(threading.enumerate())
    with caplog.at_level(logging.WARNING), exported(monkeypatch, **nowhere) as exports:
        call(exports)

    assert time.monotonic() - began < 30
    lines = [record for record in caplog.records if record.getMessage().startswith("telemetry: ")]
    assert len(lines) == 1
    assert {record.name for record in caplog.records if "xport" in record.getMessage()} <= {"gateway.telemetry"}
    for thread in set(threading.enumerate()) - others:  # they end by themselves, and disturb other tests until then
        thread.join(20)


def test_complaints_of_one_minute_are_one_line_that_counts_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    complaints = telemetry._Complaints(lambda: now[0])
    logger = logging.getLogger("opentelemetry.test")
    complaints.take_over(logger)
    try:
        with caplog.at_level(logging.WARNING):
            for at in (100.0, 110.0, 159.0, 161.0):
                now[0] = at
                logger.error("no route to %s", "there")
    finally:
        complaints.give_back()

    assert [record.getMessage() for record in caplog.records] == [
        "telemetry: no route to there",
        "telemetry: no route to there (2 more since the last such line)",
    ]
