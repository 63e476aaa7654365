"""A model put together from three parts, of which each may be on this machine or at a provider."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Final, Self

from agents.cascade import deepgram, nova_wire, voices
from agents.cascade.lines import Lines
from agents.cascade.refusals import refuse_config, refuse_options
from agents.cascade_spec import CascadeSpec
from agents.errors import NotSupportedError, ProviderError
from agents.local.brain import Brain
from agents.local.connection import LocalConnection
from agents.local.embedded_ear import embedded_ear
from agents.local.embedded_mouth import EmbeddedMouth
from agents.local.outbox import Outbox
from agents.local.parts import OpenEar, Parts
from agents.local.speech import speech_workers
from agents.local.vad import voice_activity
from agents.providers.access import resolve_key
from agents.realtime import (
    PCM,
    PCMU,
    SPEC,
    ApiKey,
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    SessionConfig,
)

OpenBrain = Callable[[], AbstractAsyncContextManager[Brain]]


class CascadeModel:
    """A RealtimeModel. `keys` are the parts' keys by the name of their variable, asked for at each connect.

    Its connections to the recogniser and to the voice are opened at once. Entering it warms the parts on this machine.
    """

    spec: Final = SPEC
    provider: Final = "cascade"

    def __init__(
        self,
        model_id: str,
        cascade: CascadeSpec,
        open_brain: OpenBrain,
        *,
        keys: Mapping[str, ApiKey | None],
        workers: int = 1,
    ) -> None:
        self.model_id: Final = model_id
        self._cascade = cascade
        self._open_brain = open_brain
        self._keys = keys
        self._workers = workers
        self._warm: list[AsyncExitStack] = []

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            input_formats=(PCM,) if self._hears_here else (PCM, PCMU),
            output_formats=(PCM,) if self._speaks_here else (PCM, PCMU),
            binary_audio=not self._hears_here,
            follows_instructions=self._cascade.think.provider == "chat",
            say="verbatim",
            keepalive_s=None if self._hears_here else nova_wire.KEEP_ALIVE_S,
        )

    async def connect(self, options: RealtimeConnectOptions | None = None) -> LocalConnection:
        options = options or RealtimeConnectOptions()
        refuse_options(options)
        config = options.session_config or SessionConfig()
        refuse_config(self._cascade, config)
        if options.abort and options.abort.is_set():
            raise ProviderError("connecting was aborted", code="aborted", retryable=False)
        lines = Lines(self._cascade, options, await self._resolved_keys(), config)
        await lines.open()
        return LocalConnection(
            self.provider,
            partial(self._parts, lines),
            options.session_config,
            lines.refuse_update,
            history=options.history,
            hang_up=lines.hang_up,
        )

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        """Always raises NotSupportedError: no credential is good for all parts."""
        raise NotSupportedError("a cascade has three parts, and no credential for all of them")

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as warm:
            if self._hears_here or self._speaks_here:
                speech = await warm.enter_async_context(speech_workers(self._workers))
                await speech.ready()
            if self._hears_here:
                async with voice_activity():
                    pass  # loaded once, it is used again
            self._warm.append(warm.pop_all())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._warm.pop().aclose()

    async def _resolved_keys(self) -> Mapping[str, str]:
        """The key of each part that has one, by its variable. Raises ConfigError that names the one that lacks."""
        return {
            name: await resolve_key(self._keys.get(name), whose=whose, variable=name)
            for name, whose in key_names(self._cascade).items()
        }

    @asynccontextmanager
    async def _parts(self, lines: Lines, config: SessionConfig, out: Outbox) -> AsyncIterator[Parts]:
        hears_here, speaks_here = self._hears_here, self._speaks_here
        async with AsyncExitStack() as parts:
            brain = await parts.enter_async_context(self._open_brain())
            if not (hears_here or speaks_here):
                yield Parts(lines.ear, brain, lines.mouth(out))
                return
            speech = await parts.enter_async_context(speech_workers(self._workers))
            open_ear: OpenEar = lines.ear
            if hears_here:
                open_ear = await parts.enter_async_context(embedded_ear(config, speech))
            yield Parts(open_ear, brain, EmbeddedMouth(speech) if speaks_here else lines.mouth(out))

    @property
    def _hears_here(self) -> bool:
        return self._cascade.listen.provider == "local"

    @property
    def _speaks_here(self) -> bool:
        return self._cascade.speak.provider == "local"


def key_names(cascade: CascadeSpec) -> dict[str, str]:
    """The variables of the keys that the parts which hear and speak need, and whose keys they are."""
    names: dict[str, str] = {}
    if cascade.listen.provider != "local":
        names[deepgram.KEY_NAME] = "Deepgram"
    if cascade.speak.provider != "local":
        names[voices.KEY_NAMES[cascade.speak.provider]] = cascade.speak.provider.capitalize()
    return names
