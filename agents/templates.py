"""Fills `{{ variables }}` in operators' texts, in Jinja's sandbox, where a missing variable is an error."""

from collections.abc import Mapping
from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agents.errors import ConfigError

_SANDBOX = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


def render(text: str, variables: Mapping[str, str]) -> str:
    """The text with its variables filled in. Raises ConfigError for a missing variable or a broken template."""
    if "{" not in text:
        return text
    try:
        return _compiled(text).render(variables)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"cannot fill in {text[:80]!r}: {error}") from error


def undeclared(text: str) -> set[str]:
    """Names of the variables that the text needs. Raises ValueError for a broken template."""
    try:
        return meta.find_undeclared_variables(_SANDBOX.parse(text))
    except TemplateError as error:
        raise ValueError(f"broken template: {error}") from error


@lru_cache(maxsize=512)
def _compiled(text: str) -> Template:
    return _SANDBOX.from_string(text)
