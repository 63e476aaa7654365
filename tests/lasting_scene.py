"""A call in virtual time over models whose connections a test opens, drives and breaks."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from agents import RealtimeAgent, RealtimeSession
from agents.candidates import Candidate
from agents.errors import NotSupportedError, ProviderError
from agents.events import AudioInputAppend, ClientEvent, ModelStep, ServerEvent, SessionCreated, SessionEvent
from agents.lasting import LastingModel
from agents.realtime import (
    SPEC,
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
)
from channels.memory import MemoryChannel

E = TypeVar("E")

LOST = ProviderError("the line to the model broke", code="network", retryable=True)


class Connection:
    """One of a model's: `sent` is all that it was sent, `options` what it was opened with."""

    def __init__(self, number: int, options: RealtimeConnectOptions, *, is_ready: bool) -> None:
        self.options = options
        self.sent: list[ClientEvent] = []
        self.is_closed = False
        self.failure: ProviderError | None = None
        self.session_id: str | None = None
        self._said: asyncio.Queue[ServerEvent | ProviderError | None] = asyncio.Queue()
        if is_ready:
            self.say(SessionCreated(f"session-{number}"))

    def say(self, *events: ServerEvent | ProviderError | None) -> None:
        for event in events:
            self._said.put_nowait(event)

    def breaks(self, error: ProviderError = LOST) -> None:
        self.failure = error
        self.say(error)

    def kinds(self) -> list[str]:
        """What it was sent, but audio."""
        return [event.kind for event in self.sent if not isinstance(event, AudioInputAppend)]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.sent if isinstance(event, kind)]

    @property
    def heard(self) -> bytes:
        return b"".join(event.pcm for event in self.sent if isinstance(event, AudioInputAppend))

    async def send(self, event: ClientEvent) -> None:
        if self.failure:
            raise self.failure
        self.sent.append(event)

    async def __aiter__(self) -> AsyncIterator[ServerEvent]:
        while event := await self._said.get():
            if isinstance(event, ProviderError):
                raise event
            if isinstance(event, SessionCreated):
                self.session_id = event.session_id
            yield event

    async def close(self) -> None:
        self.is_closed = True
        self.say(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()


class Model:
    """`refusals` are raised by the next connects, one after the other; `takes_s` is how long each takes."""

    spec = SPEC
    provider = "driven"

    def __init__(self, name: str, *refusals: ProviderError | None, **capabilities: Any) -> None:
        self.model_id = name
        self.capabilities = Capabilities(**capabilities)
        self.refusals = deque(refusals)
        self.connections: list[Connection] = []
        self.asked = 0
        self.takes_s = 0.0
        self.is_ready_at_once = True
        self.was_open: list[bool] = []
        """Of each connect, whether the connection before it was still open then."""

    async def connect(self, options: RealtimeConnectOptions | None = None) -> Connection:
        self.asked += 1
        await asyncio.sleep(self.takes_s)
        if self.refusals and (refusal := self.refusals.popleft()):
            raise refusal
        self.was_open.append(bool(self.connections) and not self.connections[-1].is_closed)
        connection = Connection(
            len(self.connections) + 1, options or RealtimeConnectOptions(), is_ready=self.is_ready_at_once
        )
        self.connections.append(connection)
        return connection

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        raise NotSupportedError("nobody asks")


class LongCall:
    """A session over a lasting model, and the line it is on. `told` is every event of some kinds."""

    def __init__(self, *models: Model, lasting: LastingModel | None = None, **more: Any) -> None:
        self.models: Sequence[Model] = models
        self.channel = MemoryChannel()
        self.lasting = lasting or LastingModel([Candidate(model) for model in models])
        agent = RealtimeAgent(name="test", model=self.lasting, **more)
        self.session = RealtimeSession(agent, channel=self.channel)
        self.told: list[SessionEvent] = []
        for kind in ("closed", "error", "interrupted", "model", "response", "speech", "tool"):
            self.session.on(kind, self.told.append)

    async def __aenter__(self) -> Self:
        await self.session.connect()
        await self.settles()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def says(self, connection: Connection, *events: ServerEvent | ProviderError | None) -> None:
        connection.say(*events)
        await self.settles()

    async def settles(self) -> None:
        await asyncio.sleep(1e-6)

    async def passes(self, seconds: float, pcm: bytes | None = None) -> None:
        """Time passes, in which the caller hears what is played, and sends frames of 20 ms if there are any."""
        for _ in range(round(seconds / 0.02)):
            if pcm is not None:
                self.channel.say(pcm)
            self.channel.play(20)
            await asyncio.sleep(0.02)

    def seen(self, kind: type[E]) -> list[E]:
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def steps(self) -> list[tuple[str, str]]:
        return [(event.step, event.model) for event in self.seen(ModelStep)]
