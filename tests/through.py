"""A model whose connections all go through one factory of sockets: a rig's, for a session that is given none."""

from dataclasses import replace

from agents.realtime import (
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnection,
    RealtimeConnectOptions,
    RealtimeModel,
)
from tests.rig import Rig


class Through:
    """The rig's model, over the rig's fake, wherever it is used."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._model: RealtimeModel = rig.model()

    @property
    def spec(self) -> str:
        return self._model.spec

    @property
    def provider(self) -> str:
        return self._model.provider

    @property
    def model_id(self) -> str:
        return self._model.model_id

    @property
    def capabilities(self) -> Capabilities:
        return self._model.capabilities

    async def connect(self, options: RealtimeConnectOptions | None = None) -> RealtimeConnection:
        given = options or RealtimeConnectOptions()
        return await self._model.connect(replace(given, websocket=self._rig.websocket))

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        return await self._model.authenticate(options)
