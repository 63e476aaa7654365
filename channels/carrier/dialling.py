"""`<Dial>`: rings the far parties, lets the first who answers hear a whisper, connects them, tells how it went."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from agents.errors import ChannelError
from channels.carrier import twiml
from channels.carrier.address import joined
from channels.carrier.conference import Meeting, Rooms
from channels.carrier.far_party import FarParty
from channels.carrier.live_call import After, CutShort, Fetch, LiveCall
from channels.carrier.pace import FOREVER, PLAY_S, say_s
from channels.carrier.report import DialBegan, DialEnded, WhisperHeard
from channels.carrier.sids import new_call_sid
from channels.carrier.twiml_verbs import Conference, Dial, Hangup, Noun, Pause, Play, PlayDigits, Say
from channels.carrier.webhooks import call_params, progress_params

DialStatus = Literal["completed", "answered", "busy", "no-answer", "failed", "canceled"]

FetchTwiml = Callable[[str, Mapping[str, str]], Awaitable[bytes]]
"""Asks the service for a document, with these parameters beside the call's own."""

_WORST_LAST: tuple[Literal["no-answer", "busy", "failed"], ...] = ("no-answer", "busy", "failed")


@dataclass(slots=True)
class _Leg:
    """One far party's call. `sequence` numbers its status callbacks, which go to `told`."""

    noun: Noun
    party: FarParty
    told: str | None
    sid: str = field(default_factory=new_call_sid)
    sequence: int = 0


