"""The operator's folder, read whole: agents, numbers, and the keys that the answering agents need."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.agent import RealtimeAgent
from agents.assemble import make_agent
from agents.errors import ConfigError, Problem
from agents.loader import check_agents
from agents.providers import provider
from agents.schema import AgentSpec
from gateway.numbers import Numbers, check_numbers


@dataclass(frozen=True, slots=True)
class Configuration:
    agents: Mapping[str, AgentSpec]
    numbers: Numbers

    def make_agents(self, folder: Path, environment: Mapping[str, str]) -> dict[str, RealtimeAgent]:
        """The agents that answer a number. Raises ConfigError for one that cannot be made."""
        names = sorted(self.numbers.answering)
        return {name: make_agent(name, self.agents[name], folder, environment) for name in names}


def check_configuration(folder: Path, environment: Mapping[str, str]) -> tuple[Configuration | None, list[Problem]]:
    """The folder's content, or None and every problem of every file.

    A key that is missing from the environment is a problem only for an agent that answers a number.
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
    for name in sorted(numbers.answering):
        spec = agents.get(name)
        for choice in spec.choices() if spec else ():
            variable = provider(choice.provider).missing_key(choice, environment)
            if not variable:
                continue
            file = folder / "agents" / f"{name}.yaml"
            problems.append(
                Problem(
                    file, None, "model", f"no {variable} in the environment", f"set {variable}; {name} answers calls"
                )
            )
    return problems
