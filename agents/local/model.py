"""The embedded models: `local/script` answers from a script, `local/chat` thinks at a chat endpoint."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.local.brain import Brain
from agents.local.chat import open_chat
from agents.local.connection import LocalConnection
from agents.local.dialogue import NOT_HEARD, SORRY
from agents.local.embedded_ear import embedded_ear
from agents.local.embedded_mouth import EmbeddedMouth
from agents.local.matching import Matcher
from agents.local.outbox import Outbox
from agents.local.parts import Parts
from agents.local.refusals import refuse_config, refuse_options
from agents.local.script import ScriptBrain, fixed_sentences, known_sentences
from agents.local.sentences import sentences
from agents.local.speech import Speech, speech_workers
from agents.local.vad import voice_activity
from agents.realtime import (
    SPEC,
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    SessionConfig,
)
from agents.schema import AgentSpec

log = logging.getLogger(__name__)

WORKERS_VARIABLE: Final = "SPEECH_WORKERS"
"""The environment variable that says how many processes hear and speak; one serves about eight calls."""

MAX_WORKERS: Final = 64


class LocalModel:
    """A RealtimeModel within this machine.

    Entering it warms it: the speech workers start and load, and what is known to be said is spoken into their cache.
    Without that, the first call of a process does the waiting. `known` are those sentences; one that cannot be spoken
    is logged.
    """

    spec = SPEC
    provider = "local"
    capabilities = Capabilities(say="verbatim")

    def __init__(
        self,
        model_id: str,
        open_brain: Callable[[], AbstractAsyncContextManager[Brain]],
        *,
        known: Sequence[str] = (),
        speed: float = 1.0,
        workers: int = 1,
        follows_instructions: bool = True,
    ) -> None:
        self.model_id = model_id
        self.capabilities = replace(type(self).capabilities, follows_instructions=follows_instructions)
        self._open_brain = open_brain
        self._known = known
        self._speed = speed
        self._workers = workers
        self._warm: list[AsyncExitStack] = []

    async def connect(self, options: RealtimeConnectOptions | None = None) -> LocalConnection:
        """A conversation that begins when it is entered. Raises NotSupportedError for what it cannot honour."""
        options = options or RealtimeConnectOptions()
        refuse_options(options)
        if options.session_config:
            self._refuse(options.session_config)
        if options.abort and options.abort.is_set():
            raise ProviderError("connecting was aborted", code="aborted", retryable=False)
        return LocalConnection(
            self.provider, self._parts, options.session_config, self._refuse, history=options.history
        )

    def _refuse(self, config: SessionConfig) -> None:
        refuse_config(config, self.model_id)

    @asynccontextmanager
    async def _parts(self, config: SessionConfig, out: Outbox) -> AsyncIterator[Parts]:
        async with (
            speech_workers(self._workers) as speech,
            embedded_ear(config, speech) as open_ear,
            self._open_brain() as brain,
        ):
            yield Parts(open_ear, brain, EmbeddedMouth(speech))

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        """Always raises NotSupportedError: there is nothing to authenticate with."""
        raise NotSupportedError("the embedded model needs no credential and gives none")

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as warm:
            speech = await warm.enter_async_context(speech_workers(self._workers))
            await speech.ready()
            await self._prepare(speech)
            async with voice_activity():
                pass  # loaded once, it is used again
            self._warm.append(warm.pop_all())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._warm.pop().aclose()

    async def _prepare(self, speech: Speech) -> None:
        for sentence in (*self._known, *sentences(SORRY), *sentences(NOT_HEARD)):
            try:
                await speech.synthesize(sentence, self._speed)
            except ProviderError as error:
                if error.retryable:  # not the sentence's fault
                    raise
                log.warning("callers will not hear %r: %s; word it differently", sentence, error)


def script_model(spec: AgentSpec, workers: int) -> LocalModel:
    """The model of an agent with a script."""
    if spec.script is None:
        raise ConfigError("local/script needs a script")
    script, variables = spec.script, dict(spec.variables)
    matcher = Matcher(script.intents, script.threshold)
    return LocalModel(
        "script",
        lambda: nullcontext(ScriptBrain(script, matcher, variables)),
        known=_greeting(spec) + fixed_sentences(script, variables),
        speed=spec.speed or 1.0,
        workers=workers,
        follows_instructions=ScriptBrain.follows_instructions,
    )


def chat_model(spec: AgentSpec, environment: Mapping[str, str], workers: int) -> LocalModel:
    """The model of an agent with a chat endpoint. Raises ConfigError when the endpoint's key is not there."""
    if spec.brain is None:
        raise ConfigError("local/chat needs a brain")
    brain, key_name = spec.brain, spec.brain.api_key_env
    api_key = environment.get(key_name) if key_name else None
    if key_name and not api_key:
        raise ConfigError(f"the chat endpoint's key is missing: set the environment variable {key_name}")
    return LocalModel(
        "chat",
        lambda: open_chat(brain, api_key),
        known=_greeting(spec),
        speed=spec.speed or 1.0,
        workers=workers,
    )


def workers_in(environment: Mapping[str, str]) -> int:
    """How many speech workers the environment wants. Raises ConfigError for what is no such number."""
    wanted = environment.get(WORKERS_VARIABLE, "").strip() or "1"
    if not wanted.isdecimal() or not 1 <= int(wanted) <= MAX_WORKERS:
        raise ConfigError(f"{WORKERS_VARIABLE}: expected a number from 1 to {MAX_WORKERS}, found {wanted!r}")
    return int(wanted)


def _greeting(spec: AgentSpec) -> list[str]:
    return known_sentences(spec.greeting, spec.variables) if spec.greeting else []
