import json
import subprocess
import sys
from pathlib import Path

import pytest

from agents.schema import AgentSpec
from gateway.cli import main

GOOD = """model: scripted/steps.yaml
greeting: Hello.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration without problems."""
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "hello.yaml").write_text(GOOD)
    (tmp_path / "steps.yaml").write_text("- say: Hello.\n")
    (tmp_path / "numbers.yaml").write_text('default: hello\nnumbers:\n  "+15550100200": hello\n')
    return tmp_path


@pytest.mark.parametrize("command", ["", "serve", "check", "call", "agents", "schema"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*([command] if command else []), "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_python_dash_m_gateway_is_the_same_command() -> None:
    shown = subprocess.run([sys.executable, "-m", "gateway", "--help"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("usage: voice-gateway")


def test_a_command_that_does_not_exist_is_misuse() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sing"])
    assert ended.value.code == 2


def test_check_of_the_shipped_configuration_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", "config"]) == 0
    assert "reception" in capsys.readouterr().out


def test_check_prints_every_problem_of_every_file_and_exits_with_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "agents" / "hello.yaml").write_text(GOOD + "greting: Hi.\nspeed: 9\n")
    (folder / "agents" / "cloud.yaml").write_text("model: nowhere/gpt\n")
    (folder / "numbers.yaml").write_text("default: helo\n")
    assert main(["check", "--config", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"{folder}/agents/cloud.yaml:1: model:" in lines[0]
    assert f"{folder}/agents/hello.yaml:3: greting: found greting; no such field; did you mean greeting" in lines[1]
    assert f"{folder}/agents/hello.yaml:4: speed: found 9; must be a number from 0.25 to 1.5" in lines[2]
    assert f"{folder}/numbers.yaml:1: default:" in lines[3]
    assert lines[4] == f"4 problems in {folder}"


def test_a_missing_key_is_a_problem_only_of_an_agent_that_answers(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (folder / "agents" / "cloud.yaml").write_text("model: openai/gpt-realtime-2.1\n")
    assert main(["check", "--config", str(folder)]) == 0
    (folder / "numbers.yaml").write_text("default: cloud\n")
    assert main(["check", "--config", str(folder)]) == 1
    assert "OPENAI_API_KEY" in capsys.readouterr().out
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    assert main(["check", "--config", str(folder)]) == 0


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [("PORT", "abc"), ("TWILIO_ACCOUNT_SID", "bad"), ("SPEECH_WORKERS", "abc"), ("PUBLIC_URL", "http://example.com")],
)
def test_check_finds_the_wrong_variable_that_serve_refuses(
    folder: Path, variable: str, wrong: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "test-token")
    monkeypatch.setenv(variable, wrong)
    assert main(["check", "--config", str(folder)]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"environment: {variable}: ")
    assert shown[1:] == ["1 problem in the environment"]
    assert main(["serve", "--config", str(folder)]) == 2
    assert variable in capsys.readouterr().err


def test_check_counts_the_wrong_variables_and_the_problems_of_the_files(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "abc")
    monkeypatch.setenv("MAX_CALLS", "0")
    (folder / "agents" / "hello.yaml").write_text(GOOD + "speed: 9\n")
    assert main(["check", "--config", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:2]] == ["environment"] * 2
    assert lines[-1] == f"3 problems in the environment and {folder}"


def test_check_needs_no_token_for_a_service_of_this_machine_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("TWILIO_AUTH_TOKEN", "PUBLIC_URL", "HOST"):
        monkeypatch.delenv(variable, raising=False)
    assert main(["check", "--config", str(folder)]) == 0
    monkeypatch.setenv("HOST", "0.0.0.0")
    assert main(["check", "--config", str(folder)]) == 1


@pytest.mark.parametrize(
    ("broken", "said"),
    [("agents/hello.yaml", "hello.yaml:1"), ("numbers.yaml", "numbers.yaml:1")],
)
def test_serve_refuses_to_start_on_any_problem(
    folder: Path, broken: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("PUBLIC_URL", raising=False)
    (folder / broken).write_text("nonsense: 1\n")
    assert main(["serve", "--config", str(folder), "--port", "8232"]) == 2
    assert said in capsys.readouterr().err


def test_serve_refuses_a_public_address_without_a_token(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    assert main(["serve", "--config", str(folder), "--host", "0.0.0.0"]) == 2
    assert "TWILIO_AUTH_TOKEN" in capsys.readouterr().err


def test_agents_lists_who_answers_which_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agents", "--config", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "hello: scripted/steps.yaml; answers +15550100200, every other number",
        "    Hello.",
    ]


def test_schema_prints_the_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == AgentSpec.model_json_schema()
    assert main(["schema", "--numbers"]) == 0
    assert "numbers" in json.loads(capsys.readouterr().out)["properties"]
