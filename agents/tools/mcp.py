"""Tools of servers that speak the Model Context Protocol."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

from agents.errors import ConfigError, ToolError
from agents.realtime import ToolSchema
from agents.tools.contract import ToolContext, ToolRules
from agents.tools.header_secrets import without
from agents.tools.mcp_schema import tool_schema

if TYPE_CHECKING:
    import mcp_types

    from agents.tools import mcp_connection

log = logging.getLogger(__name__)

MAX_CLEAN_CHARS: Final = 500
"""Of what a server says of an error: for a model to read, or a log line."""


@dataclass(frozen=True, slots=True)
class McpTool:
    """One tool of a server. `name` is the server's own name for it."""

    schema: ToolSchema
    rules: ToolRules
    server: "McpServer"
    name: str

    async def run(self, arguments: str, context: ToolContext) -> object:
        """What the server answers. Being cancelled cancels it there."""
        try:
            given = orjson.loads(arguments or "{}")
        except ValueError:
            raise ToolError("the arguments are not JSON") from None
        if not isinstance(given, dict):
            raise ToolError("the arguments must be a JSON object")
        return await self.server.call(self.name, given)


class McpServer:
    """A Toolkit: the tools of a program that talks over its standard streams, or of an address.

    Whoever enters it first starts it, and waits until it is there; whoever leaves it last stops it. A server that
    cannot be had is logged, and started again, with pauses that grow, when one of its tools is called.
    """

    def __init__(
        self,
        name: str,
        *,
        command: str | None = None,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        tools: Sequence[str] | None = None,
        rules: Mapping[str, ToolRules] | None = None,
        default_rules: ToolRules | None = None,
    ) -> None:
        """Give `command`, with `args` and `env`, or `url`, with `headers`. `name` is for logs.

        Of our environment a program sees `env`, and a few harmless variables. `tools` are those that the agent has,
        by the server's names; None for all. `rules` are by the names that a model knows the tools by.
        """
        if (command is None) == (url is None):
            raise ConfigError(f"MCP server {name}: give command or url")
        self.name = name
        self._command, self._args, self._env = command, tuple(args), dict(env or {})
        self._url, self._headers = url, dict(headers or {})
        self._wanted = None if tools is None else tuple(tools)
        self._rules = dict(rules or {})
        self._default_rules = default_rules or ToolRules()
        self._connection: mcp_connection.McpConnection | None = None
        self._users = 0
        self._said_unknown = False

    @property
    def is_entered(self) -> bool:
        return self._users > 0

    async def tools(self) -> tuple[McpTool, ...]:
        """Its tools, those that it was last known to have. Raises ToolError when there are none, or nobody entered it.

        A server that says that it has others now is asked for them aside: nobody waits for that.
        """
        if self._connection is None:
            raise ToolError("nobody has entered it")
        known = self._connection.tools()
        self._tell_unknown([tool.name for tool in known])
        return tuple(self._tool(tool) for tool in known if self._wanted is None or tool.name in self._wanted)

    def rules_for(self, name: str) -> ToolRules:
        """How calls of the tool are run that a model knows by this name."""
        return self._rules.get(name, self._default_rules)

    async def call(self, name: str, arguments: dict[str, Any]) -> object:
        """What its tool of that name answers. Raises ToolError for what the model is to read."""
        if self._connection is None:
            raise ToolError("the tool's server is not there")
        return await self._connection.call(name, arguments)

    async def __aenter__(self) -> Self:
        self._users += 1
        try:
            if self._connection is None:
                self._connection = self._new_connection()
            await self._connection.start()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        self._users -= 1
        if not self._users and self._connection:
            connection, self._connection = self._connection, None
            await connection.close()

    def _new_connection(self) -> "mcp_connection.McpConnection":
        # the mcp package takes half a second to import: only those who have a server wait for it
        from agents.tools.mcp_connection import McpConnection
        from agents.tools.mcp_transport import LastWords, address, program

        last_words = LastWords(self.name)
        if self._command is not None:
            streams = program(self._command, self._args, self._env, last_words)
        else:
            streams = address(self._url or "", self._headers)
        return McpConnection(self.name, streams, last_words, self._clean)

    def _clean(self, text: str) -> str:
        """The text without secrets: what was given to the server, and what an address says behind its path."""
        given = [word for value in (*self._env.values(), *self._headers.values()) for word in (value, *value.split())]
        return without(text, [*given, (self._url or "").partition("?")[2]])[:MAX_CLEAN_CHARS]

    def _tell_unknown(self, known: Sequence[str]) -> None:
        unknown = sorted(set(self._wanted or ()) - set(known))
        if unknown and not self._said_unknown:
            self._said_unknown = True
            words = (self.name, ", ".join(unknown), ", ".join(known) or "none")
            log.warning("MCP server %s has no tool named %s; it has %s", *words)

    def _tool(self, tool: "mcp_types.Tool") -> McpTool:
        schema = tool_schema(tool.name, tool.description, tool.input_schema)
        return McpTool(schema, self.rules_for(schema.name), self, tool.name)
