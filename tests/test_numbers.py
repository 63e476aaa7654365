from pathlib import Path

import pytest

from agents.errors import Problem
from gateway.numbers import Numbers, check_numbers

AGENTS = ["reception", "night-desk"]


def numbers_of(folder: Path, text: str) -> Numbers:
    (folder / "numbers.yaml").write_text(text)
    numbers, problems = check_numbers(folder, AGENTS)
    assert problems == []
    assert numbers
    return numbers


def problems_of(folder: Path, text: str) -> list[Problem]:
    (folder / "numbers.yaml").write_text(text)
    numbers, problems = check_numbers(folder, AGENTS)
    assert numbers is None
    return problems


def test_a_number_has_its_agent_and_others_have_the_default(tmp_path: Path) -> None:
    numbers = numbers_of(tmp_path, 'default: reception\nnumbers:\n  "+15550100200": night-desk\n')

    assert numbers.agent_for("+15550100200") == "night-desk"
    assert numbers.agent_for("+15550100201") == "reception"
    assert numbers.agent_for("anonymous") == "reception"


@pytest.mark.parametrize("default", ["default: null\n", ""])
def test_without_a_default_nobody_answers_other_numbers(tmp_path: Path, default: str) -> None:
    numbers = numbers_of(tmp_path, default + 'numbers: {"+15550100200": night-desk}\n')

    assert numbers.agent_for("+15550100200") == "night-desk"
    assert numbers.agent_for("+1555010020") is None
    assert numbers.agent_for("") is None


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("+15550100200", " +15550100200 "),
        ("+15550100200", "+1 (555) 010-0200"),
        ("+15550100200", "+1.555.010.0200"),
        ("client:Desk", "client:Desk"),
        ("client:Desk", "CLIENT:Desk"),
        ("sip:desk@voice.example.com", "sip:desk@Voice.Example.com;transport=tls"),
        ("sip:desk@Voice.example.com:5060", "SIP:desk@voice.example.com:5060?x=y"),
        ("sips:desk@voice.example.com", "sips:desk@voice.example.com"),
    ],
)
def test_an_address_is_found_however_it_is_spelled(tmp_path: Path, written: str, called: str) -> None:
    assert numbers_of(tmp_path, f'numbers: {{"{written}": reception}}').agent_for(called) == "reception"


@pytest.mark.parametrize("called", ["client:desk", "sip:Desk@voice.example.com", "sip:desk@voice.example.org", "Desk"])
def test_names_keep_their_case(tmp_path: Path, called: str) -> None:
    text = 'numbers: {"client:Desk": reception, "sip:desk@voice.example.com": reception}'

    assert numbers_of(tmp_path, text).agent_for(called) is None


def test_a_number_without_quotes_is_to_be_quoted(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, "default: reception\nnumbers:\n  +15550100200: reception\n")

    assert (problem.line, problem.field, problem.found) == (3, "numbers.+15550100200", "+15550100200")
    assert problem.right == 'put the number in quotes: "+15550100200"'


@pytest.mark.parametrize(
    "address",
    ["15550100200", "5550100", "+05550100200", "+1555", "+1555010020000000", "+1 555 010 0200", "client:", "client:a b",
     "sip:desk", "sip:desk@a;b", "tel:+15550100200", "whatsapp:+15550100200", ""],
)  # fmt: skip
def test_anything_else_is_no_address(tmp_path: Path, address: str) -> None:
    [problem] = problems_of(tmp_path, f'numbers:\n  "{address}": reception\n')

    assert (problem.line, problem.found) == (2, address or "an empty name")
    assert problem.right.startswith("must be a number with its country code and nothing but digits")


def test_agents_must_exist(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, 'default: recepton\nnumbers:\n  "+15550100200": bakery\n')

    assert [(p.line, p.field, p.found, p.right) for p in problems] == [
        (1, "default", "'recepton'", "must be the name of an agent; did you mean reception?"),
        (3, "numbers.+15550100200", "'bakery'", "must be the name of an agent; there is night-desk and reception"),
    ]


def test_an_agent_whose_own_file_is_wrong_is_not_reported_here_as_well(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "broken.yaml").write_text("model: [")

    assert numbers_of(tmp_path, "default: broken\n").agent_for("+15550100200") == "broken"


def test_two_spellings_of_one_address_are_a_problem(tmp_path: Path) -> None:
    text = 'numbers:\n  "sip:desk@voice.example.com": reception\n  "sip:desk@VOICE.example.com": night-desk\n'

    [problem] = problems_of(tmp_path, text)

    assert (problem.line, problem.found) == (3, "sip:desk@VOICE.example.com")
    assert problem.right == "is the same as sip:desk@voice.example.com; keep one"


@pytest.mark.parametrize("text", ["default: null\n", "numbers: {}\n"])
def test_somebody_must_answer(tmp_path: Path, text: str) -> None:
    [problem] = problems_of(tmp_path, text)

    assert "nobody would answer a call" in problem.right


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    numbers, [problem] = check_numbers(tmp_path, AGENTS)

    assert numbers is None
    assert problem.file == tmp_path / "numbers.yaml"
