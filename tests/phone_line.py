"""The far side of a starlette WebSocket, in memory: a test says Twilio's messages and reads what Twilio was sent."""

import asyncio
import json
from base64 import b64decode
from typing import Any, Self

from starlette.types import Message
from starlette.websockets import WebSocket

from channels.media_socket import MediaSocket

STREAM = "MZ" + "2" * 32
CALL = "CA" + "1" * 32
ACCOUNT = "AC" + "0" * 32


class PhoneLine:
    """A pair of ASGI callables with an accepted WebSocket between them.

    While `takes` is cleared the socket is full; `failure` is raised by everything that is sent.
    """

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.failure: Exception | None = None
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self.websocket = WebSocket({"type": "websocket", "headers": []}, self._incoming.get, self._take)
        self.socket = MediaSocket(self.websocket)

    @classmethod
    async def accepted(cls) -> Self:
        line = cls()
        await line.websocket.accept()
        line.sent.clear()
        return line

    # ---- what Twilio does ----

    def say(self, text: str) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, data: bytes) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "bytes": data})

    def drop(self, code: int = 1006) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": code})

    # ---- what Twilio was sent ----

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(message["text"]) for message in self.sent if message["type"] == "websocket.send"]

    @property
    def events(self) -> list[str]:
        return [message["event"] for message in self.messages]

    @property
    def payloads(self) -> list[bytes]:
        return [b64decode(message["media"]["payload"]) for message in self.messages if message["event"] == "media"]

    @property
    def marks(self) -> list[str]:
        return [message["mark"]["name"] for message in self.messages if message["event"] == "mark"]

    @property
    def close_codes(self) -> list[int]:
        return [message["code"] for message in self.sent if message["type"] == "websocket.close"]

    async def _take(self, message: Message) -> None:
        await self.takes.wait()
        if self.failure:
            raise self.failure
        self.sent.append(message)
        if message["type"] == "websocket.close":
            self.drop(message["code"])
