"""The checks of texts by guardrails: what they say, in bounded time, whatever they do."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from agents.cancelling import is_being_cancelled
from agents.errors import GatewayError
from agents.events import Error, SessionEvent
from agents.guardrails.contract import Check, Guardrail, GuardrailContext
from agents.speaking import Spawn

log = logging.getLogger(__name__)

MAX_RUNNING: Final = 64
"""Checks that wait for something at the same time, in one conversation. More have failed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`objection` is why the text is not to be, None when it may; `failure` is what went wrong with the check."""

    guardrail: Guardrail
    objection: str | None = None
    failure: str | None = None


class Checks:
    """Runs the checks of one conversation beside it."""

    def __init__(self, spawn: Spawn, tell: Callable[[SessionEvent], object]) -> None:
        self._spawn = spawn
        self._tell = tell
        self._running = 0

    def begin(
        self, guardrail: Guardrail, text: str, context: GuardrailContext, judged: Callable[[Verdict], None]
    ) -> None:
        """Lets a guardrail look at a text. `judged` is called with the verdict, at once or when there is one."""
        verdict = check_at_once(guardrail, text, context)
        if verdict is None and self._running >= MAX_RUNNING:
            verdict = failed(guardrail, TimeoutError("too many checks are waiting"))
        if verdict is not None:
            judged(verdict)
            return

        async def wait() -> None:
            self._running += 1
            try:
                verdict = await check(guardrail, text, context)
            finally:
                self._running -= 1
            judged(verdict)

        self._spawn(wait, f"guardrail {guardrail.name}")

    def tell_failure(self, verdict: Verdict, told: set[str]) -> None:
        """Tells of a check that failed, unless the guardrail is among those `told` of."""
        name = verdict.guardrail.name
        if verdict.failure is not None and name not in told:
            told.add(name)
            self._tell(Error("guardrail_failed", f"guardrail {name}: {verdict.failure}"))


def check_at_once(guardrail: Guardrail, text: str, context: GuardrailContext) -> Verdict | None:
    """The verdict of a check that is no async function; None of one that is, which `check` awaits."""
    if _is_async(guardrail.check):
        return None
    try:
        said = guardrail.check(text, context)
        if inspect.isawaitable(said):
            _drop(said)
            raise TypeError("a check that waits must be an async function")
    except (Exception, SystemExit) as error:
        return failed(guardrail, error)
    return _judged(guardrail, said)


async def check(guardrail: Guardrail, text: str, context: GuardrailContext) -> Verdict:
    """The verdict, after the guardrail's `timeout_s` at the latest. Raises nothing but cancellation."""
    if verdict := check_at_once(guardrail, text, context):
        return verdict
    limit = asyncio.timeout(guardrail.timeout_s)
    try:
        async with limit:
            answer = guardrail.check(text, context)
            said = await answer if inspect.isawaitable(answer) else answer
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if is_being_cancelled():
            raise
        is_late = limit.expired()
        return failed(guardrail, TimeoutError(f"it took longer than {guardrail.timeout_s:g} s") if is_late else error)
    if is_being_cancelled():  # a check that swallows it
        raise asyncio.CancelledError
    return _judged(guardrail, said)


async def check_all(guardrails: Sequence[Guardrail], text: str, context: GuardrailContext) -> list[Verdict]:
    """The verdicts of all, which look at the text at the same time."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(check(each, text, context), name=f"guardrail {each.name}") for each in guardrails]
    return [task.result() for task in running]


def failed(guardrail: Guardrail, error: BaseException) -> Verdict:
    """What becomes of a check that gave no answer."""
    is_ours = isinstance(error, GatewayError | TimeoutError)
    if not is_ours:
        log.error("guardrail %s raised", guardrail.name, exc_info=error)
    failure = str(error) if is_ours and str(error) else type(error).__name__
    return Verdict(guardrail, "the check failed" if guardrail.fails == "closed" else None, failure)


def _is_async(check: Check) -> bool:
    return inspect.iscoroutinefunction(check) or inspect.iscoroutinefunction(getattr(check, "__call__", None))  # noqa: B004


def _judged(guardrail: Guardrail, said: object) -> Verdict:
    if said is None or isinstance(said, str):
        return Verdict(guardrail, said)
    return failed(guardrail, TypeError(f"a check gives a text or None, not {type(said).__name__}"))


def _drop(answer: Awaitable[object]) -> None:
    if inspect.iscoroutine(answer):
        answer.close()
