"""A call in virtual time: a model whose words are the test's, a line whose ear moves as time passes.

A module that imports `audio_format`, an automatic fixture, has each of its tests run in both formats of a line.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextvars import ContextVar
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import pytest

from agents import RealtimeAgent, RealtimeSession
from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    Heard,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptOutputDelta,
)
from agents.realtime import (
    PCM,
    PCMU,
    SPEC,
    AudioFormat,
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    SessionConfig,
    SpokenItem,
)
from channels.carrier.virtual_time import run_virtual
from channels.memory import MemoryChannel

E = TypeVar("E")

FRAME_MS = 20

_sound: ContextVar[AudioFormat] = ContextVar("sound", default=PCM)
"""The format of all audio in the scenes of one test."""


@pytest.fixture(autouse=True, params=[PCM, PCMU], ids=["pcm16", "passthrough"])
def audio_format(request: pytest.FixtureRequest) -> Iterator[AudioFormat]:
    """The format of the line, and of all the audio that this module makes."""
    before = _sound.set(request.param)
    yield request.param
    _sound.reset(before)


def size(ms: float) -> int:
    """Bytes of so much audio."""
    return round(ms * _sound.get().bytes_per_ms)


def silence(ms: int) -> bytes:
    return _sound.get().silence(size(ms))


def silent_frame() -> bytes:
    return silence(FRAME_MS)


def voiced_frame() -> bytes:
    """As loud as 10000 is in 16 bits, more or less."""
    loud = b"\x10\x27" if _sound.get() == PCM else b"\x9b"
    return loud * (size(FRAME_MS) // len(loud))


def voice(ms: int, seed: int = 0) -> bytes:
    """So much of an agent's voice, of which no two milliseconds are alike."""
    random = np.random.default_rng(seed)
    if _sound.get() == PCMU:
        return random.bytes(size(ms))
    pcm: bytes = random.integers(-9000, 9000, ms * 24, dtype=np.int16).astype("<i2").tobytes()
    return pcm


class DrivenModel:
    """A model that says what a test lets it say. One connection: `sent` is all that it was sent."""

    spec = SPEC
    provider = "driven"
    capabilities = Capabilities(input_formats=(PCM, PCMU), output_formats=(PCM, PCMU))
    model_id = "driven"

    def __init__(self) -> None:
        self.sent: list[ClientEvent] = []
        self.is_closed = False
        self.failure: ProviderError | None = None
        self.knows_no: tuple[type[ClientEvent], ...] = ()
        self.send_s = 0.0
        """How long each message to it takes, once a test says so."""
        self._said: asyncio.Queue[ServerEvent | ProviderError | None] = asyncio.Queue()

    async def connect(self, options: RealtimeConnectOptions | None = None) -> Self:
        self.say(SessionCreated("driven-1"))
        return self

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        raise NotSupportedError("nobody asks")

    def say(self, *events: ServerEvent | ProviderError | None) -> None:
        """What it says next; an error breaks its side, None closes it."""
        for event in events:
            self._said.put_nowait(event)

    @property
    def session_id(self) -> str:
        return "driven-1"

    async def send(self, event: ClientEvent) -> None:
        """Raises `failure` when a test sets it, and NotSupportedError for what it knows no words for."""
        if self.failure:
            raise self.failure
        if isinstance(event, self.knows_no):
            raise NotSupportedError(f"no words for {event.kind}")
        self.sent.append(event)
        if self.send_s:
            await asyncio.sleep(self.send_s)

    async def __aiter__(self) -> AsyncIterator[ServerEvent]:
        while event := await self._said.get():
            if isinstance(event, ProviderError):
                raise event
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


class Line(MemoryChannel):
    """A line of the format that the test is about."""

    def __init__(self) -> None:
        super().__init__(_sound.get())


