"""Runs the tools that a model calls: each call once, side by side, an answer for each."""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from agents.events import Error, SessionEvent, Tool, ToolApproval, ToolCall
from agents.speaking import Spawn, Speaking
from agents.tools.answer import Answer, answer, failed
from agents.tools.approvals import Approvals
from agents.tools.contract import AgentTool, ToolContext, ToolRules
from agents.tools.fillers import Fillers
from agents.tools.predicates import is_enabled, needs_approval
from agents.tools.results import Results
from agents.tools.toolbox import tool_named

if TYPE_CHECKING:
    from agents.agent import RealtimeAgent
    from agents.session import RealtimeSession

T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_AT_ONCE: Final = 32
"""Calls that run at the same time: no conversation needs more, and a model in a loop gets no further."""

MAX_KNOWN: Final = 1000
"""Call ids and responses that are remembered, the latest: a model that repeats itself does so within seconds."""

MAX_NAME: Final = 80
"""Characters of a name that is a model's own words, where it is shown."""

INTERRUPTED: Final = "The caller interrupted: the call was stopped."
"""What a model reads of a call that the caller stopped."""


@dataclass(slots=True, eq=False)
class _Running:
    """A call that has no answer yet. `rules` are there while the tool itself runs; `over` is set when it has."""

    call: ToolCall
    agent: "RealtimeAgent"
    task: asyncio.Task[None] | None = None
    rules: ToolRules | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


