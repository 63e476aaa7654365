"""Makes guardrails of what an agent's file says of them."""

from collections.abc import Mapping

from agents.errors import ConfigError
from agents.guardrails.contract import CHECK_TIMEOUT_S, Check, Guardrail, GuardrailContext
from agents.guardrails.judge import Judge
from agents.guardrails.own_function import find_check
from agents.guardrails.patterns import patterns_finder
from agents.guardrails.spec import GuardrailSpec, JudgeSpec
from agents.guardrails.words import Finder, words_finder


def make_guardrail(spec: GuardrailSpec, environment: Mapping[str, str]) -> Guardrail:
    """The guardrail of a checked spec. Raises ConfigError for what the check would have found."""
    return Guardrail(
        name=spec.name,
        check=_check(spec, environment),
        stages=frozenset(spec.stages),
        tools=None if spec.tools is None else frozenset(spec.tools),
        hint=spec.hint,
        fails=spec.fails,
        timeout_s=spec.judge.timeout_s if spec.judge else CHECK_TIMEOUT_S,
    )


def missing_key(spec: GuardrailSpec, environment: Mapping[str, str]) -> str | None:
    """The variable that holds its judge's key, when it is not set."""
    name = spec.judge.api_key_env if spec.judge else None
    return name if name and not environment.get(name, "").strip() else None


def _check(spec: GuardrailSpec, environment: Mapping[str, str]) -> Check:
    if spec.words:
        return _finds(words_finder(spec.words))
    if spec.patterns:
        return _finds(patterns_finder(spec.patterns))
    if spec.max_chars is not None:
        return _is_longer(spec.max_chars)
    if spec.judge:
        return Judge(spec.judge, _key(spec.judge, environment)).check
    return find_check(spec.function or "")


def _finds(find: Finder) -> Check:
    def check(text: str, context: GuardrailContext) -> str | None:
        found = find(text, context.is_complete)
        return None if found is None else f"there is {found!r} in it"

    return check


def _is_longer(max_chars: int) -> Check:
    def check(text: str, context: GuardrailContext) -> str | None:
        return f"it has more than {max_chars} characters" if len(text) > max_chars else None

    return check


def _key(judge: JudgeSpec, environment: Mapping[str, str]) -> str | None:
    key = environment.get(judge.api_key_env, "").strip() if judge.api_key_env else None
    if key == "":
        raise ConfigError(f"there is no {judge.api_key_env} in the environment, which a guardrail's judge needs")
    return key
