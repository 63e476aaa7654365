"""The picture of a load is drawn, whatever was found."""

from pathlib import Path

import pytest

from agents.errors import ConfigError
from gateway.load.picture import draw
from tests.load_steps import measured
from tests.test_load_report import of_steps, report, swept


def test_a_sweep_of_gateway_and_floor_is_drawn(tmp_path: Path) -> None:
    draw(report(swept()), tmp_path / "load.png")

    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "load.png").stat().st_size > 20_000


def test_one_step_without_any_latency_is_drawn(tmp_path: Path) -> None:
    draw(report(of_steps(measured(10, 0.0))), tmp_path / "load.png")

    assert (tmp_path / "load.png").stat().st_size > 10_000


def test_a_picture_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="could not be written"):
        draw(report(swept()), tmp_path / "none" / "load.png")
