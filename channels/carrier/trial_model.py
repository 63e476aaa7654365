"""How the model of a trial speaks, and when its caller interrupts: a RealtimeModel on virtual time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from random import Random
from types import TracebackType
from typing import Final, Self

from agents.audio import PCM_BYTES_PER_MS
from agents.events import (
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    ItemTruncate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SpeechStarted,
)
from agents.realtime import (
    SPEC,
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
)
from channels.carrier.network import Network
from channels.carrier.virtual_time import loop_time

SPEAK_AFTER_S: Final = 1.0
"""When the model begins to speak, from the opening of the socket on."""

_SOUND_MS: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How the model speaks: items one after the other, in deltas of `delta_ms`, `speed` times as fast as they play.

    `pauses` are (after so many ms of audio, for so many ms): times in which the model sends nothing.
    """

    items_ms: tuple[float, ...]
    delta_ms: float
    speed: float
    pauses: tuple[tuple[float, float], ...] = ()

    @property
    def length_ms(self) -> float:
        return sum(self.items_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One trial. The caller interrupts `interrupt_s` after the model began; None lets the reply be heard to its end.

    `stalls` are (from, for) in seconds: the service does nothing in them, as when its event loop is held up.
    `lead_ms` holds the reply back to so much ahead of what plays; None sends it at once.
    """

    reply: Reply
    network: Network
    interrupt_s: float | None
    stalls: tuple[tuple[float, float], ...] = ()
    lead_ms: float | None = None


class TrialModel:
    """A RealtimeModel and its one connection: says the reply, hears the caller when the scene says so."""

    spec = SPEC
    provider = "trial"
    capabilities = Capabilities()
    model_id = "trial"
    session_id = "trial"

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._began_at = 0.0
        self._begun = asyncio.Event()
        self.received_ms: dict[str, float] = {}
        self.truncated_ms: list[tuple[str, float]] = []
        self.whole_items: set[str] = set()
        self.sent_pcm: list[bytes] = []
        self.is_done = False

    def begin(self) -> None:
        """The line is there: its clock begins to run."""
        self._began_at = loop_time()
        self._begun.set()

    async def connect(self, options: RealtimeConnectOptions | None = None) -> Self:
        return self

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        raise NotImplementedError("a trial has no credentials")

    async def send(self, event: ClientEvent) -> None:
        if isinstance(event, ItemTruncate):
            self.truncated_ms.append((event.item_id, event.audio_end_ms))

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[ServerEvent]:
        yield SessionCreated("trial")
        interrupt_s = self._scene.interrupt_s
        interrupt_at = None if interrupt_s is None else SPEAK_AFTER_S + interrupt_s
        for due_s, event in self._events():
            if interrupt_at is not None and due_s >= interrupt_at:
                break
            await self._until(due_s)
            yield self._note(event)
        if interrupt_at is not None:
            await self._until(interrupt_at)
            yield SpeechStarted("caller")
            if not self.is_done:
                yield ResponseDone("r", "cancelled")
        await asyncio.Event().wait()

    async def _until(self, at_s: float) -> None:
        """Waits for a moment; one in which the service is stalled comes when it goes on."""
        for begins_s, for_s in sorted(self._scene.stalls):
            if begins_s <= at_s < begins_s + for_s:
                at_s = begins_s + for_s
        await self._begun.wait()
        await asyncio.sleep(self._began_at + at_s - loop_time())

    def _note(self, event: ServerEvent) -> ServerEvent:
        match event:
            case AudioOutputDelta(_, item_id, _, pcm):
                self.received_ms[item_id] = self.received_ms.get(item_id, 0.0) + len(pcm) / PCM_BYTES_PER_MS
                self.sent_pcm[-1] += pcm
            case AudioOutputDone(_, item_id):
                self.whole_items.add(item_id)
                self.sent_pcm.append(b"")
            case ResponseCreated():
                self.sent_pcm.append(b"")
            case ResponseDone():
                self.is_done = True
        return event

    def _events(self) -> list[tuple[float, ServerEvent]]:
        """What the model says, and when, in seconds from the opening of the socket on."""
        reply, at_s, said_ms, lead_ms = self._scene.reply, SPEAK_AFTER_S, 0.0, self._scene.lead_ms
        events: list[tuple[float, ServerEvent]] = [(at_s, ResponseCreated("r"))]
        pauses = sorted(reply.pauses, reverse=True)
        for number, item_ms in enumerate(reply.items_ms):
            item, left = f"item-{number}", _bytes(item_ms)
            while left > 0:
                size = min(_bytes(reply.delta_ms), left)
                while pauses and pauses[-1][0] <= said_ms:
                    at_s += pauses.pop()[1] / 1000
                if lead_ms is not None:
                    at_s = max(at_s, SPEAK_AFTER_S + (said_ms - lead_ms) / 1000)
                pcm = _sound(int(said_ms) % _SOUND_MS, size)
                events.append((at_s, AudioOutputDelta("r", item, 0, pcm)))
                left -= size
                said_ms += size / PCM_BYTES_PER_MS
                at_s += size / PCM_BYTES_PER_MS / 1000 / reply.speed
            events.append((at_s, AudioOutputDone("r", item, 0)))
        return [*events, (at_s, ResponseDone("r", "completed"))]


def _bytes(ms: float) -> int:
    """Whole samples of PCM."""
    return round(ms * PCM_BYTES_PER_MS / 2) * 2


@cache
def _noise() -> bytes:
    return Random(1).randbytes(2 * _SOUND_MS * PCM_BYTES_PER_MS)


def _sound(at_ms: int, size: int) -> bytes:
    """Noise that differs from place to place, so that lost and doubled audio shows."""
    begin = at_ms * PCM_BYTES_PER_MS
    return (_noise() * (1 + (begin + size) // len(_noise())))[begin : begin + size]
