"""One live conversation with the embedded model, in the words of a cloud realtime model."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

from agents.audio import PCM_BYTES_PER_MS
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
from agents.local.brain import Brain
from agents.local.dialogue import Dialogue
from agents.local.listening import Listener
from agents.local.memory import Message
from agents.local.outbox import Outbox
from agents.local.refusals import refuse_config
from agents.local.speech import speech_workers
from agents.local.turns import TurnSettings
from agents.local.vad import voice_activity
from agents.realtime import SessionConfig

_SLICE_BYTES: Final = 200 * PCM_BYTES_PER_MS
"""Audio that is listened to before other calls get their turn: under a millisecond of CPU."""


class LocalConnection:
    """A RealtimeConnection without a network. It has a share in the speech workers while it is entered."""

    def __init__(
        self,
        model_id: str,
        open_brain: Callable[[], AbstractAsyncContextManager[Brain]],
        config: SessionConfig | None,
        workers: int,
    ) -> None:
        self._model_id = model_id
        self._open_brain = open_brain
        self._config = config
        self._workers = workers
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
            speech = await resources.enter_async_context(speech_workers(self._workers))
            vad = await resources.enter_async_context(voice_activity())
            brain = await resources.enter_async_context(self._open_brain())
            tasks = await asyncio.TaskGroup().__aenter__()
            # Without the body's exception, which the group would wrap: its tasks are over by then.
            resources.push_async_callback(tasks.__aexit__, None, None, None)
            config = self._config or SessionConfig()
            listener = Listener(vad, TurnSettings.of(config.turn_detection))
            self._dialogue = Dialogue(brain, speech, listener, config, self._out, tasks)
            resources.push_async_callback(self.close)
            self._resources = resources.pop_all()
        self._out.put_now(SessionCreated(f"local_{uuid4().hex}"))
        if self._config:
            self._out.put_now(SessionUpdated())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    async def close(self) -> None:
        self._out.close()
        if self._dialogue and (ending := self._dialogue.stop()):
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
                dialogue.hear(pcm[:_SLICE_BYTES])
                for start in range(_SLICE_BYTES, len(pcm), _SLICE_BYTES):
                    await asyncio.sleep(0)
                    dialogue.hear(pcm[start : start + _SLICE_BYTES])
            case AudioInputCommit():
                dialogue.commit()
            case AudioInputClear():
                dialogue.forget_audio()
            case ResponseCreate():
                dialogue.respond(event)
            case ResponseCancel(response_id):
                dialogue.cancel(response_id)
            case SessionUpdate(config):
                refuse_config(config, self._model_id)
                dialogue.configure(config)
                self._out.put_now(SessionUpdated())
            case ActivityStart() | ActivityEnd():
                raise NotSupportedError("the embedded model hears activity itself; AudioInputCommit ends a manual turn")
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
                case ToolResult(call_id, output):
                    conversation.answer_call(call_id, output)
        except KeyError as unknown:
            message = f"the conversation has no such item: {unknown}"
            self._out.put_now(SessionError("item_not_found", message, benign=True))
