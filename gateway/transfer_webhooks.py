"""What Twilio asks and tells while it puts a caller through: of the legs that ring somebody else."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from starlette.datastructures import FormData

from gateway import twiml
from gateway.addresses import (
    BRIEFED_STATUS_PATH,
    BRIEFING_ANSWER_PATH,
    BRIEFING_PATH,
    DIAL_STATUS_PATH,
    WHISPER_PATH,
    Addresses,
)
from gateway.cold_transfer import ColdTransfer
from gateway.errands import Errands
from gateway.log import current_call
from gateway.warm_transfer import WarmTransfer

T = TypeVar("T", ColdTransfer, WarmTransfer)


class TransferWebhooks:
    """The answers to it, by path."""

    def __init__(self, errands: Errands, addresses: Addresses) -> None:
        self._errands = errands
        self._at = addresses
        self.answers: Mapping[str, Callable[[FormData], Awaitable[str]]] = {
            DIAL_STATUS_PATH: self._dial_status,
            WHISPER_PATH: self._whisper,
            BRIEFING_PATH: self._briefing,
            BRIEFING_ANSWER_PATH: self._briefing_answer,
            BRIEFED_STATUS_PATH: self._briefed_status,
        }

    def find(self, fields: FormData, kind: type[T]) -> T | None:
        """The transfer that Twilio means; log lines then tell of the call that it is for. None when it is forgotten."""
        errand = self._errands.find(_text(fields, "id"), kind)
        if errand:
            current_call.set(errand.call_sid)
        return errand

    async def _dial_status(self, fields: FormData) -> str:
        if transfer := self.find(fields, ColdTransfer):
            transfer.leg_told(_text(fields, "CallStatus"))
        return twiml.nothing()

    async def _whisper(self, fields: FormData) -> str:
        transfer = self.find(fields, ColdTransfer)
        return twiml.say(transfer.whisper) if transfer and transfer.whisper else twiml.nothing()

    async def _briefing(self, fields: FormData) -> str:
        transfer = self.find(fields, WarmTransfer)
        return transfer.answered(self._answer_url(fields)) if transfer else twiml.hang_up(twiml.CALLER_GONE)

    async def _briefing_answer(self, fields: FormData) -> str:
        transfer = self.find(fields, WarmTransfer)
        if transfer is None:
            return twiml.hang_up(twiml.CALLER_GONE)
        return await transfer.replied(_text(fields, "Digits"), _text(fields, "SpeechResult"), self._answer_url(fields))

    async def _briefed_status(self, fields: FormData) -> str:
        if transfer := self.find(fields, WarmTransfer):
            await transfer.leg_told(_text(fields, "CallStatus"), _text(fields, "CallSid"))
        return twiml.nothing()

    def _answer_url(self, fields: FormData) -> str:
        return self._at.of(BRIEFING_ANSWER_PATH, _text(fields, "id"))


def _text(fields: FormData, name: str) -> str:
    return str(fields.get(name, ""))
