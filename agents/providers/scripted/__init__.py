"""A model that plays a script: for tests, and for dry runs of the whole gateway without a provider.

In Python, `ScriptedModel([...])` takes the steps of `agents/providers/scripted/steps.py`. In an agent's file,
`model: scripted/hello.yaml` names a file of steps, relative to the agent's file; that module explains the format.

Each connection plays the script from its start, after a `session.created` of its own, and stays open, silent, when the
script is over. A `fail` that comes first makes `connect()` itself fail.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import pi, sin
from pathlib import Path
from struct import pack
from types import TracebackType
from typing import Final, Self

from agents import mulaw
from agents.errors import ConfigError, NotSupportedError, ProviderError
from agents.events import (
    AudioOutputDelta,
    AudioOutputDone,
    ClientEvent,
    ItemCreated,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionUpdate,
    TranscriptOutput,
    TranscriptOutputDelta,
)
from agents.providers import Fault
from agents.providers.scripted.steps import Close, Expect, Fail, Say, Step, Wait, read_steps
from agents.realtime import (
    PCM,
    PCMU,
    SPEC,
    AudioFormat,
    Capabilities,
    RealtimeAuthenticateOptions,
    RealtimeConnectOptions,
    SessionConfig,
    TokenCredential,
    refuse_expired,
)
from agents.schema import AgentSpec

PATIENCE_S: Final = 60.0
"""Longest that `expect` waits: a minute of a caller's silence, after which a dry run has stalled."""

CREDENTIAL_S: Final = 600
"""How long a credential lives when nobody chooses: as with OpenAI."""

PIECE_MS: Final = 100
TONE_HZ: Final = 400  # a whole number of its waves fits into each piece
LOUDNESS: Final = 6_000


class ScriptedModel:
    """Plays the same steps on every connection; `connections` has each of them, for tests to look into."""

    spec: Final = SPEC
    provider: Final = "scripted"
    capabilities: Final = Capabilities(
        input_formats=(PCM, PCMU), output_formats=(PCM, PCMU), say="verbatim", resume="none"
    )

    def __init__(self, steps: Sequence[Step], *, model_id: str = "script", patience_s: float = PATIENCE_S) -> None:
        self.model_id: Final = model_id
        self.connections: list[ScriptedConnection] = []
        self._steps = tuple(steps)
        self._patience_s = patience_s

    async def connect(self, options: RealtimeConnectOptions | None = None) -> "ScriptedConnection":
        """A connection whose `sent` starts with the session's configuration, if there is one."""
        options = options or RealtimeConnectOptions()
        if options.resume is not None or options.websocket is not None:
            raise NotSupportedError("a script has no session to resume and no socket")
        config = options.session_config or SessionConfig()
        if not {config.input_format, config.output_format} <= {PCM, PCMU}:
            raise NotSupportedError(f"a script hears and speaks {PCM} and {PCMU}")
        if options.credential is not None:
            refuse_expired(options.credential)
        if options.abort is not None and options.abort.is_set():
            raise ProviderError("connecting to the script was aborted", code="aborted", retryable=False)
        if self._steps and isinstance(self._steps[0], Fail):
            raise self._steps[0].error()
        session_id = f"scripted-{len(self.connections) + 1}"
        connection = ScriptedConnection(self._steps, session_id, options, self._patience_s)
        self.connections.append(connection)
        if options.session_config is not None:
            await connection.send(SessionUpdate(options.session_config))
        return connection

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> TokenCredential:
        options = options or RealtimeAuthenticateOptions()
        if options.agent_id is not None:
            raise NotSupportedError("a script keeps no agents: authenticate takes no agent_id")
        lifetime = timedelta(seconds=CREDENTIAL_S if options.ttl_s is None else options.ttl_s)
        return TokenCredential("scripted", datetime.now(UTC) + lifetime)


