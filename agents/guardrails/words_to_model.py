"""What a model reads when a guardrail objects: that it did, which one, and what to do instead. Pure."""

from typing import Final

from agents.guardrails.contract import Guardrail

ABOUT_ITSELF: Final = "Apologise briefly, do not say it again, and change the subject."
ABOUT_THE_CALLER: Final = "Say that you cannot help with that, and change the subject."
"""What to do where the guardrail has no hint."""


def about_own_words(guardrail: Guardrail) -> str:
    return (
        f"You were stopped: what you were saying is against the rule {guardrail.name!r} of this conversation. "
        f"{guardrail.hint or ABOUT_ITSELF}"
    )


def about_callers_words(guardrail: Guardrail) -> str:
    return (
        f"What the caller said is against the rule {guardrail.name!r} of this conversation. "
        f"{guardrail.hint or ABOUT_THE_CALLER}"
    )


def instead_of_call(guardrail: Guardrail) -> str:
    return (
        f"Error: the tool was not called: that is against the rule {guardrail.name!r} of this conversation. "
        f"{guardrail.hint or ABOUT_THE_CALLER}"
    )


def instead_of_stopped_call(why: str) -> str:
    """`why` is one of the above, of the response that the call is part of."""
    return f"Error: the tool was not called. {why}"


def instead_of_result(guardrail: Guardrail) -> str:
    return (
        f"Error: what the tool gave is against the rule {guardrail.name!r} of this conversation. "
        f"{guardrail.hint or ABOUT_THE_CALLER}"
    )
