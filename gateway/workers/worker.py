"""One worker of several: takes what comes in at the common port, and keeps to the calls that are its own."""

import asyncio
import logging
import signal
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from starlette.applications import Starlette

from gateway.server import Server
from gateway.settings import Settings
from gateway.workers.board import Board, State
from gateway.workers.calls import SharedCalls
from gateway.workers.handover import Door, MakeProtocol, Receiver, Sender
from gateway.workers.post import ParentLine
from gateway.workers.relay import Own, Peers, Relay, requests_socket
from gateway.workers.slot import Slot

log = logging.getLogger(__name__)


class Worker:
    """What this process is among the workers."""

    def __init__(self, descriptor: int, settings: Settings) -> None:
        """`descriptor` leads to the supervisor, `settings` are those of all. Raises ConfigError when it does not."""
        self.parent = ParentLine(descriptor)
        self.post = self.parent.post()
        self.settings = self.post.settings(settings)
        self.slot = Slot(Board(self.post.board, self.post.workers, settings.max_calls), self.post.number)

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment of all, as this worker's."""
        return self.post.environment(environment, self.settings.speech_workers)


class WorkerServer(Server):
    """A Server at a port that it has in common with others, and at two sockets for what they bring to it.

    It stops as others do, and as if told to when its supervisor is gone.
    """

    def __init__(self, app: Starlette, calls: SharedCalls, worker: Worker) -> None:
        post, settings = worker.post, worker.settings
        relay = Relay(app, worker.slot.board, post.number, Peers(post.sockets))
        super().__init__(relay, calls, settings.host, settings.port, settings.drain_s, lambda: None)
        self._own = Own(app)
        self._shared_calls = calls
        self._post = post
        self._slot = worker.slot
        self._parent = worker.parent
        self._sender = Sender(post.sockets)
        self._while_serving = AsyncExitStack()
        self.config.load()
        self._make_websocket = self._with_doors()

    def _with_doors(self) -> MakeProtocol:
        """Puts a door before every WebSocket protocol. Gives what makes one without."""
        make: Any = self.config.ws_protocol_class

        def websocket() -> asyncio.Protocol:
            made: asyncio.Protocol = make(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        def door(**_: object) -> asyncio.Protocol:
            return Door(self._post.number, websocket, self._sender)

        self.config.ws_protocol_class = door  # type: ignore[assignment]
        return websocket

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens at the inherited port, and then where the other workers bring what is this one's."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._parent.socket.fileno(), self._heard_parent)
        await super().startup([socket.socket(fileno=descriptor) for descriptor in self._post.listeners])
        path = requests_socket(self._post.sockets, self._post.number)
        path.unlink(missing_ok=True)  # of a worker before this one
        self.servers.append(await loop.create_unix_server(self._make_own, str(path)))
        receiver = Receiver(self._post.sockets, self._post.number, self._make_websocket)
        await self._while_serving.enter_async_context(receiver)
        self._slot.set_state(State.READY)
        self._parent.say_ready()

    def _make_own(self) -> asyncio.Protocol:
        """What serves a connection of another worker."""
        make: Any = self.config.http_protocol_class
        protocol: Any = make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        protocol.app = self._own
        made: asyncio.Protocol = protocol
        return made

    async def on_tick(self, counter: int) -> bool:
        self._shared_calls.tell()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._slot.set_state(State.ABSENT)
        await self._while_serving.aclose()
        self._sender.close()
        await super().shutdown(sockets)

    def _heard_parent(self) -> None:
        """The supervisor says nothing more, and then it is gone."""
        try:
            if self._parent.socket.recv(64):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        asyncio.get_running_loop().remove_reader(self._parent.socket.fileno())
        log.warning("the supervisor is gone")
        self.handle_exit(signal.SIGTERM, None)
