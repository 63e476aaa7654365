"""The operator's folder, read whole: agents, numbers, and the keys that the answering agents need."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.agent import RealtimeAgent
from agents.assemble import make_agents
from agents.errors import ConfigError, Problem
from agents.guardrails.rules import missing_key
from agents.handoffs import reachable
from agents.loader import check_agents
from agents.providers import provider
from agents.schema import AgentSpec
from agents.tools.faults import missing_variables
from gateway.numbers import Numbers, check_numbers


@dataclass(frozen=True, slots=True)
class Configuration:
    agents: Mapping[str, AgentSpec]
    numbers: Numbers

    def make_agents(self, folder: Path, environment: Mapping[str, str]) -> dict[str, RealtimeAgent]:
        """The agents that answer a number or place calls, and those whom they may hand over to.

        Raises ConfigError for one that cannot be made.
        """
        return make_agents(self.talking, self.agents, folder, environment)

    @property
    def talking(self) -> list[str]:
        """The names of the agents that answer a number or place calls."""
        return sorted({*self.numbers.answering, *(name for name, spec in self.agents.items() if spec.outbound)})


def check_configuration(folder: Path, environment: Mapping[str, str]) -> tuple[Configuration | None, list[Problem]]:
    """The folder's content, or None and every problem of every file.

    A key that is missing from the environment is a problem only for an agent that answers a number or places calls, and
    for those whom it may hand over to.
    """
    agents, problems = check_agents(folder)
    numbers, wrong = check_numbers(folder, agents)
    problems = problems + wrong
    if numbers:
        problems += _missing_keys(folder, agents, numbers, environment)
    if problems or numbers is None:
        return None, problems
    return Configuration(agents, numbers), []


def load_configuration(folder: Path, environment: Mapping[str, str]) -> Configuration:
    """The folder's content. Raises ConfigError with every problem."""
    configuration, problems = check_configuration(folder, environment)
    if configuration is None:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise ConfigError(f"{folder} cannot be used:\n{lines}", tuple(problems))
    return configuration


def _missing_keys(
    folder: Path, agents: Mapping[str, AgentSpec], numbers: Numbers, environment: Mapping[str, str]
) -> list[Problem]:
    problems = []
    talking = {*numbers.answering, *(name for name, spec in agents.items() if spec.outbound)}
    for name in reachable(sorted(talking), lambda name: agents[name].handoffs if name in agents else ()):
        spec = agents.get(name)
        if spec is None:
            continue
        wanted = [("model", provider(choice.provider).missing_key(choice, environment)) for choice in spec.choices()]
        wanted += [("guardrails", missing_key(guardrail, environment)) for guardrail in spec.guardrails]
        wanted += missing_variables(spec, environment)
        file = folder / "agents" / f"{name}.yaml"
        problems += [
            Problem(file, None, field, f"no {variable} in the environment", f"set {variable}; {name} talks on calls")
            for field, variable in wanted
            if variable
        ]
    return problems
