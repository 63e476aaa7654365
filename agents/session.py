"""A session: one agent talking with one caller, from connect to close."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import fields, replace
from typing import Any, Final, Self

from agents.agent import RealtimeAgent
from agents.conversation import Conversation
from agents.emitter import Emitter, Listener
from agents.errors import ChannelError, ConfigError, NotSupportedError
from agents.events import AudioInputCommit, Closed, ConnectionStatus, EndReason, SessionEvent, Status, Usage
from agents.history import HistoryItem
from agents.realtime import (
    AudioFormat,
    PastMessage,
    RealtimeChannel,
    RealtimeConnection,
    RealtimeConnectOptions,
    RealtimeModel,
    RealtimeSessionOptions,
    SessionConfig,
)

log = logging.getLogger(__name__)

LISTENER_GRACE_S: Final = 2.0
"""How long async listeners may still run once the session is over."""

CLOSE_TIMEOUT_S: Final = 5.0
"""Longest that the line may take to close."""

PLAYBACK_TIMEOUT_S: Final = 60.0
"""Longest that closing waits for the caller to hear the agent out."""

_inside: ContextVar["RealtimeSession | None"] = ContextVar("session", default=None)
"""The session in whose own tasks this runs: there `close()` signals the end and cannot wait for it."""


class RealtimeSession:
    """A conversation between one agent and one caller.

    `await connect()` opens the model and lets the conversation run until either side ends it; `await wait_closed()`
    says how it ended; `await close()` ends it from here; `async with` does the first and the last. Everything runs
    inside one task, which `connect()` starts and `close()` awaits: nothing of it survives. A session connects once; a
    `connect()` that failed may be tried again.

    Sending before `connect()` raises ConfigError. Sending after the end does nothing: a call may end at any moment.
    """

    def __init__(self, agent: RealtimeAgent, options: RealtimeSessionOptions | None = None, **more: Any) -> None:
        """`more` are fields of RealtimeSessionOptions by name, as in `RealtimeSession(agent, channel=channel)`.

        Raises ConfigError for options that contradict each other, NotSupportedError for those nobody can honour yet.
        """
        self._options = replace(options or RealtimeSessionOptions(), **more)
        _refuse_unsupported(self._options)
        self._agent = agent
        self._model = self._options.model or agent.model
        self._emitter = Emitter(sticky=frozenset({"status"}))
        self._id: str | None = None
        self._root: asyncio.Task[None] | None = None
        self._conversation: Conversation | None = None
        self._closed: Closed | None = None

    @property
    def id(self) -> str | None:
        """The provider's name for the session; None until it was told."""
        return self._id

    @property
    def agent(self) -> RealtimeAgent:
        return self._agent

    @property
    def model(self) -> RealtimeModel:
        return self._model

    @property
    def channel(self) -> RealtimeChannel | None:
        return self._options.channel

    @property
    def context(self) -> object:
        return self._options.context

    @property
    def muted(self) -> bool:
        return self._conversation is not None and self._conversation.is_muted

    @property
    def closed(self) -> Closed | None:
        """How the session ended; None until it has."""
        return self._closed

    @property
    def usage(self) -> Usage:
        """Tokens of all responses so far."""
        return self._conversation.usage if self._conversation else Usage()

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        """What was said so far, in order, and what of the agent's words was heard."""
        return self._conversation.history if self._conversation else ()

    @property
    def past(self) -> tuple[PastMessage, ...]:
        """What was said so far, for a model to begin with: of the agent's words those that were or will be heard."""
        return self._conversation.past if self._conversation else ()

    @property
    def is_quiet(self) -> bool:
        """True while nobody speaks, nothing is owed and no tool runs."""
        return self._conversation is None or self._conversation.is_quiet

    @property
    def worst_silence_ms(self) -> int:
        """The longest that the caller has waited in silence for an answer, or for the greeting.

        It counts from when the model took the turn for over, which is later than the last word by the silence that
        it wants to hear first, until the answer's first audio goes out.
        """
        return self._conversation.worst_silence_ms if self._conversation else 0

    # ---- its life ----

    async def connect(self) -> None:
        """Opens the model and starts the conversation; returns when the model is there.

        Does nothing on a session that is connected. Raises ConfigError when one is connecting or over, and for what the
        operator can mend; ProviderError when the model's side fails.
        """
        if self._closed:
            raise ConfigError("the session is over; make a new one")
        if self._conversation:
            return
        if self._root:
            raise ConfigError("connect() is already under way")
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._root = root = asyncio.create_task(self._run(opened), name="session")
        try:
            await opened
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                root.cancel()
            await asyncio.wait({root})
            raise

    async def wait_closed(self) -> Closed:
        """Waits until the conversation is over, and says how it ended. Raises ConfigError before `connect()`."""
        self._live()
        if self._root:
            await asyncio.wait({self._root})
        return self._closed or Closed("error", "the session was cancelled")

    async def close(
        self, reason: EndReason = "closed", *, after_playback: bool = False, timeout_s: float = PLAYBACK_TIMEOUT_S
    ) -> None:
        """Ends the conversation and waits until nothing of it is left. Safe at any time and any number of times.

        `after_playback` first lets the caller hear what the agent is saying, for at most `timeout_s`; a caller who
        interrupts it ends the call at once, as the program wanted it over. Called inside a listener or a tool of this
        session it returns without waiting for the end, which follows by itself; who is cancelled while waiting has
        closed the session all the same.
        """
        if self._conversation and after_playback:
            self._conversation.end_when_played(reason, timeout_s)
        elif self._conversation:
            self._conversation.end(reason)
        elif self._root:
            self._closed = Closed(reason)
            self._root.cancel()
        elif not self._closed:
            self._closed = Closed(reason)
            await self._finish(self._closed)
        if self._root and _inside.get() is not self:
            await asyncio.wait({self._root})

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ---- control ----

    async def send_audio(self, pcm: bytes, *, commit: bool = False) -> None:
        """Lets the model hear the caller, for use without a channel. `commit` ends the turn right after."""
        await self._live().hear_caller(pcm)
        if commit:
            await self.commit()

    async def commit(self) -> None:
        """Says that the caller's turn is over. Asks for no response."""
        await self._live().send(AudioInputCommit())

    async def send_message(self, text: str, *, respond: bool = True) -> None:
        """Adds a message of the caller's, as text, and asks for a response unless told otherwise."""
        live = self._live()
        await live.add_message(text)
        if respond:
            await live.request()

    async def interrupt(self) -> None:
        """Stops the agent: silences the line, then cancels and truncates. Does nothing when the agent is silent.

        Returns when the model knows what was heard, about a round trip to the telephone later.
        """
        await self._live().interrupt()

    async def mute(self) -> None:
        """Keeps the caller's audio from the model; everything else goes on.

        A caller in mid-speech is replaced by silence until the model has noticed the end of the turn.
        """
        self._live().is_muted = True

    async def unmute(self) -> None:
        self._live().is_muted = False

    async def wait_played(self, timeout_s: float = PLAYBACK_TIMEOUT_S) -> bool:
        """Waits, at most so long, until the agent has no more to say and the caller heard it all.

        False when the caller interrupted meanwhile.
        """
        return await self._live().wait_played(timeout_s)

    async def wait_goodbye(self, response_id: str | None = None, timeout_s: float = PLAYBACK_TIMEOUT_S) -> bool:
        """Waits until the caller heard the agent out and has nothing to add: for tools that end or hand over the call.

        At most `timeout_s` for the agent, then half a minute for a caller who is speaking. False when the call should
        go on: the caller interrupted the agent, also before this began if that stopped the response `response_id` (a
        tool's own, `ToolContext.response_id`), or said something that is to be answered.
        """
        return await self._live().wait_goodbye(response_id, timeout_s)

    # ---- observation ----

    def on(self, kind: str, listener: Listener) -> Self:
        """Calls a sync or async function with every event of a kind (SessionEvent), until `off` or the end."""
        self._emitter.on(kind, listener)
        return self

    def once(self, kind: str, listener: Listener) -> Self:
        self._emitter.once(kind, listener)
        return self

    def off(self, kind: str, listener: Listener) -> Self:
        self._emitter.off(kind, listener)
        return self

    def emit(self, event: SessionEvent) -> bool:
        """Tells those who watch. Returns whether anyone did."""
        return self._emitter.emit(event)

    def events(self) -> AsyncIterator[SessionEvent]:
        """Every event from now on, the last being `Closed`. A reader slower than the call loses the oldest."""
        return self._emitter.events()

    # ---- inside ----

    def _live(self) -> Conversation:
        if self._conversation is None:
            raise ConfigError("the session is not connected; call connect() first")
        return self._conversation

    async def _run(self, opened: asyncio.Future[None]) -> None:
        _inside.set(self)
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._emitter.run_async_listeners(), name="listeners")
            try:
                self._tell_status("connecting")
                agent = replace(self._agent, config=replace(self._agent.config, **self._options.config))
                config = await agent.session_config(self.context)
                await self._converse(await self._open(config), config, opened)
            except Exception as error:
                if not opened.done():
                    opened.set_exception(error)
            finally:
                if self._closed:
                    await self._finish(self._closed)
                    await asyncio.wait({listening}, timeout=LISTENER_GRACE_S)
                else:
                    self._root = None
                    self._tell_status("closed")
                if not opened.done():
                    opened.set_exception(ConfigError("the session was closed while it was connecting"))
                listening.cancel()
                self._emitter.forget()

    async def _converse(
        self, connection: RealtimeConnection, config: SessionConfig, opened: asyncio.Future[None]
    ) -> None:
        """The conversation, from a connection that is open to the end. Raises only when it cannot begin."""
        closed = Closed("closed")
        try:
            async with connection:
                self._conversation = Conversation(self, connection, config, self._emitter, self._learn_id)
                self._tell_status("connected")
                if not opened.done():
                    opened.set_result(None)
                try:
                    closed = await self._conversation.run()
                finally:
                    await self._close_channel(self._conversation.close_line)
                    await self._close_channel(self._conversation.settle)
        except Exception as error:
            if self._conversation is None:
                raise
            log.exception("the model's side did not close well")
            closed = Closed("error", str(error))
        finally:
            if self._conversation:
                self._closed = self._closed or closed

    async def _finish(self, closed: Closed) -> None:
        """The end, for whoever watches; nothing follows."""
        if self._conversation is None and self.channel:
            await self._close_channel(self.channel.close)
        self._tell_status("closed")
        self._emitter.emit(closed)
        self._emitter.end()

    async def _open(self, config: SessionConfig) -> RealtimeConnection:
        if self.channel:
            _refuse_other_audio(self.channel.audio_format, config, self._model)
        given = self._options.connect_options or RealtimeConnectOptions()
        options = replace(
            given,
            session_config=config,
            credential=self._options.credential or given.credential,
            api_key=self._options.api_key or given.api_key,
            call=self,
        )
        if isinstance(self._options.transport, str):
            return await self._model.connect(options)
        return await self._options.transport.connect(self._model, options)

    async def _close_channel(self, close: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(TimeoutError, ChannelError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await close()

    def _tell_status(self, status: ConnectionStatus) -> None:
        self._emitter.emit(Status(status))

    def _learn_id(self, session_id: str) -> None:
        self._id = session_id


def _refuse_other_audio(line: AudioFormat, config: SessionConfig, model: RealtimeModel) -> None:
    """Nothing is transcoded between a line and a model: all three must mean the same audio."""
    if not config.input_format == config.output_format == line:
        raise NotSupportedError(
            f"the channel carries {line}; input_format is {config.input_format}, output_format {config.output_format}"
        )
    known = model.capabilities
    if line not in known.input_formats or line not in known.output_formats:
        raise NotSupportedError(f"the channel carries {line}, which {model.provider}/{model.model_id} does not")


def _refuse_unsupported(options: RealtimeSessionOptions) -> None:
    waiting = {
        "history_store_audio": options.history_store_audio,
        "output_guardrails": options.output_guardrails,
        "output_guardrail_settings": options.output_guardrail_settings,
        "group_id": options.group_id,
        "trace_metadata": options.trace_metadata,
        "tracing_disabled": options.tracing_disabled,
        "workflow_name": options.workflow_name,
    }
    asked = sorted(name for name, value in waiting.items() if value)
    if asked:
        raise NotSupportedError(f"not supported yet: {', '.join(asked)}")
    if options.transport == "webrtc":
        raise NotSupportedError("transport webrtc is not supported; use websocket, or an object of your own")
    if not isinstance(options.transport, str) and options.transport.handles_audio and options.channel:
        raise ConfigError("a transport that handles audio itself takes no channel")
    unknown = sorted(options.config.keys() - {field.name for field in fields(SessionConfig)})
    if unknown:
        raise ConfigError(f"config has no field named {', '.join(unknown)}")
    if agents_own := sorted(options.config.keys() & {"instructions", "tools", "variables"}):
        raise ConfigError(f"the agent says its own {', '.join(agents_own)}; config cannot")
    if options.connect_options and options.connect_options.session_config:
        raise ConfigError("a session makes its own session_config, of its agent and of config")
