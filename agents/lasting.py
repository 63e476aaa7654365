"""A model that outlives its connections: renewed before a provider ends them, resumed or replaced when they break."""

import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from agents.candidates import CONNECT_TIMEOUT_S, Candidate, in_order
from agents.errors import ConfigError, GatewayError, ProviderError
from agents.events import ModelStep
from agents.lasting_connection import LastingConnection
from agents.leg import Leg
from agents.realtime import (
    SPEC,
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    past_id,
)
from agents.succession import for_others

log = logging.getLogger(__name__)


class LastingModel:
    """The first of several models that can be reached, and then whichever of them can go on with the conversation.

    A connection gives what a provider's gives, and a `ModelStep` for each change. Handle, credential, key and provider
    options of a `connect()` are for the first model; the others have their own.
    """

    spec: Final = SPEC

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        """Raises ConfigError without candidates."""
        if not candidates:
            raise ConfigError("there should be at least one model")
        self.candidates = tuple(candidates)
        self._warm: list[AsyncExitStack] = []

    @property
    def provider(self) -> str:
        return self.candidates[0].model.provider

    @property
    def model_id(self) -> str:
        return self.candidates[0].model.model_id

    @property
    def capabilities(self) -> Capabilities:
        return self.candidates[0].model.capabilities

    async def connect(self, options: RealtimeConnectOptions | None = None) -> LastingConnection:
        """A connection to the first model that can be reached. Raises what the last of them raised."""
        options = options or RealtimeConnectOptions()
        elsewhere = replace(for_others(options), resume=None)
        told_again = {past_id(each) for each in options.call.past} if options.call else set()
        before = tuple(each for each in options.history if past_id(each) not in told_again)
        asked, steps = in_order(self.candidates)
        failure: GatewayError | None = None
        timeout_s = CONNECT_TIMEOUT_S if len(self.candidates) > 1 else None
        for candidate in asked:
            is_first = candidate is self.candidates[0]
            try:
                connection = await candidate.open(options if is_first else elsewhere, timeout_s)
            except (ProviderError, ConfigError) as error:
                if isinstance(error, ProviderError) and error.code == "aborted":
                    raise
                failure = error
                has_own_key = bool(is_first and (options.credential or options.api_key))
                steps.append(candidate.failed(error, counts=not has_own_key))
                continue
            if not is_first:
                steps.append(ModelStep("replaced", candidate.name))
                log.info("the conversation begins with %s", candidate.name)
            later = replace(options, abort=None, history=before)
            return LastingConnection(self.candidates, Leg(candidate, connection), later, steps)
        assert failure
        raise failure

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        """That of the first model."""
        return await self.candidates[0].model.authenticate(options)

    async def __aenter__(self) -> Self:
        """Warms the models that want to be warm."""
        async with AsyncExitStack() as warm:
            for candidate in self.candidates:
                if isinstance(candidate.model, AbstractAsyncContextManager):
                    await warm.enter_async_context(candidate.model)
            self._warm.append(warm.pop_all())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._warm.pop().aclose()
