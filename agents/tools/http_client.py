"""Sends the request of an HTTP tool: tried again where that is safe, redirected within bounds, read up to a limit."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from agents.errors import ToolError
from agents.tools.http_request import HttpRequest
from agents.tools.public_addresses import PrivateAddress, is_public, sockets_to

CONNECT_TIMEOUT_S: Final = 5.0
"""For a name, a socket and TLS, or for its turn: a caller hears silence, and there shall be time to try again."""

BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 2.0)
"""How long to wait before each further try, unless the server says. Its length is the most retries of a file."""

MAX_ANSWER_BYTES: Final = 256 * 1024
"""More than a model is told in any case; what follows is not read."""

MAX_REDIRECTS: Final = 5
"""Servers that mean well need one or two."""

KEEPALIVE_S: Final = 4.0
"""How long an unused connection is kept: less than the 5 s after which common servers close theirs."""

MAX_CONNECTIONS: Final = 100
"""Of one agent, at a time; what is over it waits for its turn, as long as its tool may take."""

_SAFE_TO_REPEAT: Final = ("GET", "PUT", "DELETE")
_PASSING: Final = (429, 502, 503, 504)
"""Answers that another try may better."""

_REDIRECTS: Final = (301, 302, 303, 307, 308)

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """`is_whole` is false where the answer was longer than MAX_ANSWER_BYTES."""

    status: int
    content_type: str
    charset: str
    body: bytes = field(repr=False)
    is_whole: bool = True
    location: str | None = field(default=None, repr=False)
    retry_after: str | None = None


class HttpClient:
    """Connections for the requests of any number of calls, which share nothing else: no cookies are kept.

    Enter it to open them. `is_allowed` says of an IP address whether it may be connected to; None allows all.
    """

    def __init__(self, is_allowed: Callable[[str], bool] | None = is_public, *, sleep: Sleep = asyncio.sleep) -> None:
        self._make_socket = sockets_to(is_allowed) if is_allowed else None
        self._sleep = sleep
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "HttpClient":
        connector = aiohttp.TCPConnector(
            limit=MAX_CONNECTIONS,
            keepalive_timeout=KEEPALIVE_S,
            socket_factory=self._make_socket,
        )
        self._http = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http:
            await self._http.close()
            self._http = None

    async def ask(self, request: HttpRequest, *, retries: int, timeout_s: float) -> HttpAnswer:
        """The answer, whatever its status; redirects are followed. No try begins later than `timeout_s` from now.

        A harmless request whose connection breaks is repeated by aiohttp at once, beside the `retries`.

        Raises ToolError when there is none: the server cannot be reached, it breaks off, it redirects to where we do
        not follow. It never says where the request went, which may hold secrets.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        for pause_s in (*BACKOFF_S[:retries], None):
            try:
                answer = await self._follow(request)
            except aiohttp.ClientError as error:
                wait_s = pause_s if _may_repeat(request, error) else None
                if not await self._waited(wait_s, deadline):
                    raise ToolError(_why(error)) from None
            except TimeoutError:
                raise ToolError("the server is too slow") from None
            else:
                wait_s = _wait_s(answer, pause_s) if request.method in _SAFE_TO_REPEAT else None
                if not await self._waited(wait_s, deadline):
                    return answer
        raise AssertionError("the last try has no pause after it")

    async def _waited(self, wait_s: float | None, deadline: float) -> bool:
        """Waits before another try; False when there is none, or no time left for it."""
        if wait_s is None or asyncio.get_running_loop().time() + wait_s >= deadline:
            return False
        await self._sleep(wait_s)
        return True

    # ---- redirects ----

    async def _follow(self, request: HttpRequest) -> HttpAnswer:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._send(request)
            if answer.status not in _REDIRECTS or answer.location is None:
                return answer
            request = _redirected(request, answer)
        raise ToolError(f"the server redirects more than {MAX_REDIRECTS} times")

    async def _send(self, request: HttpRequest) -> HttpAnswer:
        if self._http is None:
            raise ToolError("this tool is not open: its toolkit was not entered")
        async with self._http.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
        ) as answer:
            body = await _read(answer.content)
            return HttpAnswer(
                answer.status,
                answer.content_type,
                answer.charset or "utf-8",
                body[:MAX_ANSWER_BYTES],
                len(body) <= MAX_ANSWER_BYTES,
                answer.headers.get("Location"),
                answer.headers.get("Retry-After"),
            )


