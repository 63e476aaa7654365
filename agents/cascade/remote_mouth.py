"""A mouth at the other end of a socket: a streaming voice, which speaks while its text is still being written."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from uuid import uuid4

from agents.cascade.mouth_wire import MouthCodec
from agents.cascade.part import named
from agents.cascade.stretch import Stretch
from agents.errors import ProviderError
from agents.events import AudioOutputDelta, RawEvent, ResponseDone, ServerEvent, SessionError
from agents.local.mouth import Listener, Utterance
from agents.local.outbox import Outbox
from agents.providers.socket import SocketConnection
from agents.realtime import AudioFormat, Voice


@dataclass(frozen=True, slots=True)
class Manner:
    """What a connection is made for: another voice needs another one."""

    voice: Voice
    audio_format: AudioFormat


@dataclass(frozen=True, slots=True)
class Voiced:
    """A connection to a voice, with its codec."""

    manner: Manner
    connection: SocketConnection
    codec: MouthCodec


OpenVoice = Callable[[Manner], Awaitable[Voiced]]
"""Connects. Raises ProviderError, and ConfigError for a voice that cannot be."""


class RemoteMouth:
    """A Mouth. It has one connection at a time, and makes another when that was lost, or is for another voice.

    When it cannot, or when the voice's provider will not have us, the conversation ends with the reason: a call
    without a voice is over. `part` is its name in errors.
    """

    def __init__(self, part: str, open_voice: OpenVoice, out: Outbox, voiced: Voiced) -> None:
        self._part = part
        self._open_voice = open_voice
        self._out = out
        self._voiced: Voiced | None = voiced
        self._is_closed = False
        self._is_connected = asyncio.Event()
        self._is_connected.set()
        self._turn = asyncio.Lock()
        self._stretch: Stretch | None = None
        self._names = (f"{uuid4().hex[:12]}-{number}" for number in count(1))

    @asynccontextmanager
    async def utter(self, voice: Voice, audio_format: AudioFormat, to: Listener) -> AsyncIterator[Utterance]:
        async with self._turn:
            voiced = await self._connected(Manner(voice, audio_format))
            self._stretch = stretch = Stretch(self._part, voiced.connection, voiced.codec, self._names, to)
            try:
                yield stretch
            finally:
                is_usable = await stretch.fall_silent()
                self._stretch = None
                if not is_usable:
                    await self._hang_up()

    async def close(self) -> None:
        """Hangs up, for good."""
        self._is_closed = True
        await self._hang_up()

    async def run(self) -> None:
        while True:
            await self._is_connected.wait()
            if voiced := self._voiced:
                error = await self._listen(voiced.connection)
                if self._voiced is voiced:
                    self._forget()
                    if self._stretch:
                        self._stretch.fail(error)

    async def _listen(self, connection: SocketConnection) -> ProviderError:
        """Passes on what a connection says until it ends. Gives why it did."""
        try:
            async for event in connection:
                await self._take(event)
        except ProviderError as error:
            return error
        return ProviderError("the voice closed the connection", code="closed", retryable=True)

    async def _take(self, event: ServerEvent) -> None:
        stretch = self._stretch
        match event:
            case AudioOutputDelta(name, _, _, audio) if stretch:
                await stretch.sounded(name, audio)
            case ResponseDone(name) if stretch:
                stretch.done(name)
            case SessionError(category="auth" | "quota"):
                self._out.close(named(self._part, _error(event)))
            case SessionError(event_id=str(name)) if stretch:
                stretch.refused(name, _error(event))
            case SessionError() | RawEvent():
                self._out.put_now(event)

    async def _connected(self, manner: Manner) -> Voiced:
        voiced = self._voiced
        if voiced and voiced.manner == manner and not voiced.codec.is_spent:
            return voiced
        await self._hang_up()
        if self._is_closed:
            raise ProviderError("the conversation is over", code="closed", retryable=False)
        try:
            self._voiced = voiced = await self._open_voice(manner)
        except ProviderError as error:
            self._out.close(error)
            raise
        self._is_connected.set()
        return voiced

    async def _hang_up(self) -> None:
        if voiced := self._voiced:
            self._forget()
            await voiced.connection.close()

    def _forget(self) -> None:
        self._voiced = None
        self._is_connected.clear()


def _error(event: SessionError) -> ProviderError:
    return ProviderError(event.message, code=event.code, retryable=event.retryable, category=event.category)
