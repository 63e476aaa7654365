"""A session: one agent talking with one caller, from connect to close."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, Self

from agents.agent import RealtimeAgent
from agents.call_control import CallControl
from agents.conversation import Conversation
from agents.emitter import Emitter, Listener
from agents.errors import ChannelError, ConfigError, NotSupportedError, ToolError
from agents.events import (
    AudioInputCommit,
    Closed,
    ConnectionStatus,
    DigitsEntered,
    EndReason,
    HistoryUpdated,
    SessionEvent,
    Status,
    Usage,
)
from agents.guardrails.contract import Guardrail, OutputGuardrailSettings
from agents.handoffs import Handoff
from agents.history import HistoryItem
from agents.hold import REMIND_AFTER_S
from agents.opening import Opening
from agents.realtime import (
    PastMessage,
    RealtimeChannel,
    RealtimeConnection,
    RealtimeModel,
    RealtimeSessionOptions,
    SessionConfig,
)
from agents.switched_connection import SwitchedConnection
from agents.tools.contract import ToolContext
from agents.tools.toolbox import enter_toolkits
from agents.tracing import SessionTrace, start_trace
from agents.update_history import NewHistory

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
        self._has_begun = False
        self._conversation: Conversation | None = None
        self._closed: Closed | None = None
        self._trace: SessionTrace | None = None
        self._entry = DigitsEntered("")

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
    def digits(self) -> str:
        """What `collect_digits` gave last, secrets too: for tools, which may need what the model must not know."""
        return self._entry.digits

    @property
    def are_digits_secret(self) -> bool:
        """Whether `digits` were typed as a secret, of which no model may learn more than the length."""
        return self._entry.sensitive

    @property
    def is_caller_speaking(self) -> bool:
        """Whether the model hears the caller's voice."""
        return self._conversation is not None and self._conversation.is_caller_speaking

    @property
    def is_on_hold(self) -> bool:
        return self._conversation is not None and self._conversation.hold.is_on

    @property
    def is_on_telephone(self) -> bool:
        """Whether there is a call that `call_control` controls."""
        return self._options.call_control is not None

    @property
    def call_control(self) -> CallControl:
        """What can be done with the call beside talking. Raises ToolError where there is nothing."""
        if self._options.call_control is None:
            raise ToolError("this conversation is on no telephone line that can be controlled")
        return self._options.call_control

    @property
    def muted(self) -> bool:
        return self._conversation is not None and self._conversation.is_muted

    @property
    def trace(self) -> SessionTrace | None:
        """Who makes spans of it; None where nobody collects any."""
        return self._trace

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
    def stores_audio(self) -> bool:
        """Whether the items of `history` keep their audio."""
        return self._options.history_store_audio

    @property
    def output_guardrails(self) -> Sequence[Guardrail]:
        """The session's own guardrails, which hold beside those of whichever agent speaks."""
        return self._options.output_guardrails

    @property
    def output_guardrail_settings(self) -> OutputGuardrailSettings | None:
        """The session's own settings of them; None for those of the agent."""
        return self._options.output_guardrail_settings

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
        self._has_begun = False
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
            if self._has_begun:  # a task that is cancelled before its first step cleans up nothing
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
        live = self._live().requests
        await live.add_message(text)
        if respond:
            await live.respond()

    async def update_history(self, wanted: NewHistory) -> None:
        """Makes the history what is wanted: items, or a function of the present items that gives them.

        The model forgets first what is gone, then is told what is new or has changed, as text. Raises ConfigError,
        before anything is sent, for what it cannot be told again: the agent's speech, audio, the call of a tool; and
        NotSupportedError where items cannot be taken out of its conversation. Asks for no response.
        """
        live = self._live().requests
        if not self._model.capabilities.delete:
            raise NotSupportedError(f"{self._model.provider}/{self._model.model_id} cannot change what was said")
        await live.update_history(wanted)

    async def interrupt(self) -> None:
        """Stops the agent: silences the line, then cancels and truncates. Does nothing when the agent is silent.

        Returns when the model knows what was heard, about a round trip to the telephone later.
        """
        await self._live().requests.interrupt()

    async def approve(self, call_id: str) -> None:
        """Lets a tool be called that `ToolApproval` told of. Raises ConfigError when it is unknown, decided or over."""
        self._live().approvals.approve(call_id)

    async def reject(self, call_id: str, text: str | None = None) -> None:
        """Has the model answered with the text, or that the call was not approved, in place of calling the tool.

        Raises ConfigError as `approve` does.
        """
        self._live().approvals.reject(call_id, text)

    async def say(self, text: str) -> None:
        """Has the agent say a text word for word, as soon as it says nothing else."""
        await self._live().requests.say(text)

    def say_last(self, text: str, reason: EndReason = "agent", *, timeout_s: float = PLAYBACK_TIMEOUT_S) -> None:
        """Has the agent say a text word for word in place of all else, to a machine, and ends the call when it played.

        From here on the far end is not heard, and responses that the model begins by itself are cancelled and silent.
        The call ends after `timeout_s` at the latest. Does not wait for it. A call has one last word: does nothing
        after another `say_last`, or after `close(after_playback=True)`.
        """
        self._live().say_last(text, reason, timeout_s)

    async def hold(self, music: Path | None = None, *, is_reminded: bool = True) -> None:
        """Puts the caller on hold: they hear a WAV file, or a quiet melody, and the model does not hear them.

        It ends by `resume()`, and when the agent speaks. Unless `is_reminded` is False, the model is told every two
        minutes. On hold already, they hear the file in place of what was played, and without `is_reminded` no
        reminder comes any more. Raises ConfigError for a file that cannot be played.
        """
        await self._live().hold.begin(music, REMIND_AFTER_S if is_reminded else None)

    async def resume(self) -> None:
        """Takes the caller back who is on hold; does nothing when they are not."""
        await self._live().hold.end()

    async def collect_digits(self, first_key_s: float, typing_s: float) -> str | None:
        """Waits for what the caller types, as the agent's `keys` say when an entry is complete.

        Once they have heard the agent out, they have so long for the first key, and so long to type; what they type
        before that counts as well. None when the time ran out, when they said something instead, and when the call
        ended.
        """
        entry = await self._live().collect_digits(first_key_s, typing_s)
        if entry is None:
            return None
        self._entry = entry
        return entry.digits

    async def hand_over(self, to: Handoff, call: ToolContext, reason: str = "") -> object:
        """Lets another agent go on with the conversation: what the tool of a handoff does. Gives the tool's answer.

        Raises ToolError when the caller stays with the present agent.
        """
        return await self._live().hand_over(to, call, reason)

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
        return await self._live().requests.wait_played(timeout_s)

    async def wait_goodbye(self, response_id: str | None = None, timeout_s: float = PLAYBACK_TIMEOUT_S) -> bool:
        """Waits until the caller heard the agent out and has nothing to add: for tools that end or hand over the call.

        At most `timeout_s` for the agent, then half a minute for a caller who is speaking. False when the call should
        go on: the caller interrupted the agent, also before this began if that stopped the response `response_id` (a
        tool's own, `ToolContext.response_id`), or said something that is to be answered.
        """
        return await self._live().requests.wait_goodbye(response_id, timeout_s)

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
        self._has_begun = True
        async with contextlib.AsyncExitStack() as toolkits, asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._emitter.run_async_listeners(), name="listeners")
            try:
                if self._closed:
                    raise asyncio.CancelledError
                self._tell_status("connecting")
                self._trace = start_trace(self, self._options)
                opening = Opening(self._options, self)
                await enter_toolkits(self._agent, toolkits)
                config = await opening.config_of(self._agent)
                connection = await opening.open(self._model, config)
                if self._agent.handoffs:
                    connection = SwitchedConnection(self._model, connection, config)
                await self._converse(opening, connection, config, opened)
            except Exception as error:
                if self._trace:
                    self._trace.failed(error)
                if not opened.done():
                    opened.set_exception(error)
            finally:
                if self._trace:
                    self._trace.ended(self._closed)
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
        self, opening: Opening, connection: RealtimeConnection, config: SessionConfig, opened: asyncio.Future[None]
    ) -> None:
        """The conversation, from a connection that is open to the end. Raises only when it cannot begin."""
        closed = Closed("closed")
        try:
            async with connection:
                if self._trace:
                    self._trace.configured(config)
                self._conversation = Conversation(
                    self, opening, connection, config, self._emitter, self._learn_id, self._learn_agent
                )
                self._tell_status("connected")
                self._emitter.emit(HistoryUpdated(()))
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

    async def _close_channel(self, close: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(TimeoutError, ChannelError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await close()

    def _tell_status(self, status: ConnectionStatus) -> None:
        self._emitter.emit(Status(status))

    def _learn_id(self, session_id: str) -> None:
        self._id = session_id

    def _learn_agent(self, agent: RealtimeAgent) -> None:
        self._agent, self._model = agent, self._options.model or agent.model


def _refuse_unsupported(options: RealtimeSessionOptions) -> None:
    if strangers := [each for each in options.output_guardrails if not isinstance(each, Guardrail)]:
        raise ConfigError(f"output_guardrails takes Guardrails, not {type(strangers[0]).__name__}")
    if not isinstance(options.output_guardrail_settings, OutputGuardrailSettings | None):
        raise ConfigError("output_guardrail_settings takes OutputGuardrailSettings")
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
