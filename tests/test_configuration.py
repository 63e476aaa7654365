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
