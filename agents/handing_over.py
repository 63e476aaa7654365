"""Hands one conversation over from agent to agent, as long as that leads somewhere."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from agents.errors import GatewayError, ProviderError, ToolError
from agents.events import ClientEvent, Error, HandedOff, SessionEvent, SessionUpdate
from agents.handoffs import Handoff
from agents.history import CallHistory
from agents.lasting import LastingModel
from agents.opening import Opening
from agents.realtime import Past, RealtimeModel, SessionConfig, Transcription, past_id
from agents.speaking import Spawn, Speaking
from agents.switched_connection import SwitchedConnection
from agents.taken_over import TakenOver
from agents.tools.contract import BackgroundResult, ToolContext
from agents.tools.toolbox import enter_toolkits

if TYPE_CHECKING:
    from agents.agent import RealtimeAgent

log = logging.getLogger(__name__)

MAX_HANDOFFS: Final = 8
"""In one call. Who is handed on more often is being sent round."""

REPLY_S: Final = 10.0
"""Longest that another model waits for the end of a response that goes on, such as "I am putting you through"."""

WORDS_S: Final = 1.0
"""Longest that it waits for the caller's last words to be written down: they say what is wanted."""

LOOK_S: Final = 0.05
"""How often it is looked whether all that has come."""


class HandingOver:
    """The handoffs of one conversation, which goes on over `line`; one at a time.

    `become` lets the rules of the next agent hold; `send` is for its model.
    """

    def __init__(
        self,
        opening: Opening,
        agent: "RealtimeAgent",
        config: SessionConfig,
        line: SwitchedConnection,
        speaking: Speaking,
        history: CallHistory,
        *,
        spawn: Spawn,
        tell: Callable[[SessionEvent], object],
        send: Callable[[ClientEvent], Awaitable[None]],
        become: Callable[["RealtimeAgent", SessionConfig], None],
    ) -> None:
        self._opening = opening
        self._agent = agent
        self._config = config
        self._line = line
        self._speaking = speaking
        self._history = history
        self._spawn = spawn
        self._tell = tell
        self._send = send
        self._become = become
        self._first_model = opening.model_of(agent)
        self._under_way: str | None = None
        self._calls: list[str] = []
        self._responses: set[str] = set()
        self._left_at: dict[str, int] = {}
        self._has_toolkits = {agent.name}

    async def hand_over(self, to: Handoff, call: ToolContext, reason: str) -> str | BackgroundResult:
        """Lets another agent go on. Gives what its model is told, for it to begin to speak.

        Raises ToolError when the caller stays with the present agent.
        """
        target, before = to.target, self._agent
        self._refuse(to, target, call)
        self._under_way = target.name
        try:
            config = await self._go_on_with(target, call.call_id)
        except ToolError:
            raise
        except GatewayError as error:
            log.warning("%s could not hand over to %s: %s", before.name, target.name, error)
            is_retryable = isinstance(error, ProviderError) and error.retryable
            problem = f"{before.name} could not hand over to {target.name}: {error}"
            self._tell(Error("handoff_failed", problem, is_retryable))
            raise ToolError(f"{target.name} cannot be reached now. Tell the caller, and help them yourself.") from error
        finally:
            self._under_way = None
        self._note(target, config, call)
        log.info("%s hands over to %s", before.name, target.name)
        self._become(target, config)
        self._tell(HandedOff(before.name, target.name))
        return await self._begin(before, target, reason)

    def _note(self, target: "RealtimeAgent", config: SessionConfig, call: ToolContext) -> None:
        self._left_at[self._agent.name] = self._turns
        self._calls.append(call.call_id)
        if call.response_id is not None:
            self._responses.add(call.response_id)
        self._agent, self._config = target, config

    async def _begin(self, before: "RealtimeAgent", target: "RealtimeAgent", reason: str) -> str | BackgroundResult:
        words = _briefing(before.name, target.name, reason)
        if self._opening.model_of(target).capabilities.follows_instructions:
            return words
        if greeting := target.greeting_for(self._opening.context):
            await self._speaking.request(say=greeting)
        return BackgroundResult(words)

    # ---- whether ----

    def _refuse(self, to: Handoff, target: "RealtimeAgent", call: ToolContext) -> None:
        """Raises ToolError for a handoff that is not to be."""
        name = target.name
        if self._under_way:
            raise ToolError(f"the caller is being handed over to {self._under_way} already.")
        if call.response_id in self._responses or name == self._agent.name:
            raise ToolError(f"the caller has been handed over to {self._agent.name} already.")
        if len(self._calls) >= MAX_HANDOFFS:
            raise ToolError(f"the caller has been handed over {MAX_HANDOFFS} times in this call: help them yourself.")
        if self._left_at.get(name) == self._turns:
            raise ToolError(
                f"the caller comes from {name} and has said nothing since: help them yourself, or ask what they want."
            )

    @property
    def _turns(self) -> int:
        """How often the caller has said something so far."""
        return sum(item.role == "user" and item.status != "wordless" for item in self._history.items)

    # ---- how ----

    async def _go_on_with(self, target: "RealtimeAgent", call_id: str) -> SessionConfig:
        """Lets the target's model have the conversation. Raises GatewayError when it cannot: nothing has changed."""
        await self._enter_toolkits(target)
        config = await self._opening.config_of(target)
        target.idle_for(self._opening.context)  # what cannot be filled in must show while nothing has changed
        config = replace(config, greeting=None)
        here = self._config
        if (config.input_format, config.output_format) != (here.input_format, here.output_format):
            raise ToolError(f"{target.name} cannot be heard on this line: its audio is {config.output_format}.")
        model, present = self._opening.model_of(target), self._opening.model_of(self._agent)
        if can_stay(present, model, here, config):
            await self._send(SessionUpdate(config))
        else:
            await self._switch(model, config, call_id)
        return config

    async def _switch(self, model: RealtimeModel, config: SessionConfig, call_id: str) -> None:
        await self._wait_until(lambda: not self._speaking.is_owed, REPLY_S)
        if isinstance(self._config.transcription, Transcription):
            await self._wait_until(lambda: not self._is_being_written, WORDS_S)
        handoffs = frozenset(self._calls)

        def past() -> tuple[Past, ...]:
            return tuple(each for each in self._line.past(self._history.past) if past_id(each) not in handoffs)

        def item_ids() -> tuple[str, ...]:
            return tuple(item.item_id for item in self._history.items)

        taken_over = TakenOver(past, item_ids, has_items=model.capabilities.delete)
        connect = partial(self._opening.open_next, model, config, self._first_model, taken_over)
        for event in await self._line.switch(model, connect, config, taken_over, call_id):
            await self._send(event)

    @property
    def _is_being_written(self) -> bool:
        """Whether something that the caller said is not known yet."""
        last = next((item for item in reversed(self._history.items) if item.role == "user"), None)
        return last is not None and last.status == "in_progress"

    async def _wait_until(self, is_so: Callable[[], bool], timeout_s: float) -> None:
        for _ in range(round(timeout_s / LOOK_S)):
            if is_so():
                return
            await asyncio.sleep(LOOK_S)

    # ---- toolkits ----

    async def _enter_toolkits(self, target: "RealtimeAgent") -> None:
        """Keeps the target's toolkits until the conversation ends. Raises what entering them does."""
        if not target.toolkits or target.name in self._has_toolkits:
            return
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._spawn(lambda: _keep_toolkits(target, entered), f"toolkits of {target.name}"):
            await entered
            self._has_toolkits.add(target.name)


