"""Python functions that a model may call: schema from type hints, arguments checked, an answer whatever happens."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, cast, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model
from pydantic_core import PydanticSerializationError, to_json

from agents.cancelling import is_being_cancelled
from agents.errors import ConfigError, ToolError
from agents.idle import VOICE_HOLD_S
from agents.realtime import ToolSchema
from agents.tool_threads import run_in_thread

if TYPE_CHECKING:
    from agents.session import RealtimeSession

log = logging.getLogger(__name__)

DEFAULT_TIMEOUT_S: Final = 15.0
"""About as long as a caller waits on a silent line."""

MAX_OUTPUT_CHARS: Final = 32_000
"""Longest answer to a model, about 8,000 tokens; the rest is cut."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of the call: take it as the parameter that is annotated with this class.

    `response_id` is the response that called the tool; None when no model did.
    """

    session: "RealtimeSession"
    call_id: str
    response_id: str | None = None

    @property
    def context(self) -> object:
        """The context object that the session was made with."""
        return self.session.context


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function as a model sees it. `arguments` checks the model's JSON; `timeout_s` is the longest it may run."""

    schema: ToolSchema
    function: Callable[..., object]
    arguments: type[BaseModel]
    context_parameter: str | None
    timeout_s: float = DEFAULT_TIMEOUT_S

    @property
    def name(self) -> str:
        return self.schema.name

    async def call(self, arguments: str, context: ToolContext) -> str:
        """Runs the function with the model's JSON arguments: the text to answer with. Raises nothing but cancellation.

        A text stays as it is; None, numbers, dicts, lists, dataclasses and pydantic models become JSON. A sync function
        runs in a thread, which a timeout leaves behind to end by itself.
        """
        limit = asyncio.timeout(self.timeout_s)
        try:
            given = self._given(arguments)
            if self.context_parameter:
                given[self.context_parameter] = context
            async with limit:
                return _as_text(await self._run(given))
        except ToolError as error:
            return f"Error: {error}"
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                raise
            if limit.expired():
                return f"Error: the tool took longer than {self.timeout_s:g} seconds."
            log.exception("tool %s raised", self.name)
            return "Error: the tool failed."

    def _given(self, arguments: str) -> dict[str, Any]:
        """The model's arguments by parameter. Raises ToolError for those that do not fit."""
        try:
            parsed = self.arguments.model_validate_json(arguments or "{}")
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors())
            raise ToolError(f"the arguments do not fit the tool: {wrong}") from None
        return {str(field.alias): getattr(parsed, name) for name, field in self.arguments.model_fields.items()}

    async def _run(self, given: dict[str, Any]) -> object:
        if inspect.iscoroutinefunction(self.function):
            return await self.function(**given)
        result = await run_in_thread(partial(self.function, **given))
        return await cast(Awaitable[object], result) if inspect.isawaitable(result) else result


@overload
def tool(function: Callable[..., object], /) -> FunctionTool: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, timeout_s: float = DEFAULT_TIMEOUT_S
) -> Callable[[Callable[..., object]], FunctionTool]: ...
def tool(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> FunctionTool | Callable[[Callable[..., object]], FunctionTool]:
    """Makes a tool of a function, as a decorator with or without options.

    Every parameter needs a type hint; describe one with `Annotated[str, Field(description=...)]`. The docstring's first
    paragraph is the description unless one is given. Raises ConfigError for a function that cannot be a tool.
    """

    def make(function: Callable[..., object]) -> FunctionTool:
        title = name or str(getattr(function, "__name__", "tool"))
        try:
            arguments, context_parameter = _arguments(function, title)
            parameters = {k: v for k, v in arguments.model_json_schema().items() if k != "title"}
        except (NameError, TypeError, ValueError, PydanticUserError) as error:
            raise ConfigError(f"tool {title}: {error}") from error
        text = description or (inspect.getdoc(function) or "").split("\n\n")[0]
        schema = ToolSchema(name=title, description=text, parameters=parameters)
        return FunctionTool(schema, function, arguments, context_parameter, timeout_s)

    return make(function) if function else make


def _arguments(function: Callable[..., object], title: str) -> tuple[type[BaseModel], str | None]:
    """A model whose aliases are the parameters' names: as a field's name, `json` or `_id` would mean something else."""
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    context_parameter = None
    for parameter in inspect.signature(function).parameters.values():
        if hints.get(parameter.name) is ToolContext:
            context_parameter = parameter.name
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigError(f"tool {title}: parameter {parameter.name} cannot be given by name")
        if parameter.name not in hints:
            raise ConfigError(f"tool {title}: parameter {parameter.name} has no type hint")
        fields[f"parameter_{len(fields)}"] = (
            Annotated[hints[parameter.name], Field(alias=parameter.name)],
            ... if parameter.default is parameter.empty else parameter.default,
        )
    return create_model(title, __config__=ConfigDict(extra="forbid"), **fields), context_parameter


def _as_text(result: object) -> str:
    if isinstance(result, str):
        text = result
    else:
        try:
            text = to_json(result, inf_nan_mode="null").decode()
        except PydanticSerializationError:
            log.warning("a tool returned %s, which is not JSON", type(result).__name__)
            text = str(result)
    return text if len(text) <= MAX_OUTPUT_CHARS else text[:MAX_OUTPUT_CHARS] + " (cut)"


GOODBYE_TIMEOUT_S: Final = 45.0
"""Longest goodbye that is heard to its end."""


@tool(timeout_s=GOODBYE_TIMEOUT_S + VOICE_HOLD_S + DEFAULT_TIMEOUT_S)
async def hang_up(call: ToolContext) -> str:
    """End the call. Say goodbye first: the call ends when the caller has heard everything said so far."""
    if await call.session.wait_goodbye(call.response_id, GOODBYE_TIMEOUT_S):
        await call.session.close("agent")
        return "The call is over."
    return "The caller spoke before the goodbye was over: the call goes on."


BUILT_IN: Final = {hang_up.name: hang_up}
"""Tools that an agent's YAML may name without a dotted path."""
