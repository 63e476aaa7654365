"""A simulated Twilio: dials a service over real HTTP and WebSocket, in real time, and reports what a caller gets."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

import aiohttp

from agents.errors import ChannelError
from channels.carrier import twiml
from channels.carrier.caller import Caller, Move, Script
from channels.carrier.media import open_leg
from channels.carrier.playout import Tick
from channels.carrier.report import CallEnded, CallEvent, CallReport, CarrierSaid, EndedBy, StreamStarted
from channels.carrier.webhooks import (
    TIMEOUT,
    Service,
    Unreachable,
    Webhooks,
    call_params,
    ending_params,
    stream_params,
)
from channels.carrier.witness import Transcribe, Witness
from channels.media_streams import Start

VOICE_PATH: Final = "/twilio/voice"
STATUS_PATH: Final = "/twilio/status"
ACCOUNT_SID: Final = "AC" + "0" * 32

MAX_DOCUMENTS: Final = 20
"""So many TwiML documents in one call; a service that redirects in a circle would never end."""

SAY_MS_PER_CHAR: Final = 60
"""How long `<Say>` takes: about the pace of Twilio's voices."""


def new_call_sid() -> str:
    return "CA" + secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Whom to call, and how.

    `public_url` is the service's address as it publishes it, and what is signed. `local_url` is where it is really
    reached; None when that is the same.
    """

    public_url: str
    local_url: str | None = None
    auth_token: str = field(repr=False)
    account_sid: str = ACCOUNT_SID
    from_number: str = "+15550100100"
    to_number: str = "+15550100200"
    call_sid: str = field(default_factory=new_call_sid)


async def place_call(
    dial: Dial,
    script: Script,
    *,
    on_event: Callable[[CallEvent], None] = lambda event: None,
    transcribe: Transcribe | None = None,
    recording: Path | None = None,
) -> CallReport:
    """Makes one call and returns when it is over, told of and written down.

    Whatever the service does ends in the report, not in an exception. `on_event` is called in the order in which
    things became known; what it raises ends the call and comes out in an ExceptionGroup. `transcribe` runs beside the
    call, one stretch of the agent's sound at a time. `recording` is a WAV file to write, the caller on the left.
    """
    witness = Witness(on_event, transcribe, asyncio.get_running_loop().time())
    async with aiohttp.ClientSession(timeout=TIMEOUT) as http:
        call = _Call(dial, script, witness, http)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(call.post_callbacks(), name="carrier callbacks")
            tasks.create_task(witness.write_down(), name="carrier transcripts")
            await call.run()
    if recording is not None:
        await witness.save(recording)
    return witness.report(dial.call_sid, call.caller, recording)


class _Call:
    """One call: follows the service's TwiML, with a caller on the line who outlives each media socket."""

    def __init__(self, dial: Dial, script: Script, witness: Witness, http: aiohttp.ClientSession) -> None:
        self.caller = Caller(script, witness.tell)
        self._dial = dial
        self._script = script
        self._witness = witness
        self._service = Service(dial.public_url, dial.local_url or dial.public_url, dial.auth_token)
        self._webhooks = Webhooks(http, self._service)
        self._callbacks: asyncio.Queue[tuple[str, dict[str, str]] | None] = asyncio.Queue()

    async def run(self) -> None:
        """Dials, goes from document to document until somebody ends the call, and tells how it ended."""
        witness = self._witness
        by: EndedBy = "carrier-error"
        is_reachable = True
        try:
            by = await self._follow(self._public(VOICE_PATH))
        except ChannelError as error:
            is_reachable = not isinstance(error, Unreachable)
            witness.trouble(str(error))
        ended_ms = witness.now_ms()
        if by == "agent" and self.caller.unsaid:
            witness.trouble(f"the agent ended the call with {self.caller.unsaid} of the caller's utterances unsaid")
        if is_reachable:
            params = self._params("busy" if by == "rejected" else "completed") | ending_params(ended_ms // 1000)
            self._callbacks.put_nowait((self._public(STATUS_PATH), params))
        self._callbacks.put_nowait(None)
        witness.tell(CallEnded(ended_ms, by))

    async def post_callbacks(self) -> None:
        """Posts status callbacks beside the call, one after the other, until the last one of the call."""
        while (callback := await self._callbacks.get()) is not None:
            try:
                await self._webhooks.notify(*callback)
            except ChannelError as error:
                self._witness.trouble(str(error))

    # ---- TwiML ----

    async def _follow(self, url: str) -> EndedBy:
        status = "ringing"
        for _ in range(MAX_DOCUMENTS):
            verbs = twiml.parse(await self._webhooks.fetch(url, self._params(status)))
            after = await self._run_document(verbs, url)
            if not isinstance(after, twiml.Redirect):
                return after
            url, status = urljoin(url, after.url), "in-progress"
        raise ChannelError(f"the service's TwiML went on for more than {MAX_DOCUMENTS} documents")

    async def _run_document(self, verbs: tuple[twiml.Verb, ...], url: str) -> EndedBy | twiml.Redirect:
        """Runs one document that was fetched from `url`. At its end the call is over, or another document follows."""
        for verb in verbs:
            after = await self._run_verb(verb, url)
            if after is not None:
                return after
        return "agent"

    async def _run_verb(self, verb: twiml.Verb, url: str) -> EndedBy | twiml.Redirect | None:
        match verb:
            case twiml.Connect(stream, action):
                if await self._has_hung_up_in(stream, url):
                    return "caller"
                return None if action is None else twiml.Redirect(action)
            case twiml.Say(text):
                self._witness.tell(CarrierSaid(self._witness.now_ms(), text))
                return await self._hold(len(text) * SAY_MS_PER_CHAR / 1000)
            case twiml.Pause(length_s):
                return await self._hold(length_s)
            case twiml.Redirect():
                return verb
            case twiml.Hangup():
                return "agent"
            case twiml.Reject():
                return "rejected"
            case twiml.NotSimulated(what):
                raise ChannelError(f"the service's TwiML has {what}, which is not simulated")

    async def _hold(self, seconds: float) -> EndedBy | None:
        """Lets time pass on a line without a stream, unless the caller's own time runs out in it."""
        limit_s = self._script.hang_up_after_s
        left_s = seconds if limit_s is None else max(0.0, limit_s - self._witness.now_ms() / 1000)
        await asyncio.sleep(min(seconds, left_s))
        return "caller" if left_s < seconds else None

    # ---- the stream ----

    async def _has_hung_up_in(self, stream: twiml.Stream, base_url: str) -> bool:
        """Runs one stream. False when the service ended it, or it failed, which is what Twilio goes on from."""
        dial, witness = self._dial, self._witness
        start = Start("MZ" + secrets.token_hex(16), dial.call_sid, dial.account_sid, parameters=stream.parameters)
        try:
            url = self._stream_url(stream, base_url)
            signature = self._service.signature(url, {})
            async with open_leg(self._service.reach(url), start, signature=signature, tally=witness.tally) as leg:
                witness.tell(StreamStarted(witness.now_ms(), start.stream_sid))
                self._tell_stream(stream, start, base_url, "stream-started")
                has_hung_up = await leg.run(self._phone, witness.origin_s)
        except ChannelError as error:
            witness.trouble(str(error))
            self._tell_stream(stream, start, base_url, "stream-error", str(error))
            return False
        finally:
            self.caller.end()
        self._tell_stream(stream, start, base_url, "stream-stopped")
        return has_hung_up

    def _phone(self, tick: Tick) -> Move:
        move = self.caller.tick(tick)
        self._witness.saw(tick, move)
        return move

    def _stream_url(self, stream: twiml.Stream, base_url: str) -> str:
        """The address that Twilio would connect to, and sign. Raises ChannelError for one that it would not."""
        parts = urlsplit(urljoin(base_url, stream.url))
        if not urlsplit(stream.url).scheme:
            parts = parts._replace(scheme=parts.scheme.replace("http", "ws"))
        is_local_trial = urlsplit(self._dial.public_url).scheme == "http"
        if parts.scheme != "wss" and not (parts.scheme == "ws" and is_local_trial):
            raise ChannelError(f"<Stream url={stream.url!r}> is not a wss:// address (31922)")
        if parts.query:
            self._witness.tally.warn("<Stream url> has a query string, which Twilio leaves out when it connects")
        return urlunsplit(parts._replace(query="", fragment=""))

    def _tell_stream(self, stream: twiml.Stream, start: Start, base_url: str, event: str, error: str = "") -> None:
        if stream.status_callback:
            params = stream_params(start.call_sid, start.account_sid, start.stream_sid, stream.name, event, error)
            self._callbacks.put_nowait((urljoin(base_url, stream.status_callback), params))

    # ---- small facts ----

    def _params(self, status: str) -> dict[str, str]:
        dial = self._dial
        return call_params(dial.call_sid, dial.account_sid, dial.from_number, dial.to_number, status)

    def _public(self, path: str) -> str:
        return self._dial.public_url.rstrip("/") + path
