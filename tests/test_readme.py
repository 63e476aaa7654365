"""README is held to the house: what it names exists, what it shows runs."""

import ast
import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from agents.events import Transcript
from agents.providers.openai import OpenAIModel
from channels.carrier import pytest_plugin
from gateway.cli import main
from tests.fake_openai import Call, CallTools, FakeOpenAI, Speak

README = Path("README.md").read_text("utf-8")


EXAMPLE, PYTEST_EXAMPLE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
"""The program that needs no gateway, and the test that needs no telephone."""


def test_the_python_example_talks_with_a_model_over_the_memory_channel_without_the_gateway() -> None:
    program, run, _ = EXAMPLE.rpartition("asyncio.run(main(")

    async def scene() -> Transcript:
        printed: asyncio.Queue[Transcript] = asyncio.Queue()
        names: dict[str, Any] = {"print": printed.put_nowait}
        exec(compile(program, "README.md", "exec"), names)
        asks = CallTools((Call("opening_hours", '{"day": "Sunday"}'),))
        async with (
            asyncio.timeout(20),
            FakeOpenAI(asks, Speak("On Sunday we are closed.")) as fake,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(names["main"](OpenAIModel("gpt-realtime-2.1", api_key=fake.key, base_url=fake.url)))
            said = await printed.get()
            await fake.close()
        results = [created["item"].get("output") for created in fake.sessions[0].messages("conversation.item.create")]
        assert results == [None, "closed"]
        assert fake.violations == []
        return said

    said = asyncio.run(scene())

    assert (said.role, said.text) == ("assistant", "On Sunday we are closed.")
    assert run and "MemoryChannel()" in program and "gateway" not in EXAMPLE


def test_the_python_example_has_ten_lines_beside_imports_and_what_the_model_reads_of_its_tool() -> None:
    program = ast.parse(EXAMPLE)
    lines = [line for line in EXAMPLE.splitlines() if line and not line.startswith(("import ", "from "))]
    docstrings = [node for node in program.body if isinstance(node, ast.FunctionDef) and ast.get_docstring(node)]

    assert len(lines) - len(docstrings) <= 10


def test_the_pytest_example_is_the_one_that_the_fixtures_own_test_runs() -> None:
    shown = [line for line in PYTEST_EXAMPLE.splitlines() if line]
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
