"""One live conversation whose turns are taken here, in the words of a cloud realtime model."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self
from uuid import uuid4

from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    ActivityEnd,
    ActivityStart,
    AudioInputAppend,
    AudioInputClear,
    AudioInputCommit,
    ClientEvent,
    ItemCreate,
    ItemCreated,
    ItemDelete,
    ItemDeleted,
    ItemTruncate,
    ItemTruncated,
    ResponseCancel,
    ResponseCreate,
    ServerEvent,
    SessionCreated,
    SessionError,
    SessionUpdate,
    SessionUpdated,
    ToolResult,
)
from agents.local.dialogue import Dialogue
from agents.local.memory import Memory, Message
from agents.local.outbox import Outbox
from agents.local.parts import OpenParts
from agents.realtime import Past, SessionConfig

RefuseConfig = Callable[[SessionConfig], None]
"""Raises NotSupportedError for what the parts cannot honour."""


class LocalConnection:
    """A RealtimeConnection whose turns are taken here, whoever hears, thinks and speaks.

    It has its parts while it is entered. `hang_up` ends what was opened for it before.
    """

    def __init__(
        self,
        provider: str,
        open_parts: OpenParts,
        config: SessionConfig | None,
        refuse_config: RefuseConfig,
        history: Sequence[Past] = (),
        hang_up: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._provider = provider
        self._open_parts = open_parts
        self._config = config
        self._refuse_config = refuse_config
        self._conversation = Memory(history)
        self._hang_up = hang_up
        self._out = Outbox()
        self._sending = asyncio.Lock()
        self._resources = AsyncExitStack()
        self._dialogue: Dialogue | None = None
        self._session_id: str | None = None

    @property
    def session_id(self) -> str | None:
        return self._session_id

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as resources:
            if self._hang_up:
                resources.push_async_callback(self._hang_up)
            config = self._config or SessionConfig()
            parts = await resources.enter_async_context(self._open_parts(config, self._out))
            tasks = await asyncio.TaskGroup().__aenter__()
            # Without the body's exception, which the group would wrap: its tasks are over by then.
            resources.push_async_callback(tasks.__aexit__, None, None, None)
            self._dialogue = Dialogue(parts, config, self._conversation, self._out, tasks)
            resources.push_async_callback(self.close)
            self._resources = resources.pop_all()
        self._out.put_now(SessionCreated(f"{self._provider}_{uuid4().hex}"))
        if self._config:
            self._out.put_now(SessionUpdated())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    async def close(self) -> None:
        self._out.close()
        ending = self._dialogue.stop() if self._dialogue else []
        if self._hang_up:
            await self._hang_up()  # first: what is ending has nothing to wait for then
        if ending:
            await asyncio.wait(ending)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerEvent:
        event = await self._out.get()
        if event is None:
            raise StopAsyncIteration
        if isinstance(event, SessionCreated):
            self._session_id = event.session_id
        return event

    async def send(self, event: ClientEvent) -> None:
        """Takes the event; what follows from it at once is ready to be read then. Never waits for the reader.

        Raises NotSupportedError for a configuration that cannot be honoured and for `ActivityStart` and `ActivityEnd`:
        with manual turns, `AudioInputCommit` ends a turn.
        """
        async with self._sending:
            if self._dialogue is None or self._out.is_closed:
                raise ProviderError("the conversation is over", code="closed", retryable=False)
            await self._take(self._dialogue, event)

    async def _take(self, dialogue: Dialogue, event: ClientEvent) -> None:
        match event:
            case AudioInputAppend(pcm):
                await dialogue.hear(pcm)
            case AudioInputCommit():
                await dialogue.commit()
            case AudioInputClear():
                dialogue.forget_audio()
            case ResponseCreate():
                dialogue.respond(event)
            case ResponseCancel(response_id):
                dialogue.cancel(response_id)
            case SessionUpdate(config):
                self._refuse_config(config)
                dialogue.configure(config)
                self._out.put_now(SessionUpdated())
            case ActivityStart() | ActivityEnd():
                raise NotSupportedError("activity is heard here; AudioInputCommit ends a manual turn")
            case ItemCreate() | ItemDelete() | ItemTruncate() | ToolResult():
                self._remember(dialogue, event)

    def _remember(self, dialogue: Dialogue, event: ItemCreate | ItemDelete | ItemTruncate | ToolResult) -> None:
        conversation = dialogue.conversation
        try:
            match event:
                case ItemCreate(role, text, item_id, previous):
                    item_id = item_id or f"item_{uuid4().hex}"
                    conversation.add(Message(item_id, role, text), after=previous)
                    self._out.put_now(ItemCreated(item_id, role, previous))
                case ItemDelete(item_id):
                    conversation.delete(item_id)
                    self._out.put_now(ItemDeleted(item_id))
                case ItemTruncate(item_id, _, audio_end_ms):
                    self._out.put_now(ItemTruncated(item_id, conversation.truncate(item_id, audio_end_ms)))
                case ToolResult(call_id, output, has_failed):
                    conversation.answer_call(call_id, output, has_failed=has_failed)
        except KeyError as unknown:
            message = f"the conversation has no such item: {unknown}"
            self._out.put_now(SessionError("item_not_found", message, benign=True))