class ToolCalls:
    """The tool calls of one conversation. They run in the conversation's tasks, and end with it.

    `before` is asked of each call of a known tool, and may give the output that refuses it; `after` is given each
    output of a tool that ran, and gives the one to send. `approvals` has the calls that nobody has decided on.
    """

    def __init__(
        self,
        session: "RealtimeSession",
        speaking: Speaking,
        fillers: Fillers,
        results: Results,
        spawn: Spawn,
        tell: Callable[[SessionEvent], object],
    ) -> None:
        self._session = session
        self._agent = session.agent
        self._speaking = speaking
        self._fillers = fillers
        self._results = results
        self._spawn = spawn
        self._tell = tell
        self._bound: OrderedDict[str, RealtimeAgent] = OrderedDict()
        self._known: OrderedDict[str, int] = OrderedDict()
        self._running: dict[str, _Running] = {}
        self.approvals = Approvals()
        self.before: Callable[[ToolCall], Awaitable[str | None]] | None = None
        self.after: Callable[[ToolCall, str], Awaitable[str]] | None = None

    # ---- whose tools they are ----

    def use(self, agent: "RealtimeAgent") -> None:
        """Has the calls of responses that begin from now on made of this agent's tools."""
        self._agent = agent

    def response_began(self, response_id: str) -> None:
        """Binds the calls of this response, however late they come, to the agent that answers now."""
        _remember(self._bound, response_id, self._agent)

    # ---- beginning and ending ----

    def start(self, call: ToolCall) -> None:
        """Begins a call, unless one of its id was begun before."""
        if self._is_repeated(call):
            return
        self._speaking.tool_called(call.call_id)
        self._tell(Tool(call.call_id, call.name, call.arguments))
        running = _Running(call, self._bound.get(call.response_id, self._agent))
        run = self._run if len(self._running) < MAX_AT_ONCE else self._refuse_one_too_many
        self._running[call.call_id] = running
        running.task = self._spawn(lambda: run(running), f"tool {call.name[:MAX_NAME]}")

    async def cancel(self, call_id: str) -> None:
        """Stops a call that the model takes back: it gets no answer."""
        if running := self._running.pop(call_id, None):
            self._stop(running)
            await self._speaking.tool_answered(call_id, respond=False)

    def note_interruptible(self) -> Callable[[], None]:
        """The agent is being stopped. Gives what is to be called if that was an interruption: it stops those calls that
        a caller may interrupt and that run now, however late it is called.

        The model learns of them; it is the caller's words that are to be answered, if there are any.
        """
        noted = [running for running in self._running.values() if running.rules and running.rules.interruptible]
        return partial(self._interrupt, noted)

    def _interrupt(self, noted: list[_Running]) -> None:
        for running in noted:
            if self._running.get(running.call.call_id) is running:
                del self._running[running.call.call_id]
                self._stop(running)
                self._spawn(partial(self._give_interrupted, running), "interrupted tool")

    def _stop(self, running: _Running) -> None:
        running.over.set()
        self.approvals.forget(running.call.call_id)
        if running.task:
            running.task.cancel()

    def _is_repeated(self, call: ToolCall) -> bool:
        asked = hash((call.name, _normal(call.arguments)))
        before = self._known.get(call.call_id)
        if before is None:
            _remember(self._known, call.call_id, asked)
            return False
        if before == asked:
            log.warning("the model repeated a call of %s; it runs once", call.name[:MAX_NAME])
        else:
            name = call.name[:MAX_NAME]
            self._tell(Error("tool_call_repeated", f"the model called {name} under the id of another call; not run"))
        return True

    # ---- one call ----

    async def _run(self, running: _Running) -> None:
        call = running.call
        try:
            found = await self._outcome(running)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or self._results.is_over() or self._running.get(call.call_id) is not running:
                raise
            task.uncancel()  # the tool cancelled the task that it ran in: no more than a failure of its own
            found = Answer(failed(call.name[:MAX_NAME], error, running.agent.tool_error), failure="error")
        await self._finish(running, found)

    async def _refuse_one_too_many(self, running: _Running) -> None:
        text = f"Error: {MAX_AT_ONCE} calls are running; wait for their results."
        await self._finish(running, Answer(text, failure="error"))

    async def _finish(self, running: _Running, found: Answer) -> None:
        """Gives the model the answer, unless the call was stopped and the tool took no notice."""
        call, rules = running.call, running.rules or ToolRules()
        if self._running.get(call.call_id) is not running:
            return
        del self._running[call.call_id]  # from here on nobody stops it: what is being sent is sent whole
        if found.failure == "timeout" and rules.on_timeout == "error":
            await self._results.give_none(call, rules)
        elif rules.background:
            await self._results.give_later(call, found)
        else:
            await self._results.give(call, found)

    async def _give_interrupted(self, running: _Running) -> None:
        found = Answer(INTERRUPTED, is_to_be_spoken_of=False, failure="stopped")
        is_in_background = running.rules is not None and running.rules.background
        await (self._results.give_later if is_in_background else self._results.give)(running.call, found)

    async def _outcome(self, running: _Running) -> Answer:
        call, agent = running.call, running.agent
        context = ToolContext(self._session, call.call_id, call.response_id)
        try:
            tool = await self._find(agent, call.name)
            if tool is None:
                return Answer(f"Error: there is no tool named {call.name[:MAX_NAME]!r}.", failure="error")
            if (refusal := await self._refusal(tool, call, context)) is not None:
                return Answer(refusal, failure="refused")
            return await self._call(tool, running, context)
        except Exception as error:
            return Answer(failed(call.name[:MAX_NAME], error, agent.tool_error), failure="error")

    async def _find(self, agent: "RealtimeAgent", name: str) -> AgentTool | None:
        tool = await tool_named(agent, name)
        return tool if tool and await is_enabled(tool, self._session.context) else None

    async def _refusal(self, tool: AgentTool, call: ToolCall, context: ToolContext) -> str | None:
        """Why the call is not made; None when all who are to be asked agree."""
        if self.before and (refusal := await self.before(call)) is not None:
            return refusal
        if not await needs_approval(tool, context, call.arguments):
            return None
        decision = self.approvals.wait(call.call_id)
        self._tell(ToolApproval(call.call_id, call.name, call.arguments))
        await self._speaking.tool_held(call.call_id)
        rejection = await decision
        self._speaking.tool_called(call.call_id)
        return rejection

    async def _call(self, tool: AgentTool, running: _Running, context: ToolContext) -> Answer:
        call, agent, rules = running.call, running.agent, tool.rules
        if rules.background:
            if begun := self._spawn(lambda: self._results.begun(call), "tool has begun"):
                await asyncio.wait({begun})  # who takes the call back meanwhile does not break off what is being sent
        elif filler := rules.filler:
            variables = agent.variables_for(self._session.context)
            self._spawn(lambda: self._fillers.fill(filler, variables, running.over), "filler")
        running.rules = rules
        try:
            found = await answer(tool, call.arguments, context, agent.tool_error)
        finally:
            running.over.set()
        if self.after and not (found.failure == "timeout" and rules.on_timeout == "error"):
            text = await self.after(call, found.text)
            found = replace(found, text=text, failure=found.failure or ("refused" if text != found.text else None))
        return found


def _normal(arguments: str) -> str:
    """The same text for the same arguments, however they are written."""
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments


def _remember(known: OrderedDict[str, T], name: str, what: T) -> None:
    known[name] = what
    while len(known) > MAX_KNOWN:
        known.popitem(last=False)
