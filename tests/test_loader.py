import wave
from pathlib import Path

import pytest

from agents.agent import CallContext
from agents.allowed import either
from agents.errors import Problem
from agents.loader import check_agents
from agents.providers import PROVIDERS
from agents.schema import CALL_VARIABLES, SAMPLE_CALL, AgentSpec
from agents.tools import FunctionTool, hang_up, tool
from agents.tools.built_in import BUILT_IN
from agents.tools.named import find_tool

GOOD = "model: scripted/hello.steps\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "agents").mkdir()
    (tmp_path / "hello.steps").write_text("- say: Hello.\n")
    return tmp_path


def problems_of(folder: Path, text: str) -> list[Problem]:
    (folder / "agents" / "one.yaml").write_text(text)
    agents, problems = check_agents(folder)
    assert bool(agents) != bool(problems)
    return problems


def places(problems: list[Problem]) -> list[tuple[int | None, str, str, str]]:
    return [(problem.line, problem.field, problem.found, problem.right) for problem in problems]


CALLS = 'outbound:\n  caller_id: "+15550100200"\n  voicemail: "{}"\n'
PUTS_THROUGH = 'destinations: {sales: "+15550100300"}\ntools: [transfer, warm_transfer, hold]\n'


@pytest.mark.parametrize(
    ("text", "field", "found"),
    [
        (CALLS.format("For {{ nobody }}."), "outbound.voicemail", "the unknown variable {{ nobody }}"),
        (CALLS.format("For {{ 1 +}}."), "outbound.voicemail", "a broken template: "),
        (PUTS_THROUGH + 'transfer: {whisper: "For {{ nobody }}."}\n', "transfer.whisper", "the unknown variable"),
        (PUTS_THROUGH + 'transfer: {whisper: "For {{."}\n', "transfer.whisper", "a broken template: "),
        (PUTS_THROUGH + "transfer: {hold_music: nowhere.wav}\n", "transfer.hold_music", "'nowhere.wav'"),
        (PUTS_THROUGH + "transfer: {hold_music: no-sound.wav}\n", "transfer.hold_music", "'no-sound.wav'"),
        ("tools: [hang_up]\ntool_rules: [{tool: hang_up, filler: {play: no-sound.wav}}]\n", "", "'no-sound.wav'"),
        ("tools: [leave_voicemail]\n", "tools[0]", "'leave_voicemail'"),
        ('tools: [leave_voicemail]\noutbound: {caller_id: "+15550100200"}\n', "tools[0]", "'leave_voicemail'"),
    ],
)
def test_what_a_call_would_stumble_over_is_found_before_there_is_one(
    folder: Path, text: str, field: str, found: str
) -> None:
    (folder / "no-sound.wav").write_bytes(b"RIFF, or so they say")

    [problem] = problems_of(folder, GOOD + text)

    assert problem.field == (field or "tool_rules[0].filler.play")
    assert problem.found.startswith(found)


