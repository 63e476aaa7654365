"""A model whose connections all go through one factory of sockets: a rig's, for a session that is given none."""

from dataclasses import replace

from agents.realtime import (
    Capabilities,
    ClientCredential,
    RealtimeAuthenticateOptions,
    RealtimeConnection,
    RealtimeConnectOptions,
    RealtimeModel,
    WebSocketFactory,
)
from tests.rig import Rig


class InMemory:
    """A provider's model, over a fake of it without a network, wherever it is used."""

    def __init__(self, model: RealtimeModel, websocket: WebSocketFactory) -> None:
        self._model = model
        self._websocket = websocket

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
        return await self._model.connect(replace(options or RealtimeConnectOptions(), websocket=self._websocket))

    async def authenticate(self, options: RealtimeAuthenticateOptions | None = None) -> ClientCredential:
        return await self._model.authenticate(options)


def through(rig: Rig) -> InMemory:
    """The rig's model, over the rig's fake."""
    return InMemory(rig.model(), rig.websocket)
