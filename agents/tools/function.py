"""Python functions that a model may call: schema from type hints, arguments checked."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, cast, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, ValidationError, create_model

from agents.errors import ConfigError, ToolError
from agents.realtime import ToolSchema
from agents.tools.contract import DEFAULT_TIMEOUT_S, ToolContext, ToolRules
from agents.tools.threads import run_in_thread


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A function as a model sees it. `arguments` checks the model's JSON.

    A sync function runs in a thread, which a timeout leaves behind to end by itself.
    """

    schema: ToolSchema
    function: Callable[..., object]
    arguments: type[BaseModel]
    context_parameter: str | None
    rules: ToolRules = field(default_factory=ToolRules)

    @property
    def name(self) -> str:
        return self.schema.name

    async def run(self, arguments: str, context: ToolContext) -> object:
        """What the function gives. Raises ToolError for arguments that do not fit, and what the function raises."""
        given = self._given(arguments)
        if self.context_parameter:
            given[self.context_parameter] = context
        return await self._run(given)

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
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    rules: ToolRules | None = None,
) -> Callable[[Callable[..., object]], FunctionTool]: ...
def tool(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    rules: ToolRules | None = None,
) -> FunctionTool | Callable[[Callable[..., object]], FunctionTool]:
    """Makes a tool of a function, as a decorator with or without options.

    Every parameter needs a type hint; describe one with `Annotated[str, Field(description=...)]`. The docstring's first
    paragraph is the description unless one is given. `rules` say how its calls are run; `timeout_s` is for
    where that is the only one. Raises ConfigError for a function that cannot be a tool.
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
        return FunctionTool(schema, function, arguments, context_parameter, rules or ToolRules(timeout_s=timeout_s))

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
