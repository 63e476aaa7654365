"""An ear at the other end of a socket: a streaming recogniser, which tells of turns by itself."""

from agents.cascade.ear_wire import EarCodec
from agents.cascade.part import naming
from agents.errors import NotSupportedError, ProviderError
from agents.events import (
    AudioInputAppend,
    AudioInputCommit,
    AudioInputCommitted,
    RawEvent,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TranscriptInput,
    TranscriptInputDelta,
)
from agents.local.ear import Tell
from agents.local.turns import TurnSettings
from agents.providers.socket import SocketConnection


class RemoteEar:
    """An Ear over a connection whose codec is given beside it. `part` is its name in errors."""

    def __init__(
        self, part: str, connection: SocketConnection, codec: EarCodec, settings: TurnSettings, tell: Tell
    ) -> None:
        self.settings = settings
        self._part = part
        self._connection = connection
        self._codec = codec
        self._tell = tell

    @property
    def is_speaking(self) -> bool:
        return self._codec.turns.is_open

    async def hear(self, audio: bytes) -> None:
        with naming(self._part):
            await self._connection.send(AudioInputAppend(audio))

    async def commit(self) -> str | None:
        told = self._codec.commit()
        for event in told:
            self._tell(event)
        if not told:
            return None
        with naming(self._part):
            await self._connection.send(AudioInputCommit())
        return told[-1].item_id

    def clear(self) -> None:
        raise NotSupportedError("a streaming recogniser has heard the audio already; it cannot be cleared")

    async def run(self) -> None:
        with naming(self._part):
            async for event in self._connection:
                match event:
                    case (
                        SpeechStarted()
                        | SpeechStopped()
                        | AudioInputCommitted()
                        | TranscriptInputDelta()
                        | TranscriptInput()
                        | SessionError()
                        | RawEvent()
                    ):
                        self._tell(event)
            raise ProviderError("the recogniser closed the connection", code="closed", retryable=True)
