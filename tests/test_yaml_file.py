from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.errors import Problem
from agents.schema import AgentSpec
from agents.yaml_document import MAX_BYTES, MAX_DEPTH, MAX_VALUES, parse
from agents.yaml_file import read

GOOD = """\
model: local/script
greeting: Hello.
variables:
  hours: nine to five
script:
  intents:
    - name: hours
      examples: [when are you open]
      answer: We are open {{ hours }}.
"""

Read = Callable[[str], list[Problem]]


@pytest.fixture
def problems_of(tmp_path: Path) -> Read:
    def problems_of(text: str) -> list[Problem]:
        file = tmp_path / "agent.yaml"
        file.write_text(text, encoding="utf-8")
        spec, problems = read(file, AgentSpec)
        assert (spec is None) == bool(problems)
        return problems

    return problems_of


def places(problems: list[Problem]) -> list[tuple[int | None, str, str, str]]:
    return [(problem.line, problem.field, problem.found, problem.right) for problem in problems]


def test_a_good_file_becomes_a_spec(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(GOOD)

    spec, problems = read(file, AgentSpec)

    assert problems == []
    assert spec and spec.script and spec.script.intents[0].examples == ("when are you open",)


def test_a_byte_order_mark_and_windows_line_ends_are_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())

    assert read(file, AgentSpec)[1] == []


def test_every_mistake_is_reported_at_its_line_with_its_cure(problems_of: Read) -> None:
    problems = problems_of(
        "model: local\n"
        "greting: Hello.\n"
        "speed: fast\n"
        "max_duration_s: 1.5\n"
        "tool_timeout_s: 0\n"
        "turn_detection:\n"
        "  mode: loud\n"
        "  threshold: 3\n"
        "transcription: no\n"
        "tools: hang_up\n"
        "brain:\n"
        "  url: http://127.0.0.1\n"
    )

    model = "provider/model: local/script, local/chat, openai/gpt-realtime-2.1, scripted/<file of events>"
    assert places(problems) == [
        (1, "model", "'local'", rf"should be: {model} (pattern ^[a-z][a-z0-9_-]*/\S+$)"),
        (2, "greting", "greting", "no such field; did you mean greeting?"),
        (3, "speed", "'fast'", "must be a number from 0.25 to 1.5, or null"),
        (4, "max_duration_s", "1.5", "must be a whole number from 1 to 14400"),
        (5, "tool_timeout_s", "0", "must be a number above 0, at most 300"),
        (7, "turn_detection.mode", "'loud'", "must be server_vad, semantic_vad or manual"),
        (8, "turn_detection.threshold", "3", "must be a number from 0 to 1, or null"),
        (9, "transcription", "'no'", "must be a block with model, language, prompt, or null"),
        (10, "tools", "'hang_up'", "must be a list, each text"),
        (11, "brain.model", "nothing", "must be given: The model's name at that endpoint."),
    ]


def test_a_message_reads_as_one_line_with_file_line_field_found_and_right(problems_of: Read) -> None:
    [problem] = problems_of("model: a/b\nspeed: 9\n")

    assert str(problem).endswith("agent.yaml:2: speed: found 9; must be a number from 0.25 to 1.5, or null")


def test_an_unknown_field_with_no_like_name_gets_the_list_of_fields(problems_of: Read) -> None:
    [problem] = problems_of("model: a/b\nturn_detection:\n  zzz: 1\n")

    assert (problem.line, problem.field) == (3, "turn_detection.zzz")
    assert problem.right == (
        "no such field; there is mode, threshold, silence_duration_ms, prefix_padding_ms, eagerness, "
        "idle_timeout_ms and interrupt_response"
    )


INTENT = "model: local/script\nscript:\n  intents:\n    - name: a\n      examples: [x]\n      answer: "
TEXT = "text of 1 to 1000 characters"
TEXTS = f"{TEXT}, or a list of one or more, each {TEXT}"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("{a: b}", (6, "script.intents[0].answer", "a block with a", f"must be {TEXTS}")),
        ('""', (6, "script.intents[0].answer", "''", f"must be {TEXTS}")),
        ('[yes, ""]', (6, "script.intents[0].answer[1]", "''", f"must be {TEXT}")),
        ("\n        - yes\n        - [b]\n", (8, "script.intents[0].answer[1]", "a list of 1", f"must be {TEXT}")),
        ("5", (6, "script.intents[0].answer", "5", f'must be {TEXTS}; to make it text put it in quotes: "5"')),
    ],
)  # fmt: skip
def test_a_wrong_union_is_reported_once(problems_of: Read, answer: str, expected: tuple[int, str, str, str]) -> None:
    assert places(problems_of(INTENT + answer)) == [expected]


