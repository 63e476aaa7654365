"""The one socket loop of the providers: opens, sends and reads through a codec, ends."""

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from math import inf
from types import TracebackType
from typing import Final, NoReturn, Protocol, Self, cast
from urllib.parse import unquote_plus, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidProxy, InvalidStatus, InvalidURI, WebSocketException

from agents.errors import GatewayError, ProviderError
from agents.events import ClientEvent, ServerEvent, SessionCreated, SessionError
from agents.providers.cheap_client import CheapClient
from agents.realtime import RealtimeConnectOptions
from agents.waiting import Patience

OPEN_TIMEOUT_S: Final = 10.0
"""TCP, TLS and upgrade take well under a second; a caller waits in silence meanwhile."""

SEND_TIMEOUT_S: Final = 5.0
"""A peer that takes nothing for this long has five seconds of speech waiting: the conversation is lost."""

CLOSE_TIMEOUT_S: Final = 2.0
"""The closing handshake is a courtesy; hanging up must not wait for a peer that forgot it."""

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Providers allow 15 MiB of audio in one message; nothing honest is larger."""

MAX_QUEUED_MESSAGES: Final = 64
"""Messages read ahead of the session, at most: some seconds of speech, then TCP makes the provider wait."""

PING_INTERVAL_S: Final = 10.0
PING_TIMEOUT_S: Final = 10.0
"""With the interval: a peer that vanished without a word is noticed in at most 20 seconds."""

PERMANENT_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "billing_hard_limit_reached",
        "account_deactivated",
        "quota_exceeded",
    }
)
"""Refusals that look temporary and are not: asking again, unchanged, fails again."""

MAX_MALFORMED_MESSAGES: Final = 100
"""Messages without sense in one connection, at most: each is logged, and such a peer will not come to its senses."""

MAX_EXPLANATION_CHARS: Final = 300
MAX_CODE_CHARS: Final = 100
"""What fits a log line of a peer's explanation, and of its code for an error."""

NO_SECRETS: Final = frozenset(
    {"agent_id", "api-version", "deployment", "encoding", "language", "model", "model_id", "output_format"}
)
"""Parameters of an address whose values a peer's explanation may repeat: an operator needs them to mend it."""

# The library's debug output has every header and every frame, the key and the callers' voices among them.
_quiet = logging.getLogger(f"{__name__}.frames")
_quiet.setLevel(logging.INFO)


class WireError(GatewayError):
    """A message that no healthy peer sends. Says what was expected, and never holds the message itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a wire itself says in return for a message: sent before anything else of it is passed on."""

    message: str | bytes


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """What is sent when nothing else was for `after_s` seconds."""

    message: str | bytes
    after_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """A codec waits so long for what it expects. A new object begins a new wait."""

    after_s: float


class Codec(ABC):
    """A provider's wire, without I/O and without a clock; one object for each connection.

    A wire that is not ready at once holds what it is given until it is, and says it then in an `Answer`, before the
    SessionCreated: whoever waits for that goes on from there.
    """

    keepalive: KeepAlive | None = None

    wait: Wait | None = None
    """For wires that do not say when something is over. `encode`, `decode` and `waited` may replace it."""

    @abstractmethod
    def encode(self, event: ClientEvent) -> Iterable[str | bytes]:
        """The messages that carry the event. Raises NotSupportedError for what the wire has no words for."""

    @abstractmethod
    def decode(self, message: str | bytes) -> Iterable[ServerEvent | Answer | ProviderError]:
        """What the message says; nothing for routine, RawEvent for unknown types. Raises WireError only.

        A ProviderError among it is raised to whoever iterates: the conversation cannot go on.
        """

    def waited(self) -> Iterable[ServerEvent | Answer | ProviderError]:
        """What follows from `wait` being over, with nothing in its place: asked once for each."""
        return ()

    def farewell(self) -> Iterable[str | bytes]:
        """What is said before the connection is closed from our side."""
        return ()

    def loss(self, code: int | None, reason: str) -> ProviderError | None:
        """What the end of the connection means: a close code (RFC 6455) and text; None for one without a word.

        None when it ended in good order.
        """
        return usual_loss(code, reason)


