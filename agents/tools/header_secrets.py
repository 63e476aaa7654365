"""The secrets that headers name: `{{ env.NAME }}` stands for a variable of the environment."""

from collections.abc import Iterable, Mapping
from typing import Final

from agents.errors import ConfigError
from agents.templates import attributes

ENVIRONMENT: Final = "env"
"""The variable of headers that holds the environment."""

MIN_SECRET_CHARS: Final = 6
"""Shorter ones are placeholders that are parts of words."""


def named_in(headers: Iterable[str]) -> list[str]:
    """The variables of the environment that the headers name. Raises ValueError for a broken template."""
    return sorted({name for text in headers for name in attributes(text, ENVIRONMENT)})


def missing_of(names: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Which of the variables are not set, or are empty."""
    return [name for name in names if not environment.get(name, "").strip()]


def secrets_of(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The values of these variables, and of no other. Raises ConfigError for those that are missing, by name."""
    wanted = list(names)
    if missing := missing_of(wanted, environment):
        raise ConfigError(f"no {', '.join(missing)} in the environment")
    return {name: environment[name].strip() for name in wanted}


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets in it, as they are and as some write them in JSON."""
    for secret in secrets:
        if len(secret) >= MIN_SECRET_CHARS:
            text = text.replace(secret, "…").replace(secret.replace("/", "\\/"), "…")
    return text
