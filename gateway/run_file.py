"""Tells `voice-gateway call` how to reach the service that runs here: a file that only its user can read."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from agents.errors import ConfigError


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
    """The service on that port, or the one started last. Raises ConfigError when none has left a file."""
    paths = [folder() / f"{port}.json"] if port else sorted(folder().glob("*.json"), key=_age)
    for path in paths:
        try:
            return RunFile.model_validate_json(path.read_text())
        except (OSError, ValueError):
            continue
    where = f" on port {port}" if port else ""
    raise ConfigError(f"no gateway is running here{where}; start one with `make run`, or give --url and --auth-token")


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0