class Socket(Protocol):
    """What a `WebSocketFactory` gives: websockets' client, or something like it.

    After its end, and in a `recv` that waits while `close` is called, it raises websockets' ConnectionClosed. One with
    a method `post(message) -> bool` is given messages by that, which does not wait, for as long as it takes them.
    """

    async def send(self, message: str | bytes) -> None: ...

    async def recv(self) -> str | bytes: ...

    async def close(self) -> None: ...


class SocketConnection:
    """A RealtimeConnection over one socket. Iterating reads the socket itself; one task may iterate at a time.

    A message that the codec refuses is a SessionError with code `malformed`, and the conversation goes on; after
    MAX_MALFORMED_MESSAGES of them it ends with a ProviderError of that code. Code 1000 ends the iteration; a
    lost or broken connection is a ProviderError with code `network`, `closed`, `auth` or `session_expired`. Cancelling
    a wait for the next event loses nothing.
    """

    def __init__(self, socket: Socket, codec: Codec) -> None:
        self._socket = socket
        self._codec = codec
        self._decoded: Iterator[ServerEvent | Answer | ProviderError] = iter(())
        self._malformed = 0
        self._sent_at = 0.0
        self._wait: Wait | None = None
        self._wait_ends_at = inf
        self._post = getattr(socket, "post", None)
        self._patience = Patience()
        self._session_id: str | None = None
        self._is_closed = False

    @property
    def session_id(self) -> str | None:
        return self._session_id

    async def send(self, event: ClientEvent) -> None:
        """Sends the event; waits at most SEND_TIMEOUT_S for a peer that reads slowly."""
        if self._is_closed:
            raise _over()
        await self._write(self._codec.encode(event))
        if self._codec.wait is not self._wait:
            self._mind_wait()
        self._patience.reschedule(self._due_at())

    async def _write(self, messages: Iterable[str | bytes]) -> None:
        self._sent_at = self._patience.now()
        try:
            unsent = iter(messages)
            for message in unsent:
                if self._post is None or not self._post(message):
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await self._socket.send(message)
                        for later in unsent:
                            await self._socket.send(later)
        except ConnectionClosed as error:
            raise self._loss(error) or _over() from error
        except TimeoutError as error:
            problem = f"the model's side took nothing for {SEND_TIMEOUT_S:g} s"
            raise ProviderError(problem, code="timeout", retryable=True) from error
        except OSError as error:
            raise ProviderError(f"the connection was lost: {error}", code="network", retryable=True) from error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerEvent:
        while not self._is_closed:
            for event in self._decoded:
                if isinstance(event, Answer):
                    await self._write((event.message,))
                    continue
                if isinstance(event, ProviderError):
                    raise event
                if isinstance(event, SessionCreated):
                    self._session_id = event.session_id
                return event
            if self._malformed >= MAX_MALFORMED_MESSAGES:
                problem = f"the model's side sent {self._malformed} messages that make no sense"
                raise ProviderError(problem, code="malformed", retryable=True)
            try:
                message = await self._receive()
            except ConnectionClosed as error:
                if not self._is_closed and (loss := self._loss(error)) is not None:
                    raise loss from error
                break
            except OSError as error:
                raise ProviderError(f"the connection was lost: {error}", code="network", retryable=True) from error
            if not self._is_closed:
                self._decoded = iter(self._codec.waited() if message is None else self._decode(message))
        raise StopAsyncIteration

    async def _receive(self) -> str | bytes | None:
        """The next message, or None when the codec's wait is over. Meanwhile the connection is kept alive."""
        clock = self._patience.now
        self._sent_at = self._sent_at or clock()
        if self._codec.wait is not self._wait:
            self._mind_wait()
        while True:
            try:
                with self._patience.until(self._due_at()):
                    return await self._socket.recv()
            except TimeoutError:
                if not self._patience.is_over:
                    raise
            if self._is_closed:
                return None
            alive = self._codec.keepalive
            if alive is not None and clock() >= self._sent_at + alive.after_s:
                await self._write((alive.message,))
            if clock() >= self._wait_ends_at:
                self._wait_ends_at = inf
                return None

    def _mind_wait(self) -> None:
        """Begins the codec's new wait."""
        self._wait = wait = self._codec.wait
        self._wait_ends_at = inf if wait is None else self._patience.now() + wait.after_s

    def _due_at(self) -> float:
        """When something is to be done though no message came; infinity when nothing is."""
        alive = self._codec.keepalive
        return self._wait_ends_at if alive is None else min(self._wait_ends_at, self._sent_at + alive.after_s)

    def _loss(self, error: ConnectionClosed) -> ProviderError | None:
        frame = error.rcvd
        if frame is None:
            return self._codec.loss(None, str(error))
        return self._codec.loss(frame.code, frame.reason[:MAX_EXPLANATION_CHARS])

    async def close(self) -> None:
        """Ends the conversation, and the iteration at once; takes at most CLOSE_TIMEOUT_S."""
        if not self._is_closed:
            self._is_closed = True
            self._patience.reschedule(self._patience.now())
            await _shut(self._socket, self._codec.farewell())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    def _decode(self, message: str | bytes) -> tuple[ServerEvent | Answer | ProviderError, ...]:
        try:
            return tuple(self._codec.decode(message))
        except WireError as error:
            self._malformed += 1
            return (SessionError("malformed", f"the model's side sent a message that makes no sense: {error}"),)


