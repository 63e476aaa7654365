"""A model that reads mu-law aloud in whatever format its session has, and hears the caller by itself."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Final, Self

import numpy as np

from agents import RealtimeSession, mulaw
from agents.audio import resampled
from agents.errors import NotSupportedError
from agents.events import (
    AudioInputAppend,
    AudioInputCommitted,
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptOutput,
)
from agents.realtime import (
    PCM,
    PCMU,
    SPEC,
    AudioFormat,
    Capabilities,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    TokenCredential,
)

LOUD: Final = 3000.0
"""A frame of a tone 8000 high is louder; the last 2 ms of one, which a resampler gives a frame late, are not."""

TURN_FRAMES: Final = 15
"""So many quiet frames end the caller's turn."""

WORDS: Final = "one two three four five"


@dataclass(frozen=True)
class Pieces:
    """How a reply is cut into deltas, in milliseconds. One goes out with each of the caller's frames."""

    first_ms: int
    each_ms: int


@dataclass
class ReadingModel:
    """One connection. `understood` are the words in each of the caller's sounds, `replies` what is read, in order.

    `sent` is all it was sent but audio, which is `heard`. `told` is what the session told of interruptions.
    """

    spec = SPEC
    provider = "test"
    model_id = "reading"
    capabilities = Capabilities(input_formats=(PCM, PCMU), output_formats=(PCM, PCMU))
    session_id = "reading"

    replies: Sequence[bytes]
    understood: Sequence[str]
    pieces: Pieces
    sent: list[ClientEvent] = field(default_factory=list)
    heard: bytes = b""
    told: list[SessionEvent] = field(default_factory=list)
    session: RealtimeSession | None = None
    _format: AudioFormat = PCM
    _turns: int = 0
    _quiet_frames: int | None = None
    _responses: int = 0
    _saying: deque[ServerEvent] = field(default_factory=deque)
    _events: asyncio.Queue[ServerEvent | None] = field(default_factory=asyncio.Queue)

    async def connect(self, options: RealtimeConnectOptions | None = None) -> Self:
        assert options and options.session_config and isinstance(options.call, RealtimeSession)
        self._format = options.session_config.output_format
        self.session = options.call
        for kind in ("interrupted", "resumed"):
            self.session.on(kind, self.told.append)
        self._say(SessionCreated("reading"))
        return self

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> TokenCredential:
        raise NotSupportedError("nobody asks")

    async def send(self, event: ClientEvent) -> None:
        if isinstance(event, AudioInputAppend):
            self.heard += event.pcm
            self._listen(event.pcm)
            if self._saying:
                self._say(self._saying.popleft())
            return
        self.sent.append(event)
        match event:
            case ResponseCreate():
                self._read(self.replies[self._responses])
            case ResponseCancel(response_id) if self._saying:
                self._saying.clear()
                self._say(ResponseDone(str(response_id), "cancelled"))

    def _say(self, *events: ServerEvent) -> None:
        for event in events:
            self._events.put_nowait(event)

    def _listen(self, audio: bytes) -> None:
        """Voice detection by the level of each frame."""
        pcm16 = np.frombuffer(mulaw.decode(audio) if self._format == PCMU else audio, "<i2").astype(float)
        item = f"caller-{self._turns}"
        if np.sqrt(np.mean(pcm16**2)) > LOUD:
            if self._quiet_frames is None:
                self._say(SpeechStarted(item))
            self._quiet_frames = 0
        elif self._quiet_frames is not None:
            self._quiet_frames += 1
            if self._quiet_frames == TURN_FRAMES:
                words = self.understood[self._turns]
                self._say(SpeechStopped(item), AudioInputCommitted(item), TranscriptInput(item, words))
                self._quiet_frames = None
                self._turns += 1

    def _read(self, ulaw: bytes) -> None:
        response, item = f"response-{self._responses}", f"reply-{self._responses}"
        self._responses += 1
        audio = ulaw if self._format == PCMU else resampled(mulaw.decode(ulaw), 8000, 24_000)
        per_ms = self._format.bytes_per_ms
        edges = [0, *range(self.pieces.first_ms * per_ms, len(audio), self.pieces.each_ms * per_ms), len(audio)]
        self._say(ResponseCreated(response))
        self._saying += [AudioOutputDelta(response, item, 0, audio[begin:end]) for begin, end in pairwise(edges)]
        self._saying += [AudioOutputDone(response, item, 0), TranscriptOutput(response, item, WORDS)]
        self._saying.append(ResponseDone(response, "completed"))

    async def __aiter__(self) -> AsyncIterator[ServerEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    async def close(self) -> None:
        self._events.put_nowait(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()
