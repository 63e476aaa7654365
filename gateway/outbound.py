"""The calls that this service places: asked for, paced, dialled, answered by a person or a machine."""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Protocol, Self

from agents.call_spec import OutboundSpec
from agents.errors import GatewayError
from agents.waiting import set_within
from gateway.calling_hours import Pacing, in_words, is_open
from gateway.log import masked
from gateway.placed_call import OVER, RANK, TWILIOS, Placed, PlacedState, Refused, Unanswered, Wanted

log = logging.getLogger(__name__)

MAX_WAITING: Final = 500
"""Calls that wait for their turn: at one a second the last of them is dialled after eight minutes."""

MAX_REMEMBERED: Final = 5000
"""Calls that can still be asked about, and requests that are known when they come again."""

ANSWER_S: Final = 45.0
"""How long after the ringing it may take until we are asked what who answered is to hear: Twilio may first find out for
half a minute whether it is a machine. Of a call that nobody told of by then, nobody ever will."""


class Network(Protocol):
    """Who places calls."""

    async def place(self, placed: Placed, spec: OutboundSpec, sender: str) -> str:
        """Dials, and gives the call's SID at the network. Raises GatewayError for what it refuses, and Unanswered."""

    async def take_back(self, call_sid: str) -> None:
        """Ends a call that nobody has answered. Takes a bounded time and never raises."""


Told = Callable[[Placed], None]
"""Is told of each change of a call's state, in order."""


