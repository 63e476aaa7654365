"""Tools that are HTTP requests, as an operator writes them."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from pydantic import BaseModel

from agents.errors import ToolError
from agents.realtime import ToolSchema
from agents.templates import undeclared
from agents.tools.contract import ToolContext, ToolRules
from agents.tools.header_secrets import named_in, secrets_of
from agents.tools.http_answer import told
from agents.tools.http_client import HttpClient
from agents.tools.http_request import DIGITS, arguments_model, checked, parameters_schema, request_of, templates
from agents.tools.public_addresses import is_public
from agents.tools.spec import HttpToolSpec


@dataclass(frozen=True, slots=True)
class HttpTool:
    """One request. `environment` holds the variables that its headers name, and no other."""

    spec: HttpToolSpec
    schema: ToolSchema
    rules: ToolRules
    arguments: type[BaseModel]
    client: HttpClient
    environment: Mapping[str, str] = field(repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)
    wants_digits: bool = False

    async def run(self, arguments: str, context: ToolContext) -> object:
        """What of the answer the file wants told. Raises ToolError for arguments and answers that are of no use.

        Where the caller's keys are secret, an answer that repeats them is told without them.
        """
        given = checked(arguments, self.arguments)
        agent, digits = context.session.agent, context.session.digits
        if self.wants_digits and not digits:
            raise ToolError("the caller has typed no digits yet: ask for them, and wait for them, first")
        variables = {**self.variables, **agent.variables_for(context.context), DIGITS: digits}
        request = request_of(self.spec, given, variables, self.environment)
        answer = await self.client.ask(request, retries=self.spec.retries, timeout_s=self.rules.timeout_s)
        return told(answer, self.spec.result, (*request.secrets, digits) if agent.keys.sensitive else request.secrets)


class HttpTools:
    """The HTTP tools of one agent: a Toolkit that owns their connections."""

    name = "http_tools"

    def __init__(
        self,
        specs: Sequence[HttpToolSpec],
        environment: Mapping[str, str],
        rules: Mapping[str, ToolRules] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """`rules` are by the tools' names; `variables` are the agent's own, under those of the call.

        Raises ConfigError for a variable that the environment lacks.
        """
        self._clients = {False: HttpClient(is_public), True: HttpClient(None)}
        self._tools = tuple(
            HttpTool(
                spec,
                ToolSchema(name=spec.name, description=spec.description, parameters=parameters_schema(spec)),
                (rules or {}).get(spec.name) or ToolRules(),
                arguments_model(spec),
                self._clients[spec.allow_private],
                secrets_of(named_in(spec.headers.values()), environment),
                dict(variables or {}),
                any(DIGITS in undeclared(text) for _, text in templates(spec)),
            )
            for spec in specs
        )
        self._open: AsyncExitStack | None = None
        self._users = 0

    @property
    def is_entered(self) -> bool:
        return self._users > 0

    async def tools(self) -> tuple[HttpTool, ...]:
        return self._tools

    async def __aenter__(self) -> Self:
        self._users += 1
        if self._open is None:
            self._open = AsyncExitStack()
            for client in self._clients.values():
                await self._open.enter_async_context(client)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._users -= 1
        if not self._users and self._open:
            closing, self._open = self._open, None
            await closing.aclose()
