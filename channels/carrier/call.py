"""A simulated Twilio: dials a service and reports what a caller gets.

The service is reached over real HTTP and WebSockets, or in this process as an ASGI application; the clock is the
running loop's, real or virtual; a Network may lie between the two.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlunsplit

from agents.errors import ChannelError
from channels.carrier import twiml
from channels.carrier.account import Account
from channels.carrier.address import is_web, joined, split
from channels.carrier.app_socket import App
from channels.carrier.callbacks import Callbacks
from channels.carrier.caller import Caller, Move, Script
from channels.carrier.distance import Distant
from channels.carrier.far_party import FarParty
from channels.carrier.in_process import InProcess
from channels.carrier.live_call import After, CutShort, Fetch, Given, LiveCall
from channels.carrier.media import open_leg
from channels.carrier.network import Network
from channels.carrier.outbound import Outbound, Progress, ring_out
from channels.carrier.over_net import OverNet
from channels.carrier.playout import Tick
from channels.carrier.reach import Reach, Unreachable
from channels.carrier.report import CallEnded, CallEvent, CallReport, EndedBy, StreamStarted
from channels.carrier.sids import new_call_sid, new_sid
from channels.carrier.twiml_verbs import Connect, Hangup, NotSimulated, Redirect, Reject, Stream, Verb
from channels.carrier.verbs import Verbs
from channels.carrier.webhooks import (
    Service,
    Webhooks,
    call_params,
    ending_params,
    progress_params,
    stream_params,
)
from channels.carrier.witness import Transcribe, Witness
from channels.media_streams import Start

VOICE_PATH: Final = "/twilio/voice"
STATUS_PATH: Final = "/twilio/status"
ACCOUNT_SID: Final = "AC" + "0" * 32

MAX_DOCUMENTS: Final = 20
"""So many TwiML documents in one call; a service that redirects in a circle would never end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Whom to call, and how.

    `public_url` is the service's address as it publishes it, and what is signed. `local_url` is where it is really
    reached; None when that is the same. `far_parties` are whom `<Dial>` may ring, by their number as TwiML has it;
    others answer after a second. `outbound` is set when the service itself placed the call: the script is then that of
    whoever answers. Raises ValueError for an address that is none.
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
    made in virtual time. `account` is whose REST API may change the call while it lasts. Raises ValueError for an `app`
    together with a `local_url`.
    """
    witness = Witness(on_event, transcribe, asyncio.get_running_loop().time())
    async with _reach(dial, app) as reach:
        call = _Call(dial, script, witness, reach, network)
        if account is not None:
            account.add(call.line)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call.callbacks.run(), name="carrier callbacks")
            tasks.create_task(witness.write_down(), name="carrier transcripts")
            await call.run()
    if recording is not None:
        await witness.save(recording)
    return witness.report(dial.call_sid, call.caller, recording)


def _reach(dial: Dial, app: App | None) -> OverNet | InProcess:
    if app is None:
        return OverNet()
    if dial.local_url is not None:
        raise ValueError(f"an application in this process has no local_url; found {dial.local_url!r}")
    return InProcess(app, dial.public_url)


class _Call:
    """One call: follows the service's TwiML, with a caller on the line who outlives each media socket."""

    def __init__(self, dial: Dial, script: Script, witness: Witness, reach: Reach, network: Network | None) -> None:
        self.caller = Caller(script, witness.tell)
        self._dial = dial
        self._witness = witness
        self._service = Service(dial.public_url, dial.local_url or dial.public_url, dial.auth_token)
        self._reach = reach
        self._network = network
        self._webhooks = Webhooks(reach if network is None else Distant(reach, network), self._service)
        self.callbacks = Callbacks(self._webhooks, network, witness.trouble)
        self.line = LiveCall(
            sid=dial.call_sid,
            account_sid=dial.account_sid,
            from_number=dial.from_number,
            to_number=dial.to_number,
            direction="outbound-api" if dial.outbound else "inbound",
            now_ms=witness.now_ms,
            leaves_after_s=script.hang_up_after_s,
            tell=witness.tell,
            post=self.callbacks.put,
        )
        self._verbs = Verbs(self.line, self.caller, self._fetch, dial.far_parties)
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
            after = await ring_out(self._dial.outbound, self.line, self._progress)
        documents = 0
        while not isinstance(after, str):
            documents += 1
            if documents > MAX_DOCUMENTS:
                raise ChannelError(f"the service's TwiML went on for more than {MAX_DOCUMENTS} documents")
            match after:
                case Fetch(url, params):
                    base_url = url
                    verbs = twiml.parse(await self._fetch(url, params))
                case Given(text):
                    verbs = twiml.parse(text)
            after = await self._run_document(verbs, base_url)
        return after

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
                return "caller" if await self._has_hung_up_in(stream, url) else next_document
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

    # ---- the stream ----

    async def _has_hung_up_in(self, stream: Stream, base_url: str) -> bool:
        """Runs one stream. False when the service ended it, or it failed, which is what Twilio goes on from."""
        dial, witness = self._dial, self._witness
        told = joined(base_url, stream.status_callback) if stream.status_callback else None
        start = Start(new_sid("MZ"), dial.call_sid, dial.account_sid, parameters=stream.parameters)
        try:
            url = self._stream_url(stream, base_url)
            signature = self._service.signature(url, {})
            async with open_leg(
                self._service.reach(url),
                start,
                signature=signature,
                tally=witness.tally,
                reach=self._reach,
                network=self._network,
            ) as leg:
                witness.tell(StreamStarted(witness.now_ms(), start.stream_sid))
                self._tell_stream(told, stream, start, "stream-started")
                has_hung_up = await leg.run(self._phone, witness.origin_s)
        except ChannelError as error:
            witness.trouble(str(error))
            self._tell_stream(told, stream, start, "stream-error", str(error))
            return False
        finally:
            self.caller.end()
        self._tell_stream(told, stream, start, "stream-stopped")
        return has_hung_up

    def _phone(self, tick: Tick) -> Move:
        move = self.caller.tick(tick)
        if self.line.is_ordered:  # which ends the stream as hanging up does, with `stop`
            move = replace(move, is_hang_up=True)
        self._witness.saw(tick, move)
        return move

    def _stream_url(self, stream: Stream, base_url: str) -> str:
        """The address that Twilio would connect to, and sign. Raises ChannelError for one that it would not."""
        parts = split(joined(base_url, stream.url))
        if not split(stream.url).scheme:
            parts = parts._replace(scheme=parts.scheme.replace("http", "ws"))
        is_local_trial = split(self._dial.public_url).scheme == "http"
        if parts.scheme != "wss" and not (parts.scheme == "ws" and is_local_trial):
            raise ChannelError(f"<Stream url={stream.url!r}> is not a wss:// address (31922)")
        if parts.query:
            self._witness.tally.warn("<Stream url> has a query string, which Twilio leaves out when it connects")
        return urlunsplit(parts._replace(query="", fragment=""))

    def _tell_stream(self, url: str | None, stream: Stream, start: Start, event: str, error: str = "") -> None:
        if url:
            params = stream_params(start.call_sid, start.account_sid, start.stream_sid, stream.name, event, error)
            self.callbacks.put(url, params)

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
