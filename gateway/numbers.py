"""Which agent answers which number: `config/numbers.yaml`, checked."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from agents.allowed import FieldPath, did_you_mean
from agents.errors import Problem
from agents.loader import agent_files
from agents.schema import Spec
from agents.yaml_document import Document, parse
from agents.yaml_file import check
from gateway.busy_spec import BusySpec

FILE_NAME: Final = "numbers.yaml"

_ADDRESS: Final = re.compile(r"\+[1-9][0-9]{6,14}|client:[^\s:]{1,128}|sips?:[^\s;?@]+@[^\s;?@]+")


def _checked_address(address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise ValueError(
            "must be a number with its country code and nothing but digits, such as +15550100200, or client:name, "
            "or sip:name@host"
        )
    return address


class NumbersSpec(Spec):
    """`config/numbers.yaml`: which agent answers which number."""

    default: str | None = Field(
        None, description="The agent that answers calls to every other number; null turns those calls away."
    )
    numbers: dict[Annotated[str, AfterValidator(_checked_address)], str] = Field(
        default_factory=dict,
        description="What callers dial, in quotes, and the agent that answers: a number, client:name or sip:name@host.",
    )
    busy: BusySpec | None = Field(
        None, description="What callers get for whom there is no room; null for the busy tone, which costs nothing."
    )

    @model_validator(mode="after")
    def _someone_answers(self) -> Self:
        if self.default is None and not self.numbers:
            raise ValueError("name a default agent, or a number with its agent; nobody would answer a call")
        return self


@dataclass(frozen=True, slots=True)
class Numbers:
    """The agents by what callers dial, and what callers get for whom there is no room."""

    default: str | None
    agents: Mapping[str, str]
    busy: BusySpec | None = None

    @property
    def answering(self) -> frozenset[str]:
        """The names of all agents that may be asked to answer."""
        return frozenset({*self.agents.values(), *([self.default] if self.default else [])})

    def agent_for(self, called: str) -> str | None:
        """The name of the agent that answers what was dialled; None when nobody does."""
        return self.agents.get(same_address(called), self.default)


def check_numbers(folder: Path, agents: Collection[str]) -> tuple[Numbers | None, list[Problem]]:
    """The numbers of `folder/numbers.yaml`, or None and every problem. `agents` are the names that may be used.

    An agent whose own file has problems is no problem here as well.
    """
    document, problems = parse(folder / FILE_NAME)
    if document is None:
        return None, problems
    spec, problems = check(document, NumbersSpec)
    if spec is None:
        return None, problems
    known = sorted({*agents, *(file.stem for file in agent_files(folder))})
    problems = [*_unknown_agents(spec, document, known), *_doubles(spec, document)]
    if problems:
        return None, sorted(problems, key=lambda problem: problem.line or 0)
    agents_by_number = {same_address(dialled): agent for dialled, agent in spec.numbers.items()}
    return Numbers(spec.default, agents_by_number, spec.busy), []


def same_address(address: str) -> str:
    """The one spelling of an address: a number without spaces, dashes and the like; a SIP address without parameters,
    its host in lower case."""
    address = address.strip()
    if address.startswith("+"):
        return re.sub(r"[\s().-]", "", address)
    scheme, colon, rest = address.partition(":")
    if scheme.lower() not in ("sip", "sips"):
        return f"{scheme.lower()}{colon}{rest}"
    user, at, host = re.split(r"[;?]", rest, maxsplit=1)[0].partition("@")
    return f"{scheme.lower()}:{user}{at}{host.lower()}"


def _unknown_agents(spec: NumbersSpec, document: Document, known: list[str]) -> Iterator[Problem]:
    named: list[tuple[FieldPath, str]] = [(("numbers", dialled), agent) for dialled, agent in spec.numbers.items()]
    if spec.default is not None:
        named.append((("default",), spec.default))
    for path, agent in named:
        if agent not in known:
            yield document.problem(path, f"must be the name of an agent; {did_you_mean(agent, known)}")


def _doubles(spec: NumbersSpec, document: Document) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for dialled in spec.numbers:
        before = first.setdefault(same_address(dialled), dialled)
        if before != dialled:
            yield document.problem(("numbers", dialled), f"is the same as {before}; keep one", found=dialled)
