"""The calls of one worker of several, which have one limit together: what each has stands on the board."""

import logging
from collections.abc import Mapping
from typing import Any

from gateway.call import Call
from gateway.calls import Calls
from gateway.workers.board import BoardHeld, State
from gateway.workers.slot import Slot

log = logging.getLogger(__name__)


class SharedCalls(Calls):
    """Calls as one process alone has them, each let in while no other worker lets one in."""

    def __init__(self, slot: Slot, *given: Any, **named: Any) -> None:
        """`given` and `named` are those of Calls."""
        super().__init__(*given, **named)
        self._slot = slot

    @property
    def everywhere(self) -> int:
        return len(self) + self._slot.others_live()

    def open(
        self,
        sid: str,
        agent: str,
        caller: str,
        called: str,
        parameters: Mapping[str, str],
        *,
        placed: Mapping[str, str] | None = None,
        message: str | None = None,
    ) -> Call | None:
        """As Calls has it. None also when another worker does not let go of the board."""
        try:
            with self._slot.alone():
                call = super().open(sid, agent, caller, called, parameters, placed=placed, message=message)
                self.tell()
                if call is None:
                    self._slot.remember(sid)  # who waits for room, waits here
                return call
        except BoardHeld as error:
            log.error("a call is not let in: %s", error)
            return None

    def take_room(self) -> bool:
        try:
            with self._slot.alone():
                has_room = super().take_room()
                self._slot.tell(self._live, self.expected + has_room)
                return has_room
        except BoardHeld as error:
            log.error("a call is not placed: %s", error)
            return False

    def drain(self) -> None:
        self._slot.set_state(State.DRAINING)
        super().drain()

    async def hung_up(self, sid: str) -> None:
        if self.live(sid) is None:
            self._slot.remember(sid)
        await super().hung_up(sid)

    def tell(self) -> None:
        """Writes on the board what is so now. To be called when calls have ended, and from time to time."""
        self._slot.tell(self._live, self.expected)

    async def _serve(self, call: Call, replacing: Call | None) -> None:
        try:
            await super()._serve(call, replacing)
        finally:
            self.tell()
