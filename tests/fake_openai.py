"""OpenAI Realtime (GA) on loopback: strict about what it is sent, quick to answer, scripted by tests.

    async with FakeOpenAI(Speak("Hello!"), CallTools((Call("hang_up"),))) as fake:
        model = OpenAIModel("gpt-realtime-2.1", api_key=fake.key, base_url=fake.url)
        ...
        session = await fake.session()
        await session.expect("response.create")
    assert fake.violations == []

Both directions are judged by OpenAI's own types. Time is audio: voice detection counts the milliseconds it was sent,
and no reply waits for a clock.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import orjson
from aiohttp import WSMsgType, web

from tests.fake_openai_replies import Audio, Call, CallTools, Fail, Reply, Speak, tone
from tests.fake_openai_session import PATIENCE_S, FakeSession, Script

__all__ = ["KEY", "Call", "CallTools", "Fail", "FakeOpenAI", "FakeSession", "Reply", "Speak", "tone"]

KEY: Final = "sk-test-0123456789abcdef"
SESSION_S: Final = 3600
EXPIRED: Final = "Your session hit the maximum duration of 60 minutes."


class FakeOpenAI:
    """A server for as long as its `async with`. `replies` are taken in order by whichever session responds next.

    When they run out, it speaks. `requests` has each upgrade and each POST: path with query, headers, body.
    `refuse_with` is an HTTP status for all that come next. `violations` must be empty at the end of every test.
    """

    def __init__(self, *replies: Reply, key: str = KEY, hears: str | None = "Hello?", audio: Audio = tone) -> None:
        self.key = key
        self.refuse_with: int | None = None
        self.refuse_code = "invalid_api_key"
        self.requests: list[tuple[str, Mapping[str, str], str]] = []
        self.sessions: list[FakeSession] = []
        self._secrets: set[str] = set()
        self._script = Script(deque(replies), hears, audio)
        self._sockets: list[web.WebSocketResponse] = []
        self._transports: list[asyncio.Transport] = []
        self._opened = asyncio.Condition()
        self._url = ""
        app = web.Application(client_max_size=2**20)
        app.router.add_get("/v1/realtime", self._realtime)
        app.router.add_post("/v1/realtime/client_secrets", self._client_secrets)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    @property
    def url(self) -> str:
        """The base URL to configure a model with."""
        return self._url

    @property
    def replies(self) -> deque[Reply]:
        return self._script.replies

    @property
    def violations(self) -> list[str]:
        return self._script.violations

    async def session(self, index: int = 0) -> FakeSession:
        """The `index`-th session that was opened, waited for."""
        async with asyncio.timeout(PATIENCE_S), self._opened:
            await self._opened.wait_for(lambda: len(self.sessions) > index)
        return self.sessions[index]

    async def expire(self, index: int = 0) -> None:
        """Closes a session as OpenAI does after an hour."""
        await self.close(index, 1001, EXPIRED)

    async def close(self, index: int = 0, code: int = 1000, reason: str = "") -> None:
        await self._sockets[index].close(code=code, message=reason.encode())

    def drop(self, index: int = 0) -> None:
        """Cuts a session's connection, without a word."""
        self._transports[index].abort()

    async def say(self, text: str | bytes, index: int = 0) -> None:
        """Sends whatever it is, unjudged."""
        if isinstance(text, str):
            await self._sockets[index].send_str(text)
        else:
            await self._sockets[index].send_bytes(text)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        for socket in self._sockets:
            await socket.close(code=1001)
        await self._runner.cleanup()

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path_qs, dict(request.headers), ""))
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if not request.query.get("model"):
            return _refused(400, "missing_model", "You must provide a model parameter.")
        socket = web.WebSocketResponse(timeout=1, max_msg_size=16 * 2**20, compress=False)
        await socket.prepare(request)
        session = FakeSession(
            f"sess_{len(self.sessions) + 1}",
            request.query["model"],
            int(time.time()) + SESSION_S,
            self._script,
            lambda message: _send(socket, message),
        )
        self._sockets.append(socket)
        assert isinstance(request.transport, asyncio.Transport)
        self._transports.append(request.transport)
        await session.greet()
        async with self._opened:
            self.sessions.append(session)
            self._opened.notify_all()
        async for message in socket:
            match message.type, message.data:
                case WSMsgType.TEXT, str(text):
                    await session.hear(orjson.loads(text))
                case _:
                    self.violations.append(f"a frame of type {message.type.name}, where OpenAI takes text")
        return socket

    async def _client_secrets(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.requests.append((request.path_qs, dict(request.headers), body))
        if (refusal := self._refusal(request)) is not None:
            return refusal
        wanted = orjson.loads(body)
        seconds = wanted.get("expires_after", {}).get("seconds", 600)
        secret = f"ek_test_{len(self._secrets) + 1}"
        self._secrets.add(secret)
        session = wanted.get("session", {"type": "realtime"}) | {"object": "realtime.session", "id": "sess_0"}
        return web.json_response({"value": secret, "expires_at": int(time.time()) + seconds, "session": session})

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self.refuse_with is not None:
            return _refused(self.refuse_with, self.refuse_code, f"Refused: {request.headers.get('Authorization')}")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in {self.key} | self._secrets:
            return _refused(401, "invalid_api_key", f"Incorrect API key provided: {token}.")
        return None


def _refused(status: int, code: str, message: str) -> web.Response:
    error: dict[str, Any] = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    return web.json_response({"error": error}, status=status)


async def _send(socket: web.WebSocketResponse, message: Mapping[str, Any]) -> None:
    with suppress(ConnectionResetError):  # the client may have gone; what it missed is in `sent`
        await socket.send_str(orjson.dumps(message).decode())
