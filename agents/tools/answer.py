"""One call of a tool, from the model's arguments to the text that it is answered with, whatever happens."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from pydantic_core import PydanticSerializationError, to_json

from agents.cancelling import is_being_cancelled
from agents.errors import ToolError
from agents.tools.contract import AgentTool, BackgroundResult, ToolContext, ToolErrorFormatter

log = logging.getLogger(__name__)

MAX_OUTPUT_CHARS: Final = 32_000
"""Longest answer to a model, about 8,000 tokens; the rest is cut."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to: the text for the model, and whether it is to speak of it."""

    text: str
    is_to_be_spoken_of: bool = True
    has_timed_out: bool = False


def error_text(name: str, error: BaseException) -> str:
    """What a model reads of a failure: the words of a ToolError, and of nothing else."""
    return f"Error: {error}" if isinstance(error, ToolError) else "Error: the tool failed."


async def answer(
    tool: AgentTool, arguments: str, context: ToolContext, format_error: ToolErrorFormatter = error_text
) -> Answer:
    """Runs the tool. Raises nothing but cancellation, and what asks for the process to end.

    A text stays as it is; None, numbers, dicts, lists, dataclasses and pydantic models become JSON.
    """
    limit = asyncio.timeout(tool.rules.timeout_s)
    try:
        async with limit:
            result = await tool.run(arguments, context)
            if isinstance(result, BackgroundResult):
                return Answer(as_text(result.output), is_to_be_spoken_of=False)
            return Answer(as_text(result))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a stranger's code: SystemExit, or what a framework derives from BaseException
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        if limit.expired():
            late = ToolError(f"the tool took longer than {tool.rules.timeout_s:g} seconds.")
            return Answer(failed(tool.schema.name, late, format_error), has_timed_out=True)
        return Answer(failed(tool.schema.name, error, format_error))


def failed(name: str, error: BaseException, format_error: ToolErrorFormatter = error_text) -> str:
    """What the model reads of a failure. What is no ToolError is logged; a formatter that raises is not used."""
    if not isinstance(error, ToolError):
        log.error("tool %s raised", name, exc_info=error)
    try:
        return as_text(format_error(name, error))
    except Exception:
        log.exception("the error formatter raised")
        return error_text(name, error)


def as_text(result: object) -> str:
    """What a model reads of a result."""
    if isinstance(result, str):
        text = result
    else:
        try:
            text = to_json(result, inf_nan_mode="null").decode()
        except PydanticSerializationError:
            log.warning("a tool returned %s, which is not JSON", type(result).__name__)
            text = str(result)
    return text if len(text) <= MAX_OUTPUT_CHARS else text[:MAX_OUTPUT_CHARS] + " (cut)"
