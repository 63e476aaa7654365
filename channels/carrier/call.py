"""A simulated Twilio: dials a service and reports what a caller gets.

The service is reached over real HTTP and WebSockets, or in this process as an ASGI application; the clock is the
running loop's, real or virtual; a Network may lie between the two.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agents.errors import ChannelError
from channels.carrier import twiml
from channels.carrier.account import Account
from channels.carrier.address import is_web, joined
from channels.carrier.app_socket import App
from channels.carrier.callbacks import Callbacks
from channels.carrier.caller import Caller, Script
from channels.carrier.distance import Distant
from channels.carrier.far_party import FarParty
from channels.carrier.in_process import InProcess
from channels.carrier.live_call import After, CutShort, Fetch, Given, LiveCall
from channels.carrier.machine import MachineCaller
from channels.carrier.network import Network
from channels.carrier.outbound import Outbound, Progress, ring_out
from channels.carrier.over_net import OverNet
from channels.carrier.reach import Reach, Unreachable
from channels.carrier.report import CallEnded, CallEvent, CallReport, EndedBy
from channels.carrier.sids import new_call_sid
from channels.carrier.streams import RECONNECT_S, Streams
from channels.carrier.twiml_verbs import Connect, Hangup, NotSimulated, Redirect, Reject, Verb
from channels.carrier.verbs import Verbs
from channels.carrier.webhooks import Service, Webhooks, call_params, ending_params, progress_params
from channels.carrier.witness import Transcribe, Witness

VOICE_PATH: Final = "/twilio/voice"
STATUS_PATH: Final = "/twilio/status"
ACCOUNT_SID: Final = "AC" + "0" * 32

MAX_DOCUMENTS: Final = 20
"""So many TwiML documents in one call; a service that redirects in a circle would never end."""


NO_CODE: Final = "11200"
"""Twilio's code for a document that could not be had, where no other is known."""

