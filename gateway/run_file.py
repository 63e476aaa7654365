"""Tells `voice-gateway call` how to reach the service that runs here: a file that only its user can read."""

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from agents.errors import ConfigError

CONNECT_TIMEOUT_S: Final = 0.2
"""A service on this machine takes a connection at once, or is not there."""


class RunFile(BaseModel):
    """A running service. `auth_token` is None when it is a real one, which is never written down."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    public_url: str
    account_sid: str
    auth_token: str | None = Field(repr=False)


def folder() -> Path:
    """Where run files are, one for each port."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "voice-gateway"


@contextmanager
def shared(port: int, run: RunFile) -> Iterator[Path]:
    """Keeps the file while the service runs."""
    path = folder() / f"{port}.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(run.model_dump_json())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def read(port: int | None = None) -> RunFile:
    """The service on that port, or the one started last. Raises ConfigError when none has left a file.

    A service that was killed leaves its file behind: without a port, one that answers goes before all that do not.
    """
    paths = [folder() / f"{port}.json"] if port else sorted(folder().glob("*.json"), key=_age)
    runs = list(_runs(paths))
    if runs:
        return next(filter(_answers, runs), runs[0])
    where = f" on port {port}" if port else ""
    raise ConfigError(f"no gateway is running here{where}; start one with `make run`, or give --url and --auth-token")


def _runs(paths: Iterable[Path]) -> Iterator[RunFile]:
    for path in paths:
        try:
            yield RunFile.model_validate_json(path.read_text())
        except (OSError, ValueError):
            continue


def _answers(run: RunFile) -> bool:
    try:
        parts = urlsplit(run.url)
        with socket.create_connection((parts.hostname or "", parts.port or 80), CONNECT_TIMEOUT_S):
            return True
    except (OSError, ValueError, OverflowError):
        return False


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0