def _over() -> ProviderError:
    return ProviderError("the connection to the model is over", code="closed", retryable=False)


async def open_socket(
    url: str,
    headers: Mapping[str, str],
    options: RealtimeConnectOptions,
    *,
    key_name: str,
    ping_timeout_s: float = PING_TIMEOUT_S,
) -> Socket:
    """Opens a socket with the options' `websocket` factory and `abort`; `key_name` is the variable that holds the key.

    `ping_timeout_s` is for peers that are known to answer pings late.

    Raises ProviderError in at most OPEN_TIMEOUT_S: `aborted`, `timeout`, `network`, `auth`, or what the peer refused.
    """
    peer = urlsplit(url).netloc.rpartition("@")[2]
    abort = options.abort or asyncio.Event()
    aborted = ProviderError(f"connecting to {peer} was aborted", code="aborted", retryable=False)
    if abort.is_set():
        raise aborted
    async with AsyncExitStack() as unless_open:
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S) as deadline, asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(_expire_with(abort, deadline), name="abort of a provider's socket")
                upgrade = options.websocket or partial(_upgrade, ping_timeout_s=ping_timeout_s)
                socket = cast(Socket, await upgrade(url, headers))
                unless_open.push_async_callback(_shut, socket)
                watch.cancel()
        except TimeoutError as error:
            if abort.is_set():
                raise aborted from None
            problem = f"{peer} did not open a session within {OPEN_TIMEOUT_S:g} s"
            raise ProviderError(problem, code="timeout", retryable=True) from error
        except ExceptionGroup as group:
            _raise_why_not_open(group.exceptions[0], peer, key_name, secrets=secrets_of(url, headers))
        if abort.is_set():
            raise aborted
        unless_open.pop_all()
    return socket


