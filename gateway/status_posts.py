"""Tells the operator's programs how the calls go on that they asked for: each change as a POST of JSON, signed."""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from agents.tools.public_addresses import PrivateAddress, is_public, sockets_to

log = logging.getLogger(__name__)

SIGNATURE_HEADER: Final = "X-Voice-Gateway-Signature"
"""`sha256=` and the HMAC of the body under CALLS_TOKEN, in hexadecimal digits."""

POST_TIMEOUT_S: Final = 5.0
"""Longest that one try may take."""

WAITS_S: Final = (1.0, 5.0)
"""Before the second try and the third, the last: a program that restarts is there again by then."""

FLUSH_S: Final = 3.0
"""Longest that a service which stops waits for its posts: programs on the same network answer in milliseconds."""

MAX_WAITING: Final = 1000
"""Posts that wait for one that is slow, of all calls; the oldest are dropped first."""

POSTERS: Final = 4
"""Posts at once. Those of one call go one after the other."""


@dataclass(frozen=True, slots=True)
class _Post:
    url: str
    body: bytes


class StatusPosts:
    """Enter it before the first post; leaving it waits for those on their way, FLUSH_S at most, and drops the rest."""

    def __init__(self, token: str, *, allow_private: bool = False) -> None:
        """`token` signs the posts. They go to public addresses only, unless `allow_private`."""
        self._token = token.encode()
        self._make_socket = None if allow_private else sockets_to(is_public)
        self._queues: list[asyncio.Queue[_Post]] = [asyncio.Queue(MAX_WAITING // POSTERS) for _ in range(POSTERS)]
        self._group = asyncio.TaskGroup()
        self._posters: list[asyncio.Task[None]] = []
        self._while_entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._while_entered.enter_async_context(self._group)
        timeout = aiohttp.ClientTimeout(total=POST_TIMEOUT_S)
        connector = aiohttp.TCPConnector(socket_factory=self._make_socket)
        session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        http = await self._while_entered.enter_async_context(session)
        self._posters = [
            self._group.create_task(self._post_all(queue, http), name="status posts") for queue in self._queues
        ]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                for queue in self._queues:
                    await queue.join()
        for poster in self._posters:
            poster.cancel()
        await self._while_entered.__aexit__(exc_type, exc, tb)

    def put(self, url: str, call_id: str, event: Mapping[str, Any]) -> None:
        """Posts an event of a call, after those before it. Waits for nothing and never raises."""
        queue = self._queues[hash(call_id) % POSTERS]
        if queue.full():
            queue.get_nowait()
            queue.task_done()
            log.warning("a status post was dropped: those before it take too long")
        queue.put_nowait(_Post(url, json.dumps(event).encode()))

    async def _post_all(self, queue: "asyncio.Queue[_Post]", http: aiohttp.ClientSession) -> None:
        while True:
            await self._post(await queue.get(), http)
            queue.task_done()

    async def _post(self, post: _Post, http: aiohttp.ClientSession) -> None:
        signature = hmac.new(self._token, post.body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: f"sha256={signature}"}
        problem = ""
        for wait_s in (0.0, *WAITS_S):
            await asyncio.sleep(wait_s)
            try:
                async with http.post(post.url, data=post.body, headers=headers, allow_redirects=False) as answer:
                    if answer.status < 300:
                        return
                    problem = f"HTTP {answer.status}"
                    if answer.status < 400:
                        problem += ", and redirects are not followed"
                    if answer.status < 500 and answer.status != 429:
                        break
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                problem = _why(error)
        log.warning("a status post to %s came to nothing: %s", _host(post.url), problem)


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and PrivateAddress.WORDS in str(error.os_error):
        return "the address is private or local; STATUS_POSTS_ALLOW_PRIVATE=true allows those"
    return type(error).__name__


def _host(url: str) -> str:
    """Of an address what may stand in a log: its rest may be a secret."""
    return url.split("/")[2].rpartition("@")[2] if url.count("/") >= 2 else "an address"
