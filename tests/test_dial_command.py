"""`voice-gateway dial` asks a real service, which dials over a simulated network, and tells how it goes."""

import argparse
import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from agents.errors import ConfigError
from channels.carrier import ACCOUNT_SID, Account, Callee, FarParty, Script
from gateway import dial_command
from gateway.dial_command import BROKEN, GOOD
from gateway.on_trial import service_of
from tests.service import free_port
from tests.test_outbound_calls import AGENT, ENVIRONMENT, TALKS, THEM, TOKEN


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(dial_command, "LOOK_S", 0.05)
    monkeypatch.delenv("CALLS_TOKEN", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "agents").mkdir()
    (tmp_path / "rehearsals").mkdir()
    (tmp_path / "agents" / "reminders.yaml").write_text(AGENT)
    (tmp_path / "rehearsals" / "reminder.yaml").write_text(TALKS)
    (tmp_path / "numbers.yaml").write_text("default: reminders\n")
    yield tmp_path


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    dial_command.add_arguments(parser)
    return parser.parse_args(arguments)


def dialled(folder: Path, run: Callable[[str], int], callee: Callee) -> int:
    """What the command returns that is run, in a thread, against a service on loopback."""

    async def served() -> int:
        account = Account(
            sid=ACCOUNT_SID,
            auth_token=ENVIRONMENT["TWILIO_AUTH_TOKEN"],
            public_url=ENVIRONMENT["PUBLIC_URL"],
            callees={THEM: callee},
        )
        port = free_port()
        account.local_url = f"http://127.0.0.1:{port}"
        app = service_of(folder, ENVIRONMENT, account)
        server = uvicorn.Server(
            uvicorn.Config(app, port=port, ws="websockets-sansio", log_config=None, access_log=False)
        )
        serving = asyncio.create_task(server.serve())
        try:
            async with asyncio.timeout(20):
                while not server.started:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                return await asyncio.to_thread(run, f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            await serving

    return asyncio.run(served())


def test_a_call_is_waited_for_to_its_end_and_told_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = (THEM, "--agent", "reminders", "--set", "name=Ann", "--token", TOKEN, "--wait")
    busy = Callee(party=FarParty(does="busy", rings_s=0.3))

    status = dialled(folder, lambda url: dial_command.run(parsed(*wanted, "--url", url)), busy)

    told = capsys.readouterr().out.splitlines()
    assert status == BROKEN
    assert told[0].endswith(": queued")
    assert told[-1].endswith(": busy")


def test_without_waiting_the_call_is_only_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALLS_TOKEN", TOKEN)
    arguments = (THEM, "--agent", "reminders", "--set", "name=Ann", "--key", "k-1", "--json")
    callee = Callee(script=Script(hang_up_after_s=0.5))

    status = dialled(folder, lambda url: dial_command.run(parsed(*arguments, "--url", url)), callee)

    assert status == GOOD
    assert json.loads(capsys.readouterr().out)["state"] == "queued"


def test_what_the_service_refuses_is_said_and_is_a_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = (THEM, "--agent", "nobody", "--token", TOKEN)

    status = dialled(folder, lambda url: dial_command.run(parsed(*wanted, "--url", url)), Callee())

    assert status == BROKEN
    assert "agent 'nobody' places no calls; those that do: reminders" in capsys.readouterr().err


def test_without_a_token_or_a_service_the_cure_is_said() -> None:
    with pytest.raises(ConfigError, match="set CALLS_TOKEN"):
        dial_command.run(parsed(THEM, "--agent", "a", "--url", "http://127.0.0.1:9"))
    with pytest.raises(ConfigError, match="cannot be asked"):
        dial_command.run(parsed(THEM, "--agent", "a", "--url", "http://127.0.0.1:9", "--token", TOKEN))
    with pytest.raises(ConfigError, match="no gateway is running here"):
        dial_command.run(parsed(THEM, "--agent", "a", "--token", TOKEN))


@pytest.mark.parametrize("variable", ["name", "Name=Ann", "=x", "two words=x"])
def test_a_variable_is_a_name_and_a_value(variable: str) -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parsed(THEM, "--agent", "a", "--set", variable)
