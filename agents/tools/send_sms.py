"""The tool that sends a text message, to the caller or to somebody whom the operator names."""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field

from agents.agent import CallContext
from agents.call_control import Destination
from agents.call_spec import is_number
from agents.errors import ToolError
from agents.tools.contract import ToolContext
from agents.tools.destinations import find
from agents.tools.function import FunctionTool, tool

THE_CALLER: Final = "the caller"
"""How a model names them."""

MAX_CHARS: Final = 480
"""Three messages' worth, sent as one; Twilio takes 1600."""


def send_sms_tool(destinations: Sequence[Destination], *, sender: str | None = None) -> FunctionTool:
    """`sender` is a number of the account's; None is the one that the call is held on. SIP addresses get none."""
    reachable = [each for each in destinations if is_number(each.address)]
    names = [THE_CALLER, *(each.name for each in reachable)]

    @tool
    async def send_sms(
        to: Annotated[str, Field(description="Whom to.", json_schema_extra={"enum": names})],
        text: Annotated[str, Field(description="The message.", min_length=1, max_length=MAX_CHARS)],
        call: ToolContext,
    ) -> str:
        """Send a text message to a mobile telephone."""
        destination = _the_caller(call) if to == THE_CALLER else find(to, reachable)
        await call.control.send_sms(destination.address, text, sender=sender)
        return f"The message to {destination.name} was sent."

    return send_sms


def _the_caller(call: ToolContext) -> Destination:
    context = call.context
    number = context.other_party if isinstance(context, CallContext) else ""
    if not is_number(number):
        raise ToolError("the caller's number is not known")
    return Destination(name=THE_CALLER, address=number)
