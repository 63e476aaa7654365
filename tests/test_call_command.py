import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from starlette.websockets import WebSocket

from agents import mulaw
from channels.carrier.recording import Tape, write_wav
from gateway import call_command, run_file
from gateway.call_command import SayLine, WavLine
from tests.carrier_service import PUBLIC_URL, TOKEN, FakeService, MediaDoor, ToneAgent, says, serving, tone

Arguments = Callable[[str], list[str]]


@pytest.fixture(autouse=True)
def nothing_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No service of the machine is found, no token of its environment used, no recording left in the tree."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("TWILIO_ACCOUNT_SID", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """A recording of 200 ms of tone."""
    tape = Tape()
    tape.say(0, mulaw.encode(tone(200)))
    path = tmp_path / "hello.wav"
    write_wav(path, tape)
    return path


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    call_command.add_arguments(parser)
    return parser.parse_args(arguments)


def command(media: MediaDoor, arguments: Arguments, **twiml: str) -> int:
    """Runs the command, in its own thread and loop, against a fake service; `arguments` are made from its address."""

    async def run() -> int:
        async with serving(media, **twiml) as service:
            return await asyncio.to_thread(call_command.run, parsed(*arguments(service.url)))

    return asyncio.run(run())


def to(url: str, *more: str | Path) -> list[str]:
    """The arguments of a call to a fake service without ears."""
    always = ["--url", url, "--public-url", PUBLIC_URL, "--auth-token", TOKEN, "--no-transcribe", "--wait-s", "0.3"]
    return [*always, *map(str, more)]


def test_a_good_call_prints_one_json_object_and_exits_with_0(
    wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = command(
        ToneAgent(hangs_up_after=1), lambda url: to(url, "--wav", wav, "--json", "--output", tmp_path / "out.wav")
    )

    report = json.loads(capsys.readouterr().out)
    assert status == 0
    assert report["answer_ms"] > 0 and report["turns"][0]["reply_ms"] > 0
    assert report["turns"] == [{"said": None, "reply_ms": report["turns"][0]["reply_ms"], "heard": None}]
    assert (report["greeting"], report["ended_by"], report["errors"]) == (None, "agent", [])
    assert (report["marks"], report["clears"], report["frames_received"]) == (2, 1, 20)
    assert report["recording"] == str(tmp_path / "out.wav") and (tmp_path / "out.wav").stat().st_size > 1000


def test_a_caller_far_away_waits_for_the_network_too(wav: Path, capsys: pytest.CaptureFixture[str]) -> None:
    far = ["--rtt-ms", "150", "--jitter-ms", "10", "--json", "--output", "out.wav"]
    status = command(ToneAgent(hangs_up_after=1), lambda url: to(url, "--wav", wav, *far))

    report = json.loads(capsys.readouterr().out)
    assert status == 0
    # A round trip each for the webhook, the socket and the first audio; the reply comes after one, and five frames.
    assert report["answer_ms"] >= 3 * 150
    assert report["turns"][0]["reply_ms"] >= 150 + 80
    assert report["errors"] == []


def test_the_conversation_is_printed_with_its_times_and_a_summary(
    wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = command(ToneAgent(hangs_up_after=1), lambda url: to(url, "--wav", wav))

    out = capsys.readouterr().out
    told = [line.split(" s  ", 1)[1] for line in out.split("\n\n")[0].splitlines()]
    assert status == 0
    assert told == [
        "the line is open",
        "agent starts speaking",
        "agent stops speaking",
        "caller: (a recording)",
        "agent starts speaking",
        "agent stops speaking",
        "the agent ended the call",
    ]
    assert "answered        0." in out and "1. agent        0." in out and "playout gaps    none" in out
    assert len(list((tmp_path / "recordings").glob("call-*.wav"))) == 1


def test_simultaneous_calls_are_summed_up(wav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = command(_each_call_its_own, lambda url: to(url, "--wav", wav, "--calls", "3", "--output", "all.wav"))

    out = capsys.readouterr().out
    assert status == 0
    assert "3 placed, 3 good" in out and "replies         median 0." in out and "agent 3" in out
    assert sorted(path.name for path in tmp_path.glob("all-*.wav")) == ["all-1.wav", "all-2.wav", "all-3.wav"]


async def _each_call_its_own(websocket: WebSocket) -> None:
    await ToneAgent(hangs_up_after=1)(websocket)


@pytest.mark.parametrize(
    ("media", "voice", "complaint"),
    [
        (says(["{}"]), None, "ERROR           protocol: "),
        (ToneAgent(), "<Response><Say>We are closed.</Say></Response>", "carrier said    We are closed."),
        (ToneAgent(), '<Response><Reject reason="busy"/></Response>', "the call was turned away"),
    ],
)
def test_a_call_without_sound_or_with_an_error_exits_with_1(
    wav: Path, capsys: pytest.CaptureFixture[str], media: MediaDoor, voice: str | None, complaint: str
) -> None:
    twiml = {} if voice is None else {"voice": voice}
    status = command(media, lambda url: to(url, "--wav", wav, "--hang-up-after-s", "0.5"), **twiml)

    assert status == 1
    assert complaint in capsys.readouterr().out


def test_a_service_that_is_not_there_exits_with_1_and_says_so(wav: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = call_command.run(parsed(*to("http://127.0.0.1:9", "--wav", str(wav))))

    assert status == 1
    assert "cannot reach http://127.0.0.1:9/twilio/voice" in capsys.readouterr().out


def test_the_service_that_runs_here_is_found_by_its_run_file(wav: Path) -> None:
    async def run() -> FakeService:
        async with serving(ToneAgent()) as service:
            running = run_file.RunFile(
                url=service.url, public_url=PUBLIC_URL, account_sid="AC" + "9" * 32, auth_token=TOKEN
            )
            with run_file.shared(8080, running):
                arguments = parsed("--wav", str(wav), "--no-transcribe", "--hang-up-after-s", "0.3")
                await asyncio.to_thread(call_command.run, arguments)
        return service

    service = asyncio.run(run())

    assert service.refused == []
    assert service.forms("/twilio/voice")[0]["AccountSid"] == "AC" + "9" * 32


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "start one with `make run`"),
        (["--url", "http://127.0.0.1:9"], "TWILIO_AUTH_TOKEN"),
        (["--url", "127.0.0.1:9", "--auth-token", "x"], "an address like"),
        (["--url", "http://[::1", "--auth-token", "x"], "--url: found 'http://[::1'; an address like"),
        (["--url", "http://127.0.0.1:99999", "--auth-token", "x"], "an address like"),
        (["--url", "http://h:9", "--public-url", "http://[::1", "--auth-token", "x"], "--public-url: found"),
        (["--url", "http://127.0.0.1:9", "--auth-token", "x", "--wav", "missing.wav"], "missing.wav"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_would_be_right(
    capsys: pytest.CaptureFixture[str], arguments: Sequence[str], complaint: str
) -> None:
    assert call_command.run(parsed("--no-transcribe", *arguments)) == 2
    captured = capsys.readouterr()
    assert complaint in captured.err and captured.out == ""


def test_say_without_a_voice_installed_is_refused_with_the_cure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hibari", None)

    status = call_command.run(parsed("--url", "http://127.0.0.1:9", "--auth-token", "x", "--say", "Hello."))

    assert status == 2
    err = capsys.readouterr().err
    assert "not installed are hibari" in err
    assert "pip install 'voice-gateway[local]'" in err


def test_lines_are_said_in_the_order_of_the_command_line() -> None:
    arguments = parsed("--say", "one", "--wav", "two.wav", "--say", "three")

    assert arguments.lines == [SayLine("one"), WavLine(Path("two.wav")), SayLine("three")]


@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("--dtmf", "12E", "0-9 * # A-D"),
        ("--calls", "0", "a whole number of calls from 1 to 500"),
        ("--calls", "x", "a whole number of calls from 1 to 500"),
        ("--interrupt-ms", "-1", "a whole number of milliseconds from 0 to 14400000"),
        ("--rtt-ms", "-1", "a whole number of milliseconds from 0 to 10000"),
        ("--rtt-ms", "80ms", "a whole number of milliseconds from 0 to 10000"),
        ("--rtt-ms", "10001", "a whole number of milliseconds from 0 to 10000"),
        ("--jitter-ms", "x", "a whole number of milliseconds from 0 to 10000"),
        ("--jitter-ms", "9" * 5000, "a whole number of milliseconds from 0 to 10000"),
        ("--wait-s", "nan", "a number of seconds from 0 to 14400"),
        ("--wait-s", "soon", "a number of seconds from 0 to 14400"),
        ("--hang-up-after-s", "1e9", "a number of seconds from 0 to 14400"),
    ],
)
def test_options_that_mean_nothing_are_refused_with_what_would_be_right(option: str, value: str, right: str) -> None:
    with pytest.raises(argparse.ArgumentError) as refused:
        parsed(f"{option}={value}")
    assert refused.value.argument_name == option
    assert right in str(refused.value)


def test_a_caller_who_stays_leaves_the_end_to_the_agent(wav: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = command(ToneAgent(), lambda url: to(url, "--wav", wav, "--stay", "--hang-up-after-s", "3.5", "--json"))

    report = json.loads(capsys.readouterr().out)
    assert (status, report["ended_by"], report["errors"]) == (0, "caller", [])
    assert report["duration_ms"] >= 3500
