"""`make run` finds its settings on its command line, in the shell's environment and in `.env`, in that order."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parent.parent / "Makefile"

SHOW = """#!/bin/sh
printf 'command=%s\\n' "$*"
printf 'PORT=%s\\nAGENTS=%s\\nHOURS=%s\\n' "${PORT-unset}" "${AGENTS-unset}" "${HOURS-unset}"
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder that is installed already, with a `voice-gateway` that shows what it was given."""
    command = tmp_path / ".venv" / "bin" / "voice-gateway"
    command.parent.mkdir(parents=True)
    command.write_text(SHOW)
    command.chmod(0o755)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def given(house: Path, *arguments: str, **environment: str) -> dict[str, str]:
    """What `make` with these arguments gave to the command."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    made = subprocess.run(
        ["make", "--no-print-directory", "-f", str(MAKEFILE), *arguments],
        cwd=house,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in made.stdout.splitlines() if "=" in line)


def test_without_anything_the_command_chooses_the_port_itself(house: Path) -> None:
    shown = given(house, "run")

    assert (shown["command"], shown["PORT"]) == ("serve", "unset")


def test_the_env_file_says_the_port(house: Path) -> None:
    (house / ".env").write_text("PORT=5050\n")

    assert given(house, "run")["PORT"] == "5050"


def test_the_shell_wins_over_the_env_file(house: Path) -> None:
    (house / ".env").write_text("PORT=5050\nHOURS='from .env'\n")

    shown = given(house, "run", PORT="6060", AGENTS='it\'s "mine" #1')

    assert (shown["PORT"], shown["HOURS"], shown["AGENTS"]) == ("6060", "from .env", 'it\'s "mine" #1')


def test_makes_own_command_line_wins_over_all(house: Path) -> None:
    (house / ".env").write_text("PORT=5050\n")

    assert given(house, "run", "PORT=9000", PORT="6060")["PORT"] == "9000"


def test_values_hold_spaces_and_signs(house: Path) -> None:
    (house / ".env").write_text(
        """# A comment\nAGENTS="a 'b' #c $PORT"  # and another\nHOURS='nine "to" five = $8'\n# PORT=1\n"""
    )

    shown = given(house, "run", PORT="7")

    assert (shown["AGENTS"], shown["HOURS"], shown["PORT"]) == ("a 'b' #c 7", 'nine "to" five = $8', "7")


def test_the_check_sees_the_same_environment(house: Path) -> None:
    (house / ".env").write_text("PORT=abc\n")

    shown = given(house, "check")

    assert (shown["command"], shown["PORT"]) == ("check", "abc")
