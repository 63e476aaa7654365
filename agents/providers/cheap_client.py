"""websockets' client, with a short way for whole messages: an agent hears fifty of them a second on each call."""

import os
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.frames import Opcode, apply_mask  # type: ignore[attr-defined]  # the one in C where there is one
from websockets.protocol import State
from websockets.version import version

_MASKS_BYTES: Final = 4096
"""Random bytes for masks that are asked for at once: each request is a call into the kernel."""

_IN_PIECES: Final = "send_in_progress" if int(version.partition(".")[0]) >= 16 else "fragmented_send_waiter"
"""Where the library keeps that a message is being sent in pieces."""

_FINAL: Final = 0x80
_MASKED: Final = 0x80


class Masks:
    """Masks of frames, of four bytes nobody can guess (RFC 6455, 5.3)."""

    def __init__(self) -> None:
        self._random = b""
        self._at = 0

    def next(self) -> bytes:
        at = self._at
        if at == len(self._random):
            self._random, at = os.urandom(_MASKS_BYTES), 0
        self._at = at + 4
        return self._random[at : at + 4]


_masks: Final = Masks()


def masked_frame(message: str | bytes, mask: bytes) -> bytes:
    """One whole message of a client as it goes over the wire."""
    opcode, payload = (Opcode.TEXT, message.encode()) if isinstance(message, str) else (Opcode.BINARY, message)
    size = len(payload)
    if size < 126:
        header = bytes((_FINAL | opcode, _MASKED | size))
    elif size < 1 << 16:
        header = bytes((_FINAL | opcode, _MASKED | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((_FINAL | opcode, _MASKED | 127)) + size.to_bytes(8, "big")
    return header + mask + apply_mask(payload, mask)


class CheapClient(ClientConnection):
    """A connection without extensions. Whole messages on an open one go straight to its transport, the rest as ever."""

    def post(self, message: str | bytes) -> bool:
        """Sends a whole message without waiting. False when that is not possible now: `send` says why, or waits."""
        in_pieces = getattr(self, _IN_PIECES)  # another message, of which more is to come
        if self.protocol.state is not State.OPEN or in_pieces is not None or self.paused:
            return False
        self.transport.write(masked_frame(message, _masks.next()))
        return True

    async def send(self, message: Any, *, text: bool | None = None) -> None:
        is_whole = text is None and isinstance(message, str | bytes)
        if not (is_whole and self.post(message)):
            await super().send(message, text=text)
        elif self.paused:
            await self.drain()
