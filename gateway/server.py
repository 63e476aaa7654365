"""Runs the application until it is told to stop, and lets live calls finish first."""

import logging
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
from starlette.applications import Starlette

from channels.media_streams import MAX_MESSAGE_BYTES
from gateway.calls import Calls

log = logging.getLogger(__name__)

GRACEFUL_TIMEOUT_S: Final = 10
"""Longest that requests and sockets may take once every call is over."""


class Server(uvicorn.Server):
    """A first signal stops new calls and waits, at most `drain_s`, for the live ones; a second one does not wait.

    `when_ready` is called once the port is open. However it is stopped, the process exits with
    status 0: stopping when told to is no failure.
    """

    def __init__(
        self, app: Starlette, calls: Calls, host: str, port: int, drain_s: float, when_ready: Callable[[], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                ws="websockets-sansio",
                ws_max_size=MAX_MESSAGE_BYTES,
                ws_per_message_deflate=False,
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACEFUL_TIMEOUT_S,
            )
        )
        self._calls = calls
        self._drain_s = drain_s
        self._drain_until: float | None = None
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if not await super().on_tick(counter):
            return False
        now = time.monotonic()
        if self._drain_until is None:
            self._drain_until = now + self._drain_s
            self._calls.is_draining = True
            log.info("stopping: %d live calls may go on for %g s", len(self._calls), self._drain_s)
        if len(self._calls) and now < self._drain_until and not self.force_exit:
            return False
        await self._calls.end_all()
        return True
