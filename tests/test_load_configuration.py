"""The configuration that a load writes is one that the gateway takes."""

from pathlib import Path

import pytest

from gateway.configuration import load_configuration
from gateway.load.configuration import AGENT, write_configuration
from gateway.load.script import Mode


@pytest.mark.parametrize(("mode", "audio"), [("transcode", "pcm16"), ("passthrough", "passthrough")])
def test_the_agent_hears_what_the_script_sends_and_answers_every_number(tmp_path: Path, mode: Mode, audio: str) -> None:
    write_configuration(tmp_path, mode)

    configuration = load_configuration(tmp_path, {"OPENAI_API_KEY": "sk-load"})

    assert configuration.agents[AGENT].audio == audio
    assert configuration.numbers.agent_for("+15550100200") == AGENT


def test_the_instructions_name_the_call(tmp_path: Path) -> None:
    write_configuration(tmp_path, "transcode")

    agent = load_configuration(tmp_path, {"OPENAI_API_KEY": "sk-load"}).agents[AGENT]

    assert "{{ call_id }}" in agent.instructions
    assert agent.keys.to_model
