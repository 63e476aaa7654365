"""One call of a tool, from the model's arguments to the text that it is answered with, whatever happens."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Literal

from pydantic_core import PydanticSerializationError, to_json

from agents.cancelling import is_being_cancelled
from agents.errors import ToolError
from agents.tools.contract import AgentTool, BackgroundResult, CalledOff, ToolContext, ToolErrorFormatter

log = logging.getLogger(__name__)

MAX_OUTPUT_CHARS: Final = 32_000
"""Longest answer to a model, about 8,000 tokens; the rest is cut."""


STOPPING_S: Final = 5.0
"""Longest that a tool is waited for that is stopped: it may clean up, which takes as long as a request to a carrier."""

Failure = Literal["error", "timeout", "refused", "stopped"]
"""As `events.Tool` has it."""

_left_behind: set[asyncio.Task["Answer"]] = set()
"""Tools that are stopped and have not ended: a loop alone forgets its tasks."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to: the text for the model, whether it is to speak of it, and why the tool did not do it.

    Of a call that was `stopped` by the caller's voice it is to speak if it does not answer the caller.
    """

    text: str
    is_to_be_spoken_of: bool = True
    failure: Failure | None = None


def error_text(name: str, error: BaseException) -> str:
    """What a model reads of a failure: the words of a ToolError, and of nothing else."""
    return f"Error: {error}" if isinstance(error, ToolError) else "Error: the tool failed."


async def answer(
    tool: AgentTool, arguments: str, context: ToolContext, format_error: ToolErrorFormatter = error_text
) -> Answer:
    """Runs the tool. Raises nothing but cancellation, and what asks for the process to end.

    A text stays as it is; None, numbers, dicts, lists, dataclasses and pydantic models become JSON. The tool runs in a
    task of its own: one that takes no notice of its timeout, or of being cancelled, is left behind after `STOPPING_S`.
    """
    name = tool.schema.name
    task = asyncio.create_task(_run(tool, arguments, context, format_error), name=f"run of {name}")
    try:
        await asyncio.wait({task}, timeout=tool.rules.timeout_s)
        has_timed_out = not task.done()
    finally:
        await _stop(task, name)
    if has_timed_out:
        late = ToolError(f"the tool took longer than {tool.rules.timeout_s:g} seconds.")
        return Answer(failed(name, late, format_error), failure="timeout")
    if task.cancelled():  # by itself
        return Answer(failed(name, asyncio.CancelledError(), format_error), failure="error")
    return task.result()


async def _stop(task: asyncio.Task[Answer], name: str) -> None:
    if task.done():
        return
    _left_behind.add(task)
    task.add_done_callback(_left_behind.discard)
    task.cancel()
    await asyncio.wait({task}, timeout=STOPPING_S)
    if not task.done():
        log.warning("tool %s takes no notice of being stopped: it is left behind", name)


async def _run(tool: AgentTool, arguments: str, context: ToolContext, format_error: ToolErrorFormatter) -> Answer:
    try:
        result = await tool.run(arguments, context)
        if isinstance(result, BackgroundResult):
            is_called_off = isinstance(result, CalledOff)
            return Answer(as_text(result.output), False, "stopped" if is_called_off else None)
        return Answer(as_text(result))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a stranger's code: SystemExit, or what a framework derives from BaseException
        if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
            raise
        return Answer(failed(tool.schema.name, error, format_error), failure="error")


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