_CODE: Final = re.compile(r"\(([0-9]{5})\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Whom to call, and how.

    `public_url` is the service's address as it publishes it, and what is signed. `local_url` is where it is really
    reached; None when that is the same. `far_parties` are whom `<Dial>` may ring, by their number as TwiML has it;
    others answer after a second. `outbound` is set when the service itself placed the call: the script is then that of
    whoever answers. `reconnect_s` passes before a stream that follows another. `fallback_url` is asked for TwiML where
    another address has none. Raises ValueError for an address that is none.
    """

    public_url: str
    local_url: str | None = None
    auth_token: str = field(repr=False)
    account_sid: str = ACCOUNT_SID
    from_number: str = "+15550100100"
    to_number: str = "+15550100200"
    call_sid: str = field(default_factory=new_call_sid)
    far_parties: Mapping[str, FarParty] = field(default_factory=dict)
    outbound: Outbound | None = None
    reconnect_s: float = RECONNECT_S
    fallback_url: str | None = None

    def __post_init__(self) -> None:
        for name, url in (("public_url", self.public_url), ("local_url", self.local_url)):
            if url is not None and not is_web(url):
                raise ValueError(f"{name} is {url!r}; an address like http://127.0.0.1:8080 is needed")


async def place_call(
    dial: Dial,
    script: Script,
    *,
    on_event: Callable[[CallEvent], None] = lambda event: None,
    transcribe: Transcribe | None = None,
    recording: Path | None = None,
    network: Network | None = None,
    app: App | None = None,
    account: Account | None = None,
) -> CallReport:
    """Makes one call and returns when it is over, told of and written down.

    Whatever the service does ends in the report, not in an exception. `on_event` is called in the order in which
    things became known; what it raises ends the call and comes out in an ExceptionGroup. `transcribe` runs beside the
    call, one stretch of the agent's sound at a time. `recording` is a WAV file to write, the caller on the left.
    `network` is what lies between the carrier and the service; None is the way as it is. `app` is the service as an
    ASGI application that is started already (`in_process.started`): then nothing goes over sockets, and the call may be
    made in virtual time. `account` is whose REST API may change the call while it lasts, and whose conferences it may
    be put into. Raises ValueError for an `app` together with a `local_url`.
    """
    witness = Witness(on_event, transcribe, asyncio.get_running_loop().time())
    async with reach_to(app, dial.public_url, dial.local_url) as reach:
        call = _Call(dial, script, witness, reach, network, account)
        if account is not None:
            account.add(call.line)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call.callbacks.run(), name="carrier callbacks")
            tasks.create_task(witness.write_down(), name="carrier transcripts")
            await call.run()
    if recording is not None:
        await witness.save(recording)
    return witness.report(dial.call_sid, call.caller, recording)


def reach_to(app: App | None, public_url: str, local_url: str | None) -> OverNet | InProcess:
    """The way to a service: over the network, or to an application in this process. Raises ValueError for both."""
    if app is None:
        return OverNet()
    if local_url is not None:
        raise ValueError(f"an application in this process has no local_url; found {local_url!r}")
    return InProcess(app, public_url)


class _Call:
    """One call: follows the service's TwiML, with a caller on the line who outlives each media socket."""

    def __init__(
        self,
        dial: Dial,
        script: Script,
        witness: Witness,
        reach: Reach,
        network: Network | None,
        account: Account | None,
    ) -> None:
        machine = dial.outbound.machine if dial.outbound else None
        self.caller = MachineCaller(machine, witness.tell) if machine else Caller(script, witness.tell)
        self._dial = dial
        self._witness = witness
        service = Service(dial.public_url, dial.local_url or dial.public_url, dial.auth_token)
        self._webhooks = Webhooks(reach if network is None else Distant(reach, network), service)
        self.callbacks = Callbacks(self._webhooks, network, witness.trouble)
        self.line = LiveCall(
            sid=dial.call_sid,
            account_sid=dial.account_sid,
            from_number=dial.from_number,
            to_number=dial.to_number,
            direction="outbound-api" if dial.outbound else "inbound",
            now_ms=witness.now_ms,
            leaves_after_s=None if machine else script.hang_up_after_s,
            talks_s=dial.outbound.party.talks_s if dial.outbound else None,
            tell=witness.tell,
            post=self.callbacks.put,
        )
        self._streams = Streams(self.line, self.caller, witness, service, reach, network, dial.reconnect_s)
        self._verbs = Verbs(
            self.line, self.caller, self._fetch, dial.far_parties, account.rooms if account is not None else None
        )
        self._progress = Progress(dial.outbound, self.line, self._params) if dial.outbound else None

    async def run(self) -> None:
        """Dials, goes from document to document until somebody ends the call, and tells how it ended."""
        witness = self._witness
        by: EndedBy = "carrier-error"
        is_reachable = True
        try:
            by = await self._follow()
        except ChannelError as error:
            is_reachable = not isinstance(error, Unreachable)
            witness.trouble(str(error))
        ended_ms = witness.now_ms()
        if by == "agent" and self.caller.unsaid:
            witness.trouble(f"the agent ended the call with {self.caller.unsaid} of the caller's utterances unsaid")
        self._tell_end(by, ended_ms, is_reachable)
        self.callbacks.end()
        witness.tell(CallEnded(ended_ms, by))

    # ---- TwiML ----

    async def _follow(self) -> EndedBy:
        base_url = self._public(VOICE_PATH)
        after: After = Fetch(base_url)
        if self._dial.outbound and self._progress:
            after = await ring_out(self._dial.outbound, self.line, self._progress, self.caller.hear_keys)
            self.caller.answered(self.line.answered_ms)
        documents = 0
        while not isinstance(after, str):
            documents += 1
            if documents > MAX_DOCUMENTS:
                raise ChannelError(f"the service's TwiML went on for more than {MAX_DOCUMENTS} documents")
            match after:
                case Fetch():
                    base_url, verbs = await self._document(after)
                case Given(text):
                    verbs = twiml.parse(text)
            after = await self._run_document(verbs, base_url)
        return after

    async def _document(self, fetch: Fetch) -> tuple[str, tuple[Verb, ...]]:
        """A document, and where it came from: the fallback address, when there is one and the other has no TwiML."""
        try:
            return fetch.url, twiml.parse(await self._fetch(fetch.url, fetch.params))
        except ChannelError as error:
            fallback_url = self._dial.fallback_url
            if fallback_url is None:
                raise
            self._witness.tally.warn(f"the fallback address is asked: {error}")
            code = _CODE.search(str(error))
            failed = {"ErrorCode": code[1] if code else NO_CODE, "ErrorUrl": fetch.url}
            return fallback_url, twiml.parse(await self._fetch(fallback_url, {**fetch.params, **failed}))

    async def _fetch(self, url: str, params: Mapping[str, str]) -> bytes:
        return await self._webhooks.fetch(url, {**self._params(self.line.status), **params})

    async def _run_document(self, verbs: tuple[Verb, ...], url: str) -> After:
        """Runs one document that was fetched from `url`. At its end the call is over, or another document follows."""
        if not (verbs and isinstance(verbs[0], Reject)):
            self.line.answer()
        try:
            self.line.check()
            for verb in verbs:
                after = await self._run_verb(verb, url)
                self.line.check()
                if after is not None:
                    return after
        except CutShort as cut:
            return cut.after
        return "agent"

    async def _run_verb(self, verb: Verb, url: str) -> After | None:
        match verb:
            case Connect(stream, action):
                next_document = None if action is None else Fetch(joined(url, action))
                return "caller" if await self._streams.run(stream, url) else next_document
            case Redirect(next_url):
                return Fetch(joined(url, next_url))
            case Hangup():
                return "agent"
            case Reject() if self.line.answered_ms is not None:
                raise ChannelError("the service's TwiML has <Reject> for a call that has been answered")
            case Reject():
                return "rejected"
            case NotSimulated(what, why):
                raise ChannelError(f"the service's TwiML has {what}, {why}")
            case others:
                return await self._verbs.carry_out(others, url)

    # ---- small facts ----

    def _tell_end(self, by: EndedBy, ended_ms: int, is_reachable: bool) -> None:
        line = self.line
        line.end("busy" if by == "rejected" else line.status if by == "unanswered" else "completed")
        if self._progress:
            talked_ms = 0 if line.answered_ms is None else ended_ms - line.answered_ms
            self._progress.tell("completed", line.status, ending_params(talked_ms // 1000))
        elif is_reachable:
            params = self._params(line.status) | ending_params(ended_ms // 1000) | progress_params(0)
            line.post(self._public(STATUS_PATH), params)

    def _params(self, status: str) -> dict[str, str]:
        dial = self._dial
        return call_params(
            dial.call_sid, dial.account_sid, dial.from_number, dial.to_number, status, self.line.direction
        )

    def _public(self, path: str) -> str:
        return self._dial.public_url.rstrip("/") + path
