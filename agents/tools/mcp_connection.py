"""Keeps one MCP server: starts it, lists its tools, starts it again when it has died and is wanted."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import mcp_types
from mcp import Client, MCPError

from agents.errors import ToolError
from agents.tools.mcp_answer import told
from agents.tools.mcp_transport import LastWords, Open

log = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 20.0
"""For a program to load and to shake hands: those from npm take seconds."""

LIST_TIMEOUT_S: Final = 10.0
"""For the list of its tools, all pages of it."""

CLOSE_TIMEOUT_S: Final = 10.0
"""Longest that its end is waited for: the `mcp` package gives a program 2 s, and two more for each of its signals."""

BACKOFF_S: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""How long after a start that failed, or a short life, the next start may begin; the last one repeats."""

STABLE_S: Final = 60.0
"""A server that lived for so long did not fail to start."""

RELIST_PAUSE_S: Final = 1.0
"""After a list that was asked for because it had changed: a server that never rests costs no more than this."""

MAX_TOOLS: Final = 128
"""As many as OpenAI takes; a model with more chooses badly anyway."""

MAX_PAGES: Final = 20
"""Of a list of tools, each of which has at least some."""

MAX_PROBLEM_CHARS: Final = 200
"""Of an error's text in the log."""

_SESSION_OVER: Final = "Session terminated"
"""What the `mcp` package says of a server that has forgotten our session."""


def pause_s(failures: int) -> float:
    """How long to wait before the next start, after so many in a row that came to nothing."""
    return BACKOFF_S[min(max(failures - 1, 0), len(BACKOFF_S) - 1)]