async def _read(content: aiohttp.StreamReader) -> bytes:
    """The body, or one byte more of it than is allowed."""
    body = bytearray()
    while len(body) <= MAX_ANSWER_BYTES and (piece := await content.read(MAX_ANSWER_BYTES + 1 - len(body))):
        body += piece
    return bytes(body)


def _redirected(request: HttpRequest, answer: HttpAnswer) -> HttpRequest:
    """The request that a redirect asks for. The file's headers go to its own host alone.

    Raises ToolError for a redirect that is not followed: of a method that may have done something, and from https to
    http.
    """
    if request.method != "GET" and answer.status != 303:
        raise ToolError(f"the server redirects with {answer.status}, which is not followed for {request.method}")
    try:
        url = urljoin(request.url, answer.location or "").partition("#")[0]
        old, new = urlsplit(request.url), urlsplit(url)
        is_same_host = (old.hostname, _port(old.port)) == (new.hostname, _port(new.port))
    except ValueError:
        raise ToolError("the server redirects to what is no address") from None
    if new.scheme not in ("http", "https") or not new.hostname or new.username is not None:
        raise ToolError("the server redirects to what is no address")
    if (old.scheme, new.scheme) == ("https", "http"):
        raise ToolError("the server redirects from https to http, which is not followed")
    headers = {name: value for name, value in request.headers.items() if name.lower() != "content-type"}
    return replace(request, method="GET", url=url, headers=headers if is_same_host else {}, body=None)


def _port(port: int | None) -> int:
    """The port, where that of http is also that of https: moving up to it leaves no host."""
    return 443 if port in (None, 80) else port


# ---- trying again ----


def _may_repeat(request: HttpRequest, error: aiohttp.ClientError) -> bool:
    """Whether a request that was not answered may be sent again: it never got there, or twice is as good as once."""
    if _is_private(error) or isinstance(error, (aiohttp.ClientSSLError, aiohttp.InvalidURL)):
        return False
    never_got_there = isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError))
    return never_got_there or (
        request.method in _SAFE_TO_REPEAT and isinstance(error, (aiohttp.ClientConnectionError, aiohttp.ClientOSError))
    )


def _wait_s(answer: HttpAnswer, pause_s: float | None) -> float | None:
    """How long to wait before asking again; None when the answer stands."""
    if answer.status not in _PASSING or pause_s is None:
        return None
    return max(pause_s, _retry_after_s(answer.retry_after, datetime.now(UTC)))


def _retry_after_s(value: str | None, now: datetime) -> float:
    """Seconds from now that a Retry-After asks for, which is a number or a date; 0 for neither."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value[:12])
    try:
        return (parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds()
    except (ValueError, OverflowError):
        return 0.0


def _is_private(error: aiohttp.ClientError) -> bool:
    """Whether no address was left to connect to, as they are private."""
    reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else None
    return isinstance(reason, PrivateAddress) or PrivateAddress.WORDS in str(reason)


def _why(error: aiohttp.ClientError) -> str:
    if _is_private(error):
        return PrivateAddress.WORDS
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "the server's name is not known"
        case aiohttp.ClientSSLError():
            return "the server's certificate is not accepted"
        case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
            return "the server cannot be reached"
        case aiohttp.InvalidURL():
            return "the address is not valid"
        case _:
            return "the server broke the connection off, or does not speak HTTP"
