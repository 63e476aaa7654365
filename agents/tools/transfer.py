"""The tools that put the caller through to somebody else: at once, or once that somebody has been told and agrees."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from agents.call_control import Destination, Outcome
from agents.idle import VOICE_HOLD_S
from agents.templates import render
from agents.tools.contract import BackgroundResult, CalledOff, ToolContext, ToolRules
from agents.tools.destinations import find, names_of
from agents.tools.function import FunctionTool, tool
from agents.tools.hang_up import GOODBYE_TIMEOUT_S

ANSWERING_S: Final = 120.0
"""Longest from the ringing's end until it is known what came of it: a briefing heard twice, and the answer to it."""

MAX_BRIEFING_CHARS: Final = 600
"""Half a minute of speech; who answers a telephone listens no longer."""

_CALLER_SPOKE: Final = CalledOff("The caller spoke before you had finished: nobody was called. The call goes on.")
"""It is the caller who is to be answered then, if they said anything."""

_OUTCOMES: Final[Mapping[Outcome, str]] = {
    "answered": "The caller is talking with {name}.",
    "declined": "{name} cannot take the call now.",
    "no-answer": "Nobody answered at {name}.",
    "busy": "{name} is busy.",
    "failed": "{name} cannot be reached.",
}


def transfer_tool(destinations: Sequence[Destination], *, ring_s: float, whisper: str | None = None) -> FunctionTool:
    """`whisper` is said to whoever answers, with {{ variables }}. Raises ConfigError without destinations."""
    names = names_of(destinations, "transfer")
    longest_s = GOODBYE_TIMEOUT_S + VOICE_HOLD_S + ring_s + ANSWERING_S

    @tool(rules=ToolRules(timeout_s=longest_s))
    async def transfer(
        to: Annotated[str, Field(description="Whom to.", json_schema_extra={"enum": names})], call: ToolContext
    ) -> str | BackgroundResult:
        """Put the caller through to somebody else. Tell the caller first: they are put through when they have heard
        everything said so far. If nobody answers, they come back to you.
        """
        destination, control = find(to, destinations), call.control
        if not await call.session.wait_goodbye(call.response_id, GOODBYE_TIMEOUT_S):
            return _CALLER_SPOKE
        said = render(whisper, call.session.agent.variables_for(call.context)) if whisper else None
        outcome = await control.transfer(destination, ring_s=ring_s, whisper=said)
        return _told(outcome, destination)

    return transfer


def warm_transfer_tool(
    destinations: Sequence[Destination], *, ring_s: float, music: Path | None = None
) -> FunctionTool:
    """`music` is a WAV file for the caller who waits. Raises ConfigError without destinations."""
    names = names_of(destinations, "warm_transfer")
    longest_s = GOODBYE_TIMEOUT_S + VOICE_HOLD_S + ring_s + ANSWERING_S

    @tool(rules=ToolRules(timeout_s=longest_s))
    async def warm_transfer(
        to: Annotated[str, Field(description="Whom to.", json_schema_extra={"enum": names})],
        briefing: Annotated[
            str,
            Field(
                description="What they are told before they accept: who calls, and about what.",
                max_length=MAX_BRIEFING_CHARS,
            ),
        ],
        call: ToolContext,
    ) -> str | BackgroundResult:
        """Ask somebody else to take the call, while the caller is on hold, and put the caller through if they accept.
        Tell the caller first. If nobody answers or they decline, the caller is with you again.
        """
        destination, control = find(to, destinations), call.control
        if not await call.session.wait_goodbye(call.response_id, GOODBYE_TIMEOUT_S):
            return _CALLER_SPOKE
        await call.session.hold(music, is_reminded=False)
        try:
            outcome = await control.warm_transfer(destination, ring_s=ring_s, briefing=briefing)
        finally:
            await call.session.resume()
        return _told(outcome, destination)

    return warm_transfer


def _told(outcome: Outcome, destination: Destination) -> str:
    text = _OUTCOMES[outcome].format(name=destination.name)
    return text if outcome == "answered" else f"{text} The caller is with you again."
