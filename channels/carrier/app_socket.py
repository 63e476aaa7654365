"""A media socket to an ASGI application in this process: what a WebSocket server puts between the two."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, Self

from channels.carrier.pipe import Pipe
from channels.carrier.reach import ABNORMAL_CLOSE, MAX_MESSAGE_BYTES, NORMAL_CLOSE, TOO_BIG_CLOSE, SocketClosed

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI application, such as a Starlette."""

SOCKET_BYTES: Final = 256 * 1024
"""So much waits unread in one direction before sending has to wait: about what a TCP connection holds."""

FORBIDDEN: Final = 403
SERVER_ERROR: Final = 500


class CarrierGone(OSError):
    """What the application gets when it sends to a carrier that has left."""


class AppSocket:
    """The carrier's Socket. `accepted` is None once the application accepted it, or the HTTP status of its refusal."""

    def __init__(self) -> None:
        self.accepted: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self._to_app = Pipe(SOCKET_BYTES)
        self._from_app = Pipe(SOCKET_BYTES)
        self._closed = asyncio.Event()
        self._is_connect_told = False
        self._has_app_closed = False
        self._denial: int | None = None

    async def run(self, app: App, scope: Scope) -> None:
        """Runs the application's side to its end. An application that leaves without closing breaks the socket."""
        try:
            await app(scope, self._receive, self._give)
        except CarrierGone:
            pass
        except Exception:
            log.exception("the application failed at its media socket")
        self._answer(SERVER_ERROR)
        self._shut(ABNORMAL_CLOSE, None)

    # ---- the carrier's side ----

    async def send(self, message: str | bytes) -> None:
        await self._to_app.room()
        self._to_app.push(message)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        message = await self._from_app.take()
        if message is None:
            raise StopAsyncIteration
        return message

    async def close(self) -> None:
        self._shut(NORMAL_CLOSE, None)

    async def wait_closed(self) -> None:
        await self._closed.wait()

    def abort(self) -> None:
        self._shut(ABNORMAL_CLOSE, None)
        self._from_app.break_off()

    # ---- the application's side ----

    async def _receive(self) -> Message:
        if not self._is_connect_told:
            self._is_connect_told = True
            return {"type": "websocket.connect"}
        message = await self._to_app.take()
        if message is None:
            return {"type": "websocket.disconnect", "code": self.close_code, "reason": self.close_reason}
        return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}

    async def _give(self, message: Message) -> None:
        kind = message["type"]
        if self._has_app_closed:
            raise RuntimeError(f"{kind} after the socket was closed")
        if self.close_code is not None:
            raise CarrierGone("the carrier has left the media socket")
        is_accepted = self.accepted.done()
        match kind:
            case "websocket.send" if is_accepted:
                await self._send_on(message)
            case "websocket.close":
                self._has_app_closed = True
                self._answer(FORBIDDEN)
                self._shut(message.get("code", NORMAL_CLOSE), message.get("reason"))
            case "websocket.accept" if not is_accepted:
                self._answer(None)
            case "websocket.http.response.start" if not is_accepted:
                self._denial = message["status"]
            case "websocket.http.response.body" if self._denial is not None and not is_accepted:
                if not message.get("more_body", False):
                    self._has_app_closed = True
                    self._answer(self._denial)
            case _:
                raise RuntimeError(f"{kind} is not expected now")

    async def _send_on(self, message: Message) -> None:
        text = message.get("text")
        content: str | bytes = message["bytes"] if text is None else text
        if len(content) > MAX_MESSAGE_BYTES:
            self._shut(TOO_BIG_CLOSE, "message too big")
            raise CarrierGone("the carrier takes no message of that size")
        try:
            await self._from_app.room()
        except SocketClosed:
            raise CarrierGone("the carrier has left the media socket") from None
        self._from_app.push(content)

    # ---- both ----

    def _answer(self, status: int | None) -> None:
        if not self.accepted.done():
            self.accepted.set_result(status)

    def _shut(self, code: int, reason: str | None) -> None:
        """Closes it. What either side has sent can still be read by the other. The first closing counts."""
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
            self._to_app.end()
            self._from_app.end()
            self._closed.set()
