"""What a tool is to a session: its schema, the rules of its calls, and what runs it."""

import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self, runtime_checkable

from agents.errors import ConfigError
from agents.realtime import ToolSchema

if TYPE_CHECKING:
    from agents.call_control import CallControl
    from agents.history import HistoryItem
    from agents.session import RealtimeSession

DEFAULT_TIMEOUT_S: Final = 15.0
"""About as long as a caller waits on a silent line."""

FILLER_AFTER_MS: Final = 1500
"""Silence that a caller takes for thinking; after that, for a line that is dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filler:
    """What the caller hears when a tool has run for `after_ms` and the agent is silent: words, or a WAV file.

    `say` may hold {{ variables }}; `play` is a WAV file of 16 bits. It is heard once for each call, and one at a time:
    that of another call waits for `after_ms` of silence after it. The caller's voice stops it as all that the agent
    says, and the result never waits for it. Raises ConfigError unless it is one of the two.
    """

    after_ms: int = FILLER_AFTER_MS
    say: str | None = None
    play: Path | None = None

    def __post_init__(self) -> None:
        if (self.say is None) == (self.play is None) or self.after_ms < 0:
            raise ConfigError(
                "a filler either says something or plays a recording, some time after the call: "
                f"say={self.say!r}, play={self.play!r}, after_ms={self.after_ms}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRules:
    """How the calls of one tool are run.

    timeout_s       the longest that a call may take, once it is approved
    on_timeout      "answer": the model is told of it; "error": an `error` event says it, and the model is told nothing
                    (some models then wait for as long as the call lasts: this is for programs that mend it)
    filler          for a caller who waits
    background      the model is told at once that the tool has begun, and there is no filler; the result is told, and
                    answered, when it comes and nobody speaks
    needs_approval  whether a call waits for `session.approve()` or `reject()`, at most until the conversation ends; or
                    a function of context and JSON arguments that says so
    interruptible   whoever interrupts the agent stops the calls that run then; else a call goes on to its end. The
                    model speaks of that, unless it answers the caller
    is_enabled      whether there is such a tool; or a function of the session's context, asked at each connect, each
                    handoff and each call. One that raises means no

    Functions may be sync, and quick, or async. Raises ConfigError for a time that is not above 0.
    """

    timeout_s: float = DEFAULT_TIMEOUT_S
    on_timeout: Literal["answer", "error"] = "answer"
    filler: Filler | None = None
    background: bool = False
    needs_approval: "bool | Callable[[ToolContext, str], bool | Awaitable[bool]]" = False
    interruptible: bool = False
    is_enabled: bool | Callable[[object], bool | Awaitable[bool]] = True

    def __post_init__(self) -> None:
        if not self.timeout_s > 0:
            raise ConfigError(f"timeout_s is {self.timeout_s}; it must be above 0")


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

    @property
    def history(self) -> "list[HistoryItem]":
        """What was said so far: a copy, which is the tool's own."""
        return copy.deepcopy(list(self.session.history))

    @property
    def control(self) -> "CallControl":
        """What can be done with the telephone call. Raises ToolError where there is none."""
        return self.session.call_control


@dataclass(frozen=True, slots=True)
class BackgroundResult:
    """A tool's result that the model is told, and not asked to speak of.

    One that goes on by itself after each result (`Capabilities.answers_tools_by_itself`) does so all the same.
    """

    output: object


class CalledOff(BackgroundResult):
    """That of a tool which the caller's voice called off: spoken of only if the model does not answer the caller."""


@runtime_checkable
class AgentTool(Protocol):
    """Something that a model may call."""

    @property
    def schema(self) -> ToolSchema: ...

    @property
    def rules(self) -> ToolRules: ...

    async def run(self, arguments: str, context: ToolContext) -> object:
        """Runs it with the model's JSON text, not yet trusted, and gives what to answer with.

        Raises ToolError for what the model is to read; what else it raises is logged and hidden from the model.
        """


class Toolkit(Protocol):
    """Tools that exist only while somebody keeps a connection, such as those of an MCP server.

    An async context manager, which several sessions may enter at the same time: the first who enters connects, the last
    who leaves disconnects. It may be left in another task than the one it was entered in. Leaving raises nothing.
    """

    @property
    def name(self) -> str: ...

    @property
    def is_entered(self) -> bool:
        """Whether anybody has entered it, and not left it: its tools were looked at then."""

    async def tools(self) -> tuple[AgentTool, ...]:
        """Its tools as they are known, at once, while it is entered. Raises ToolError when they cannot be had."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None: ...


ToolErrorFormatter = Callable[[str, BaseException], str]
"""Makes of a tool's name and what it raised the text that the model reads."""
