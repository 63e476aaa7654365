"""Opens the port that all workers have in common."""

import socket
from typing import Final

from agents.errors import ConfigError

BACKLOG: Final = 2048
"""Connections that may wait until a worker takes them: as many as uvicorn lets wait."""


def listening(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of the host, with `listen` done. Raises ConfigError when one cannot be had."""
    opened: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ):
            # The protocol is named because asyncio turns Nagle's 40 ms waits off only for sockets that have it.
            listener = socket.socket(family, kind, protocol or socket.IPPROTO_TCP)
            opened.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
    except OSError as error:
        for listener in opened:
            listener.close()
        raise ConfigError(f"cannot listen on {host}, port {port}: {error.strerror}") from error
    return opened
