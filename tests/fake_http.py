"""An HTTP server on loopback that answers as a test lets it, and keeps what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from aiohttp import web


@dataclass(frozen=True)
class Seen:
    """One request: `path` is as it stood on the wire, with the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return orjson.loads(self.body)


@dataclass
class FakeHttp:
    """`answers` are given one after the other, the last one again and again; None never answers.

    Each takes `takes_s` seconds. `given_up` is set when a client does not wait for its answer.
    """

    url: str
    answers: list["web.Response | None"] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    takes_s: float = 0.0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(request.method, request.raw_path, headers, await request.read()))
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0] if self.answers else web.Response()
        try:
            await (asyncio.sleep(self.takes_s) if given is not None else asyncio.Event().wait())
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        assert given is not None
        return web.Response(status=given.status, body=given.body, headers=given.headers)


def says(value: object, status: int = 200, **headers: str) -> web.Response:
    """An answer of JSON."""
    return web.Response(
        body=orjson.dumps(value), status=status, content_type="application/json", headers=_names(headers)
    )


def fails(status: int, text: str = "", **headers: str) -> web.Response:
    return web.Response(text=text, status=status, headers=_names(headers))


def redirects(location: str, status: int = 302) -> web.Response:
    return web.Response(status=status, headers={"Location": location})


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@asynccontextmanager
async def fake_http(*answers: web.Response | None, host: str = "127.0.0.1") -> AsyncIterator[FakeHttp]:
    """A running server."""
    fake = FakeHttp("", list(answers))
    server = web.Server(fake.answer, access_log=None, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    fake.url = f"http://{host}:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
