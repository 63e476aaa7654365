"""Brings each request to the worker that it is for: answers it here, or asks that worker and gives its answer."""

import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from yarl import URL

from gateway.body import read_body
from gateway.workers.board import Board
from gateway.workers.routing import destination, least_busy, prefix_in

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S: Final = 15.0
"""As long as Twilio waits for an answer."""

MAX_AT_ONCE: Final = 500
"""Requests on their way to one worker; those beyond wait their turn."""

_OF_ONE_CONNECTION: Final = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that are not for who asks or answers behind it."""

_ADDED_UNASKED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that the client would add."""


class PeerGone(Exception):
    """No worker is there to take a request: nobody has read it."""


class Peers:
    """The other workers, each behind a socket in a folder that only the service's user may enter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sessions: dict[int, aiohttp.ClientSession] = {}
        self._while_entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._while_entered.__aexit__(exc_type, exc, tb)

    async def ask(self, worker: int, scope: Scope, body: bytes) -> Response:
        """The worker's answer. Raises PeerGone; HTTPException when it does not answer, which may have done it."""
        session = await self._session(worker)
        path = scope["raw_path"].decode("ascii")
        query = scope["query_string"].decode("ascii")
        url = URL(f"http://worker{path}" + (f"?{query}" if query else ""), encoded=True)
        headers = [(name, value) for name, value in Headers(scope=scope).items() if name not in _OF_ONE_CONNECTION]
        try:
            async with session.request(scope["method"], url, headers=headers, data=body or None) as answer:
                return _response(answer.status, answer.headers, await answer.read())
        except aiohttp.ClientConnectorError as error:
            raise PeerGone(str(error)) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("worker %d did not answer a request: %s", worker, type(error).__name__)
            raise HTTPException(503, "try again") from error

    async def _session(self, worker: int) -> aiohttp.ClientSession:
        if worker not in self._sessions:
            self._sessions[worker] = await self._while_entered.enter_async_context(
                aiohttp.ClientSession(
                    # A new connection each time: one that was kept may just be closing at its other end.
                    connector=aiohttp.UnixConnector(
                        str(requests_socket(self._folder, worker)), limit=MAX_AT_ONCE, force_close=True
                    ),
                    timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S),
                    skip_auto_headers=_ADDED_UNASKED,
                    auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                )
            )
        return self._sessions[worker]


class Relay:
    """An application around that of worker `here`, for requests from outside. Media streams it lets through."""

    def __init__(self, app: ASGIApp, board: Board, here: int, peers: Peers) -> None:
        self._app = app
        self._board = board
        self._here = here
        self.peers = peers
        self._on_the_way: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            async with self.peers:
                await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._app(addressed(scope), receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await read_body(request)
            form = b"&".join(part for part in (scope["query_string"], body) if part)
            worker = destination(self._board, self._here, scope["method"], scope["path"], request.headers, form)
            if worker is not None:
                await self._go(worker, scope, body, receive, send)
                return
            worker = least_busy(self._board, self._here, self._on_the_way)
            self._on_the_way[worker] += 1
            try:
                await self._go(worker, scope, body, receive, send)
            finally:
                self._on_the_way[worker] -= 1
        except HTTPException as error:
            await PlainTextResponse(error.detail, error.status_code, error.headers)(scope, receive, send)

    async def _go(self, worker: int, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Has a worker answer; this one where that one is gone."""
        if worker != self._here:
            try:
                answer = await self.peers.ask(worker, scope, body)
                await answer(scope, receive, send)
                return
            except PeerGone:
                log.warning("worker %d is gone: worker %d answers for it", worker, self._here)
        await self._app(addressed(scope), _again(body, receive), send)


def addressed(scope: Scope) -> Scope:
    """A request to a worker's own address, as one to the application that answers behind it."""
    prefix = prefix_in(scope["path"])
    return {**scope, "root_path": scope.get("root_path", "") + prefix} if prefix else scope


class Own:
    """The application of a worker, for requests that others relay to it: it answers whatever they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(addressed(scope), receive, send)


def requests_socket(folder: Path, worker: int) -> Path:
    """Where a worker takes what others relay to it."""
    return folder / f"{worker}.http"


def streams_socket(folder: Path, worker: int) -> Path:
    """Where a worker takes the connections that others hand to it."""
    return folder / f"{worker}.streams"


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read to who reads it next; afterwards, what `receive` gives."""
    was_given = False

    async def given() -> Message:
        nonlocal was_given
        if was_given:
            return await receive()
        was_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return given


def _response(status: int, headers: Mapping[str, str], body: bytes) -> Response:
    """Another worker's answer as ours."""
    response = Response(body, status)
    for name, value in headers.items():
        if name.lower() not in _OF_ONE_CONNECTION:
            response.headers[name] = value
    return response
