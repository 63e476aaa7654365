"""How long a socket has been too full to be written to. Pure: time is an argument."""

from typing import Final

MAX_BLOCKED_S: Final = 10.0
"""Who does not read for so long is not waited for: what is to be sent would pile up."""


class Pressure:
    """Follows the `pause_writing` and `resume_writing` of one socket."""

    def __init__(self) -> None:
        self._since: float | None = None

    def begin(self, at: float) -> None:
        """The socket is full."""
        if self._since is None:
            self._since = at

    def end(self) -> None:
        """It has room again."""
        self._since = None

    def is_too_long(self, at: float) -> bool:
        """Whether it has been full for MAX_BLOCKED_S."""
        return self._since is not None and at - self._since > MAX_BLOCKED_S