def test_music_and_texts_that_hold_in_every_call_are_no_problem(folder: Path) -> None:
    with wave.open(str(folder / "music.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(3200))
    text = GOOD + CALLS.format("For {{ caller }}.") + 'destinations: {sales: "+15550100300"}\n'

    assert problems_of(folder, text + "tools: [leave_voicemail, hold]\ntransfer: {hold_music: music.wav}\n") == []


def test_agents_are_named_after_their_files(folder: Path) -> None:
    for name in ("reception", "night-desk", "shop_2"):
        (folder / "agents" / f"{name}.yaml").write_text(GOOD)

    assert sorted(check_agents(folder)[0]) == ["night-desk", "reception", "shop_2"]


def test_other_files_are_left_alone(folder: Path) -> None:
    (folder / "agents" / "one.yaml").write_text(GOOD)
    for name in ("README.md", ".one.yaml", "one.yaml~"):
        (folder / "agents" / name).write_text("no: agent")

    assert list(check_agents(folder)[0]) == ["one"]


def test_good_agents_come_back_beside_the_problems_of_the_others(folder: Path) -> None:
    (folder / "agents" / "good.yaml").write_text(GOOD)
    (folder / "agents" / "bad.yaml").write_text("model: 5\n")

    agents, problems = check_agents(folder)

    assert list(agents) == ["good"]
    assert [(p.file.name, p.line, p.field) for p in problems] == [("bad.yaml", 1, "model")]


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_without_agents_is_a_problem(tmp_path: Path, make: bool) -> None:
    if make:
        (tmp_path / "agents").mkdir()

    agents, [problem] = check_agents(tmp_path)

    assert agents == {}
    assert (
        str(problem) == f"{tmp_path}/agents: found no agents; write an agent, such as reception.yaml, into this folder"
    )


@pytest.mark.parametrize("name", ["Reception.yaml", "my agent.yaml", "9to5.yaml", "a--b.yaml", "-a.yaml", "größe.yaml"])
def test_a_name_that_is_not_lower_case_words_is_a_problem(folder: Path, name: str) -> None:
    (folder / "agents" / name).write_text(GOOD)

    agents, [problem] = check_agents(folder)

    assert agents == {}
    assert "lower-case words joined by - or _" in problem.right


@pytest.mark.parametrize("ending", [".yml", ".YAML"])
def test_another_ending_is_to_be_renamed(folder: Path, ending: str) -> None:
    (folder / "agents" / f"desk{ending}").write_text(GOOD)

    agents, [problem] = check_agents(folder)

    assert agents == {}
    assert problem.right == "rename the file to desk.yaml"


# ---- providers ----


def test_an_unknown_provider_gets_the_list_of_providers(folder: Path) -> None:
    [problem] = problems_of(folder, "model: opnai/gpt-realtime-2.1\n")

    assert (problem.line, problem.field, problem.found) == (1, "model", "'opnai/gpt-realtime-2.1'")
    assert problem.right == f"the provider must be {either(PROVIDERS)}; did you mean openai?"


def test_what_the_provider_refuses_is_a_problem_at_its_line(folder: Path) -> None:
    problems = problems_of(folder, "model: openai/gpt-realtime-2.1\nturn_detection:\n  eagerness: low\nvoice: nobody\n")

    assert [(p.line, p.field, p.found) for p in problems] == [
        (3, "turn_detection.eagerness", "eagerness with mode server_vad"),
        (4, "voice", "'nobody'"),
    ]


def test_a_providers_files_are_found_from_the_configuration_folder(folder: Path) -> None:
    [problem] = problems_of(folder, "model: scripted/nowhere.steps\n")

    assert (problem.line, problem.field) == (1, "model")
    assert str(folder / "nowhere.steps") in problem.found


# ---- templates ----


def test_an_unknown_variable_is_a_problem_with_the_nearest_name(folder: Path) -> None:
    problems = problems_of(
        folder,
        GOOD + "greeting: Welcome to {{ shop }} and {{ agent }}.\n"
        "variables: {hours: nine to five}\n"
        "script:\n"
        "  intents:\n"
        "    - name: hours\n"
        "      examples: [when are you open]\n"
        "      answer:\n"
        "        - From {{ hours }}.\n"
        "        - From {{ huors }}.\n",
    )

    known = "there is agent, call_id, called, caller, date, hours, time and weekday"
    assert places(problems) == [
        (2, "greeting", "the unknown variable {{ shop }}", f"add shop to variables; {known}"),
        (
            10,
            "script.intents[0].answer[1]",
            "the unknown variable {{ huors }}",
            "add huors to variables; did you mean hours?",
        ),
    ]


def test_every_broken_template_is_a_problem(folder: Path) -> None:
    problems = problems_of(folder, GOOD + 'greeting: "Hi {{ caller"\ninstructions: "{% if %}"\n')

    assert [(p.line, p.field) for p in problems] == [(2, "greeting"), (3, "instructions")]
    assert all(p.found.startswith("a broken template: ") for p in problems)
    assert {p.right for p in problems} == {"a variable is written {{ name }}"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ hours | int / 0 }}", "division by zero"),
        ("{{ caller.foo.bar }}", "has no attribute 'foo'"),
        ("{{ called + 1 }}", "concatenate"),
        ("{{ agent() }}", "not callable"),
        ("{{ range(10 ** 9) | list }}", "Range too big"),
        ("{{ agent | truncate(1) }}", "expected length >= 3"),
    ],
)
def test_a_template_that_would_break_in_a_call_is_a_problem(folder: Path, text: str, reason: str) -> None:
    problems = problems_of(
        folder, GOOD + f'variables: {{hours: nine to five}}\ninstructions: "{text}"\ngreeting: "{{{{ nobody }}}}"\n'
    )

    assert [(p.line, p.field) for p in problems] == [(3, "instructions"), (4, "greeting")]
    assert reason in problems[0].found
    assert problems[0].right == "must hold in every call"


