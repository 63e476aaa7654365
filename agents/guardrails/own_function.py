"""A Python function of the operator's as a guardrail's check."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from typing import Any, cast

from agents.errors import ConfigError
from agents.guardrails.contract import Check, GuardrailContext
from agents.tools.threads import run_in_thread
from agents.yaml_document import shortened


class FunctionNotFound(ConfigError):
    """A dotted name leads to no function that can be a check."""

    def __init__(self, found: str, right: str) -> None:
        super().__init__(f"guardrail: found {found}; {right}")
        self.found = found
        self.right = right


def find_check(name: str) -> Check:
    """The check that a dotted name leads to: a function of (text) or (text, context), sync or async.

    A sync one runs in a thread, which a time-out leaves behind. Raises FunctionNotFound. The code of its module runs.
    """
    module_name, _, attribute = name.rpartition(".")
    if not module_name:
        raise FunctionNotFound(
            shortened(name), "write the dotted name of a Python function, such as mypackage.rules.polite"
        )
    try:
        found: object = getattr(import_module(module_name), attribute)
    except Exception as error:  # a stranger's module may raise anything while it is imported
        reason = f"{shortened(name)} ({type(error).__name__}: {error})"
        raise FunctionNotFound(reason, "must be a function that can be imported; is its package installed?") from error
    if not callable(found):
        raise FunctionNotFound(f"{shortened(name)}, a {type(found).__name__}", "must be a function")
    return _check(found, wants_context=_wants_context(found, name))


def _wants_context(function: Callable[..., Any], name: str) -> bool:
    """Whether it is to be given the context: it must take it, or has a second parameter of that name."""
    try:
        signature = inspect.signature(function)
        second = list(signature.parameters)[1:2]
        if second == ["context"]:
            signature.bind("", None)
            return True
        try:
            signature.bind("")
        except TypeError:
            signature.bind("", None)
            return True
    except (TypeError, ValueError):
        raise FunctionNotFound(shortened(name), "must take (text), or (text, context)") from None
    return False


def _check(function: Callable[..., Any], *, wants_context: bool) -> Check:
    async def check(text: str, context: GuardrailContext) -> str | None:
        given = (text, context) if wants_context else (text,)
        if inspect.iscoroutinefunction(function):
            return cast("str | None", await function(*given))
        said = await run_in_thread(partial(function, *given))
        return cast("str | None", await cast(Awaitable[object], said) if inspect.isawaitable(said) else said)

    return check
