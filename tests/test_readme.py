"""README is held to the house: what it names exists, what it shows compiles."""

import re
from pathlib import Path

import pytest

from channels.carrier import pytest_plugin
from gateway.cli import main

README = Path("README.md").read_text("utf-8")


def test_the_python_example_runs_up_to_its_main() -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert example is not None
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(example[1], "README.md", "exec"), names)
    assert callable(names["main"])


def test_the_pytest_example_is_the_one_that_the_fixtures_own_test_runs() -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shown = [line for line in examples[1].splitlines() if line]
    documented = [line[4:] for line in (pytest_plugin.__doc__ or "").splitlines() if line.startswith("    ")]

    assert shown == documented


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:agents|channels|gateway|config|tests)/[\w/.-]*)`", README)))
)
def test_every_file_it_names_exists(path: str) -> None:
    assert Path(path).exists()


@pytest.mark.parametrize("picture", re.findall(r"!\[[^]]+\]\(([^)]+)\)", README))
def test_every_picture_it_shows_is_there(picture: str) -> None:
    assert Path(picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\(`(\w+\.py)`\)|`(\w+\.py)`", README))))
def test_every_module_it_names_exists(name: tuple[str, str]) -> None:
    assert list(Path().glob(f"[acg]*/**/{name[0] or name[1]}"))


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make (\w+)", README))))
def test_every_make_target_it_names_exists(target: str) -> None:
    assert re.search(rf"^{target}:", Path("Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"voice-gateway (\w+)", README))))
def test_every_command_it_names_exists(command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