def test_a_template_may_use_every_fact_of_a_call(folder: Path) -> None:
    text = (
        "{{ agent | title }} {{ caller[-4:] }} {{ called | replace('+', '') | int + 1 }} {{ call_id[:2] }} {{ hours }}"
    )

    assert problems_of(folder, GOOD + f'variables: {{hours: all day}}\ninstructions: "{text}"\n') == []


def test_the_made_up_call_has_the_variables_that_a_call_provides() -> None:
    assert SAMPLE_CALL.keys() == CallContext("", "", "", "").variables_for({}, "UTC").keys() == CALL_VARIABLES


# ---- tools ----


def test_hang_up_is_built_in() -> None:
    assert BUILT_IN["hang_up"](AgentSpec(model="local/script"), Path()) is hang_up


def test_a_dotted_name_is_imported_and_made_a_tool(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "shoptools.py").write_text(
        "from agents.tools import tool\n"
        "def price(name: str) -> str:\n"
        '    "The price."\n'
        "    return name\n"
        "@tool(name='stock')\n"
        "def count(name: str) -> int:\n"
        "    return 1\n"
    )
    monkeypatch.syspath_prepend(folder)

    assert problems_of(folder, GOOD + "tools: [hang_up, shoptools.price, shoptools.count]\n") == []
    assert find_tool("shoptools.price").schema.description == "The price."
    assert find_tool("shoptools.count").name == "stock"


@pytest.mark.parametrize(
    ("name", "found", "right"),
    [
        ("hangup", "'hangup'", "did you mean hang_up?, or write the dotted name of a Python function"),
        ("nowhere.price", "'nowhere.price' (ModuleNotFoundError: No module named 'nowhere')", "installed?"),
        ("math.price", "'math.price' (AttributeError: module 'math' has no attribute 'price')", "imported"),
        ("math.pi", "'math.pi', a float", "must be a function"),
        (".price", "'.price'", "dotted name"),
        ("badtools.anything", "'badtools.anything' (RuntimeError: no database)", "imported"),
        ("oddtools.price", "'oddtools.price' (ConfigError: tool price: parameter name has no type hint)", "imported"),
    ],
)
def test_a_tool_that_cannot_be_used_is_a_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, found: str, right: str
) -> None:
    (folder / "badtools.py").write_text("raise RuntimeError('no database')\n")
    (folder / "oddtools.py").write_text("def price(name): ...\n")
    monkeypatch.syspath_prepend(folder)

    [problem] = problems_of(folder, GOOD + f"tools:\n  - hang_up\n  - {name}\n")

    assert (problem.line, problem.field, problem.found) == (4, "tools[1]", found)
    assert right in problem.right


def test_two_tools_that_the_model_could_not_tell_apart_are_a_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "firsttools.py").write_text("def price() -> int:\n    return 1\n")
    (folder / "othertools.py").write_text("def price() -> int:\n    return 2\n")
    monkeypatch.syspath_prepend(folder)

    [problem] = problems_of(folder, GOOD + "tools: [firsttools.price, othertools.price]\n")

    assert (problem.field, problem.found) == ("tools[1]", "'othertools.price'")
    assert problem.right == "the model would know it and firsttools.price both as price; rename one"


@tool
def ready_made(name: str) -> str:
    """A tool in a module that is there."""
    return name


def test_a_ready_made_tool_is_taken_as_it_is() -> None:
    found = find_tool(f"{__name__}.ready_made")

    assert isinstance(found, FunctionTool)
    assert found is ready_made


# ---- several models ----


def test_what_is_wrong_with_one_of_several_models_is_told_at_its_entry(folder: Path) -> None:
    text = "models:\n  - model: scripted/hello.steps\n  - model: opnai/x\n  - model: openai/x\n    voice: kermit\n"

    problems = problems_of(folder, text)

    assert [(problem.line, problem.field) for problem in problems] == [
        (3, "models[1].model"),
        (5, "models[2].voice"),
    ]


def test_what_one_of_several_models_cannot_do_of_the_agents_own_is_told_there_with_its_name(folder: Path) -> None:
    text = "models:\n  - model: openai/x\n  - model: openai/y\n    voice: marin\nvoice: kermit\n"

    [problem] = problems_of(folder, text)

    assert (problem.line, problem.field, problem.found) == (5, "voice", "'kermit' (for openai/x)")


