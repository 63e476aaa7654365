"""Loads the agents of a configuration folder: all of them checked to the last word, or every problem at once."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from agents.allowed import FieldPath, did_you_mean, either
from agents.errors import Problem
from agents.guardrails.faults import guardrail_faults
from agents.handoff_faults import handoff_faults
from agents.passthrough import passthrough_faults
from agents.providers import PROVIDERS, Fault, provider
from agents.schema import CALL_VARIABLES, PARTS_OF, SAMPLE_CALL, AgentSpec
from agents.templates import render, undeclared
from agents.tools.faults import tool_faults
from agents.yaml_document import Document, parse
from agents.yaml_file import check

AGENT_NAME: Final = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
"""Names that read well in numbers.yaml, in logs and in addresses."""


def check_agents(folder: Path) -> tuple[dict[str, AgentSpec], list[Problem]]:
    """The agents without problems, by name, and all problems of the others, by file and line."""
    files = agent_files(folder)
    if not files:
        right = "write an agent, such as reception.yaml, into this folder"
        return {}, [Problem(folder / "agents", None, "", "no agents", right)]
    agents: dict[str, AgentSpec] = {}
    problems: list[Problem] = []
    for file in files:
        spec, wrong = _check_file(file, folder)
        problems += wrong
        if spec is not None:
            agents[file.stem] = spec
    wrong = list(_handoff_problems(agents, {file.stem: file for file in files}))
    strays = {problem.file.stem for problem in wrong}
    return {name: spec for name, spec in agents.items() if name not in strays}, problems + wrong


def agent_files(folder: Path) -> list[Path]:
    """Every file in `folder/agents` that is meant to be an agent, right or wrong, by name."""
    try:
        files = sorted((folder / "agents").iterdir())
    except OSError:
        return []
    return [file for file in files if file.suffix.lower() in (".yaml", ".yml") and not file.name.startswith(".")]


def _check_file(file: Path, folder: Path) -> tuple[AgentSpec | None, list[Problem]]:
    problems = list(_name_problems(file))
    document, wrong = parse(file)
    if document is None:
        return None, problems + wrong
    spec, wrong = check(document, AgentSpec)
    problems += wrong
    if spec is not None:
        problems += sorted(_meaning_problems(spec, document, folder), key=lambda problem: problem.line or 0)
    return (None if problems else spec), problems


def _handoff_problems(agents: Mapping[str, AgentSpec], files: Mapping[str, Path]) -> Iterator[Problem]:
    """What the files get wrong of each other."""
    for name, spec in agents.items():
        faults = list(handoff_faults(name, spec, agents, files))
        document = parse(files[name])[0] if faults else None
        if document is not None:
            yield from (document.problem(fault.path, fault.right, found=fault.found) for fault in faults)


def _name_problems(file: Path) -> Iterator[Problem]:
    if file.suffix != ".yaml":
        yield Problem(file, None, "", f"the ending {file.suffix}", f"rename the file to {file.stem}.yaml")
    if not AGENT_NAME.fullmatch(file.stem):
        right = "a file's name is its agent's name: lower-case words joined by - or _, such as night-desk.yaml"
        yield Problem(file, None, "", f"the name {file.stem}", right)


def _meaning_problems(spec: AgentSpec, document: Document, folder: Path) -> Iterator[Problem]:
    """What a valid file can still get wrong: providers, templates and tools that are not there."""
    yield from _provider_problems(spec, document, folder)
    yield from _template_problems(spec, document)
    for fault in (*tool_faults(spec, folder), *guardrail_faults(spec)):
        yield document.problem(fault.path, fault.right, found=fault.found)


def _provider_problems(spec: AgentSpec, document: Document, folder: Path) -> Iterator[Problem]:
    for i, choice in enumerate(spec.choices()):
        place: FieldPath = ("models", i) if spec.models else ()
        if choice.provider not in PROVIDERS:
            right = f"the provider must be {either(PROVIDERS)}; {did_you_mean(choice.provider, PROVIDERS)}"
            yield document.problem((*place, "model"), right)
            continue
        own_faults = [*_strange_parts(choice), *provider(choice.provider).faults(choice, folder)]
        for fault in own_faults or passthrough_faults(choice, folder):
            is_its_own = bool(place and fault.path) and fault.path[0] in spec.models[i].model_fields_set
            path = (*place, *fault.path) if is_its_own else fault.path
            found = fault.found if is_its_own or not place else f"{fault.found} (for {choice.model})"
            yield document.problem(path, fault.right, found=found)
    recording = spec.last_resort.recording
    if recording and not (folder / recording).is_file():
        path = ("last_resort", "recording")
        yield document.problem(path, f"must be a file; its path starts in {folder}")


def _strange_parts(spec: AgentSpec) -> Iterator[Fault]:
    """Parts of the file that its provider makes no use of. A dry run may have any."""
    for part, users in PARTS_OF.items():
        if getattr(spec, part) is not None and spec.provider not in (*users, "scripted"):
            right = f"{part} is for model: {users[0]}/...; other models follow instructions"
            yield Fault((part,), f"a {part}", right)


def _template_problems(spec: AgentSpec, document: Document) -> Iterator[Problem]:
    broken: list[tuple[FieldPath, str]] = []
    for path, text in spec.templates():
        try:
            undeclared(text)
        except ValueError as error:
            broken.append((path, str(error)))
    for path, reason in broken:
        yield document.problem(path, "a variable is written {{ name }}", found=f"a {reason}")
    if broken:
        return
    known = sorted(CALL_VARIABLES | spec.variables.keys())
    unknown = spec.unknown_variables()
    for path, name in unknown:
        right = f"add {name} to variables; {did_you_mean(name, known)}"
        yield document.problem(path, right, found=f"the unknown variable {{{{ {name} }}}}")
    incomplete = {path for path, _ in unknown}
    for path, text in spec.templates():
        why = None if path in incomplete else _why_it_breaks(text, {**spec.variables, **SAMPLE_CALL})
        if why:
            yield document.problem(path, "must hold in every call", found=f"a template that breaks: {why}")


def _why_it_breaks(text: str, variables: Mapping[str, str]) -> str | None:
    """Why the text cannot be filled in with these variables; None when it can."""
    try:
        render(text, variables)
    except Exception as error:  # a template's filters may raise anything, as a stranger's code
        return str(error.__cause__ or error) or type(error).__name__
    return None
