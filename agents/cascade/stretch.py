"""One stretch of speech at a streaming voice, from its first sentence to its last sound."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Final

from agents.cascade.mouth_wire import MouthCodec
from agents.cascade.part import named
from agents.errors import ProviderError
from agents.events import ClientEvent, ItemCreate, ResponseCancel, ResponseCreate
from agents.local.mouth import Listener
from agents.providers.socket import SocketConnection

log = logging.getLogger(__name__)

SOUND_WITHIN_S: Final = 8.0
"""From the last sentence, or the last sound, to the next sound or to the end. A voice begins in half a second."""

END_WITHIN_S: Final = 2.0
"""The same once a voice has paused that forgets what it paused in: it may have no more to say of it."""

SILENT_WITHIN_S: Final = 1.0
"""From cancelling to silence; making another connection takes less."""


class Stretch:
    """An Utterance. `part` is its name in errors, `names` gives it names on the wire that nothing had before."""

    def __init__(
        self, part: str, connection: SocketConnection, codec: MouthCodec, names: Iterator[str], to: Listener
    ) -> None:
        self._part = part
        self._connection = connection
        self._codec = codec
        self._names = names
        self._to = to
        self._clock = asyncio.get_running_loop().time
        self._name: str | None = None
        self._is_over = asyncio.Event()
        self._is_over.set()
        self._failure: ProviderError | None = None
        self._has_sounded = self._has_sounded_since = self._is_ending = self._is_silenced = False
        self._said_at = self._sounded_at = 0.0

    # ---- what is to be said ----

    async def say(self, sentence: str) -> None:
        if self._failure:
            raise self._failure
        if self._is_over.is_set() or self._has_paused:
            self._name = next(self._names)
            self._is_over.clear()
            self._has_sounded = False
        await self._to.words(sentence, None)
        self._said_at, self._has_sounded_since = self._clock(), False
        await self._send(ItemCreate("assistant", sentence, self._name))

    async def end(self) -> None:
        patience_s = END_WITHIN_S if self._has_paused else SOUND_WITHIN_S
        if self._name and not self._is_over.is_set():
            self._is_ending = True
            self._said_at = max(self._said_at, self._clock() if self._has_paused else 0.0)
            await self._send(ResponseCreate(self._name))
            await self._wait_over(patience_s)
        if self._failure:
            raise self._failure

    async def fall_silent(self) -> bool:
        """Lets nothing more be heard. True when the connection can be used again."""
        self._is_silenced = True
        if self._failure:
            return False
        if self._is_over.is_set() or self._name is None:
            return True
        try:
            await self._send(ResponseCancel(self._name))
            if self._codec.confirms_cancel:
                async with asyncio.timeout(SILENT_WITHIN_S):
                    await self._is_over.wait()
        except (ProviderError, TimeoutError):
            return False
        return self._failure is None

    # ---- what comes of it ----

    async def sounded(self, name: str, audio: bytes) -> None:
        if name == self._name and not self._is_silenced:
            self._has_sounded = self._has_sounded_since = True
            await self._to.sound(audio)
            self._sounded_at = self._clock()

    def done(self, name: str) -> None:
        if name == self._name:
            self._is_over.set()

    def refused(self, name: str, error: ProviderError) -> None:
        """The voice cannot speak it. After its last sound that is no more than the end of what it has forgotten."""
        if name != self._name:
            return
        if self._is_ending and self._has_sounded_since:
            log.debug("%s: %s, after the last sound", self._part, error)
            self._is_over.set()
        else:
            self.fail(error)

    def fail(self, error: ProviderError) -> None:
        self._failure = named(self._part, error)
        self._is_over.set()

    @property
    def _has_paused(self) -> bool:
        """Whether all that was said so far has sounded, for so long that the voice may have forgotten the context."""
        pause_s = self._codec.pause_s
        if pause_s is None or self._is_over.is_set() or not self._has_sounded_since:
            return False
        return self._clock() - self._sounded_at > pause_s

    async def _wait_over(self, patience_s: float) -> None:
        """Waits for the last sound. A voice that does not tell of its end has come to it when it is silent."""
        while not self._is_over.is_set():
            until = max(self._said_at, self._sounded_at) + patience_s
            if until <= self._clock():
                break
            try:
                async with asyncio.timeout_at(until):
                    await self._is_over.wait()
            except TimeoutError:
                continue
        if self._is_over.is_set():
            return
        if not self._has_sounded:
            problem = f"the voice was silent for {patience_s:g} s"
            self.fail(ProviderError(problem, code="timeout", retryable=True))
            return
        log.warning("%s: no end of speech was told within %g s", self._part, patience_s)
        self._is_over.set()

    async def _send(self, event: ClientEvent) -> None:
        try:
            await self._connection.send(event)
        except ProviderError as error:
            self.fail(error)
            raise named(self._part, error) from error