def test_a_list_is_not_called_empty_because_its_entries_are_wrong(problems_of: Read) -> None:
    problems = problems_of(INTENT + "yes\n      action: [hang_up]\n    - 5\n")

    assert places(problems) == [
        (7, "script.intents[0].action", "a list of 1", "must be text, or null"),
        (8, "script.intents[1]", "5", "must be a block with name, examples, answer, action, arguments, result"),
    ]


def test_the_schemas_own_rules_are_told_in_its_words(problems_of: Read) -> None:
    [problem] = problems_of("model: a/b\ntools:\n  - hang_up\n  - hang_up\n")

    assert (problem.line, problem.field) == (2, "tools")
    assert problem.right == "each tool may be named once; twice: hang_up"


def test_a_value_that_yaml_takes_for_a_number_is_shown_as_written(problems_of: Read) -> None:
    [problem] = problems_of("model: a/b\nvariables:\n  postcode: 01234\n")

    assert problem.found == "01234"
    assert problem.right == 'must be text; to make it text put it in quotes: "01234"'


def test_an_empty_value_is_nothing(problems_of: Read) -> None:
    assert places(problems_of("model: a/b\ninstructions:\n")) == [(2, "instructions", "nothing", "must be text")]


def test_dates_yes_and_infinity_are_text(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("model: a/b\nvariables: {since: 2020-01-01, open: yes, most: .inf, lunch: 12:30}\n")

    spec, _ = read(file, AgentSpec)

    assert spec and spec.variables == {"since": "2020-01-01", "open": "yes", "most": ".inf", "lunch": "12:30"}


def test_an_alias_repeats_a_value(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("model: a/b\ngreeting: &hello Hello.\ninstructions: *hello\n")

    spec, _ = read(file, AgentSpec)

    assert spec and spec.instructions == "Hello."


def test_a_mistake_in_an_aliased_block_is_reported_where_it_is_written(problems_of: Read) -> None:
    problems = problems_of(
        "model: local/script\n"
        "script:\n"
        "  intents:\n"
        "    - {name: a, examples: [x], answer: &wrong [\n"
        "        5]}\n"
        "    - {name: b, examples: [x], answer: *wrong}\n"
    )

    assert [(p.line, p.field) for p in problems] == [
        (5, "script.intents[0].answer[0]"),
        (5, "script.intents[1].answer[0]"),
    ]


def test_a_problem_in_a_block_that_is_missing_stands_at_the_line_around_it(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("voice: x\nmodel: local/chat\nbrain:\n  url: http://127.0.0.1\n")
    document, _ = parse(file)
    assert document

    absent_block = document.problem(("transcription", "model"), "right")
    absent_field = document.problem(("brain", "model"), "right")

    assert [(p.line, p.field, p.found) for p in (absent_block, absent_field)] == [
        (1, "transcription.model", "nothing"),
        (3, "brain.model", "nothing"),
    ]


# ---- secrets ----


@pytest.mark.parametrize(
    "line",
    ["api_key: sk-proj-4242424242424242", "api_key_env: sk-proj-4242424242424242", "model: [sk-proj-4242424242424242]"],
)
def test_what_looks_like_a_key_is_not_repeated(problems_of: Read, line: str) -> None:
    problems = problems_of(f"model: local/chat\nbrain:\n  url: http://127.0.0.1\n  {line}\n")

    assert problems
    assert "4242" not in "\n".join(map(str, problems))


def test_long_values_are_cut(problems_of: Read) -> None:
    [problem] = problems_of(f"model: a/b\nspeed: {'very fast ' * 50}\n")

    assert len(problem.found) == 62
    assert problem.found.endswith("…'")


# ---- broken files ----


@pytest.mark.parametrize(
    ("text", "line", "found", "right"),
    [
        ("", 1, "no fields", "`name: value`"),
        ("# nothing\n\n", 3, "no fields", "`name: value`"),
        ("- a\n- b\n", 1, "no fields", "`name: value`"),
        ("just words\n", 1, "no fields", "`name: value`"),
        ("model: a/b\n---\nmodel: c/d\n", 2, "a second document", "one file"),
        ("model: a/b\ngreeting: Hi\nmodel: c/d\n", 3, "the same name again", "already at line 1"),
        ("model: a/b\n\tgreeting: Hi\n", 2, r"'\t'", "spaces"),
        ("model: a/b\ngreeting: Hi: you\n", 2, "mapping values", "colon in quotes"),
        ("model: a/b\ngreeting: @home\n", 2, "'@'", "begins with a sign"),
        ("model: a/b\ngreeting: {{ name }} here\n", 2, "where a name belongs", "in quotes"),
        ("model: a/b\ngreeting: {{ name }}\n", 2, "where a name belongs", "in quotes"),
        ("model: a/b\ngreeting: 'Hi\n", 3, "broken YAML", "quotes"),
        ("model: a/b\ngreeting: *hello\n", 2, "*hello", "no &hello"),
        ("model: a/b\nprovider_options: &a [*a]\n", 2, "*a", "no &a"),
        ("model: !!python/name:os.system x\n", 1, "the tag", "remove the tag"),
        ('model: "\\ud800"\n', 1, "half of a character", "the character itself"),
        ("model: a/b\ngreeting: \x07\n", 2, "a character YAML forbids", "delete"),
        ("model: a/b\n5: x\n", 2, "5", 'put the number in quotes: "5"'),
        ("model: a/b\ntrue: x\n", 2, "true", 'put the name in quotes: "true"'),
    ],
)
def test_a_broken_file_is_one_problem_with_its_line(
    problems_of: Read, text: str, line: int, found: str, right: str
) -> None:
    [problem] = problems_of(text)

    assert problem.line == line
    assert found in problem.found
    assert right in problem.right


def test_all_doubled_names_are_reported(problems_of: Read) -> None:
    problems = problems_of("model: a/b\nmodel: c/d\nvariables:\n  a: x\n  a: y\n")

    assert [(p.line, p.field) for p in problems] == [(2, "model"), (5, "variables.a")]


def test_merging_is_not_a_part_of_yaml_1_2(problems_of: Read) -> None:
    [problem] = problems_of("model: a/b\n<<: {greeting: Hi}\n")

    assert problem.right.startswith("no such field")


def test_a_missing_file_and_a_folder_are_problems(tmp_path: Path) -> None:
    _, [missing] = read(tmp_path / "nobody.yaml", AgentSpec)
    _, [folder] = read(tmp_path, AgentSpec)

    assert str(missing) == f"{tmp_path / 'nobody.yaml'}: found no such file or directory; must be a file we may read"
    assert folder.found == "is a directory"


def test_bytes_that_are_not_utf8_are_a_problem_at_their_line(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_bytes(b"model: a/b\ngreeting: Gr\xfc\xdfe\n")

    _, [problem] = read(file, AgentSpec)

    assert (problem.line, problem.found) == (2, "bytes that are not UTF-8")


# ---- limits ----


def test_a_file_may_have_its_greatest_size_and_no_byte_more(problems_of: Read) -> None:
    text = "model: a/b\n#"

    assert problems_of(text.ljust(MAX_BYTES, "x")) == []
    [problem] = problems_of(text.ljust(MAX_BYTES + 1, "x"))
    assert problem.right == "at most 256 KiB are allowed"


def test_aliases_cannot_grow_without_end(problems_of: Read) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]

    [problem] = problems_of("\n".join(lines))

    assert problem.found == "too many values"
    assert str(MAX_VALUES) in problem.right


def test_blocks_cannot_nest_without_end(problems_of: Read) -> None:
    [problem] = problems_of("model: a/b\nprovider_options: {a: " + "[" * 5000)

    assert (problem.line, problem.found) == (2, "a block too deep")
    assert problems_of(f"model: a/b\nprovider_options: {{a: {'[' * (MAX_DEPTH - 2)}{']' * (MAX_DEPTH - 2)}}}") == []


PIECES = st.sampled_from(
    [*"abc:{}[]-?&*!|>'\"%@`#,~<=.\n\t\\ ", "\n  ", "{{", "---\n", "\x85", "\u2028", "\x00", "é", "😀"]
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD)), st.integers(0, 4), st.lists(PIECES, max_size=6))
def test_any_damage_gives_problems_and_never_an_exception(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, pieces: list[str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.yaml"
    file.write_text(GOOD[:at] + "".join(pieces) + GOOD[at + cut :], encoding="utf-8")

    spec, problems = read(file, AgentSpec)

    assert (spec is None) == bool(problems)
    assert all(str(problem).isprintable() for problem in problems)