class Dialling:
    """One `<Dial>` of the document at `url`. `rooms` are the account's conferences; None where there is no account."""

    def __init__(
        self,
        verb: Dial,
        url: str,
        line: LiveCall,
        far_parties: Mapping[str, FarParty],
        fetch: FetchTwiml,
        rooms: Rooms | None = None,
    ) -> None:
        self._verb = verb
        self._rooms = rooms
        self._url = url
        self._line = line
        self._far_parties = far_parties
        self._fetch = fetch
        self._answered_ms: int | None = None
        self._talked_ms = 0
        self._joined_with: tuple[str, ...] = ()

    async def run(self) -> After | None:
        """Rings, connects, and says what follows when it is over. What cuts it short is told of and comes out."""
        nouns = self._verb.nouns
        action = joined(self._url, self._verb.action) if self._verb.action is not None else None
        legs = () if isinstance(nouns, Conference) else tuple(self._leg(noun) for noun in nouns)
        to = nouns.name if isinstance(nouns, Conference) else ", ".join(noun.address for noun in nouns)
        self._line.tell(DialBegan(self._line.now_ms(), to))
        status: DialStatus = "canceled"
        try:
            if isinstance(nouns, Conference):
                status, params = await self._meet(nouns)
            else:
                status, params = await self._ring(legs)
        except CutShort:
            status = "canceled" if self._answered_ms is None else "completed"
            raise
        finally:
            self._line.tell(DialEnded(self._line.now_ms(), to, status, self._talked_ms, self._joined_with))
        return Fetch(action, {"DialCallStatus": status, **params}) if action else None

    def _leg(self, noun: Noun) -> _Leg:
        told = joined(self._url, noun.status_callback) if noun.status_callback else None
        return _Leg(noun, self._party(noun.address), told)

    # ---- a conference ----

    async def _meet(self, conference: Conference) -> tuple[DialStatus, dict[str, str]]:
        """Twilio tells neither a duration nor a CallSid of a conference."""
        self._answered_ms = self._line.now_ms()
        if self._rooms is None or conference.name in self._far_parties:
            await self._talk(self._party(conference.name))
            return "answered", {}
        meeting = Meeting(self._line, self._rooms, conference, self._url)
        try:
            await meeting.run(self._verb.time_limit_s)
        finally:
            self._talked_ms, self._joined_with = meeting.talked_ms, meeting.joined_with
        return "answered", {}

    # ---- telephones ----

    async def _ring(self, legs: tuple[_Leg, ...]) -> tuple[DialStatus, dict[str, str]]:
        timeout_s = self._verb.timeout_s
        for leg in legs:
            self._progress(leg, "initiated", "initiated")
            self._progress(leg, "ringing", "ringing")
        answering = [leg for leg in legs if leg.party.outcome(timeout_s) == "answer"]
        first = min(answering, key=lambda leg: leg.party.rings_s, default=None)
        try:
            longest_s = max(leg.party.rings_for(timeout_s) for leg in legs)
            await self._line.hold(first.party.rings_s if first else longest_s)
            if first:
                await self._connect(first)
        finally:
            for leg in legs:
                self._progress(leg, "completed", self._outcome(leg, first))
        if first is None:
            outcomes = {leg.party.outcome(timeout_s) for leg in legs}
            worst = next(outcome for outcome in _WORST_LAST if outcome in outcomes)
            return worst, {"DialCallSid": legs[0].sid, "DialBridged": "false"}
        talked_s = round(self._talked_ms / 1000)
        bridged = {"DialCallSid": first.sid, "DialBridged": str(self._talked_ms > 0).lower()}
        return "completed", {**bridged, "DialCallDuration": str(talked_s)}

    def _outcome(self, leg: _Leg, first: _Leg | None) -> str:
        if leg is first and self._answered_ms is not None:
            return "completed"
        outcome = leg.party.outcome(self._verb.timeout_s)
        is_cut_off = outcome == "answer" or (first is not None and outcome == "no-answer")
        return "canceled" if is_cut_off else outcome

    async def _connect(self, leg: _Leg) -> None:
        self._answered_ms = self._line.now_ms()
        self._progress(leg, "answered", "in-progress")
        if leg.noun.send_digits:
            await self._line.press(leg.noun.send_digits)
        if leg.noun.whisper_url is None or await self._whisper(leg, joined(self._url, leg.noun.whisper_url)):
            await self._talk(leg.party)

    async def _talk(self, party: FarParty) -> None:
        limit_s = self._verb.time_limit_s
        began_ms = self._line.now_ms()
        try:
            await self._line.hold(limit_s if party.talks_s is None else min(party.talks_s, limit_s))
        finally:
            self._talked_ms = self._line.now_ms() - began_ms

    async def _whisper(self, leg: _Leg, url: str) -> bool:
        """Lets the callee alone hear the TwiML at `url`. False when it, or they, hang up: nobody is connected."""
        for verb in twiml.parse(await self._fetch(url, self._params(leg, "in-progress"))):
            match verb:
                case Say(text, loop):
                    self._line.tell(WhisperHeard(self._line.now_ms(), leg.noun.address, text))
                    await self._line.hold(say_s(text) * (loop or FOREVER))
                case Play(recording, loop):
                    self._line.tell(WhisperHeard(self._line.now_ms(), leg.noun.address, joined(url, recording)))
                    await self._line.hold(PLAY_S * (loop or FOREVER))
                case PlayDigits(digits):
                    await self._line.press(digits)
                case Pause(length_s):
                    await self._line.hold(length_s)
                case Hangup():
                    return False
                case other:
                    raise ChannelError(f"a whisper with <{type(other).__name__}> is not simulated")
        return not leg.party.hangs_up_after_whisper

    # ---- what is told ----

    def _progress(self, leg: _Leg, event: str, status: str) -> None:
        if leg.told and event in leg.noun.status_events:
            params = self._params(leg, status) | progress_params(leg.sequence)
            if status == "completed":
                params["CallDuration"] = str(round(self._talked_ms / 1000))
            self._line.post(leg.told, params)
        leg.sequence += 1

    def _params(self, leg: _Leg, status: str) -> dict[str, str]:
        """What tells the callee's call from the caller's."""
        line, caller = self._line, self._verb.caller_id or self._line.from_number
        params = call_params(leg.sid, line.account_sid, caller, leg.noun.address, status, "outbound-dial")
        return params | {"ParentCallSid": line.sid}

    def _party(self, address: str) -> FarParty:
        return self._far_parties.get(address, FarParty())
