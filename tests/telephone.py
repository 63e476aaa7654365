"""A telephone call that can be controlled, in a test's hands: it does what it is told, and says what it was asked."""

import asyncio

from agents.call_control import Destination, Outcome
from agents.errors import ToolError


class Telephone:
    """`asked` has all that was asked of it, in order. `outcome` comes of ringing somebody, after `rings_s`."""

    def __init__(self, outcome: Outcome = "answered", *, rings_s: float = 2.0) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.outcome = outcome
        self.rings_s = rings_s
        self.refusal: ToolError | None = None
        self.has_hung_up_on_them = False
        self._is_recording = False

    def _ask(self, *what: object) -> None:
        self.asked.append(what)
        if self.refusal:
            raise self.refusal

    async def transfer(self, to: Destination, *, ring_s: float, whisper: str | None) -> Outcome:
        self._ask("transfer", to.address, ring_s, whisper)
        await asyncio.sleep(self.rings_s)
        return self.outcome

    async def warm_transfer(self, to: Destination, *, ring_s: float, briefing: str) -> Outcome:
        self._ask("warm_transfer", to.address, ring_s, briefing)
        try:
            await asyncio.sleep(self.rings_s)
        except asyncio.CancelledError:
            self.has_hung_up_on_them = True
            raise
        return self.outcome

    async def send_digits(self, digits: str) -> None:
        self._ask("send_digits", digits)

    async def send_sms(self, to: str, text: str, *, sender: str | None) -> None:
        self._ask("send_sms", to, text, sender)

    async def start_recording(self) -> None:
        self._ask("start_recording")
        self._is_recording = True

    async def pause_recording(self) -> bool:
        if not self._is_recording:
            return False
        self._ask("pause_recording")
        self._is_recording = False
        return True

    @property
    def is_recording(self) -> bool:
        return self._is_recording
