"""What Twilio's REST API does for a gateway: calls, their recordings, messages. `rest.py` and others are its fronts."""

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from agents.errors import ChannelError
from channels.carrier.account import Account, Callee, Message, RestRequest
from channels.carrier.call import Dial, place_call
from channels.carrier.call_recording import CallRecording
from channels.carrier.caller import Script
from channels.carrier.live_call import Given, LiveCall
from channels.carrier.messages import tell_delivered
from channels.carrier.outbound import Outbound
from channels.carrier.rest_forms import (
    Form,
    RestError,
    read_new_call,
    read_new_message,
    read_new_recording,
    read_recording_update,
    read_update,
)
from channels.carrier.rest_json import call_json, error_json, message_json, recording_json
from channels.carrier.sids import new_sid

MAX_PLACED: Final = 500
"""So many calls that the service placed may go on at once; a process keeps time for no more."""

CURRENT_RECORDING: Final = "Twilio.CURRENT"
"""Stands for the SID of a call's latest recording."""

Json = dict[str, Any]
RestAnswer = tuple[int, Json]
"""An HTTP status, and what is told with it."""

_Answer = Callable[..., Awaitable[RestAnswer]]


class RestApi:
    """The API of one account. An async context manager: the calls that the service places run in it.

    At the end those are hung up and awaited.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        call, recording = r"/Calls/(?P<sid>[^/]+)", r"/Recordings/(?P<recording_sid>[^/]+)"
        self._routes: Mapping[str, Mapping[str, _Answer]] = {
            r"/Calls\.json": {"POST": self._create_call},
            rf"{call}\.json": {"GET": self._fetch_call, "POST": self._update_call},
            rf"{call}/Recordings\.json": {"POST": self._create_recording},
            rf"{call}{recording}\.json": {"POST": self._update_recording},
            r"/Messages\.json": {"POST": self._create_message},
        }

    async def __aenter__(self) -> Self:
        self._placed = await asyncio.TaskGroup().__aenter__()
        self._is_placing: set[str] = set()
        self._answering: set[asyncio.Task[RestAnswer]] = set()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        for request in self._answering:
            request.cancel()
        await asyncio.sleep(0)  # lets a call that one of them has just placed begin, so that it can be hung up
        for sid in self._is_placing:
            if call := self._account.calls.get(sid):
                call.order("agent", "hung up: the account is closed")
        if isinstance(exc, Exception):  # comes out as it is, once those calls are over
            exc_type = exc = tb = None
        await self._placed.__aexit__(exc_type, exc, tb)

    async def answer_anyhow(
        self, method: str, path: str, form: Form, *, authorization: str = "", idempotency_token: str | None = None
    ) -> RestAnswer:
        """The same, and carries the request out even when nobody waits for the answer any more, as Twilio does.

        Those that are not carried out by the end never are.
        """
        answering = self.answer(method, path, form, authorization=authorization, idempotency_token=idempotency_token)
        request = self._placed.create_task(answering, name=f"REST {method} {path}")
        self._answering.add(request)
        request.add_done_callback(self._answering.discard)
        return await asyncio.shield(request)

    async def answer(
        self, method: str, path: str, form: Form, *, authorization: str = "", idempotency_token: str | None = None
    ) -> RestAnswer:
        """Notes a request, asks for credentials, fails or is late where it was told to. Errors are in Twilio's form."""
        account = self._account
        noted = {name: tuple(values) for name, values in form.items()}
        account.requests.append(RestRequest(method, path, noted, idempotency_token))
        await asyncio.sleep(account.api_delay_s)
        try:
            if not account.admits(*_credentials(authorization)):
                raise RestError(401, 20003, "Authenticate")
            if failure := account.next_failure(path):
                raise RestError(failure.status, failure.code, failure.message)
            answer = await self._route(method, path, form)
            await asyncio.sleep(account.next_lateness_s(path))
            return answer
        except RestError as error:
            return error.failure.status, error_json(error.failure)

    async def _route(self, method: str, path: str, form: Form) -> RestAnswer:
        base = f"/2010-04-01/Accounts/{self._account.sid}"
        for pattern, answers in self._routes.items():
            if path.startswith(base) and (found := re.fullmatch(pattern, path.removeprefix(base))):
                if method not in answers:
                    raise RestError(405, 20004, "Method not allowed")
                return await answers[method](form, **found.groupdict())
        raise _not_found(path)

    # ---- calls ----

    async def _create_call(self, form: Form) -> RestAnswer:
        account, new = self._account, read_new_call(form)
        if not account.public_url:
            raise RestError(500, 20500, "the simulated account knows of no service to call back: set its public_url")
        if len(self._is_placing) >= MAX_PLACED:
            raise RestError(429, 20429, f"{MAX_PLACED} calls that were placed go on already")
        callee = account.callees.get(new.to, Callee())
        outbound = Outbound(
            first=new.first,
            party=callee.party,
            timeout_s=new.timeout_s,
            time_limit_s=new.time_limit_s,
            status_callback=new.status_callback,
            status_events=new.status_events,
            send_digits=new.send_digits,
            machine=callee.machine,
            detection=new.detection,
            detection_timeout_s=new.detection_timeout_s,
            amd_callback=new.amd_callback,
        )
        dial = Dial(
            public_url=account.public_url,
            local_url=account.local_url,
            auth_token=account.auth_token,
            account_sid=account.sid,
            from_number=new.sender,
            to_number=new.to,
            outbound=outbound,
            reconnect_s=account.reconnect_s,
            fallback_url=new.fallback_url,
        )
        self._is_placing.add(dial.call_sid)
        self._placed.create_task(self._place(dial, callee.script), name=f"placed call {dial.call_sid}")
        await asyncio.sleep(0)  # lets the call begin, so that it is known when the answer is read
        return 201, call_json(self._call(dial.call_sid))

    async def _place(self, dial: Dial, script: Script) -> None:
        try:
            account = self._account
            report = await place_call(dial, script, account=account, app=account.app, network=account.network)
        finally:
            self._is_placing.discard(dial.call_sid)
        self._account.reports.append(report)

    async def _fetch_call(self, form: Form, sid: str) -> RestAnswer:
        return 200, call_json(self._call(sid))

    async def _update_call(self, form: Form, sid: str) -> RestAnswer:
        call = self._call(sid)
        update = read_update(form)
        if call.is_over or (update.after and call.status != "in-progress"):
            raise RestError(400, 21220, "Call is not in-progress. Cannot redirect.")
        if update.time_limit_s:
            call.limit(update.time_limit_s)
        if update.after:
            to = "the TwiML given" if isinstance(update.after, Given) else update.after.url
            call.order(update.after, f"redirected to {to}")
        elif update.status == "completed" or (update.status == "canceled" and call.status != "in-progress"):
            call.order("agent", f"hung up: {update.status}")
        return 200, call_json(call)

    # ---- recordings ----

    async def _create_recording(self, form: Form, sid: str) -> RestAnswer:
        call = self._call(sid)
        new = read_new_recording(form)
        if call.status != "in-progress":
            raise RestError(400, 21220, "Requested resource is not eligible for recording")
        try:
            recording = call.record(new.status_callback, new.status_events, new.channels)
        except ChannelError as error:
            raise RestError(400, 21220, str(error)) from None
        return 201, recording_json(recording)

    async def _update_recording(self, form: Form, sid: str, recording_sid: str) -> RestAnswer:
        call = self._call(sid)
        recording = _recording(call, recording_sid)
        status, keeps_silence = read_recording_update(form)
        if recording.is_over or not recording.has_room:
            raise RestError(400, 21220, "the recording is over, or was changed too often")
        recording.turn(status, call.now_ms(), keeps_silence=keeps_silence)
        return 200, recording_json(recording)

    # ---- messages ----

    async def _create_message(self, form: Form) -> RestAnswer:
        new = read_new_message(form)
        message = Message(
            sid=new_sid("SM"),
            to=new.to,
            sender=new.sender,
            body=new.body,
            media_urls=new.media_urls,
            status_callback=new.status_callback,
        )
        self._account.messages.append(message)
        if message.status_callback:
            self._placed.create_task(tell_delivered(self._account, message), name=f"message {message.sid}")
        return 201, message_json(message, self._account.sid)

    def _call(self, sid: str) -> LiveCall:
        call = self._account.calls.get(sid)
        if call is None:
            raise _not_found(sid)
        return call


def _recording(call: LiveCall, sid: str) -> CallRecording:
    if sid == CURRENT_RECORDING and call.recordings:
        return next(reversed(call.recordings.values()))
    if sid not in call.recordings:
        raise _not_found(sid)
    return call.recordings[sid]


def _not_found(what: str) -> RestError:
    return RestError(404, 20404, f"The requested resource {what[:200]} was not found")


def _credentials(authorization: str) -> tuple[str, str]:
    """User and password of HTTP's basic authentication, empty where there are none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password
