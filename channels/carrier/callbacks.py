"""Status callbacks: posted beside the call, one after the other, unless the network puts them out of order."""

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

from agents.errors import ChannelError
from channels.carrier.network import Network
from channels.carrier.webhooks import Webhooks

REORDER_S: Final = 2.0
"""So late, at most, is a callback that others may overtake."""

MAX_WAITING: Final = 1000
"""So many callbacks may wait for a service that answers none; what comes on top is lost."""


class Callbacks:
    """The callbacks of one call. `complain` gets what went wrong with each of them."""

    def __init__(self, webhooks: Webhooks, network: Network | None, complain: Callable[[str], None]) -> None:
        self._webhooks = webhooks
        self._deliveries = 2 if network and network.duplicate_callbacks else 1
        self._random = Random(f"{network.seed} callbacks").random if network and network.reorder_callbacks else None
        self._complain = complain
        self._waiting: asyncio.Queue[tuple[str, Mapping[str, str]] | None] = asyncio.Queue()

    def put(self, url: str, params: Mapping[str, str]) -> None:
        """Posts a callback as soon as those before it are answered."""
        if self._waiting.qsize() < MAX_WAITING:
            self._waiting.put_nowait((url, params))
        else:
            self._complain(f"more than {MAX_WAITING} callbacks waited for {url}")

    def end(self) -> None:
        """Nothing is put after this."""
        self._waiting.put_nowait(None)

    async def run(self) -> None:
        """Posts them until the last of the call is answered."""
        async with asyncio.TaskGroup() as tasks:
            while (callback := await self._waiting.get()) is not None:
                if self._random is None:
                    await self._post(*callback, late_s=0.0)
                else:
                    late_s = self._random() * REORDER_S
                    tasks.create_task(self._post(*callback, late_s=late_s), name="carrier callback")

    async def _post(self, url: str, params: Mapping[str, str], *, late_s: float) -> None:
        await asyncio.sleep(late_s)
        try:
            await self._webhooks.notify(url, params, deliveries=self._deliveries)
        except ChannelError as error:
            self._complain(str(error))
