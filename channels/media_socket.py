"""Twilio's WebSocket, as messages: every wait bounded, nonsense counted, endings made harmless."""

import asyncio
import contextlib
import logging
from collections.abc import MutableMapping
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from agents.errors import ChannelError
from agents.waiting import Patience
from channels.media_streams import FromTwilio, WireError, decode

log = logging.getLogger(__name__)

SEND_TIMEOUT_S: Final = 10.0
"""Longest that a message may wait for a full socket: by then the far side is gone, or has stopped reading."""

CLOSE_TIMEOUT_S: Final = 2.0
"""Longest that closing may take; the far side's answer changes nothing."""

MAX_BAD_MESSAGES: Final = 100
"""So many messages that make no sense end a call. A few do not."""


class LineSilent(ChannelError):
    """Nothing came in the time that was given."""


class MediaSocket:
    """An accepted WebSocket that speaks Media Streams."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._patience = Patience()
        self._room = Patience()  # of sends, which wait one at a time: the line sees to it
        self._bad_messages = 0

    async def receive(self, timeout_s: float) -> FromTwilio | None:
        """The next message that makes sense; None when the far side closed the socket or dropped it.

        Raises LineSilent when `timeout_s` passes without one, ChannelError when too many made no sense.
        """
        if self._websocket.client_state is WebSocketState.DISCONNECTED:
            return None
        try:
            with self._patience.at_most(timeout_s):
                while True:
                    try:
                        return self._meaning(await self._websocket.receive())
                    except WireError as error:
                        self._refuse(error)
        except TimeoutError:
            raise LineSilent(f"nothing came from the line for {timeout_s:g} s") from None

    async def send(self, text: str) -> None:
        """Sends a message; does nothing once the socket is closed. Raises ChannelError when it stays full."""
        try:
            with self._room.at_most(SEND_TIMEOUT_S):
                await self._websocket.send_text(text)
        except TimeoutError:
            raise ChannelError(f"the line took no audio for {SEND_TIMEOUT_S:g} s") from None
        except (WebSocketDisconnect, RuntimeError):
            pass  # closed meanwhile: whoever receives learns of it

    async def close(self, code: int = 1000) -> None:
        """Closes the socket, whatever its state."""
        if self._websocket.application_state is WebSocketState.DISCONNECTED:
            return
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._websocket.close(code)

    def _meaning(self, message: MutableMapping[str, Any]) -> FromTwilio | None:
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is None:
            raise WireError("binary frame")
        return decode(text)

    def _refuse(self, error: WireError) -> None:
        self._bad_messages += 1
        if self._bad_messages >= MAX_BAD_MESSAGES:
            raise ChannelError(f"{MAX_BAD_MESSAGES} messages made no sense, the last: {error}") from None
        log.warning("ignored a message from the line: %s", error)
