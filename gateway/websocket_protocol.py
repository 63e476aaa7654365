"""WebSockets for uvicorn by picows, which reads and writes frames in C: less than half the cost of a message."""

import asyncio
import logging
from asyncio.transports import BaseTransport, Transport
from collections import deque
from http import HTTPStatus
from typing import Any, Final, cast

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from gateway.websocket_frames import send_message, take_over
from gateway.websocket_request import Message, UpgradeRequest, refusal

MAX_QUEUED: Final = 100
"""Messages read ahead of the application, at most: two seconds of audio, then TCP makes the peer wait. What was read
together with the last of them comes on top."""

CLOSE_TIMEOUT_S: Final = 10.0
"""Longest that the peer may take to answer a close frame, and to take what was written; then the connection is cut."""

MAX_REASON_BYTES: Final = 123
"""What fits into a close frame."""

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_DATA: Final = (_TEXT, _BINARY)

log = logging.getLogger(__name__)


class WebSocketProtocol(WSListener, asyncio.Protocol):
    """One upgraded connection: an ASGI application's `receive` and `send`, for uvicorn's `ws`.

    No extension is agreed on: nothing is compressed. It sends no pings of its own. Messages come in one piece however
    the peer cut them, at most `ws_max_size` bytes long. A text that is not UTF-8, a longer message and a broken frame
    close the connection. Once either side has closed it, `send` raises ClientDisconnected.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: Transport
        self._request: UpgradeRequest | None = None
        self._hasty = bytearray()
        self._frames: WSTransport | None = None  # from the moment that the application accepts
        self._messages: deque[Message] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._is_paused = False
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._kind = _TEXT
        self._pieces: bytearray | None = None
        self._is_closing = False
        self._is_lost = False
        self._deadline: asyncio.TimerHandle | None = None

    # ---- until the application accepts ----

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = cast(Transport, transport)
        self._state.connections.add(cast(Any, self))

    def data_received(self, data: bytes) -> None:
        """The whole request, from uvicorn's HTTP protocol; what a hasty peer sends after it waits for the answer."""
        if self._request:
            self._hasty += data
            if len(self._hasty) > self._config.ws_max_size:
                self._transport.abort()
            return
        self._request = UpgradeRequest.read(data)
        if self._request:
            self._put({"type": "websocket.connect"})
            scope = self._request.scope(self._config, self._transport, self._app_state)
            task = self._loop.create_task(self._run(scope), name="websocket")
            task.add_done_callback(self._state.tasks.discard)
            self._state.tasks.add(task)
        elif not self._is_closing:
            self._refuse(HTTPStatus.BAD_REQUEST)

    async def _run(self, scope: Message) -> None:
        code = 1011
        try:
            await self._config.loaded_app(scope, self.receive, self.send)
            code = 1000
        except ClientDisconnected:
            pass
        except Exception:
            log.exception("the application broke on a WebSocket")
        finally:
            if not self._is_closing:
                if self._frames:
                    self._part(code)
                else:
                    self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _refuse(self, status: HTTPStatus) -> None:
        self._transport.write(refusal(status))
        self._tell_closing(1006)
        self._end()

    # ---- the application's side ----

    async def receive(self) -> Message:
        while not self._messages:
            self._waiting = self._loop.create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        message = self._messages.popleft()
        if self._is_paused and len(self._messages) <= MAX_QUEUED // 2:
            self._resume_reading()
        return message

    async def send(self, message: Message) -> None:
        if not self._may_write.is_set():
            await self._may_write.wait()
        if self._is_closing:
            raise ClientDisconnected
        kind = message["type"]
        if kind == "websocket.send" and self._frames:
            text = message.get("text")
            send_message(self._frames, message["bytes"] if text is None else text)
        elif kind == "websocket.accept" and self._request and not self._frames:
            self._accept(self._request, message)
        elif kind == "websocket.close" and self._frames:
            self._close(message.get("code", 1000), message.get("reason") or "")
        elif kind == "websocket.close":
            self._refuse(HTTPStatus.FORBIDDEN)
        else:
            raise RuntimeError(f"{kind} has no place here")

    def _accept(self, request: UpgradeRequest, message: Message) -> None:
        """Lets picows answer the request, and read and write from here on."""
        if self._transport.is_closing():
            raise ClientDisconnected
        more = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers") or ()]
        if subprotocol := message.get("subprotocol"):
            more.append(("sec-websocket-protocol", subprotocol))
        begun, self._hasty = request.plainest + self._hasty, bytearray()
        take_over(self._transport, self, more, begun, self._config.ws_max_size)

    def _close(self, code: int, reason: str) -> None:
        """Says goodbye and waits for the peer's: the connection ends when it came."""
        self._say_close(code, reason)
        self._tell_closing(code, reason)
        if self._is_paused:
            self._resume_reading()
        self._deadline = self._loop.call_later(CLOSE_TIMEOUT_S, self._transport.abort)

    # ---- the peer's side ----

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._frames = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if transport.is_close_frame_sent:  # by us, or by picows, which reads on for a moment
            if kind == WSMsgType.CLOSE:
                self._end()
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._part(1002)
        elif kind in _DATA and frame.fin and self._pieces is None:
            self._take(kind, frame.get_payload_as_bytes())
        elif kind == WSMsgType.PING:
            if self._may_write.is_set():  # who reads no answers gets none: they would pile up here
                transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            self._part(cast(int, frame.get_close_code()) or 1005, frame.get_close_reason() or "")
        elif kind != WSMsgType.PONG:
            self._take_piece(kind, frame)

    def _take(self, kind: WSMsgType, payload: bytes | bytearray) -> None:
        if kind == _BINARY:
            self._put({"type": "websocket.receive", "bytes": bytes(payload)})
            return
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self._part(1007)
        else:
            self._put({"type": "websocket.receive", "text": text})

    def _take_piece(self, kind: WSMsgType, frame: WSFrame) -> None:
        if (kind == WSMsgType.CONTINUATION) is (self._pieces is None):
            self._part(1002)  # it goes on with nothing, or begins in the middle of another
            return
        if self._pieces is None:
            self._kind, self._pieces = kind, bytearray()
        self._pieces += frame.get_payload_as_memoryview()
        if len(self._pieces) > self._config.ws_max_size:
            self._part(1009)
        elif frame.fin:
            whole, self._pieces = self._pieces, None
            self._take(self._kind, whole)

    def _put(self, message: Message) -> None:
        """Hands a message to the application. Whoever sends faster than it reads is made to wait."""
        self._messages.append(message)
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)
        if len(self._messages) >= MAX_QUEUED and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        self._is_paused = False
        self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    # ---- the end ----

    def shutdown(self) -> None:
        """The server stops: whoever is there is told that the service restarts."""
        if self._is_closing:
            self._end()
        elif self._frames:
            self._part(1012)
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def _part(self, code: int, reason: str = "") -> None:
        """Closes the connection without waiting for the peer, with a code of ours or in answer to its own."""
        self._say_close(code, reason)
        self._tell_closing(code, reason)
        self._end()

    def _say_close(self, code: int, reason: str) -> None:
        may_be_sent = code in range(1000, 1004) or code in range(1007, 1015) or code in range(3000, 5000)
        if self._frames:
            said = code if may_be_sent else 1000 if code == 1005 else 1002
            fitting = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
            self._frames.send_close(cast(WSCloseCode, said), fitting)

    def _tell_closing(self, code: int, reason: str = "") -> None:
        self._is_closing = True
        self._put({"type": "websocket.disconnect", "code": code, "reason": reason})

    def _end(self) -> None:
        """Ends the connection when what was written is sent, or when it is not in time."""
        self._transport.close()
        if not (self._deadline or self._is_lost):
            self._deadline = self._loop.call_later(CLOSE_TIMEOUT_S, self._transport.abort)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over: from the loop until the application accepted, then from picows."""
        self._is_lost = True
        self._state.connections.discard(cast(Any, self))
        if self._deadline:
            self._deadline.cancel()
        if not self._is_closing:
            self._tell_closing(1006)
        self._may_write.set()
