"""What waits for a line to tell what a cut has turned out to be."""

import asyncio
from collections.abc import Generator
from typing import Any

from agents.events import Heard
from channels.playback import Cut


class CutWait:
    """What a cut will turn out to have been. Any number may wait, each may be cancelled."""

    def __init__(self, cut: Cut) -> None:
        self.cut = cut
        self._heard: asyncio.Future[tuple[Heard, ...]] = asyncio.get_running_loop().create_future()
        self._patience: asyncio.TimerHandle | None = None

    def __await__(self) -> Generator[Any, None, tuple[Heard, ...]]:
        return asyncio.shield(self._heard).__await__()

    def expect(self, timeout_s: float) -> None:
        """Ends in so long, unless it has ended before."""
        if not self._heard.done():
            self._patience = asyncio.get_running_loop().call_later(timeout_s, self.end)

    def end(self) -> None:
        """Lets all know that wait, unless they do."""
        if self._patience:
            self._patience.cancel()
        if not self._heard.done():
            self._heard.set_result(self.cut.heard)