async def _keep_toolkits(agent: "RealtimeAgent", entered: "asyncio.Future[None]") -> None:
    """Enters and leaves in one task, which is cancelled when the conversation ends."""
    try:
        async with AsyncExitStack() as stack:
            await enter_toolkits(agent, stack)
            if not entered.done():
                entered.set_result(None)
                await asyncio.Event().wait()
    except Exception as error:
        if entered.done():
            log.warning("the toolkits of %s did not end well: %s", agent.name, error)
        else:
            entered.set_exception(error)


def can_stay(present: RealtimeModel, model: RealtimeModel, here: SessionConfig, there: SessionConfig) -> bool:
    """Whether the present connection can become that of the other agent, and sound and listen as its file says.

    Only instructions, tools and variables can change on a connection that has begun to speak: OpenAI's keep their
    voice, others more. Instructions that are not there would leave the old ones.
    """
    if not _is_same(present, model):
        return False
    same = replace(
        there, instructions=here.instructions, tools=here.tools, variables=here.variables, greeting=here.greeting
    )
    if same != here or (there.instructions is None and here.instructions is not None):
        return False
    models = [each.model for each in present.candidates] if isinstance(present, LastingModel) else [present]
    can = [each.capabilities for each in models]
    return all(
        (each.update_instructions or there.instructions == here.instructions)
        and (each.update_tools or there.tools == here.tools)
        for each in can
    )


def _is_same(one: RealtimeModel, other: RealtimeModel) -> bool:
    """Whether two agents have the same model: one object, or several in the same order with the same fields."""
    if not (isinstance(one, LastingModel) and isinstance(other, LastingModel)):
        return one is other
    ours, theirs = one.candidates, other.candidates
    return len(ours) == len(theirs) and all(
        mine.model is yours.model and mine.own == yours.own for mine, yours in zip(ours, theirs, strict=True)
    )


def _briefing(before: str, now: str, reason: str) -> str:
    """What the next agent's model is told, so that it takes the caller in hand."""
    why = f" The reason: {reason.rstrip('.')}." if reason else ""
    return (
        f"The caller was handed over by {before}: from now on you are {now}.{why} "
        "The caller remembers all that was said. Say in one short sentence, in your own way, that you are there, "
        "and go on with what they want; do not ask again for what is known."
    )
