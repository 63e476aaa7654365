"""What a worker is told by its supervisor as it starts, and the line between them, which ends with either."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from typing import Final

from agents.errors import ConfigError
from gateway.settings import Settings

READY: Final = b"ready"
"""What a worker says once, when it answers."""

POST_TIMEOUT_S: Final = 10.0
"""A supervisor tells a worker its post as soon as it has started it."""

MAX_POST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Post:
    """Worker `number`, counted from 1, of so many. The descriptors are inherited.

    `invented_token` is the secret that the supervisor made up, where the environment holds none.
    """

    number: int
    workers: int
    listeners: tuple[int, ...]
    board: int
    folder: str
    invented_token: str | None = field(default=None, repr=False)

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_bytes(cls, text: bytes) -> "Post":
        """Raises ConfigError for what is no post."""
        try:
            told = json.loads(text)
            return cls(**told | {"listeners": tuple(told["listeners"])})
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError("--worker is for the service's own use: `--workers 2` starts two of them") from error

    @property
    def sockets(self) -> Path:
        """The folder with the sockets of all workers."""
        return Path(self.folder)

    def settings(self, settings: Settings) -> Settings:
        """The service's settings as this worker's."""
        mine: dict[str, object] = {"worker": self.number}
        if self.invented_token:
            mine |= {"auth_tokens": (self.invented_token,), "has_invented_token": True}
        return settings.model_copy(update=mine)

    def environment(self, environment: Mapping[str, str], speech_workers: int) -> dict[str, str]:
        """The service's environment as this worker's: it has its share of the processes that listen and speak."""
        return {**environment, "SPEECH_WORKERS": f"{ceil(speech_workers / self.workers)}"}


class ParentLine:
    """A worker's end of the line to its supervisor."""

    def __init__(self, descriptor: int) -> None:
        """Raises ConfigError when there is nobody at the other end."""
        try:
            os.fstat(descriptor)
            self.socket = socket.socket(fileno=descriptor)
        except OSError as error:
            raise ConfigError("--worker is for the service's own use: `--workers 2` starts two of them") from error

    def post(self) -> Post:
        """Waits for what the supervisor says, at most POST_TIMEOUT_S. Raises ConfigError when that is nothing."""
        self.socket.settimeout(POST_TIMEOUT_S)
        text = b""
        try:
            while not text.endswith(b"\n") and len(text) < MAX_POST_BYTES:
                piece = self.socket.recv(MAX_POST_BYTES)
                if not piece:
                    break
                text += piece
        except OSError:
            text = b""
        self.socket.setblocking(False)
        return Post.from_bytes(text)

    def say_ready(self) -> None:
        """Does nothing when nobody listens any more: that is noticed elsewhere."""
        try:
            self.socket.send(READY)
        except OSError:
            return
