"""A call in virtual time over agents that hand over to each other, whose models a test drives."""

import asyncio
from typing import Any, Self, TypeVar

from agents import RealtimeAgent, RealtimeSession
from agents.errors import ProviderError
from agents.events import (
    AudioInputCommitted,
    HandedOff,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionEvent,
    SpeechStarted,
    SpeechStopped,
    Tool,
    ToolCall,
    ToolResult,
    TranscriptInput,
)
from agents.handoffs import Handoff
from agents.realtime import RealtimeModel
from channels.memory import MemoryChannel
from tests.lasting_scene import Connection

E = TypeVar("E")

PIECE = bytes(4800)
"""A tenth of a second of an agent's voice."""


class Desks:
    """A session over agents that may hand over to each other. `told` is every event of some kinds."""

    def __init__(self, *agents: RealtimeAgent, **options: Any) -> None:
        self.channel = MemoryChannel()
        self.session = RealtimeSession(agents[0], channel=self.channel, **options)
        self.told: list[SessionEvent] = []
        self._responses = 0
        for kind in ("closed", "error", "handoff", "history", "interrupted", "response", "tool"):
            self.session.on(kind, self.told.append)

    async def __aenter__(self) -> Self:
        await self.session.connect()
        await self.settles()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def settles(self) -> None:
        await asyncio.sleep(1e-6)

    async def says(self, connection: Connection, *events: ServerEvent | ProviderError | None) -> None:
        connection.say(*events)
        await self.settles()

    async def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.channel.play(20)
            await asyncio.sleep(0.02)

    async def caller_says(self, connection: Connection, text: str) -> None:
        item = f"u-{text}"
        await self.says(connection, SpeechStarted(item), SpeechStopped(item), AudioInputCommitted(item))
        await self.says(connection, TranscriptInput(item, text))

    async def calls(self, connection: Connection, *names: str, arguments: str = "{}", is_done: bool = True) -> str:
        """The model calls tools in one response. Gives the response's id."""
        self._responses += 1
        response = f"r{self._responses}"
        await self.says(connection, ResponseCreated(response))
        calls = [ToolCall(response, f"{response}-{i}", name, arguments) for i, name in enumerate(names)]
        await self.says(connection, *calls)
        if is_done:
            await self.says(connection, ResponseDone(response, "completed"))
        return response

    def seen(self, kind: type[E]) -> list[E]:
        return [event for event in self.told if isinstance(event, kind)]

    def seen_tools(self) -> list[Tool]:
        return self.seen(Tool)

    @property
    def handoffs(self) -> list[tuple[str, str]]:
        return [(event.from_agent, event.to_agent) for event in self.seen(HandedOff)]


def pair(one: RealtimeModel, other: RealtimeModel, **of_other: Any) -> tuple[RealtimeAgent, RealtimeAgent]:
    """Two agents, each of which may hand over to the other."""
    agents: dict[str, RealtimeAgent] = {}
    agents["reception"] = RealtimeAgent(
        name="reception",
        model=one,
        instructions="Receive.",
        greeting=None,
        handoffs=(Handoff("billing", lambda: agents["billing"]),),
    )
    agents["billing"] = RealtimeAgent(
        name="billing",
        model=other,
        instructions="Bill.",
        greeting="Billing, hello.",
        description="Invoices and payments.",
        handoffs=(Handoff("reception", lambda: agents["reception"]),),
        **of_other,
    )
    return agents["reception"], agents["billing"]


def outputs(connection: Connection) -> list[str]:
    return [event.output for event in connection.of(ToolResult)]
