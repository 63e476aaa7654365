"""The connections of one call to those of its parts that are elsewhere."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

from agents.cascade import deepgram, listening, voices
from agents.cascade.ear_wire import EarCodec
from agents.cascade.refusals import refuse_config
from agents.cascade.remote_ear import RemoteEar
from agents.cascade.remote_mouth import Manner, RemoteMouth, Voiced
from agents.cascade_spec import CascadeSpec
from agents.errors import ConfigError, NotSupportedError
from agents.local.ear import Tell
from agents.local.outbox import Outbox
from agents.local.turns import TurnSettings
from agents.providers.socket import SocketConnection
from agents.realtime import RealtimeConnectOptions, SessionConfig, Voice


class Lines:
    """Opened before the conversation begins. `keys` are by the name of their variable."""

    def __init__(
        self, cascade: CascadeSpec, options: RealtimeConnectOptions, keys: Mapping[str, str], config: SessionConfig
    ) -> None:
        self._cascade = cascade
        self._options = options
        self._keys = keys
        self._config = config
        self._hears: tuple[SocketConnection, EarCodec] | None = None
        self._voiced: Voiced | None = None
        self._mouth: RemoteMouth | None = None

    async def open(self) -> None:
        """Connects to the recogniser and to the voice, both at once. Raises ProviderError that names the part."""
        async with AsyncExitStack() as unless_open:
            unless_open.push_async_callback(self.hang_up)
            try:
                async with asyncio.TaskGroup() as tasks:
                    if self._cascade.listen.provider != "local":
                        tasks.create_task(self._open_ear(), name="recogniser")
                    if self._cascade.speak.provider != "local":
                        tasks.create_task(self._open_first_voice(), name="voice")
            except ExceptionGroup as group:
                raise group.exceptions[0] from None
            unless_open.pop_all()

    async def hang_up(self) -> None:
        """Ends whatever is open; nothing is opened after it."""
        if self._hears:
            await self._hears[0].close()
        if self._mouth:
            await self._mouth.close()
        elif self._voiced:
            await self._voiced.connection.close()

    def ear(self, tell: Tell) -> RemoteEar:
        if self._hears is None:
            raise ConfigError("no recogniser is connected")
        settings = TurnSettings.of(self._config.turn_detection)
        return RemoteEar(listening.part(self._cascade.listen), *self._hears, settings, tell)

    def mouth(self, out: Outbox) -> RemoteMouth:
        if self._voiced is None:
            raise ConfigError("no voice is connected")
        self._mouth = RemoteMouth(voices.part(self._cascade.speak), self._open_voice, out, self._voiced)
        return self._mouth

    def refuse_update(self, config: SessionConfig) -> None:
        """Raises NotSupportedError for what the parts cannot honour, or not once they hear and speak."""
        refuse_config(self._cascade, config)
        known = self._config
        if (config.input_format, config.output_format) != (known.input_format, known.output_format):
            raise NotSupportedError("the audio formats of a call cannot change")
        if self._hears and self._ear_url(config) != self._ear_url(known):
            raise NotSupportedError("turn_detection cannot change during a call with this recogniser")

    def _ear_url(self, config: SessionConfig) -> str:
        return listening.recogniser(self._cascade.listen, config, "")[0].url

    async def _open_ear(self) -> None:
        key = self._keys[deepgram.KEY_NAME]
        address, codec = listening.recogniser(self._cascade.listen, self._config, key)
        self._hears = await address.open(codec, self._options), codec

    async def _open_first_voice(self) -> None:
        self._voiced = await self._open_voice(Manner(self._config.voice, self._config.output_format))

    async def _open_voice(self, manner: Manner) -> Voiced:
        speak = self._cascade.speak
        voice = Voice(voice_id=manner.voice.voice_id or speak.voice, speed=manner.voice.speed)
        key = self._keys[voices.KEY_NAMES[speak.provider]]
        address, codec = voices.voice_line(speak, replace(manner, voice=voice), key)
        return Voiced(manner, await address.open(codec, self._options), codec)
