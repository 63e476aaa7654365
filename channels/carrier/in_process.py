"""The way to an ASGI application in this process: no sockets, so that it works in virtual time.

    async with started(app) as app:
        report = await place_call(dial, script, app=app)

What uvicorn does around an application is done here too: an answer of 500 for one that raises, 403 for a media socket
that is closed before it is accepted, a broken socket where it returns without closing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import unquote, urlencode

from agents.errors import ChannelError
from channels.carrier.address import port, split
from channels.carrier.app_socket import App, AppSocket, CarrierGone, Message, Receive, Scope, Send
from channels.carrier.beside import tasks_beside
from channels.carrier.reach import (
    MAX_ANSWER_BYTES,
    OPEN_TIMEOUT_S,
    POST_TIMEOUT_S,
    USER_AGENT,
    Answer,
    Socket,
    Unreachable,
    not_opened,
    refused,
    too_long,
    unanswered,
)

log = logging.getLogger(__name__)

FINISH_TIMEOUT_S: Final = 10.0
"""Longest that the application may be busy with a call's requests once the call is over."""

LIFESPAN_TIMEOUT_S: Final = 60.0
"""Longest that the application may take to start or to stop: models are warmed up in it."""


@asynccontextmanager
async def started(app: App) -> AsyncIterator[App]:
    """Starts an application as a server does, and stops it at the end: its lifespan, for as long as an `async with`.

    Gives the application to call, which knows what its lifespan left for requests. One without a lifespan is given as
    it is. Raises ChannelError when it does not start or stop, or not in time.
    """
    state: dict[str, Any] = {}
    lifespan = _Lifespan(app, state)
    async with tasks_beside() as tasks:
        tasks.create_task(lifespan.run(), name="lifespan")
        await lifespan.tell("startup")

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"] = state.copy()
            await app(scope, receive, send)

        try:
            yield with_state
        finally:
            await lifespan.tell("shutdown")


class InProcess:
    """A Reach to one application, started already, at `public_url`. An async context manager: requests run in it."""

    def __init__(self, app: App, public_url: str) -> None:
        self._app = app
        self._origin = _origin(public_url)
        self._stack = AsyncExitStack()
        self._busy: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(tasks_beside())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        if exc is None and self._busy:
            await asyncio.wait(self._busy, timeout=FINISH_TIMEOUT_S)
        return await self._stack.__aexit__(exc_type, exc, tb)

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        body = urlencode(form).encode()
        more = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
        exchange = _Exchange(url, body)
        self._begin(exchange.run(self._app, self._scope("http", url, {**headers, **more})), f"POST {url}")
        try:
            async with asyncio.timeout(POST_TIMEOUT_S):
                return await exchange.answer
        except TimeoutError:
            raise unanswered(url) from None
        finally:
            exchange.leave()

    @asynccontextmanager
    async def socket(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        socket = AppSocket()
        self._begin(socket.run(self._app, self._scope("websocket", url, {**headers, **upgrade})), f"socket {url}")
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                status = await socket.accepted
        except TimeoutError:
            socket.abort()
            raise not_opened() from None
        if status is not None:
            raise refused(status)
        try:
            yield socket
        finally:
            await socket.close()

    def _begin(self, request: Coroutine[Any, Any, None], name: str) -> None:
        task = self._tasks.create_task(request, name=name)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    def _scope(self, kind: str, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """The ASGI scope of a request. Raises Unreachable for an address that is not the application's."""
        parts = split(url)
        if _origin(url) != self._origin:
            raise Unreachable(f"cannot reach {url}: only the application is reached in this process (11205)")
        named = {"Host": parts.netloc, "User-Agent": USER_AGENT, **headers}
        scope: dict[str, Any] = {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": parts.scheme,
            "path": unquote(parts.path or "/"),
            "raw_path": (parts.path or "/").encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()],
            "server": (parts.hostname, parts.port),
            "client": ("127.0.0.1", 0),
        }
        if kind == "http":
            return scope | {"method": "POST"}
        return scope | {"subprotocols": [], "extensions": {"websocket.http.response": {}}}


class _Exchange:
    """One HTTP request to the application, and its `answer`."""

    def __init__(self, url: str, body: bytes) -> None:
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._url = url
        self._unread: bytes | None = body
        self._left = asyncio.Event()
        self._status = 500
        self._content_type = "application/octet-stream"
        self._body = b""

    async def run(self, app: App, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        except CarrierGone:
            pass
        except Exception:
            log.exception("the application failed at %s", self._url)
        if not self.answer.done():
            self.answer.set_result(Answer(500, "text/plain", b"Internal Server Error"))

    def leave(self) -> None:
        """Nobody waits for the answer any more."""
        self._left.set()

    async def _receive(self) -> Message:
        if self._unread is None:
            await self._left.wait()
            return {"type": "http.disconnect"}
        body, self._unread = self._unread, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = {name.lower(): value for name, value in message.get("headers", ())}
            self._status = message["status"]
            if content_type := headers.get(b"content-type"):
                self._content_type = content_type.decode("latin-1").partition(";")[0].strip().lower()
            return
        self._body += message.get("body", b"")
        if len(self._body) > MAX_ANSWER_BYTES:
            self._body = self._body[: MAX_ANSWER_BYTES + 1]
            if not self.answer.done():
                self.answer.set_exception(too_long(self._url))
            raise CarrierGone("the carrier reads no answer of that length")
        if self.answer.done():
            return
        if not message.get("more_body", False):
            self.answer.set_result(Answer(self._status, self._content_type, self._body))


class _Lifespan:
    """The conversation in which an application is told to start and to stop."""

    def __init__(self, app: App, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._told: asyncio.Queue[Message] = asyncio.Queue(1)
        self._answers: asyncio.Queue[Message] = asyncio.Queue(1)  # what nobody waits for keeps the application waiting
        self._is_over = False

    async def run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await self._app(scope, self._told.get, self._answers.put)
        except Exception:
            # It has said so before, or has no lifespan, which an application says by raising.
            log.debug("the application's lifespan ended", exc_info=True)
        self._is_over = True
        await self._answers.put({"type": "over"})

    async def tell(self, what: str) -> None:
        """Tells of `startup` or `shutdown` and waits until it is done. Raises ChannelError when it failed."""
        if self._is_over:
            return
        await self._told.put({"type": f"lifespan.{what}"})
        try:
            async with asyncio.timeout(LIFESPAN_TIMEOUT_S):
                answer = await self._answers.get()
        except TimeoutError:
            raise ChannelError(f"the application's {what} took longer than {LIFESPAN_TIMEOUT_S:g} s") from None
        if answer["type"].endswith(".failed"):
            raise ChannelError(f"the application's {what} failed: {answer.get('message', '')}")


def _origin(url: str) -> tuple[str | None, int]:
    parts = split(url)
    return parts.hostname, port(parts)
