"""The calls that this service places: asked for, paced, dialled, answered by a person or a machine."""

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from agents.call_spec import OutboundSpec
from agents.errors import GatewayError
from gateway.calling_hours import Pace, in_words, is_open
from gateway.log import masked

log = logging.getLogger(__name__)

MAX_WAITING: Final = 500
"""Calls that wait for their turn: at one a second the last of them is dialled after eight minutes."""

MAX_REMEMBERED: Final = 5000
"""Calls that can still be asked about, and requests that are known when they come again."""

PlacedState = Literal[
    "queued", "dialing", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled"
]
"""What becomes of a call: Twilio's words, and before them `queued`, while it waits for its turn, and `dialing`."""

OVER: Final[frozenset[PlacedState]] = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})

_TWILIOS: Final[Mapping[str, PlacedState]] = {
    "queued": "dialing",
    "initiated": "dialing",
    "ringing": "ringing",
    "in-progress": "in-progress",
    "answered": "in-progress",
    "completed": "completed",
    "busy": "busy",
    "no-answer": "no-answer",
    "failed": "failed",
    "canceled": "canceled",
}


class Refused(GatewayError):
    """A call that is not placed. `status` is that of the HTTP answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A call that somebody wants. `caller_id` is None for that of the agent's file."""

    to: str = field(repr=False)
    agent: str
    caller_id: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    status_url: str | None = None


@dataclass(slots=True)
class Placed:
    """A call that was asked for: where it has come to. `answered_by` is Twilio's word, once it has one."""

    id: str
    wanted: Wanted
    state: PlacedState = "queued"
    call_sid: str | None = None
    answered_by: str | None = None
    detail: str = ""

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def is_machine(self) -> bool:
        return (self.answered_by or "").startswith(("machine", "fax"))


class Network(Protocol):
    """Who places calls."""

    async def place(self, placed: Placed, spec: OutboundSpec, sender: str) -> str:
        """Dials, and gives the call's SID at the network. Raises GatewayError for what it refuses."""


Told = Callable[[Placed], None]
"""Is told of each change of a call's state, in order."""


class OutboundCalls:
    """Every call that this process places. Enter it before the first is asked for; leaving it forgets those waiting."""

    def __init__(
        self,
        specs: Mapping[str, OutboundSpec],
        network: Network,
        *,
        per_second: float,
        clock: Callable[[], float],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        told: Told = lambda placed: None,
        is_draining: Callable[[], bool] = lambda: False,
    ) -> None:
        """`specs` are those of the agents that may place calls. `clock` gives seconds, `wall` the time of day.

        While `is_draining`, no call is taken.
        """
        self._specs = specs
        self._network = network
        self._pace = Pace(per_second)
        self._clock = clock
        self._wall = wall
        self._told = told
        self._placed: OrderedDict[str, Placed] = OrderedDict()
        self._by_key: OrderedDict[str, Placed] = OrderedDict()
        self._dialling: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()
        self._while_entered = AsyncExitStack()
        self._is_draining = is_draining

    async def __aenter__(self) -> Self:
        await self._while_entered.enter_async_context(self._group)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        for dialling in tuple(self._dialling.values()):
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
        if len(self._dialling) >= MAX_WAITING:
            raise Refused(429, f"{MAX_WAITING} calls are waiting already")
        placed = Placed(f"out_{secrets.token_hex(12)}", wanted)
        self._remember(placed, key)
        dialling = self._group.create_task(self._dial(placed, spec, sender), name=f"dial {placed.id}")
        self._dialling[placed.id] = dialling
        return placed, True

    def known(self, placed_id: str) -> Placed | None:
        return self._placed.get(placed_id)

    def progressed(self, placed_id: str, twilios: str, call_sid: str) -> None:
        """Twilio says how the call goes on. What comes late, or of a call that is over, changes nothing."""
        placed, state = self._placed.get(placed_id), _TWILIOS.get(twilios)
        if placed is None or state is None or placed.is_over:
            return
        placed.call_sid = placed.call_sid or call_sid
        if state in OVER or _RANK[state] > _RANK[placed.state]:
            self._change(placed, state)

    def answered_by(self, placed_id: str, who: str) -> Placed | None:
        """Twilio says who answered, once. None for a call that is not known, or of which this was known."""
        placed = self._placed.get(placed_id)
        if placed is None or placed.answered_by or not who:
            return None
        placed.answered_by = who[:40]
        self._told(placed)
        return placed

    async def _dial(self, placed: Placed, spec: OutboundSpec, sender: str) -> None:
        try:
            await asyncio.sleep(self._pace.wait_s(self._clock()))
            self._refuse_closed(spec)
            self._change(placed, "dialing")
            placed.call_sid = await self._network.place(placed, spec, sender)
            log.info("dialled %s for %s: %s", masked(placed.wanted.to), placed.wanted.agent, placed.id)
        except GatewayError as error:
            log.warning("%s was not placed: %s", placed.id, error)
            placed.detail = str(error)
            self._change(placed, "failed")
        finally:
            del self._dialling[placed.id]

    def _refuse_closed(self, spec: OutboundSpec) -> None:
        if spec.hours and not is_open(spec.hours, self._wall()):
            raise Refused(403, f"calls may be placed from {in_words(spec.hours)}")

    def _change(self, placed: Placed, state: PlacedState) -> None:
        if not placed.is_over:
            placed.state = state
            self._told(placed)

    def _remember(self, placed: Placed, key: str | None) -> None:
        self._placed[placed.id] = placed
        if key is not None:
            self._by_key[key] = placed
        for known in (self._placed, self._by_key):
            while len(known) > MAX_REMEMBERED:
                known.popitem(last=False)


_RANK: Final[Mapping[PlacedState, int]] = {"queued": 0, "dialing": 1, "ringing": 2, "in-progress": 3}