class ScriptedConnection:
    """A RealtimeConnection played from a script. `sent` is all it was sent; `options` is what it was opened with."""

    def __init__(
        self, steps: Sequence[Step], session_id: str, options: RealtimeConnectOptions, patience_s: float
    ) -> None:
        self.sent: list[ClientEvent] = []
        self.options: Final = options
        self._steps = steps
        self._position = 0
        self._name = session_id
        self._session_id: str | None = None
        self._patience_s = patience_s
        self._voice_format = (options.session_config or SessionConfig()).output_format
        self._ready: deque[ServerEvent] = deque([SessionCreated(session_id)])
        self._passed = 0  # events of `sent` that earlier steps have waited past
        self._news = asyncio.Condition()
        self._closed = asyncio.Event()

    @property
    def session_id(self) -> str | None:
        return self._session_id

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    async def send(self, event: ClientEvent) -> None:
        if self.is_closed:
            raise ProviderError("the script is closed", code="closed", retryable=False)
        async with self._news:
            self.sent.append(event)
            self._news.notify_all()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerEvent:
        """Raises ProviderError for a `fail`, and with code `script` for an `expect` that waited in vain."""
        while not self.is_closed:
            if self._ready:
                event = self._ready.popleft()
                if isinstance(event, SessionCreated):
                    self._session_id = event.session_id
                return event
            if self._position == len(self._steps):
                await self._closed.wait()
            else:
                await self._play(self._steps[self._position])
                self._position += 1
        raise StopAsyncIteration

    async def close(self) -> None:
        async with self._news:
            self._closed.set()
            self._news.notify_all()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def _play(self, step: Step) -> None:
        match step:
            case Expect():
                await self._expect(step)
            case Say():
                self._ready.extend(_speech(step, f"{self._name}-{self._position + 1}", self._voice_format))
            case Wait(ms):
                with suppress(TimeoutError):
                    async with asyncio.timeout(ms / 1000):
                        await self._closed.wait()
            case Close():
                await self.close()
            case Fail():
                raise step.error()
            case event:
                self._ready.append(event)

    async def _expect(self, step: Expect) -> None:
        try:
            async with asyncio.timeout(self._patience_s), self._news:
                await self._news.wait_for(lambda: self.is_closed or self._has_come(step))
        except TimeoutError as error:
            sent = ", ".join(f"{kind} x {count}" for kind, count in Counter(e.kind for e in self.sent).items())
            problem = f"step {self._position + 1} of the script waited for {step}; it was sent {sent or 'nothing'}"
            raise ProviderError(problem, code="script", retryable=False) from error

    def _has_come(self, step: Expect) -> bool:
        while self._passed < len(self.sent):
            self._passed += 1
            if step.fits(self.sent[self._passed - 1]):
                return True
        return False


def faults(spec: AgentSpec, folder: Path) -> list[Fault]:
    """What is wrong with the script. The agent's own fields may be those of any provider, for a dry run."""
    try:
        read_steps(folder / spec.model_id)
    except ConfigError as error:
        return [Fault(("model",), f"{it.file}:{it.line or 1}: {it.found}", it.right) for it in error.problems]
    return []


def missing_key(spec: AgentSpec, environment: Mapping[str, str]) -> str | None:
    return None


def open_model(spec: AgentSpec, folder: Path, environment: Mapping[str, str]) -> ScriptedModel:
    return ScriptedModel(read_steps(folder / spec.model_id), model_id=spec.model_id)


def _speech(step: Say, name: str, voice_format: AudioFormat) -> Iterator[ServerEvent]:
    response_id, item_id = f"{name}-response", f"{name}-item"
    yield ResponseCreated(response_id)
    yield ItemCreated(item_id, "assistant")
    yield TranscriptOutputDelta(response_id, item_id, step.text)
    for start_ms in range(0, step.length_ms, PIECE_MS):
        tone = _tone(min(PIECE_MS, step.length_ms - start_ms), voice_format)
        yield AudioOutputDelta(response_id, item_id, 0, tone)
    yield AudioOutputDone(response_id, item_id, 0)
    yield TranscriptOutput(response_id, item_id, step.text)
    yield ResponseDone(response_id, "completed")


@lru_cache
def _tone(ms: int, voice_format: AudioFormat) -> bytes:
    """PCM or PCMU: a whole number of milliseconds is a whole number of samples of either."""
    count = ms * voice_format.sample_rate // 1000
    samples = (int(LOUDNESS * sin(2 * pi * TONE_HZ * n / voice_format.sample_rate)) for n in range(count))
    pcm16 = pack(f"<{count}h", *samples)
    return mulaw.encode(pcm16) if voice_format == PCMU else pcm16