class LateLine(Line):
    """A line that tells late: what was not heard of a cut is known when a test lets it `tell`, or at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[tuple[asyncio.Future[tuple[Heard, ...]], tuple[Heard, ...]]] = []

    async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
        told = await super().interrupt()
        if told is None or self.is_closed:
            return told
        later: asyncio.Future[tuple[Heard, ...]] = asyncio.get_running_loop().create_future()
        self._waiting.append((later, await told))
        return later

    def tell(self) -> None:
        while self._waiting:
            later, heard = self._waiting.pop(0)
            assert not later.cancelled(), "somebody cancelled what others wait for"
            later.set_result(heard)

    async def close(self) -> None:
        await super().close()
        self.tell()


class Ear(LateLine):
    """A line that keeps what was heard on it, once and for all: `ear`. It tells of a cut as soon as it is asked."""

    is_near = True

    def __init__(self) -> None:
        super().__init__()
        self.ear = bytearray()
        self._unplayed = bytearray()

    def play(self, ms: float) -> None:
        self.ear += self._unplayed[: size(ms)]
        del self._unplayed[: size(ms)]
        super().play(ms)

    async def send_audio(self, pcm: bytes, item: SpokenItem) -> None:
        self._unplayed += pcm
        await super().send_audio(pcm, item)

    async def interrupt(self) -> Awaitable[tuple[Heard, ...]] | None:
        told = await super().interrupt()
        if told is not None:
            self._unplayed.clear()
        if self.is_near:
            self.tell()
        return told


class Scene:
    """A session that is being watched: `told` is every event of it."""

    def __init__(self, channel: MemoryChannel | None = None, *, options: Any = None, **more: Any) -> None:
        self.model = DrivenModel()
        self.channel = channel or Line()
        given = more.pop("config", SessionConfig())
        config = replace(given, input_format=self.channel.audio_format, output_format=self.channel.audio_format)
        agent = RealtimeAgent(name="test", model=self.model, config=config, **more)
        self.session = RealtimeSession(agent, channel=self.channel, **(options or {}))
        self.told: list[SessionEvent] = []
        for kind in ("closed", "digits", "dtmf", "error", "history", "interrupted", "response", "resumed", "speech"):
            self.session.on(kind, self.told.append)

    async def __aenter__(self) -> Self:
        await self.session.connect()
        await self.settles()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    # ---- what happens ----

    async def says(self, *events: ServerEvent | ProviderError | None) -> None:
        """The model says this, and all that follows at once has happened."""
        self.model.say(*events)
        await self.settles()

    async def replies(self, response_id: str, ms: int, *, done: bool = True) -> bytes:
        """The model speaks so much, all at once, as one item. Gives its audio."""
        pcm = voice(ms, seed=sum(response_id.encode()))
        await self.says(*reply(response_id, pcm, done=done))
        return pcm

    async def settles(self) -> None:
        """All has happened that needs no time."""
        await asyncio.sleep(1e-6)

    async def passes(self, ms: float) -> None:
        """Time passes, in which the caller hears what is played."""
        while ms > 0:
            step_ms = min(ms, FRAME_MS)
            self.channel.play(step_ms)
            await asyncio.sleep(step_ms / 1000)
            ms -= step_ms
        await self.settles()

    async def hears(self, ms: int, frame: bytes | None = None) -> None:
        """The caller sounds for so long, in real frames, hearing what is played meanwhile. Loud, unless told."""
        for _ in range(ms // FRAME_MS):
            self.channel.say(voiced_frame() if frame is None else frame)
            await self.passes(FRAME_MS)

    async def begins_to_speak(self, item_id: str = "u1") -> None:
        await self.says(SpeechStarted(item_id))

    async def stops_speaking(self, item_id: str = "u1", text: str | None = None) -> None:
        """The end of a turn; with a text it is understood at once."""
        await self.says(SpeechStopped(item_id), AudioInputCommitted(item_id))
        if text is not None:
            await self.says(TranscriptInput(item_id, text))

    # ---- what came of it ----

    def sent(self, *kinds: type[ClientEvent]) -> list[ClientEvent]:
        return [event for event in self.model.sent if isinstance(event, kinds)]

    def seen(self, kind: type[E]) -> list[E]:
        """The session's events of one class."""
        return [event for event in self.told if isinstance(event, kind)]

    def played(self, response_id: str) -> bytes:
        """All audio of a response that was sent to the line."""
        return b"".join(pcm for item, pcm in self.channel.heard if item.response_id == response_id)


def reply(response_id: str, pcm: bytes, *, done: bool = True, words: str = "") -> list[ServerEvent]:
    """A response of one item, in pieces of 100 ms; without `done` it is still under way."""
    piece, item_id = size(100), f"item-{response_id}"
    events: list[ServerEvent] = [ResponseCreated(response_id)]
    if words:
        events.append(TranscriptOutputDelta(response_id, item_id, words))
    events += [AudioOutputDelta(response_id, item_id, 0, pcm[at : at + piece]) for at in range(0, len(pcm), piece)]
    if done:
        events += [AudioOutputDone(response_id, item_id, 0), ResponseDone(response_id, "completed")]
    return events


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a test in virtual time, and sees that it leaves no task behind."""

    async def watched() -> None:
        await scene()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks survived: {left}"

    run_virtual(watched())
