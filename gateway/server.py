"""Runs the application until it is told to stop, and lets live calls finish first."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from channels.media_streams import MAX_MESSAGE_BYTES
from gateway.calls import Calls
from gateway.websocket_protocol import WebSocketProtocol

log = logging.getLogger(__name__)

GRACEFUL_TIMEOUT_S: Final = 10
"""Longest that requests and sockets may take once every call is over."""

CLOSING_TIMEOUT_S: Final = 10
"""Longest that the application's models may take to close."""

FORCED_TIMEOUT_S: Final = 3
"""The same for each of these two after a second signal."""

AFTER_STREAM_S: Final = 2.0
"""How long the port stays open once the last call is over: Twilio sees its stream end and asks what is next. Who finds
nobody there tells the caller of an application error."""


class Server(uvicorn.Server):
    """A first signal stops new calls and waits, at most `drain_s`, for the live ones; a second one does not wait.

    `when_ready` is called once the port is open. However it is stopped, the process exits with
    status 0: stopping when told to is no failure.
    """

    def __init__(
        self,
        app: ASGIApp,
        calls: Calls,
        host: str,
        port: int,
        drain_s: float,
        when_ready: Callable[[], None],
        after_stream_s: float = AFTER_STREAM_S,
    ) -> None:
        super().__init__(uvicorn_config(app, host, port))
        self._calls = calls
        self._drain_s = drain_s
        self._drain_until: float | None = None
        self._after_stream_s = after_stream_s
        self._answer_until = 0.0
        self._has_ended_calls = False
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
            self.config.timeout_graceful_shutdown = FORCED_TIMEOUT_S
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if not await super().on_tick(counter):
            return False
        now = time.monotonic()
        if self._drain_until is None:
            self._drain_until = now + self._drain_s
            if self._calls.is_busy:  # also when it is over at once: who asked for a call is told that it is not placed
                self._answer_until = now + self._after_stream_s
            self._calls.drain()
            log.info("stopping: %d live calls may go on for %g s", len(self._calls), self._drain_s)
        if self._calls.is_busy and not self._has_ended_calls:
            self._answer_until = now + self._after_stream_s
            if now < self._drain_until and not self.force_exit:
                return False
            self._has_ended_calls = True
            await self._calls.end_all()
            self._answer_until = time.monotonic() + self._after_stream_s
        return self.force_exit or time.monotonic() >= self._answer_until

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            async with asyncio.timeout(GRACEFUL_TIMEOUT_S + CLOSING_TIMEOUT_S):
                await super().shutdown(sockets)
            if self.force_exit:  # then uvicorn leaves the application open, to be cancelled with a traceback
                async with asyncio.timeout(FORCED_TIMEOUT_S):
                    await self.lifespan.shutdown()
        except TimeoutError:
            log.warning("stopped without waiting any longer for the models to close")
            logging.getLogger("uvicorn.error").disabled = True  # it would tell of their cancellation in a traceback


def uvicorn_config(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        ws=WebSocketProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        # Whether Twilio answers pings is unknown; a dead line is found by its silence, as media never stops.
        ws_ping_interval=None,
        ws_ping_timeout=None,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_TIMEOUT_S,
        # No limit_concurrency: it counts every open connection, media sockets and silent strangers alike, and
        # refuses webhooks beyond it while it closes nothing. A few hundred idle sockets would end the service.
    )
