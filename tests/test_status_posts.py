"""Programs are told how their calls go on: signed, in order, again when they are not there, and never for long."""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway import status_posts
from gateway.status_posts import SIGNATURE_HEADER, StatusPosts

TOKEN = "test-calls-token"


class Program:
    """An operator's program. `answers` are the HTTP statuses that it gives, one after the other, then 200."""

    def __init__(self, *answers: int) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.url = ""
        self._answers = list(answers)
        self._news = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.told.append((request.headers[SIGNATURE_HEADER], await request.read()))
        self._news.set()
        return web.Response(status=self._answers.pop(0) if self._answers else 200)

    async def has(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.told) < count:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def listening(program: Program) -> AsyncIterator[Program]:
    app = web.Application()
    app.router.add_post("/told", program.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    program.url = f"http://127.0.0.1:{runner.addresses[0][1]}/told?secret=1"
    try:
        yield program
    finally:
        await runner.cleanup()


def play(scene: Callable[[StatusPosts, Program], Awaitable[None]], *answers: int) -> None:
    async def played() -> None:
        async with listening(Program(*answers)) as program, StatusPosts(TOKEN, allow_private=True) as posts:
            await scene(posts, program)

    asyncio.run(played())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_posts, "WAITS_S", (0.01, 0.01))


def test_what_is_told_is_signed_and_comes_in_order() -> None:
    async def scene(posts: StatusPosts, program: Program) -> None:
        for state in ("dialing", "ringing", "completed"):
            posts.put(program.url, "out_1", {"state": state})
        await program.has(3)

        assert [json.loads(body)["state"] for _, body in program.told] == ["dialing", "ringing", "completed"]
        for signature, body in program.told:
            assert signature == "sha256=" + hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()

    play(scene)


def test_a_program_that_cannot_take_it_is_told_again_and_one_that_refuses_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(posts: StatusPosts, program: Program) -> None:
        for state in ("ringing", "completed"):
            posts.put(program.url, "out_1", {"state": state})
        await program.has(4)
        await asyncio.sleep(0)

        assert [json.loads(body)["state"] for _, body in program.told] == ["ringing", "ringing", "ringing", "completed"]

    play(scene, 503, 429, 200, 404)


def test_a_program_that_is_not_there_is_a_warning_without_its_secret(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(posts: StatusPosts, program: Program) -> None:
        posts.put("http://127.0.0.1:9/told?secret=1", "out_1", {"state": "ringing"})
        async with asyncio.timeout(5):
            while not caplog.records:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    with caplog.at_level(logging.WARNING):
        play(scene)

    assert "a status post to 127.0.0.1:9 came to nothing" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_program_at_a_private_address_is_told_nothing_unless_the_operator_allows_it(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with listening(Program()) as program, StatusPosts(TOKEN) as posts:
            posts.put(program.url.replace("127.0.0.1", host), "out_1", {"state": "ringing"})
            async with asyncio.timeout(5):
                while not caplog.records:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

            assert program.told == []

    with caplog.at_level(logging.WARNING):
        asyncio.run(scene())

    assert "the address is private or local; STATUS_POSTS_ALLOW_PRIVATE=true allows those" in caplog.text


def test_the_oldest_go_first_when_too_many_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(status_posts, "MAX_WAITING", 2 * status_posts.POSTERS)

    async def scene(posts: StatusPosts, program: Program) -> None:
        for number in range(4):
            posts.put(program.url, "out_1", {"number": number})
        await program.has(2)

        assert [json.loads(body)["number"] for _, body in program.told] == [2, 3]

    with caplog.at_level(logging.WARNING):
        play(scene)

    assert caplog.text.count("a status post was dropped") == 2


def test_what_waits_when_the_service_stops_is_told_if_that_is_soon() -> None:
    async def played() -> None:
        async with listening(Program()) as program:
            async with StatusPosts(TOKEN, allow_private=True) as posts:
                for number in range(5):
                    posts.put(program.url, "out_1", {"number": number})

            assert [json.loads(body)["number"] for _, body in program.told] == [0, 1, 2, 3, 4]

    asyncio.run(played())


def test_a_program_that_is_slow_does_not_keep_the_service_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_posts, "FLUSH_S", 0.05)
    monkeypatch.setattr(status_posts, "WAITS_S", (60.0,))

    async def played() -> None:
        async with (
            listening(Program(503)) as program,
            asyncio.timeout(5),
            StatusPosts(TOKEN, allow_private=True) as posts,
        ):
            posts.put(program.url, "out_1", {"state": "ringing"})
            await program.has(1)

    asyncio.run(played())


def test_a_redirect_is_not_followed_and_is_no_delivery(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(posts: StatusPosts, program: Program) -> None:
        posts.put(program.url, "out_1", {"state": "ringing"})
        await program.has(1)

    with caplog.at_level(logging.WARNING):
        play(scene, 301)

    assert "HTTP 301, and redirects are not followed" in caplog.text
