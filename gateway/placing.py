"""Puts together what places calls: whom agents may call, the network that dials, those who are told of it."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from agents.schema import AgentSpec
from gateway.calling_hours import Pace, Pacing
from gateway.calls import Calls
from gateway.calls_api import as_json
from gateway.outbound import OutboundCalls
from gateway.outbound_network import TwilioNetwork
from gateway.placed_call import Placed
from gateway.rest import TwilioRest
from gateway.settings import Settings
from gateway.status_posts import StatusPosts


class Placing:
    """Enter it after the calls, and leave it before them."""

    def __init__(
        self,
        settings: Settings,
        agents: Mapping[str, AgentSpec],
        calls: Calls,
        rest: TwilioRest,
        clock: Callable[[], float],
        pace: Pacing | None = None,
    ) -> None:
        """`pace` is for several processes with one account; without it this one keeps to CALLS_PER_SECOND."""
        self.outbound = OutboundCalls(
            {name: spec.outbound for name, spec in agents.items() if spec.outbound},
            TwilioNetwork(rest, settings.addresses),
            pace=pace or Pace(settings.calls_per_second),
            clock=clock,
            told=self._tell,
            is_draining=lambda: calls.is_draining,
            has_room=calls.take_room,
            label=f"{settings.worker}_" if settings.worker else "",
        )
        calls.expect(self.outbound)
        self._posts = StatusPosts(settings.calls_token or "", allow_private=settings.status_posts_allow_private)
        self._while_entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._while_entered.enter_async_context(self._posts)
        await self._while_entered.enter_async_context(self.outbound)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._while_entered.__aexit__(exc_type, exc, tb)

    def _tell(self, placed: Placed) -> None:
        if placed.wanted.status_url:
            self._posts.put(placed.wanted.status_url, placed.id, as_json(placed))
