"""The request for a WebSocket as uvicorn's HTTP protocol hands it on, and the answer that refuses one."""

from asyncio import Transport
from base64 import b64decode
from collections.abc import MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

Headers = list[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]
"""What goes between an ASGI server and its application; also the scope of a connection."""


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """A request that may be agreed to. Names of `headers` are in lower case; `key` is the peer's, for the answer."""

    path: bytes
    query: bytes
    headers: Headers
    key: bytes

    @classmethod
    def read(cls, data: bytes) -> Self | None:
        """What the bytes of a whole request ask for; None when that is no WebSocket of version 13."""
        head, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        key = dict(headers).get(b"sec-websocket-key", b"")
        if not (head.startswith(b"GET ") and (b"sec-websocket-version", b"13") in headers and _is_key(key)):
            return None
        path, _, query = head.split(b" ")[1].partition(b"?")
        return cls(path, query, headers, key)

    def scope(self, config: Config, transport: Transport, state: dict[str, Any]) -> Message:
        """What the application learns of the connection. `state` is what its lifespan left for all of them."""
        return {
            "type": "websocket",
            "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(transport) else "ws",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "root_path": config.root_path,
            "path": config.root_path + unquote(self.path.decode("latin-1")),
            "raw_path": config.root_path.encode() + self.path,
            "query_string": self.query,
            "headers": self.headers,
            "subprotocols": self.subprotocols,
            "state": state.copy(),
            "extensions": {},
        }

    @property
    def subprotocols(self) -> list[str]:
        """What the peer offers to speak, in its order."""
        offered = b",".join(value for name, value in self.headers if name == b"sec-websocket-protocol")
        return [each.strip() for each in offered.decode("latin-1").split(",") if each.strip()]

    @property
    def plainest(self) -> bytes:
        """A request that is answered in the same way, with nothing in it that a strict reader may refuse."""
        return (
            b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: %b\r\n\r\n" % self.key
        )


def refusal(status: HTTPStatus) -> bytes:
    """The whole answer to a request that is not agreed to. The connection is to be closed after it."""
    head = f"HTTP/1.1 {status} {status.phrase}\r\nsec-websocket-version: 13\r\n"
    return f"{head}content-length: 0\r\nconnection: close\r\n\r\n".encode()


def _is_key(key: bytes) -> bool:
    try:
        return len(b64decode(key, validate=True)) == 16
    except ValueError:
        return False
