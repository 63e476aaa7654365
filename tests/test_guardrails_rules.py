"""What an operator writes of guardrails holds in the call, or is a problem that the check finds."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from agents import ConfigError, Guardrail, GuardrailContext
from agents.assemble import make_agent
from agents.errors import Problem
from agents.guardrails.contract import CHECK_TIMEOUT_S
from agents.guardrails.rules import make_guardrail
from agents.guardrails.spec import GuardrailSpec
from agents.loader import check_agents
from gateway.configuration import check_configuration

JUDGED = """
model: openai/gpt-realtime-2.1
guardrails:
  - name: topics
    judge: {url: "http://127.0.0.1:9/v1", model: m, api_key_env: JUDGE_API_KEY, topics: [politics]}
"""


def polite(text: str) -> str | None:
    return "rude" if "fool" in text else None


def context(*, is_complete: bool = True) -> GuardrailContext:
    return GuardrailContext(session=cast(Any, None), stage="output", is_complete=is_complete)


def objection(guardrail: Guardrail, text: str, *, is_complete: bool = True) -> str | None:
    async def ask() -> str | None:
        said = guardrail.check(text, context(is_complete=is_complete))
        return said if said is None or isinstance(said, str) else await said

    return asyncio.run(ask())


def problems_of(folder: Path, text: str) -> list[Problem]:
    (folder / "agents").mkdir()
    (folder / "agents" / "desk.yaml").write_text("model: openai/gpt-realtime-2.1\n" + text)
    return check_agents(folder)[1]


@pytest.mark.parametrize(
    ("rule", "bad", "good", "detail"),
    [
        ({"words": ("promise",)}, "I promise.", "I promised.", "there is 'promise' in it"),
        ({"patterns": (r"\d{4}",)}, "call 4711", "call 471", r"there is '\\d{4}' in it"),
        ({"max_chars": 5}, "123456", "12345", "it has more than 5 characters"),
        ({"function": f"{__name__}.polite"}, "you fool", "dear friend", "rude"),
    ],
)
def test_each_kind_of_rule_says_why_it_objects(rule: dict[str, Any], bad: str, good: str, detail: str) -> None:
    guardrail = make_guardrail(GuardrailSpec(name="g", **rule), {})

    assert objection(guardrail, bad) == detail
    assert objection(guardrail, good) is None


def test_words_and_patterns_wait_for_the_end_of_the_last_word() -> None:
    for rule in ({"words": ("promise",)}, {"patterns": ("promise",)}):
        guardrail = make_guardrail(GuardrailSpec(name="g", **cast(Any, rule)), {})

        assert objection(guardrail, "I promise", is_complete=False) is None
        assert objection(guardrail, "I promise ", is_complete=False) is not None


def test_every_field_of_the_file_reaches_the_guardrail() -> None:
    judge: Any = {
        "url": "http://127.0.0.1:9",
        "model": "m",
        "topics": ("politics",),
        "timeout_s": 2,
        "api_key_env": "K",
    }
    spec = GuardrailSpec(
        name="g", stages=("input", "tool_call"), tools=("book",), judge=judge, hint="Say no.", fails="closed"
    )

    guardrail = make_guardrail(spec, {"K": "secret-of-the-judge"})

    assert (guardrail.name, guardrail.stages, guardrail.tools) == (
        "g",
        frozenset({"input", "tool_call"}),
        frozenset({"book"}),
    )
    assert (guardrail.hint, guardrail.fails, guardrail.timeout_s) == ("Say no.", "closed", 2)
    assert "secret" not in repr(guardrail)
    assert make_guardrail(GuardrailSpec(name="g", max_chars=1), {}).timeout_s == CHECK_TIMEOUT_S


def test_an_agents_file_makes_its_guardrails_and_says_how_often_they_look(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "guardrails: [{name: short, max_chars: 600}]\nguardrail_every_chars: 250\n") == []

    agent = make_agent("desk", check_agents(tmp_path)[0]["desk"], tmp_path, {"OPENAI_API_KEY": "k"})

    assert [guardrail.name for guardrail in agent.guardrails] == ["short"]
    assert agent.guardrail_settings.debounce_text_length == 250


@pytest.mark.parametrize(
    ("text", "line", "field", "right"),
    [
        ("guardrail_every_chars: 0\n", 2, "guardrail_every_chars", "must be above 0, or -1"),
        ("guardrail_every_chars: -2\n", 2, "guardrail_every_chars", "from -1"),
        ("guardrails:\n  - {name: g}\n", 3, "guardrails[0]", "give one of words"),
        ("guardrails:\n  - {name: g, words: [a], max_chars: 3}\n", 3, "guardrails[0]", "checks one thing"),
        ("guardrails:\n  - {name: g, words: ['!']}\n", 3, "guardrails[0].words", "a letter or a digit"),
        ("guardrails:\n  - {name: g, patterns: ['(a']}\n", 3, "guardrails[0].patterns", "unclosed group"),
        ("guardrails:\n  - {name: g, patterns: ['a(?=b)']}\n", 3, "guardrails[0].patterns", "look-around"),
        ("guardrails:\n  - {name: g, words: [a], tools: [book]}\n", 3, "guardrails[0]", "add a stage"),
        (
            "tools: [hang_up]\nguardrails:\n  - {name: g, words: [a], stages: [tool_call], tools: [hangup]}\n",
            4,
            "guardrails[0].tools[0]",
            "did you mean hang_up?",
        ),
        (
            "guardrails:\n  - {name: g, words: [a], stages: [tool_call], tools: [hang_up]}\n",
            3,
            "guardrails[0].tools[0]",
            "the agent has no tools",
        ),
        ("guardrails:\n  - {name: g, function: no.such}\n", 3, "guardrails[0].function", "can be imported"),
        (
            "guardrails:\n  - {name: g, words: [a]}\n  - {name: g, words: [b]}\n",
            4,
            "guardrails[1].name",
            "may stand once",
        ),
        (
            "transcription: null\nguardrails:\n  - {name: g, words: [a], stages: [output, input]}\n",
            4,
            "guardrails[0].stages",
            "is not written down",
        ),
    ],
)
def test_a_guardrail_that_could_never_hold_is_a_problem_at_its_line(
    tmp_path: Path, text: str, line: int, field: str, right: str
) -> None:
    [problem] = problems_of(tmp_path, text)

    assert (problem.line, problem.field) == (line, field)
    assert right in problem.right


def test_a_judges_missing_key_is_a_problem_for_an_agent_that_answers(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "desk.yaml").write_text(JUDGED)
    (tmp_path / "numbers.yaml").write_text("default: desk\n")
    environment = {"OPENAI_API_KEY": "k"}

    _, problems = check_configuration(tmp_path, environment)
    fine, none = check_configuration(tmp_path, {**environment, "JUDGE_API_KEY": "j"})

    assert [(p.field, p.found) for p in problems] == [("guardrails", "no JUDGE_API_KEY in the environment")]
    assert (fine is not None, none) == (True, [])


def test_a_judge_without_its_key_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "desk.yaml").write_text(JUDGED)

    with pytest.raises(ConfigError, match="JUDGE_API_KEY"):
        make_agent("desk", check_agents(tmp_path)[0]["desk"], tmp_path, {"OPENAI_API_KEY": "k", "JUDGE_API_KEY": " "})
