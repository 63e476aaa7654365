from pathlib import Path

import pytest

from agents.errors import ConfigError
from gateway.configuration import load_configuration


def test_loading_raises_with_every_problem_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "a.yaml").write_text("model: 5\nspeed: x\n")
    (tmp_path / "agents" / "b.yaml").write_text("")
    (tmp_path / "numbers.yaml").write_text("default: c\n")

    with pytest.raises(ConfigError) as caught:
        load_configuration(tmp_path, {})

    places = [(problem.file.name, problem.line) for problem in caught.value.problems]
    assert places == [("a.yaml", 1), ("a.yaml", 2), ("b.yaml", 1), ("numbers.yaml", 1)]
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)


def folder_of(path: Path, **agents: str) -> Path:
    (path / "agents").mkdir()
    for name, text in agents.items():
        (path / "agents" / f"{name}.yaml").write_text(text)
    (path / "numbers.yaml").write_text("default: desk\n")
    return path


OPENAI = "model: openai/gpt-realtime-2.1\n"


def test_agents_that_are_only_handed_over_to_are_made_and_others_are_not(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, desk=OPENAI + "handoffs: [a]\n", a=OPENAI + "handoffs: [b]\n", b=OPENAI + "handoffs: [a]\n", c=OPENAI
    )
    environment = {"OPENAI_API_KEY": "test-key"}

    agents = load_configuration(folder, environment).make_agents(folder, environment)

    assert list(agents) == ["desk", "a", "b"]
    assert agents["a"].handoffs[0].target is agents["b"] and agents["b"].handoffs[0].target is agents["a"]


def test_a_key_that_is_missing_for_an_agent_that_is_only_handed_over_to_is_a_problem(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, desk=OPENAI + "handoffs: [a]\n", a="model: gemini/gemini-3.8-live\n", c="model: deepgram/x\n"
    )

    with pytest.raises(ConfigError) as caught:
        load_configuration(folder, {"OPENAI_API_KEY": "test-key"})

    assert [(problem.file.stem, problem.field) for problem in caught.value.problems] == [("a", "model")]
