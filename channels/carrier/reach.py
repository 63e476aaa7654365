"""What the carrier needs of the way to a service: answers to its posts, and media sockets."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol, Self

from agents.errors import ChannelError

OPEN_TIMEOUT_S: Final = 5.0
"""So long a media socket may take to open."""

POST_TIMEOUT_S: Final = 15.0
"""So long the answer to a post may take: Twilio's own limit."""

MAX_ANSWER_BYTES: Final = 64 * 1024
"""Of TwiML that is fetched."""

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""Ten minutes of audio in one message: more cannot be held, and Twilio documents no smaller limit."""

USER_AGENT: Final = "TwilioProxy/1.1"

NORMAL_CLOSE: Final = 1000
ABNORMAL_CLOSE: Final = 1006
"""The code of a socket that ended without a word."""

TOO_BIG_CLOSE: Final = 1009
"""The code of a socket that was closed over a message of more than MAX_MESSAGE_BYTES."""


class Unreachable(ChannelError):
    """Nobody listens where the service should be."""


class SocketClosed(Exception):
    """Nothing can be sent any more: either side has closed the socket, or the line between them broke."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. `content_type` is without parameters, in lower case."""

    status: int
    content_type: str
    body: bytes


class Socket(Protocol):
    """An open media socket, from the carrier's side.

    Iterating gives what the service sends, in order, and ends when the socket is closed, however that came about. One
    task iterates at a time; several may send.
    """

    @property
    def close_code(self) -> int | None:
        """1006 when it broke without a word; None while it is open."""

    @property
    def close_reason(self) -> str | None: ...

    async def send(self, message: str | bytes) -> None:
        """Sends text, or a binary frame; waits while too much is on its way. Raises SocketClosed."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> str | bytes: ...

    async def close(self) -> None:
        """Closes in good order after all that was sent, in any state, any number of times. The wait is bounded."""

    async def wait_closed(self) -> None: ...

    def abort(self) -> None:
        """Drops the connection without a word, as a network that fails does."""


class Reach(Protocol):
    """A way to a service."""

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Posts a form; redirects are not followed. Raises ChannelError, with Twilio's error code, for no answer.

        It is Unreachable when nobody listens there.
        """

    def socket(self, url: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[Socket]:
        """Opens a media socket, and closes it at the end. Raises ChannelError, with Twilio's error code."""


def unanswered(url: str) -> ChannelError:
    """What it means that a post was not answered within POST_TIMEOUT_S."""
    return ChannelError(f"{url} did not answer in time (11200)")


def too_long(url: str) -> ChannelError:
    """What it means that an answer is longer than MAX_ANSWER_BYTES."""
    return ChannelError(f"{url} answered with more than {MAX_ANSWER_BYTES // 1024} kB (11200)")


def refused(status: int) -> ChannelError:
    """What it means that an upgrade was answered with an HTTP status instead."""
    return ChannelError(f"the media socket was refused with HTTP {status} (31920)")


def not_opened() -> ChannelError:
    """What it means that an upgrade was not answered in time."""
    return ChannelError(f"the media socket did not open within {OPEN_TIMEOUT_S:.0f} s (31901)")
