"""The fixture `carrier` calls an application in virtual time, or an address in real time."""

import re
import subprocess
import sys
import textwrap
import tomllib
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import pytest

from agents import ConfigError, RealtimeAgent, hang_up, mulaw
from agents.events import ToolCall
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import Say, Step, Wait
from channels.carrier import Account, Network, RestInProcess, Utterance, loop_time, pytest_plugin
from channels.carrier.app_socket import App
from channels.carrier.pytest_plugin import Carrier
from channels.carrier.recording import Tape, write_wav
from channels.carrier.report import CallUpdated
from gateway.app import make_app
from gateway.calls import Calls
from gateway.numbers import Numbers
from gateway.on_trial import service_of
from gateway.rest import rest_of
from gateway.settings import read_settings
from tests.carrier_service import tone

HOUSE = Path(__file__).parent.parent

LONGEST_EXAMPLE_LINES = 15


@pytest.fixture
def telephone() -> Carrier:
    """The fixture's object, whether or not this checkout has been installed with its plugin."""
    return Carrier(ExitStack())


GREETS_AND_TELLS = (Say("Hello there.", audio_ms=800), Wait(5000), Say("We open at nine.", audio_ms=1200))


def app_of(carrier: Carrier, *steps: Step, account: Account | None = None) -> App:
    """The whole service with an agent that greets, and says something five seconds later, or has other `steps`."""
    agents = {
        "shop": RealtimeAgent(name="shop", model=ScriptedModel(steps or GREETS_AND_TELLS), tools=(hang_up,)),
    }
    settings = read_settings(carrier.environment)
    rest = rest_of(settings, http=lambda: RestInProcess(account)) if account else None
    return make_app(settings, agents, Numbers("shop", {}), Calls(agents, 1, clock=loop_time, rest=rest))


def test_an_agent_is_called_and_what_it_said_and_when_is_reported(telephone: Carrier, tmp_path: Path) -> None:
    tape, question = Tape(), tmp_path / "question.wav"
    tape.say(0, mulaw.encode(tone(1000)))
    write_wav(question, tape)

    reports = [telephone.call(app_of(telephone), say=[line]) for line in (tone(1000), question, Utterance(tone(1000)))]

    for report in reports:
        assert report.is_good and report.ended_by == "caller"
        assert report.played_ms == pytest.approx(2000, abs=60)
        assert report.playout_gaps == 0
        assert len(report.turns) == 1 and report.turns[0].reply_ms is not None
    assert reports[0].turns[0].said is None


def test_the_script_and_the_network_are_the_calls(telephone: Carrier) -> None:
    report = telephone.call(app_of(telephone), hang_up_after_s=2.5, digits="5", network=Network(rtt_ms=200))

    assert 2500 <= report.duration_ms <= 2700
    assert report.answer_ms is not None and report.answer_ms >= 600


def test_an_address_is_called_over_the_network(telephone: Carrier) -> None:
    report = telephone.call("http://127.0.0.1:9")

    assert report.errors[0].startswith("cannot reach http://127.0.0.1:9/twilio/voice")


def test_words_without_a_voice_are_refused_with_the_cure(telephone: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hibari", None)
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)

    with pytest.raises(ConfigError, match=r"not installed are hibari and moonshine-voice; .*voice-gateway\[local\]"):
        telephone.call(app_of(telephone), say=["Hello."])


def test_the_package_brings_the_fixture() -> None:
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text("utf-8"))["project"]

    assert import_module(project["entry-points"]["pytest11"]["voice_gateway_carrier"]).carrier


def test_a_caller_who_stays_hears_the_agent_out(telephone: Carrier) -> None:
    report = telephone.call(app_of(telephone), stays=True, hang_up_after_s=60)

    assert (report.ended_by, report.duration_ms) == ("caller", 60_000)
    assert report.played_ms == pytest.approx(2000, abs=60)


def test_an_agent_hangs_up_over_the_api_of_an_account(telephone: Carrier) -> None:
    account = telephone.new_account()
    goodbye = (Say("Goodbye.", 900), ToolCall("r", "c", "hang_up", "{}"), Wait(60_000))
    report = telephone.call(app_of(telephone, *goodbye, account=account), stays=True, account=account)

    assert (report.ended_by, report.errors) == ("agent", ())
    assert [event.what for event in report.carrier_did if isinstance(event, CallUpdated)] == ["hung up: completed"]
    assert account.calls[report.call_sid].status == "completed"


def test_the_service_of_a_configuration_is_called_and_may_use_an_account(telephone: Carrier) -> None:
    account = telephone.new_account()
    app = service_of(HOUSE / "config", telephone.environment, account)
    report = telephone.call(app, account=account, hang_up_after_s=5)

    assert (report.ended_by, report.errors) == ("caller", ())
    assert report.answer_ms is not None


def test_the_service_of_a_wrong_configuration_says_what_is_wrong(telephone: Carrier, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="numbers"):
        service_of(tmp_path, telephone.environment)


def test_the_example_in_the_fixtures_documentation_passes_as_an_operators_own_test(tmp_path: Path) -> None:
    example = textwrap.dedent("\n".join(re.findall(r"^(?: {4}.*|)$", pytest_plugin.__doc__ or "", re.MULTILINE)))
    assert 0 < len([line for line in example.splitlines() if line]) <= LONGEST_EXAMPLE_LINES
    (tmp_path / "test_agent.py").write_text(example)
    loaded = ["-p", "no:voice_gateway_carrier", "-p", "channels.carrier.pytest_plugin", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *loaded, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{example.count('def test_')} passed" in run.stdout
