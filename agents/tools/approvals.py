"""Calls of tools that wait for somebody to decide whether they may be made."""

import asyncio
from typing import Final

from agents.errors import ConfigError

NOT_APPROVED: Final = "The call was not approved."
"""What a model reads of a call that was rejected without a reason."""


class Approvals:
    """The undecided calls of one conversation. Each waits for as long as the conversation lasts, and no longer."""

    def __init__(self) -> None:
        self._undecided: dict[str, asyncio.Future[str | None]] = {}

    def wait(self, call_id: str) -> "asyncio.Future[str | None]":
        """A call is undecided from here on. Gives None once it is approved, else the text that rejects it."""
        decision: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._undecided[call_id] = decision
        return decision

    def approve(self, call_id: str) -> None:
        """Lets the call be made. Raises ConfigError for one that is not undecided."""
        self._decide(call_id, None)

    def reject(self, call_id: str, text: str | None = None) -> None:
        """Has the model answered with the text. Raises ConfigError for a call that is not undecided."""
        self._decide(call_id, NOT_APPROVED if text is None else text)

    def forget(self, call_id: str) -> None:
        """Nobody waits for this decision any more."""
        self._undecided.pop(call_id, None)

    def _decide(self, call_id: str, rejection: str | None) -> None:
        decision = self._undecided.pop(call_id, None)
        if decision is None:
            raise ConfigError(f"no call {call_id[:80]!r} waits for approval: it is unknown, decided or called off")
        if not decision.done():
            decision.set_result(rejection)
