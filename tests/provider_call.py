"""A call in virtual time with any provider's model over its fake: a caller who speaks and hears, a session watched."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self, TypeVar

from agents import RealtimeAgent, RealtimeSession
from agents.candidates import Candidate
from agents.events import SessionEvent
from agents.lasting import LastingModel
from agents.realtime import PCM, AudioFormat, RealtimeConnectOptions, RealtimeModel, SessionConfig, Transcription
from channels.memory import MemoryChannel
from tests.fake_ear import silence, tone
from tests.rig import Rig

E = TypeVar("E")

FRAME_MS = 20
PATIENCE_MS = 8_000
"""Longest, in virtual time, that a test waits for something to happen."""

TOLD = (
    "closed",
    "error",
    "interrupted",
    "model",
    "raw",
    "response",
    "speech",
    "tool",
    "transcript",
    "usage",
)


class ProviderCall:
    """The line sends a frame every 20 ms for as long as time passes, as telephones do, and plays what it is sent."""

    def __init__(
        self, rig: Rig, *, format: AudioFormat = PCM, model: RealtimeModel | None = None, **agent: Any
    ) -> None:
        self.rig = rig
        self.format = format
        self.channel = MemoryChannel(format)
        given: SessionConfig = agent.pop("config", SessionConfig(transcription=Transcription()))
        config = replace(given, input_format=format, output_format=format)
        lasting = model or LastingModel([Candidate(rig.model())])
        self.session = RealtimeSession(
            RealtimeAgent(name="test", model=lasting, config=config, **agent),
            channel=self.channel,
            connect_options=RealtimeConnectOptions(websocket=rig.websocket),
        )
        self.told: list[SessionEvent] = []
        self.sent_ms = 0
        for kind in TOLD:
            self.session.on(kind, self.told.append)

    async def __aenter__(self) -> Self:
        await self.session.connect()
        await self.until(lambda: self.session.id is not None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    # ---- the caller ----

    async def speaks(self, ms: int) -> None:
        await self._sends(tone(FRAME_MS, self.format), ms)

    async def listens(self, ms: int) -> None:
        await self._sends(silence(FRAME_MS, self.format), ms)

    async def takes_a_turn(self) -> None:
        """Speaks, and is silent for long enough to be answered."""
        await self.speaks(600)
        await self.listens(800)

    async def until(self, is_so: Callable[[], bool], patience_ms: int = PATIENCE_MS) -> None:
        """Listens until it is so. Fails when that takes too long."""
        waited_ms = 0
        while not is_so():
            assert waited_ms < patience_ms, f"nothing happened within {patience_ms} ms; told: {self.told}"
            await self.listens(FRAME_MS)
            waited_ms += FRAME_MS

    async def until_heard_out(self) -> None:
        """Listens until the agent has no more to say and was heard to its end."""
        await self.until(lambda: not self.channel.is_playing and self.session.is_quiet, 60_000)

    async def _sends(self, frame: bytes, ms: int) -> None:
        for _ in range(ms // FRAME_MS):
            self.channel.say(frame)
            self.sent_ms += FRAME_MS
            self.channel.play(FRAME_MS)
            await asyncio.sleep(FRAME_MS / 1000)

    # ---- what came of it ----

    def seen(self, kind: type[E]) -> list[E]:
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def heard_ms(self) -> float:
        """How much of the agent's voice went to the line."""
        return sum(len(pcm) for _, pcm in self.channel.heard) / self.format.bytes_per_ms