def secrets_of(url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What no message may repeat of a request: the values of its headers and of its address, but for NO_SECRETS."""
    found = [*headers.values()]
    for parameter in urlsplit(url).query.split("&"):
        name, _, value = parameter.partition("=")
        if name not in NO_SECRETS:
            found += (value, unquote_plus(value))
    return tuple(found)


def refused(
    status: int, body: bytes | bytearray | None, peer: str, key_name: str, *, secrets: Iterable[str] = ()
) -> ProviderError:
    """What an HTTP answer other than success means. `secrets` are cut out of the peer's explanation."""
    code, why = _explanation(body)
    why = fit_for_log(why, secrets)
    said = f"{peer} answered {status}{f': {why}' if why else ''}"
    if status in (401, 403) and code not in PERMANENT_CODES:
        return ProviderError(f"{said}; check {key_name}", code="auth", retryable=False)
    if code in PERMANENT_CODES:
        return ProviderError(said, code=code, retryable=False)
    if status == 402:
        return ProviderError(said, code=code[:MAX_CODE_CHARS] or "payment_required", retryable=False, category="quota")
    if status == 429:
        code = code[:MAX_CODE_CHARS] or "rate_limit_exceeded"
        return ProviderError(said, code=code, retryable=True, category="rate")
    if status >= 500:
        return ProviderError(said, code="server_error", retryable=True)
    return ProviderError(said, code="invalid_request", retryable=False)


class _Upgrade(connect):
    """A handshake that follows no redirect: it would take the conversation to an address that nobody named."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


async def _upgrade(url: str, headers: Mapping[str, str], *, ping_timeout_s: float) -> ClientConnection:
    return await _Upgrade(
        url,
        additional_headers=headers,
        logger=_quiet,
        create_connection=CheapClient,
        compression=None,  # base64 of audio does not shrink enough to pay for the delay
        open_timeout=None,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=PING_INTERVAL_S,
        ping_timeout=ping_timeout_s,
        max_size=MAX_MESSAGE_BYTES,
        max_queue=MAX_QUEUED_MESSAGES,
    )


async def _expire_with(abort: asyncio.Event, deadline: asyncio.Timeout) -> None:
    await abort.wait()
    if not deadline.expired():
        deadline.reschedule(asyncio.get_running_loop().time())


async def _shut(socket: Socket, farewell: Iterable[str | bytes] = ()) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            for message in farewell:
                await socket.send(message)
            await socket.close()
    except (TimeoutError, OSError, ConnectionClosed):
        pass  # closing is all that was wanted
    finally:
        if isinstance(socket, ClientConnection):
            socket.transport.abort()  # no effect after a whole handshake; ends one cut short


def usual_loss(code: int | None, reason: str) -> ProviderError | None:
    """What the end of a connection means with most providers; None when it ended in good order."""
    if code is None:
        return ProviderError(f"the connection was lost (1006): {reason}", code="network", retryable=True)
    said = f"the model's side closed the connection with {code} {reason!r}"
    match code:
        case 1000 | 1001 if "maximum duration" in reason:
            return ProviderError(said, code="session_expired", retryable=True)
        case 1000 | 1005:  # 1005: a close frame without a code
            return None
        case 1001:  # going away: a server that restarts ends its connections, and not what is said in them
            return ProviderError(said, code="closed", retryable=True)
        case 3000 | 3003:  # registered as Unauthorized and Forbidden
            return ProviderError(said, code="auth", retryable=False)
        case _:
            return ProviderError(said, code="closed", retryable=code in (1011, 1012, 1013, 1014))


def _raise_why_not_open(error: Exception, peer: str, key_name: str, *, secrets: Iterable[str]) -> NoReturn:
    match error:
        case InvalidStatus(response=response):
            raise refused(response.status_code, response.body, peer, key_name, secrets=secrets) from error
        case InvalidURI(msg=wrong) | InvalidProxy(msg=wrong):  # their texts have whole addresses, with all secrets
            whose = "the proxy's address" if isinstance(error, InvalidProxy) else "its address"
            problem = f"cannot reach {peer}: {whose} cannot be used: {wrong}"
            raise ProviderError(problem, code="invalid_request", retryable=False) from None
        case OSError() | WebSocketException():
            problem = f"cannot reach {peer}: {fit_for_log(str(error), secrets)}"
            raise ProviderError(problem, code="network", retryable=True) from error
        case _:
            raise error


def fit_for_log(said: str, secrets: Iterable[str]) -> str:
    """What was said, without the words of the secrets and not longer than a log line has room for."""
    words = {word for secret in secrets for word in secret.split() if len(word) >= 8}
    for word in sorted(words, key=len, reverse=True):  # one may begin with another
        said = said.replace(word, "…")
    return said[:MAX_EXPLANATION_CHARS]


def _explanation(body: bytes | bytearray | None) -> tuple[str, str]:
    """The code and the words of an error in JSON; empty when there are none."""
    try:
        answer = json.loads(body or b"")
    except (ValueError, RecursionError):
        return "", ""
    match answer:
        case {"error": {"message": str(message), **rest}}:
            code = rest.get("code") or rest.get("type")
            return code if isinstance(code, str) else "", message
        case {"err_msg": str(message), **rest}:
            code = rest.get("err_code")
            return code if isinstance(code, str) else "", message
        case {"detail": {"message": str(message), **rest}}:
            code = rest.get("status")
            return code if isinstance(code, str) else "", message
        case _:
            return "", ""
