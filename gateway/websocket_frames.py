"""How picows serves a WebSocket here: it takes over a connection whose request was read, and sends messages."""

import logging
from asyncio import Transport
from collections.abc import Sequence
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any, Final

from picows import WSAutoPingStrategy, WSListener, WSMsgType, WSTransport, WSUpgradeResponse
from picows import WSUpgradeResponseWithListener as Answer
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # compiled, and missing in its types

READ_BUFFER_BYTES: Final = 2048
"""What a connection begins to read into: five frames of audio. It grows for longer messages."""

KERNEL_BUFFER_BYTES: Final = 64 * 1024
"""What the kernel may hold of what the peer sent; Linux takes twice that. Picows reads all of it at once, however much
it is: without a limit a peer that floods the line has a million messages read ahead."""

MAX_COPIED: Final = 2048
"""Characters of a message that picows surely copies (it does up to 8 kB). A longer one's header it may send only after
it has written another over it, when the peer is slow to read."""

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_HEADER_ROOM: Final = bytes(14)

_quiet = logging.getLogger(__name__)
_quiet.setLevel(logging.CRITICAL)  # the library tells of every connection, and of peers' nonsense with a traceback


def take_over(
    transport: Transport, listener: WSListener, headers: Sequence[tuple[str, str]], begun: bytes, max_bytes: int
) -> None:
    """Answers a request with these headers beside the usual, and has the listener told of frames from then on.

    `begun` is what came so far: the request, which must be plain, and perhaps frames. Frames are `max_bytes` long at
    most. Pings are the listener's to answer. Raises OSError for a connection that is broken.
    """
    answer = Answer(WSUpgradeResponse.create_101_response(headers), listener)
    settings: tuple[Any, ...] = (_quiet, True, None, False, 0.0, 0.0, WSAutoPingStrategy.PING_WHEN_IDLE, False)
    protocol = WSProtocol(None, None, False, lambda _: answer, *settings, max_bytes, None, READ_BUFFER_BYTES)
    transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, KERNEL_BUFFER_BYTES)
    protocol.connection_made(transport)
    transport.set_protocol(protocol)
    while begun:
        room = protocol.get_buffer(len(begun))
        size = min(len(room), len(begun))
        room[:size] = begun[:size]
        begun = begun[size:]
        protocol.buffer_updated(size)


def send_message(frames: WSTransport, message: str | bytes) -> None:
    """Sends a text, or bytes, in one frame: to the kernel, or for what it does not take into the transport's buffer."""
    kind = _TEXT if isinstance(message, str) else _BINARY
    if len(message) <= MAX_COPIED:
        frames.send(kind, message)
    else:
        payload = message.encode() if isinstance(message, str) else message
        frames.send_reuse_external_bytearray(kind, bytearray(_HEADER_ROOM + payload), len(_HEADER_ROOM))
