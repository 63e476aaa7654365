"""Carries out the verbs of TwiML that need no media stream: speaks, plays, presses, collects, records, dials."""

from collections.abc import Mapping
from typing import Final

from agents.mulaw import RATE_HZ
from channels.carrier.address import joined
from channels.carrier.call_recording import CallRecording
from channels.carrier.caller import KEY_EVERY_MS, Caller
from channels.carrier.conference import Rooms
from channels.carrier.dialling import Dialling, FetchTwiml
from channels.carrier.far_party import FarParty
from channels.carrier.live_call import After, CutShort, Fetch, LiveCall
from channels.carrier.pace import FOREVER, PLAY_S, say_s
from channels.carrier.report import CarrierPlayed, CarrierSaid, DigitsGathered, MessageRecorded
from channels.carrier.twiml_verbs import Dial, Gather, Pause, Play, PlayDigits, Record, Say

CONFIDENCE: Final = "0.9"
"""How sure Twilio is of words that were said to `<Gather>`."""

OffStream = Say | Play | PlayDigits | Pause | Gather | Record | Dial
"""The verbs that take their time on the line without a stream."""


class Verbs:
    """Those of one call. What cuts a verb short (CutShort) comes out of it."""

    def __init__(
        self,
        line: LiveCall,
        caller: Caller,
        fetch: FetchTwiml,
        far_parties: Mapping[str, FarParty],
        rooms: Rooms | None,
    ) -> None:
        self._line = line
        self._rooms = rooms
        self._caller = caller
        self._fetch = fetch
        self._far_parties = far_parties

    async def carry_out(self, verb: OffStream, url: str) -> After | None:
        """Carries a verb of the document at `url` out to its end. None goes on with the next verb."""
        line = self._line
        match verb:
            case Say(text, loop):
                line.tell(CarrierSaid(line.now_ms(), text))
                await line.hold(say_s(text) * (loop or FOREVER))
            case Play(recording, loop):
                line.tell(CarrierPlayed(line.now_ms(), joined(url, recording)))
                await line.hold(PLAY_S * (loop or FOREVER))
            case PlayDigits(digits):
                await line.press(digits)
                self._caller.hear_keys(digits)
            case Pause(length_s):
                await line.hold(length_s)
            case Gather():
                return await self._gather(verb, url)
            case Record():
                return await self._record(verb, url)
            case Dial():
                return await Dialling(verb, url, line, self._far_parties, self._fetch, self._rooms).run()
        return None

    async def _gather(self, verb: Gather, url: str) -> After | None:
        for prompt in verb.prompts:
            await self.carry_out(prompt, url)
        if verb.takes_speech and not (verb.takes_keys and self._caller.next_key):
            return await self._gather_words(verb, url)
        digits = ""
        while verb.num_digits is None or len(digits) < verb.num_digits:
            key = self._caller.next_key
            await self._line.hold(verb.timeout_s if key is None else KEY_EVERY_MS / 1000)
            if key is None:
                break
            self._caller.press(self._line.now_ms())
            if key == verb.finish_on_key:
                break
            digits += key
        self._line.tell(DigitsGathered(self._line.now_ms(), digits))
        if digits or verb.asks_when_empty:
            return Fetch(joined(url, verb.action or url), {"Digits": digits})
        return None

    async def _gather_words(self, verb: Gather, url: str) -> After | None:
        """Nothing is understood of an utterance whose words are unknown."""
        utterance = self._caller.take_utterance()
        if utterance is None:
            await self._line.hold(verb.timeout_s)
        else:
            quiet_s = verb.timeout_s if verb.speech_timeout_s is None else verb.speech_timeout_s
            await self._line.hold(len(utterance.pcm16_8k) / (2 * RATE_HZ) + quiet_s)
        said = utterance.said if utterance else None
        self._line.tell(DigitsGathered(self._line.now_ms(), "", said))
        if said is None and not verb.asks_when_empty:
            return None
        words = {"Digits": ""} if said is None else {"SpeechResult": said, "Confidence": CONFIDENCE}
        return Fetch(joined(url, verb.action or url), words)

    async def _record(self, verb: Record, url: str) -> After | None:
        action = joined(url, verb.action or url)
        told = joined(url, verb.status_callback) if verb.status_callback else None
        utterance = self._caller.take_utterance()
        pcm16_8k = utterance.pcm16_8k if utterance else b""
        spoken_ms = min(len(pcm16_8k) * 1000 // (2 * RATE_HZ), verb.max_length_s * 1000)
        began_ms = self._line.now_ms()
        key = ""
        try:
            await self._line.hold(spoken_ms / 1000)
            key = await self._end_of_message(verb, verb.max_length_s - spoken_ms / 1000)
        except CutShort as cut:
            spoken_ms = min(spoken_ms, self._line.now_ms() - began_ms)
            recording = self._recorded(told, spoken_ms, utterance.said if utterance else None)
            if cut.after == "caller" and spoken_ms:
                self._line.post(action, _recorded_params(recording, "hangup"))
            raise
        recording = self._recorded(told, spoken_ms, utterance.said if utterance else None)
        return Fetch(action, _recorded_params(recording, key)) if spoken_ms or key else None

    async def _end_of_message(self, verb: Record, left_s: float) -> str:
        """Waits until the recording is over. Gives the key that ended it, empty when silence or its length did."""
        key = self._caller.next_key
        if key is not None and key in verb.finish_on_key and left_s > 0:
            await self._line.hold(KEY_EVERY_MS / 1000)
            self._caller.press(self._line.now_ms())
            return key
        await self._line.hold(min(verb.timeout_s, left_s))
        return ""

    def _recorded(self, told: str | None, spoken_ms: int, said: str | None) -> CallRecording:
        line = self._line
        recording = CallRecording(
            call_sid=line.sid,
            account_sid=line.account_sid,
            source="RecordVerb",
            channels=1,
            status_callback=told,
            status_events=frozenset({"completed"}),
            post=line.post,
            counted_since_ms=None,
            duration_ms=spoken_ms,
        )
        recording.turn("completed", line.now_ms())
        line.tell(MessageRecorded(line.now_ms(), spoken_ms, said))
        return recording


def _recorded_params(recording: CallRecording, key: str) -> dict[str, str]:
    return {
        "RecordingUrl": recording.url,
        "RecordingSid": recording.sid,
        "RecordingDuration": str(round(recording.duration_ms / 1000)),
        "Digits": key,
    }
