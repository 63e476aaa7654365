"""Fills `{{ variables }}` in operators' texts, in Jinja's sandbox, where a missing variable is an error."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agents.allowed import FieldPath
from agents.errors import ConfigError


def _said(value: object) -> object:
    """What stands in a variable's place. Raises TemplateError for nothing, which would be read out as None."""
    if value is None:
        raise TemplateError("it has no value")
    return value


_SANDBOX = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, finalize=_said)


def render(text: str, variables: Mapping[str, object], encode: Callable[[object], str] | None = None) -> str:
    """The text with its variables filled in. Raises ConfigError for a missing variable or a broken template.

    Values are data: what looks like a template in one of them stays as it is.
    `encode` makes text of each value that is filled in, and may raise what it likes; the rest of the text stays.
    """
    if "{" not in text:
        return text
    try:
        return _compiled(text, encode).render(variables)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"cannot fill in {text[:80]!r}: {error}") from error


def filled(part: object, variables: Mapping[str, object]) -> object:
    """Something like JSON with every text in it filled in, however deep. Raises ConfigError as `render` does."""
    match part:
        case str():
            return render(part, variables)
        case dict():
            return {name: filled(value, variables) for name, value in part.items()}
        case list():
            return [filled(value, variables) for value in part]
        case _:
            return part


def undeclared(text: str) -> set[str]:
    """Names of the variables that the text needs. Raises ValueError for a broken template."""
    try:
        return meta.find_undeclared_variables(_SANDBOX.parse(text))
    except TemplateError as error:
        raise ValueError(f"broken template: {error}") from error


def texts_in(part: Any, path: FieldPath = ()) -> Iterator[tuple[FieldPath, str]]:
    """Every text of something like JSON, however deep, with the path to it."""
    match part:
        case str():
            yield path, part
        case dict() | list():
            for name, value in part.items() if isinstance(part, dict) else enumerate(part):
                yield from texts_in(value, (*path, name))


def attributes(text: str, name: str) -> set[str]:
    """What the text wants of a variable by `{{ name.attribute }}`. Raises ValueError where it wants the whole of it."""
    try:
        tree = _SANDBOX.parse(text)
    except TemplateError as error:
        raise ValueError(f"broken template: {error}") from error
    wanted = [node.attr for node in tree.find_all(nodes.Getattr) if _is_called(node.node, name)]
    if len(wanted) != sum(_is_called(node, name) for node in tree.find_all(nodes.Name)):
        raise ValueError(f"{name} is written {{{{ {name}.NAME }}}}")
    return set(wanted)


def _is_called(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


@lru_cache(maxsize=512)
def _compiled(text: str, encode: Callable[[object], str] | None) -> Template:
    return (_SANDBOX.overlay(finalize=encode) if encode else _SANDBOX).from_string(text)