class OutboundCalls:
    """Every call that this process places. Enter it before the first is asked for; leaving it forgets those waiting."""

    def __init__(
        self,
        specs: Mapping[str, OutboundSpec],
        network: Network,
        *,
        pace: Pacing,
        clock: Callable[[], float],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        told: Told = lambda placed: None,
        is_draining: Callable[[], bool] = lambda: False,
        has_room: Callable[[], bool] = lambda: True,
        label: str = "",
    ) -> None:
        """`specs` are those of the agents that may place calls. `clock` gives seconds, `wall` the time of day.

        While `is_draining`, no call is taken. Unless one more can be served, `has_room`, nobody is called: no agent
        could talk with them. `label` begins the names of calls, where other processes place some too.
        """
        self._specs = specs
        self._network = network
        self._pace = pace
        self._clock = clock
        self._wall = wall
        self._told = told
        self._placed: OrderedDict[str, Placed] = OrderedDict()
        self._by_key: OrderedDict[str, Placed] = OrderedDict()
        self._under_way: dict[str, tuple[Placed, asyncio.Task[None]]] = {}
        self._group = asyncio.TaskGroup()
        self._while_entered = AsyncExitStack()
        self._is_draining = is_draining
        self._has_room = has_room
        self._label = label

    async def __aenter__(self) -> Self:
        await self._while_entered.enter_async_context(self._group)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._forget_waiting()
        for _, dialling in tuple(self._under_way.values()):
            dialling.cancel()
        await self._while_entered.__aexit__(exc_type, exc, tb)

    def spec(self, agent: str) -> OutboundSpec:
        """What the agent's file says of the calls that it places. Raises Refused for one that may place none."""
        if agent not in self._specs:
            known = ", ".join(sorted(self._specs)) or "none"
            raise Refused(422, f"agent {agent!r} places no calls; those that do: {known}")
        return self._specs[agent]

    def ask(self, wanted: Wanted, key: str | None = None) -> tuple[Placed, bool]:
        """Takes a request, to be dialled in its turn: the call, and whether it is new.

        A request with a `key` that came before is the same call again. Raises Refused.
        """
        if key is not None and (known := self._by_key.get(key)):
            if known.wanted != wanted:
                raise Refused(409, "this idempotency key was used for another request")
            return known, False
        spec = self.spec(wanted.agent)
        sender = wanted.caller_id or spec.caller_id
        if sender is None:
            raise Refused(422, f"no caller_id: name one here, or in outbound.caller_id of agent {wanted.agent}")
        self._refuse_closed(spec)
        if self._is_draining():
            raise Refused(503, "the service is stopping")
        if sum(each.state == "queued" for each, _ in self._under_way.values()) >= MAX_WAITING:
            raise Refused(429, f"{MAX_WAITING} calls are waiting already")
        placed = Placed(f"out_{self._label}{secrets.token_hex(12)}", wanted)
        self._remember(placed, key)
        dialling = self._group.create_task(self._dial(placed, spec, sender), name=f"dial {placed.id}")
        self._under_way[placed.id] = placed, dialling
        return placed, True

    def known(self, placed_id: str) -> Placed | None:
        return self._placed.get(placed_id)

    def progressed(self, placed_id: str, twilios: str, call_sid: str) -> None:
        """Twilio says how the call goes on. What comes late, or of a call that is over, changes nothing."""
        placed, state = self._placed.get(placed_id), TWILIOS.get(twilios)
        if placed is None or state is None or (placed.is_over and not placed.may_ring):
            return
        if placed.may_ring:
            placed.may_ring, placed.detail, placed.state = False, "", "dialing"
            if state not in OVER:
                self._follow_again(placed)
        self._learn_sid(placed, call_sid)
        if state in OVER or RANK[state] > RANK[placed.state]:
            self._change(placed, state)

    def landed(self, placed_id: str, problem: str = "") -> None:
        """Somebody answered, and is served from now on as in every other call; or is not, because of a problem."""
        if placed := self._placed.get(placed_id):
            placed.detail = problem or placed.detail
            placed.landed.set()

    def of_call(self, call_sid: str) -> Placed | None:
        """The call of this SID at the network; None for one that was not placed, or long ago."""
        return next((each for each in self._placed.values() if each.call_sid == call_sid), None)

    def answered_by(self, placed_id: str, who: str) -> Placed | None:
        """Twilio says who answered, once. None for a call that is not known, or of which this was known."""
        placed = self._placed.get(placed_id)
        if placed is None or placed.answered_by or not who:
            return None
        placed.answered_by = who[:40]
        self._told(placed)
        return placed

    # ---- whom it keeps room for ----

    @property
    def is_busy(self) -> bool:
        """Whether a call waits to be dialled, rings or is being answered, and is served by nobody yet."""
        return any(not each.landed.is_set() for each, _ in self._under_way.values())

    @property
    def expected(self) -> int:
        """How many of them may be answered at any moment."""
        return sum(each.state != "queued" and not each.landed.is_set() for each, _ in self._under_way.values())

    def take_back(self) -> None:
        """Calls nobody any more, and lets no telephone ring on. Does not wait until they are silent."""
        self._forget_waiting()
        for placed, _ in tuple(self._under_way.values()):
            if placed.call_sid and not placed.landed.is_set():
                self._take_back(placed.id, placed.call_sid)

    def _take_back(self, placed_id: str, call_sid: str) -> None:
        self._group.create_task(self._network.take_back(call_sid), name=f"take back {placed_id}")

    def _forget_waiting(self) -> None:
        for placed, dialling in tuple(self._under_way.values()):
            if placed.state == "queued":
                placed.detail = "the service stopped before its turn"
                self._change(placed, "canceled")
                del self._under_way[placed.id]
                dialling.cancel()

    def _learn_sid(self, placed: Placed, call_sid: str) -> None:
        if placed.call_sid is None:
            placed.call_sid = call_sid
            if self._is_draining() and not placed.landed.is_set():
                self._take_back(placed.id, call_sid)

    # ---- one call ----

    async def _dial(self, placed: Placed, spec: OutboundSpec, sender: str) -> None:
        """Follows a call until it has landed. Raises nothing but cancellation: it runs beside all others."""
        try:
            await asyncio.sleep(self._pace.wait_s(self._clock()))
            self._refuse_closed(spec)
            if not self._has_room():
                raise Refused(503, "as many calls are live as the service may serve")
            self._change(placed, "dialing")
            why = await self._place(placed, spec, sender)
            await self._follow(placed, spec, why)
        except Exception as error:
            log.warning("%s was not placed: %s", placed.id, error, exc_info=not isinstance(error, GatewayError))
            placed.detail = str(error) if isinstance(error, GatewayError) else "an error of the service's own"
            self._change(placed, "failed")
        finally:
            self._under_way.pop(placed.id, None)

    async def _place(self, placed: Placed, spec: OutboundSpec, sender: str) -> str:
        """Why it is not known whether it rings, where that is so. Raises GatewayError for a call that does not."""
        try:
            self._learn_sid(placed, await self._network.place(placed, spec, sender))
        except Unanswered as error:
            log.warning("%s may ring or not: %s", placed.id, error)
            return str(error)
        log.info("dialled %s for %s: %s", masked(placed.wanted.to), placed.wanted.agent, placed.id)
        return "the network told nothing of it"

    async def _follow(self, placed: Placed, spec: OutboundSpec, why: str) -> None:
        """Waits until it has landed, or would have by now."""
        if not await set_within(placed.landed, spec.ring_s + ANSWER_S):
            self._lost(placed, why)

    def _follow_again(self, placed: Placed) -> None:
        """A call that was given up rings after all: it is kept room for, or taken back, as others are."""

        async def follow() -> None:
            try:
                await self._follow(placed, self._specs[placed.wanted.agent], "the network told no more of it")
            finally:
                self._under_way.pop(placed.id, None)

        placed.landed.clear()
        following = self._group.create_task(follow(), name=f"follow {placed.id}")
        self._under_way[placed.id] = placed, following
        if placed.call_sid and self._is_draining():
            self._take_back(placed.id, placed.call_sid)

    def _lost(self, placed: Placed, why: str) -> None:
        """Of a call that would have been answered or given up by now nothing was heard."""
        is_known = placed.state != "dialing"
        placed.detail = (
            "nothing was heard of how it went on" if is_known else f"it is unknown whether they were called: {why}"
        )
        self._change(placed, "failed")
        placed.may_ring = True

    def _refuse_closed(self, spec: OutboundSpec) -> None:
        if spec.hours and not is_open(spec.hours, self._wall()):
            raise Refused(403, f"calls may be placed from {in_words(spec.hours)}")

    def _change(self, placed: Placed, state: PlacedState) -> None:
        if not placed.is_over:
            placed.state = state
            if placed.is_over:
                placed.landed.set()
            self._told(placed)

    def _remember(self, placed: Placed, key: str | None) -> None:
        self._placed[placed.id] = placed
        if key is not None:
            self._by_key[key] = placed
        for known in (self._placed, self._by_key):
            while len(known) > MAX_REMEMBERED:
                known.popitem(last=False)