class McpConnection:
    """One server, from `start()` to `close()`.

    The `mcp` package wants its connection left in the task that entered it, while any session may be the first to come
    and any the last to go: so it is held by a task of its own, which is no session's.
    """

    def __init__(self, name: str, open_streams: Open, last_words: LastWords, clean: Callable[[str], str]) -> None:
        """`clean` takes what must not be told out of an error's text."""
        self._name = name
        self._open_streams = open_streams
        self._last_words = last_words
        self._clean = clean
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._tools: tuple[mcp_types.Tool, ...] | None = None
        self._has_news = False
        self._problem = "it was not started"
        self._failures = 0
        self._began_at = self._may_start_at = 0.0
        self._limit: asyncio.Timeout | None = None
        self._is_leaving = self._is_lost = self._is_wanted = False
        self._wake = asyncio.Event()
        self._first_try = asyncio.Event()
        self._next_try = asyncio.Event()

    # ---- what sessions do with it ----

    async def start(self) -> None:
        """Starts the server, and waits until it is there or cannot be had, which `tools()` tells."""
        if self._task is None:
            # in nobody's context: the first call to come is not the one that later log lines are about
            self._task = asyncio.create_task(
                self._hold(), name=f"MCP server {self._name}", context=contextvars.Context()
            )
        await self._first_try.wait()

    async def close(self) -> None:
        """Stops the server, and waits for its end, at most CLOSE_TIMEOUT_S."""
        self._is_leaving = True
        self._wake.set()
        if self._limit and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())  # of a start that is under way
        if self._task:
            await asyncio.wait({self._task}, timeout=CLOSE_TIMEOUT_S)

    def tools(self) -> tuple[mcp_types.Tool, ...]:
        """Its tools: of one that has died, those that it had. Raises ToolError, and starts it, where none are known."""
        if self._tools is None:
            self._want()
            raise ToolError(self._problem)
        return self._tools

    async def call(self, name: str, arguments: dict[str, Any]) -> object:
        """Has the server run a tool; being cancelled cancels it there. Raises ToolError for what the model is to read.

        A server that has died is started again first.
        """
        client = await self._live()
        try:
            return told(await client.call_tool(name, arguments))
        except MCPError as error:
            if error.code == mcp_types.CONNECTION_CLOSED or error.message == _SESSION_OVER:
                self._lose(client)
                raise ToolError("the tool's server broke off; nobody knows whether it was done") from None
            raise ToolError(self._clean(error.message)) from None
        except ToolError as error:
            raise ToolError(self._clean(str(error))) from None

    async def _live(self) -> Client:
        if self._client is None:
            self._want()
            if self._may_start_at <= asyncio.get_running_loop().time():
                self._next_try.clear()
                await self._next_try.wait()
        if self._client is None:
            raise ToolError(f"the tool's server is not there: {self._problem}")
        return self._client

    def _want(self) -> None:
        self._is_wanted = True
        self._wake.set()

    def _lose(self, client: Client | None) -> None:
        if client is not None and client is self._client:
            self._is_lost, self._client = True, None
            self._problem = "it ended"
            self._note_end()
            self._wake.set()

    def _note_end(self) -> None:
        now = asyncio.get_running_loop().time()
        self._failures = 0 if now - self._began_at > STABLE_S else self._failures + 1
        self._may_start_at = now + pause_s(self._failures)

    # ---- its task ----

    async def _hold(self) -> None:
        now = asyncio.get_running_loop().time
        try:
            while not self._is_leaving:
                self._began_at = now()
                await self._live_once()
                await self._until(lambda: self._is_wanted)
                await self._until(lambda: False, self._may_start_at - now())
        finally:
            self._is_leaving = True
            self._tell_tried()

    async def _live_once(self) -> None:
        """One start of the server and, if it succeeds, its life."""
        self._is_lost = self._is_wanted = self._has_news = was_there = False
        self._last_words.lines.clear()
        try:
            async with self._connected() as client:
                self._client, was_there = client, True
                self._tell_tried()
                await self._follow(client)
        except Exception as error:
            if not was_there:
                self._problem = self._clean(_words(error))
                self._note_end()
        if not was_there:
            self._tell_tried()
        self._client = self._limit = None
        if not self._is_leaving:
            last = self._clean(" / ".join(self._last_words.lines))
            log.warning("MCP server %s: %s; it is started again when it is wanted. %s", self._name, self._problem, last)

    async def _follow(self, client: Client) -> None:
        """Lists the tools again whenever the server says that they have changed, until it is lost."""
        while not (self._is_lost or self._is_leaving):
            await self._until(lambda: self._is_lost or self._has_news)
            if self._has_news and not self._is_lost:
                self._has_news = False
                await self._list_again(client)
                await self._until(lambda: self._is_lost, RELIST_PAUSE_S)

    async def _list_again(self, client: Client) -> None:
        try:
            async with asyncio.timeout(LIST_TIMEOUT_S) as self._limit:
                self._tools = await _listed(client)
        except Exception as error:  # a stranger's server may answer anything: it keeps the tools that it had
            if not self._is_leaving:
                log.warning("the new tools of %s cannot be had: %s", self._name, self._clean(_words(error)))
        finally:
            self._limit = None

    def _tell_tried(self) -> None:
        self._first_try.set()
        self._next_try.set()

    async def _until(self, is_so: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Waits until it is so, the time is over, or the end has come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not (self._is_leaving or is_so()):
                    self._wake.clear()
                    await self._wake.wait()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        client: Client | None = None

        async def hear(message: object) -> None:
            if isinstance(message, mcp_types.ToolListChangedNotification):
                self._has_news = True
                self._wake.set()

        async with asyncio.timeout(START_TIMEOUT_S) as self._limit:
            streams = self._open_streams(lambda: self._lose(client))
            client = Client(streams, cache=None, message_handler=hear)
            async with client:
                self._limit.reschedule(asyncio.get_running_loop().time() + LIST_TIMEOUT_S)
                self._tools = await _listed(client)
                self._limit.reschedule(None)
                self._limit = None
                yield client


async def _listed(client: Client) -> tuple[mcp_types.Tool, ...]:
    """All tools, page by page, at most MAX_TOOLS."""
    tools: list[mcp_types.Tool] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None or len(tools) > MAX_TOOLS:
            break
    if len(tools) > MAX_TOOLS:
        log.warning("an MCP server has more than %d tools; the rest is left out", MAX_TOOLS)
    return tuple(tools[:MAX_TOOLS])


def _words(error: BaseException) -> str:
    """What went wrong, in a line: of several errors, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case FileNotFoundError(filename=name) if name:
            return f"there is no program {name}"
        case TimeoutError():
            return "it did not answer in time"
        case _:
            return f"{type(error).__name__}: {error}"[:MAX_PROBLEM_CHARS]
