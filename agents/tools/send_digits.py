"""The tool that presses keys towards the far end, such as those of a menu."""

from typing import Annotated, Final

from pydantic import Field

from agents.tools.contract import ToolContext, ToolRules
from agents.tools.function import tool

MAX_DIGITS: Final = 32
"""As many as Twilio sends when it dials."""

SENDING_S: Final = 45.0
"""Longest that it takes: half a second for each key, and then until the line is back."""

WORDS_TIMEOUT_S: Final = 20.0
"""Longest that what is being said delays the keys: a menu waits no longer."""


@tool(rules=ToolRules(timeout_s=WORDS_TIMEOUT_S + SENDING_S))
async def send_digits(
    digits: Annotated[
        str,
        Field(
            description="The keys, 0-9, A-D, * and #; w waits for half a second.",
            pattern=r"^[0-9A-D*#w]+$",
            max_length=MAX_DIGITS,
        ),
    ],
    call: ToolContext,
) -> str:
    """Press keys on the telephone, as a menu or an extension asks for."""
    control = call.control
    await call.session.wait_played(WORDS_TIMEOUT_S)
    await control.send_digits(digits)
    return "The keys were pressed."