def test_a_recorded_apology_that_is_not_there_is_a_problem(folder: Path) -> None:
    [problem] = problems_of(folder, f"{GOOD}last_resort:\n  recording: sorry.wav\n")

    assert (problem.line, problem.field) == (3, "last_resort.recording")
    assert problem.right == f"must be a file; its path starts in {folder}"


def test_a_variable_of_the_last_words_that_nobody_provides_is_a_problem(folder: Path) -> None:
    [problem] = problems_of(folder, f'{GOOD}last_resort:\n  say: "Sorry, {{{{ nobody }}}}."\n')

    assert problem.field == "last_resort.say"


@pytest.mark.parametrize("model", ["openai/x", "azure/x", "gemini/x", "deepgram/gpt-4o-mini", "elevenlabs/x"])
def test_a_part_that_a_provider_makes_no_use_of_is_a_problem(folder: Path, model: str) -> None:
    text = f"model: {model}\nbrain:\n  url: http://127.0.0.1/v1\n  model: m\n"

    rights = {problem.field: problem.right for problem in problems_of(folder, text)}

    assert rights["brain"] == "brain is for model: local/...; other models follow instructions"


# ---- handoffs ----


def agents_of(folder: Path, **texts: str) -> tuple[list[str], list[tuple[str, int | None, str, str, str]]]:
    """The names of the good agents, and the problems of the others with the names of their files."""
    for name, text in texts.items():
        (folder / "agents" / f"{name}.yaml").write_text(GOOD + text)
    agents, problems = check_agents(folder)
    return sorted(agents), [(p.file.stem, *place) for p, place in zip(problems, places(problems), strict=True)]


def test_agents_may_hand_over_to_each_other_in_a_circle(folder: Path) -> None:
    names, problems = agents_of(folder, a="handoffs: [b]\n", b="handoffs: [a]\n")

    assert (names, problems) == (["a", "b"], [])


def test_a_handoff_to_nobody_is_a_problem_with_the_nearest_name(folder: Path) -> None:
    names, [(file, line, field, found, right)] = agents_of(folder, desk="handoffs:\n  - biling\n", billing="")

    assert names == ["billing"]
    assert (file, line, field, found) == ("desk", 3, "handoffs[0]", "biling")
    assert "must be the name of an agent of this folder" in right and "billing" in right


def test_an_agent_cannot_hand_over_to_itself(folder: Path) -> None:
    _, [(_, _, field, _, right)] = agents_of(folder, desk="handoffs: [desk]\n")

    assert (field, right) == ("handoffs[0]", "an agent cannot hand over to itself; remove it")


def test_two_handoffs_that_the_model_would_know_by_one_name_are_a_problem(folder: Path) -> None:
    (folder / "agents" / "night-desk.yaml").write_text(GOOD)
    _, [(_, _, field, _, right)] = agents_of(folder, desk="handoffs: [night-desk, night_desk]\n", night_desk="")

    assert field == "handoffs[1]"
    assert "both as transfer_to_night_desk" in right


def test_agents_of_different_audio_cannot_hand_over_to_each_other(folder: Path) -> None:
    names, [(_, _, field, found, right)] = agents_of(folder, desk="handoffs: [other]\n", other="audio: passthrough\n")

    assert names == ["other"]
    assert (field, found) == ("handoffs[0]", "other")
    assert right == "its audio is passthrough, and the call goes on in pcm16: let both be the same"


def test_more_than_twenty_handoffs_are_a_problem(folder: Path) -> None:
    others = [f"agent{i}" for i in range(21)]
    _, [(_, _, field, found, _)] = agents_of(
        folder, desk=f"handoffs: [{', '.join(others)}]\n", **dict.fromkeys(others, "")
    )

    assert (field, found) == ("handoffs", "21 agents")


def test_a_tool_and_a_handoff_of_one_name_are_a_problem(folder: Path) -> None:
    tools = "tools: [tests.test_loader.transfer_to_other]\nhandoffs: [other]\n"
    _, [(file, _, _, _, right)] = agents_of(folder, desk=tools, other="")

    assert file == "desk" and "transfer_to_other" in right


def transfer_to_other() -> None:
    """Something else than a handoff."""
