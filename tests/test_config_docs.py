"""Holds the schemas, their page, the examples and the shipped configuration equal."""

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from agents.allowed import Allowed, FieldPath
from agents.handoff_faults import handoff_faults
from agents.loader import check_agents
from agents.local.matching import Matcher
from agents.local.model import LocalModel
from agents.providers import PROVIDERS, provider
from agents.providers.scripted import ScriptedModel
from agents.providers.scripted.steps import read_steps
from agents.realtime import PCMU, Capabilities
from agents.schema import AgentSpec, Spec
from agents.yaml_document import parse
from agents.yaml_file import read
from gateway.numbers import NumbersSpec, check_numbers
from gateway.settings import Settings
from tests.rigs import all_rigs

CONFIG = Path(__file__).parent.parent / "config"
PAGE = (CONFIG / "README.md").read_text(encoding="utf-8")

SEE_BELOW = "see below"
ROW = re.compile(r"^\| `([^`|]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
VARIABLE_ROW = re.compile(r"^\| `([A-Z_]+)` \| ([^|]+) \| ([^|]+) \| `([^|]+)` \|$", re.MULTILINE)
BLOCK = re.compile(r"^```yaml\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

BLOCKS: dict[str, str] = dict(BLOCK.findall(PAGE))


def fields_of(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field with its documented name: `script.intents[].answer`."""
    for name, info in model.model_fields.items():
        yield f"{before}{name}", info
        for suffix, inner in models_in(info.annotation):
            yield from fields_of(inner, f"{before}{name}{suffix}.")


def models_in(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
    for argument in typing.get_args(annotation):
        brackets = "[]" if typing.get_origin(annotation) is tuple else ""
        yield from ((brackets + suffix, inner) for suffix, inner in models_in(argument))


def path_of(name: str) -> FieldPath:
    return tuple(part if part else 0 for part in name.replace("[]", ".").split("."))


FIELDS: dict[str, tuple[type[Spec], FieldInfo]] = {
    name: (spec, info) for spec in (AgentSpec, NumbersSpec) for name, info in fields_of(spec)
}
ROWS = {name: cells for name, *cells in ROW.findall(PAGE)}
DOCUMENTED = pytest.mark.parametrize("name", sorted(FIELDS.keys() & ROWS.keys()))


def test_the_page_has_every_field_and_no_other_in_the_schemas_order() -> None:
    assert list(ROWS) == list(FIELDS)


@DOCUMENTED
def test_the_page_allows_what_the_schema_allows(name: str) -> None:
    _, allowed, _, _ = ROWS[name]
    spec, _ = FIELDS[name]

    assert allowed == Allowed(spec).words(path_of(name))


@DOCUMENTED
def test_the_page_has_the_schemas_defaults(name: str) -> None:
    _, _, documented, _ = ROWS[name]
    default = FIELDS[name][1].get_default(call_default_factory=True)

    match default:
        case _ if default is PydanticUndefined:
            assert documented == "required"
        case BaseModel() | (BaseModel(), *_):
            assert documented == SEE_BELOW
        case _:
            assert documented == f"`{orjson.dumps(default).decode()}`"


@DOCUMENTED
def test_the_pages_example_is_valid(name: str, tmp_path: Path) -> None:
    _, _, _, example = ROWS[name]
    info = FIELDS[name][1]
    if list(models_in(info.annotation)):
        assert example == SEE_BELOW
        return

    (tmp_path / "example.yaml").write_text(f"it: {example.strip('`')}\n", encoding="utf-8")
    document, problems = parse(tmp_path / "example.yaml")

    assert document, problems
    value = orjson.dumps(document.plain(("it",)))
    kind: Any = Annotated[info.annotation, info]
    TypeAdapter(kind).validate_json(value, strict=True)


def test_every_field_stands_in_an_example() -> None:
    shipped = [file.read_text(encoding="utf-8") for file in (CONFIG / "agents").glob("*.yaml")]
    examples = "\n".join([*BLOCKS.values(), *shipped])
    leaves = {name.rpartition(".")[2] for name in FIELDS}

    missing = {leaf for leaf in leaves if not re.search(rf"^[ -]*{leaf}:", examples, re.MULTILINE)}

    assert missing == {"idle_timeout_ms"}  # rare, and it has an example in its row


# ---- blocks of the page ----


def test_every_yaml_block_says_which_file_it_is() -> None:
    assert len(BLOCKS) == PAGE.count("```yaml")
    assert {"agents/hotel.yaml", "agents/workshop.yaml", "agents/rehearsal.yaml", "numbers.yaml"} <= BLOCKS.keys()


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_every_yaml_block_is_valid(name: str, tmp_path: Path) -> None:
    file = tmp_path / "block.yaml"
    file.write_text(BLOCKS[name], encoding="utf-8")

    match name.split("/"):
        case ["agents", _]:
            agent, problems = read(file, AgentSpec)
            assert agent, problems
            assert agent.unknown_variables() == []
        case ["numbers.yaml"]:
            assert read(file, NumbersSpec)[1] == []
        case _:
            assert read_steps(file)


def test_the_numbers_of_the_page_name_agents_of_the_page() -> None:
    agents = {Path(name).stem for name in BLOCKS if name.startswith("agents/")} | {"reception"}

    named = set(re.findall(r": ([a-z]+)$", BLOCKS["numbers.yaml"], re.MULTILINE))

    assert named <= agents


def test_the_handoffs_of_the_page_lead_to_agents_of_the_page(tmp_path: Path) -> None:
    specs: dict[str, AgentSpec] = {}
    for name in (name for name in BLOCKS if name.startswith("agents/")):
        file = tmp_path / Path(name).name
        file.write_text(BLOCKS[name], encoding="utf-8")
        spec, problems = read(file, AgentSpec)
        assert spec, problems
        specs[file.stem] = spec

    assert [fault for name, spec in specs.items() for fault in handoff_faults(name, spec, specs, specs)] == []
    assert any(spec.handoffs for spec in specs.values())


@pytest.mark.parametrize("name", sorted(name for name in BLOCKS if name.startswith("agents/")))
def test_every_agent_of_the_page_can_be_honoured_by_its_providers(name: str, tmp_path: Path) -> None:
    for file, text in BLOCKS.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    spec, _ = read(tmp_path / name, AgentSpec)
    assert spec

    found = [(choice.model, provider(choice.provider).faults(choice, tmp_path)) for choice in spec.choices()]

    assert found == [(choice.model, []) for choice in spec.choices()]


# ---- the providers ----

PROVIDER_ROW = re.compile(r"^\| `([a-z-]+)` \|" + r" ([^|]+) \|" * 8 + "$", re.MULTILINE)


def capabilities(name: str) -> Capabilities:
    match name:
        case "local":
            return LocalModel.capabilities
        case "scripted":
            return ScriptedModel.capabilities
        case _:
            return next(rig for rig in all_rigs() if rig.name == name)().model().capabilities


def test_the_page_has_every_provider_and_no_other() -> None:
    assert sorted(name for name, *_ in PROVIDER_ROW.findall(PAGE)) == sorted(PROVIDERS)


@pytest.mark.parametrize("row", PROVIDER_ROW.findall(PAGE), ids=[row[0] for row in PROVIDER_ROW.findall(PAGE)])
def test_the_page_says_what_each_provider_can_do(row: tuple[str, ...]) -> None:
    name, _, mu_law, truncates, cancels, says, goes_on_by, longest, _ = row
    can = capabilities(name)
    limits = [limit for limit in (can.max_connection_s, can.max_session_s) if limit]

    assert mu_law == ("yes" if PCMU in can.input_formats and PCMU in can.output_formats else "no")
    assert (truncates, cancels) == ("yes" if can.truncate else "no", "yes" if can.cancel else "no")
    assert (says, goes_on_by) == (can.say, can.resume)
    assert longest == (f"{min(limits) / 60:g} min" if limits else "-")


@pytest.mark.parametrize("row", PROVIDER_ROW.findall(PAGE), ids=[row[0] for row in PROVIDER_ROW.findall(PAGE)])
def test_the_page_names_the_variables_that_each_provider_misses(row: tuple[str, ...]) -> None:
    name, *_, variables = row
    named = re.findall(r"`([A-Z_]+)`", variables)
    spec = AgentSpec(model=f"{name}/x")
    environment: dict[str, str] = {}

    while missing := provider(name).missing_key(spec, environment):
        environment[missing] = "https://example.com"

    assert set(environment) <= set(named)
    assert set(named) <= {each for each, *_ in VARIABLE_ROW.findall(PAGE)}


# ---- the environment ----


def test_the_page_and_the_example_have_the_same_variables_and_defaults() -> None:
    example = (CONFIG / "env.example").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", example, re.MULTILINE))
    documented = {name: default for name, _, default, _ in VARIABLE_ROW.findall(PAGE)}

    assert {name: f"`{value}`" if value else "none" for name, value in listed.items()} == documented


def test_the_page_has_every_variable_of_the_settings_with_its_default() -> None:
    documented = {name: default.strip("`") for name, _, default, _ in VARIABLE_ROW.findall(PAGE)}
    settings = {info.alias: info.default for info in Settings.model_fields.values() if info.alias}

    defaults = {name: "none" if default in ((), None) else f"{default}" for name, default in settings.items()}
    defaults |= {"STATUS_POSTS_ALLOW_PRIVATE": f"{settings['STATUS_POSTS_ALLOW_PRIVATE']}".lower()}
    defaults |= {"DRAIN_S": f"{settings['DRAIN_S']:g}", "PUBLIC_URL": f"http://{settings['HOST']}:{settings['PORT']}"}

    assert defaults.items() <= documented.items()


def test_the_example_sets_nothing_until_a_line_is_taken_in() -> None:
    lines = (CONFIG / "env.example").read_text(encoding="utf-8").splitlines()

    assert all(not line or line.startswith("# ") for line in lines)


# ---- what is shipped ----


def test_the_shipped_configuration_has_no_problems_and_needs_no_key() -> None:
    agents, problems = check_agents(CONFIG)
    numbers, more_problems = check_numbers(CONFIG, agents)

    assert problems + more_problems == []
    assert numbers and numbers.default == "reception"
    assert {spec.provider for spec in agents.values()} == {"local"}
    assert {spec.model_id for spec in agents.values()} == {"script"}


def reception() -> Matcher:
    spec, problems = read(CONFIG / "agents" / "reception.yaml", AgentSpec)
    assert spec and spec.script, problems
    return Matcher(spec.script.intents, spec.script.threshold)


def test_the_receptionist_tells_its_own_examples_apart() -> None:
    spec, _ = read(CONFIG / "agents" / "reception.yaml", AgentSpec)
    assert spec and spec.script
    matcher = reception()

    expected = {example: intent.name for intent in spec.script.intents for example in intent.examples}
    matched = {example: matcher.match(example) for example in expected}

    assert {example: intent and intent.name for example, intent in matched.items()} == expected


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("Something is terribly wrong.", "urgent"),  # recordings, as the embedded recogniser writes them down
        ("Waiting to speak with her representative.", "person"),
        ("Go forward ten meters.", None),
        ("What time do you open tomorrow?", "hours"),
        ("What time is it?", "time-now"),
        ("I'd like to book an appointment for next Tuesday.", "appointment"),
        ("How much does a filling cost?", "prices"),
        ("No, that's all, thanks.", "goodbye"),
        ("I want to order a pizza.", None),
        ("My car broke down on the motorway.", None),
    ],
)
def test_the_receptionist_understands_callers(heard: str, meant: str | None) -> None:
    intent = reception().match(heard)

    assert (intent and intent.name) == meant
