"""What Twilio asks over HTTP: what to do with a call, and what to do next; what it tells: how things went."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway import twiml
from gateway.addresses import (
    AFTER_DIAL_PATH,
    AFTER_STREAM_PATH,
    RECORDING_PATH,
    RECORDING_STATUS_PATH,
    STATUS_PATH,
    STREAM_STATUS_PATH,
    VOICE_PATH,
    VOICEMAIL_PATH,
)
from gateway.body import read_body
from gateway.busy import BusyAnswers
from gateway.call import Ended
from gateway.calls import Calls
from gateway.cold_transfer import ColdTransfer
from gateway.log import current_call, masked
from gateway.numbers import Numbers
from gateway.outbound import OutboundCalls
from gateway.outbound_webhooks import OutboundWebhooks
from gateway.placed_call import OVER
from gateway.settings import Settings
from gateway.signature import SignatureChecker
from gateway.transfer_webhooks import TransferWebhooks

log = logging.getLogger(__name__)

MAX_FIELDS: Final = 200

CALL_SID: Final = re.compile(r"[A-Za-z0-9]{1,64}")
"""Twilio's are CA and 32 hexadecimal digits; what goes into logs and addresses need be no stricter."""

Answer = Callable[[FormData], Awaitable[str]]


class Webhooks:
    """Twilio's HTTP requests. Each is answered only when it is signed over the public address and every parameter."""

    def __init__(
        self,
        settings: Settings,
        calls: Calls,
        numbers: Numbers,
        checker: SignatureChecker,
        outbound: OutboundCalls | None = None,
    ) -> None:
        self._settings = settings
        self._calls = calls
        self._numbers = numbers
        self._checker = checker
        self._busy = BusyAnswers(numbers.busy, calls.waiting, settings.addresses.of(VOICE_PATH))
        self._transfers = TransferWebhooks(calls.errands, settings.addresses)
        self._outbound = OutboundWebhooks(outbound, calls, self._connect) if outbound else None

    def routes(self) -> list[Route]:
        answers: dict[str, Answer] = {
            VOICE_PATH: self._voice,
            AFTER_STREAM_PATH: self._after_stream,
            STATUS_PATH: self._status,
            STREAM_STATUS_PATH: self._stream_status,
            VOICEMAIL_PATH: self._voicemail,
            AFTER_DIAL_PATH: self._after_dial,
            RECORDING_STATUS_PATH: self._recording_status,
            **self._transfers.answers,
            **(self._outbound.answers if self._outbound else {}),
        }
        routes = [Route(path, self._checked(path, answer)) for path, answer in answers.items()]
        for route in routes:
            route.methods = {"GET", "POST"}  # without the HEAD that starlette adds to GET: it would open a call
        return [*routes, Route(f"{RECORDING_PATH}/{{agent}}", self._recording)]

    def _checked(self, path: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            body = await read_body(request)
            url = self._settings.base_url + request.scope.get("root_path", "") + path
            if request.url.query:
                url += f"?{request.url.query}"
            query, form = _fields(request.url.query), _fields(body)
            if query is None or form is None:
                return PlainTextResponse("not a form", 400)
            if not self._checker.is_signed(url, form, request.headers.get("X-Twilio-Signature")):
                log.warning("refused a request to %s that Twilio did not sign for %s", path, self._settings.base_url)
                return PlainTextResponse("not signed by Twilio", 403)
            fields = FormData([*query.multi_items(), *form.multi_items()])  # the form wins, as the URL is ours
            if not self._is_our_account(fields):
                log.warning("refused a request to %s for another account", path)
                return PlainTextResponse("not this account", 403)
            sid = str(fields.get("CallSid", ""))
            if not CALL_SID.fullmatch(sid):
                return PlainTextResponse("CallSid must be letters and digits, at most 64", 400)
            current_call.set(sid)
            return Response(await answer(fields), media_type="text/xml")

        return endpoint

    def _is_our_account(self, fields: FormData) -> bool:
        return self._settings.account_sid in (None, fields.get("AccountSid"))

    async def _voice(self, fields: FormData) -> str:
        sid, caller, called = (str(fields.get(name, "")) for name in ("CallSid", "From", "To"))
        agent = self._numbers.agent_for(called)
        if agent is None:
            log.info("call from %s to %s: no agent answers this number", masked(caller), masked(called))
            return twiml.hang_up(twiml.NOT_IN_SERVICE)
        parameters = {name: value for name, value in fields.items() if isinstance(value, str)}
        waiting = self._calls.waiting.find(sid)
        if waiting:  # comes back without the query parameters of the number's address
            parameters = {**waiting.parameters, **parameters}
        call = self._calls.open(sid, agent, caller, called, parameters)
        return self._connect(call.token) if call else self._no_agent(sid, parameters)

    def _no_agent(self, sid: str, parameters: Mapping[str, str]) -> str:
        """What a caller gets who is not served now."""
        waiting, why = self._calls.waiting, self._calls.why_not(sid)
        has_waited = waiting.find(sid) is not None
        if self._calls.is_welcome(sid):
            answer = self._busy.no_room(sid, parameters)
        else:
            answer = self._busy.turned_away(sid, parameters) if has_waited else twiml.busy()
        is_waiting = waiting.find(sid) is not None
        if not (has_waited and is_waiting):
            log.warning(
                "call from %s %s: %s", masked(parameters.get("From", "")), "waits" if is_waiting else "turned away", why
            )
        return answer

    def _connect(self, token: str) -> str:
        at = self._settings.addresses
        return twiml.connect(at.media, at.of(AFTER_STREAM_PATH), at.of(STREAM_STATUS_PATH), token)

    async def _after_stream(self, fields: FormData) -> str:
        """The stream is over and the caller still there: the agent ended the call, or something broke.

        Twilio does not ask it of a leg that it was told to take off its stream. If it does, the leg comes back.
        """
        sid = str(fields.get("CallSid", ""))
        call = self._calls.live(sid)
        if call and call.is_elsewhere:
            return self._connect(call.renew_token())
        await self._calls.end(sid, "line")  # live still: the stream was lost, or never came
        ended = self._calls.how_it_ended(sid)
        if ended is None:
            return twiml.hang_up(twiml.TROUBLE)
        return self._last_resort(sid, ended) if ended.broke else twiml.hang_up()

    def _last_resort(self, sid: str, ended: Ended) -> str:
        """What the agent's file says for a caller whom no model can serve.

        People whom we called hear the words alone: they want nobody of ours and have no message. Machines hear nothing.
        """
        resort, name = ended.agent.last_resort, ended.agent.name
        if self._outbound and self._outbound.is_machine(sid):
            log.warning("%s cannot go on: the machine that answered is hung up on", name)
            return twiml.hang_up()
        has_called = ended.context.direction == "inbound"
        log.warning("%s cannot go on: the caller gets the last resort", name)
        at = self._settings.addresses
        return twiml.last_resort(
            say=ended.agent.apology_for(ended.context),
            recording_url=at.of(f"{RECORDING_PATH}/{name}") if resort.recording else None,
            dial=resort.dial if has_called else None,
            voicemail_url=at.of(VOICEMAIL_PATH) if resort.voicemail and has_called else None,
        )

    async def _voicemail(self, fields: FormData) -> str:
        """The caller left a message, or none: Twilio keeps it, and says where."""
        log.info("voicemail of %s s: %s", fields.get("RecordingDuration", "0"), fields.get("RecordingSid", "none"))
        return twiml.hang_up()

    async def _recording(self, request: Request) -> Response:
        """The recorded apology of an agent, for Twilio to fetch. It is nobody's secret."""
        path = self._calls.recording(request.path_params["agent"])
        return FileResponse(path) if path else PlainTextResponse("no such recording", 404)

    async def _status(self, fields: FormData) -> str:
        if fields.get("CallStatus") in OVER:
            await self._calls.hung_up(str(fields.get("CallSid", "")))
        return twiml.nothing()

    async def _after_dial(self, fields: FormData) -> str:
        """Putting the caller through is over: they talked with somebody, or are to come back."""
        sid = str(fields.get("CallSid", ""))
        if fields.get("CallStatus") in OVER:
            await self._calls.hung_up(sid)
            return twiml.nothing()
        transfer = self._transfers.find(fields, ColdTransfer)
        if transfer:
            was_bridged = fields.get("DialBridged") != "false"
            document = transfer.dialled(str(fields.get("DialCallStatus", "")), was_bridged=was_bridged)
            if document:
                return document
        ended = self._calls.how_it_ended(sid)
        return self._last_resort(sid, ended) if ended and ended.broke else twiml.hang_up(twiml.NOT_THROUGH)

    # ---- what is only told ----

    async def _recording_status(self, fields: FormData) -> str:
        status, seconds = fields.get("RecordingStatus", "?"), fields.get("RecordingDuration", "0")
        log.info("recording %s: %s, %s s", *(str(each)[:64] for each in (fields.get("RecordingSid"), status, seconds)))
        return twiml.nothing()

    async def _stream_status(self, fields: FormData) -> str:
        if fields.get("StreamEvent") == "stream-error":
            log.warning("Twilio reports a stream error: %s", str(fields.get("StreamError", ""))[:200])
        return twiml.nothing()


def _fields(text: str | bytes) -> FormData | None:
    """Every field, the empty ones too, as they count for the signature. None for what is not a form."""
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        return FormData([*parse_qsl(decoded, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")])
    except ValueError:
        return None
