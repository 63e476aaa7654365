"""The media stream's door: proves that the socket is Twilio's and whose call it is, then hands it to the call."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.websockets import WebSocket

from agents.errors import ChannelError
from channels.media_socket import MediaSocket
from channels.media_streams import Connected, Media, Start
from gateway.calls import Calls
from gateway.log import current_call
from gateway.settings import Settings
from gateway.signature import SignatureChecker

log = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 5.0
"""Twilio sends `start` at once; who is silent for so long is not Twilio."""

MAX_UNPROVEN: Final = 100
"""Sockets that may stand at the door at once."""

POLICY_VIOLATION: Final = 1008


def media_endpoint(
    settings: Settings, calls: Calls, checker: SignatureChecker
) -> Callable[[WebSocket], Awaitable[None]]:
    """The WebSocket endpoint for media streams."""
    unproven = 0

    async def endpoint(websocket: WebSocket) -> None:
        nonlocal unproven
        signature = websocket.headers.get("X-Twilio-Signature")
        if unproven >= MAX_UNPROVEN or not checker.is_signed_upgrade(settings.media_url, signature):
            log.warning("refused a media stream that Twilio did not sign for %s", settings.media_url)
            await websocket.close(POLICY_VIOLATION)
            return
        await websocket.accept()
        socket = MediaSocket(websocket)
        unproven += 1
        try:
            start = await _start(socket)
            current_call.set(start.call_sid)
            if settings.account_sid not in (None, start.account_sid):
                raise ChannelError("the stream is of another account")
            call = calls.claim(start, start.parameters.get("token", ""))
            is_over = call.channel.attach(socket, start.stream_sid)
        except ChannelError as error:
            log.warning("refused a media stream: %s", error)
            await socket.close(POLICY_VIOLATION)
            return
        finally:
            unproven -= 1
        await is_over.wait()
        await socket.close()

    return endpoint


async def _start(socket: MediaSocket) -> Start:
    """Waits for `start`. Raises ChannelError when something without sense comes first, or none in time."""
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                match await socket.receive(START_TIMEOUT_S):
                    case Start() as start:
                        return start
                    case Connected() | Media():
                        continue  # audio of a stream that has not begun is nobody's
                    case None:
                        raise ChannelError("closed before its start message")
                    case other:
                        raise ChannelError(f"{type(other).__name__} before its start message")
    except TimeoutError:
        raise ChannelError(f"no start message within {START_TIMEOUT_S:g} s") from None
