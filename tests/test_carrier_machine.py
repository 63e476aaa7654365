"""Answering machines that pick up placed calls, how they are detected, and what they record; and texts, delivered."""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.websockets import WebSocket, WebSocketDisconnect

from agents import mulaw
from channels.carrier import Account, AnsweringMachine, Callee, FarParty, Network, RestInProcess, run_virtual
from channels.carrier.call import ACCOUNT_SID
from channels.carrier.caller import Utterance
from channels.carrier.far_party import AnsweredBy
from channels.carrier.loudness import is_sound
from channels.carrier.machine import BEEP_HZ, BEEP_MS, BREATH_MS, Detection, verdict
from channels.carrier.report import CallReport
from channels.media_streams import Media, Start, decode, write_media
from gateway.rest import BasicAuth
from tests.carrier_service import CONNECT, PUBLIC_URL, TOKEN, FakeService, ToneAgent, tone

US, THEM = "+15550100200", "+15550100300"
GREETING = Utterance(tone(4000), "Leave a message.")
MACHINE = AnsweringMachine(greeting=GREETING, records_s=20)
RECORDS_AFTER_MS = 4000 + BREATH_MS + BEEP_MS
RING_MS = 1000
BEEPED_MS = RING_MS + RECORDS_AFTER_MS


def asked(account: Account, what: str, **fields: str) -> int:
    """One request of the API, and time for what it sets off: the HTTP status."""

    async def run() -> int:
        async with RestInProcess(account) as http:
            url = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/{what}.json"
            headers = {"Authorization": BasicAuth(ACCOUNT_SID, TOKEN).get_auth_string()}
            answer = await http.request("POST", url, data=fields, headers=headers)
            await asyncio.sleep(120)
        return answer.status_code

    return run_virtual(run())


def placed(
    media: object, machine: AnsweringMachine | None = MACHINE, party: FarParty | None = None, **fields: str
) -> tuple[CallReport, FakeService]:
    """One placed call that a machine answers; the service's agent is `media`."""
    answers = {"/twilio/voice": CONNECT, "/twilio/after-stream": "<Response><Hangup/></Response>"}
    service = FakeService(media, answers)  # type: ignore[arg-type]
    account = Account(sid=ACCOUNT_SID, auth_token=TOKEN, public_url=PUBLIC_URL, app=service.app())
    account.callees = {THEM: Callee(party=party or FarParty(rings_s=RING_MS / 1000), machine=machine)}
    assert asked(account, "Calls", To=THEM, From=US, **({"Url": f"{PUBLIC_URL}/twilio/voice"} | fields)) == 201
    return account.reports[0], service


class Listener:
    """An agent that keeps what it hears, and says something so long after its stream began."""

    def __init__(self, says_ms: int = 0, after_ms: int = 0) -> None:
        self.heard = b""
        self._says_ms = says_ms
        self._after_frames = after_ms // 20

    async def __call__(self, websocket: WebSocket) -> None:
        frames, sid = 0, ""
        try:
            async for text in websocket.iter_text():
                match decode(text):
                    case Start(stream_sid):
                        sid = stream_sid
                    case Media(ulaw):
                        self.heard += ulaw
                        if frames == self._after_frames and self._says_ms:
                            await websocket.send_text(write_media(sid, mulaw.encode(tone(self._says_ms))))
                        frames += 1
        except WebSocketDisconnect:
            return

    def sounds(self) -> list[tuple[int, int]]:
        """Where it heard sound, in milliseconds of its stream: from, to."""
        frames = [is_sound(self.heard[at : at + 160]) for at in range(0, len(self.heard) - 159, 160)]
        edges = np.flatnonzero(np.diff([False, *frames, False])) * 20
        return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def sounding_ms(samples: NDArray[np.int16]) -> float:
    """From the first sound to the last."""
    sounding = np.flatnonzero(samples)
    return float(sounding[-1] - sounding[0]) / 8


# ---- what it does ----


def test_a_machine_greets_beeps_records_in_silence_and_hangs_up() -> None:
    listener = Listener()
    report, _ = placed(listener)

    (greeted, paused), (beeped, silent) = listener.sounds()
    assert (paused - greeted, beeped - paused, silent - beeped) == (4000, BREATH_MS, BEEP_MS)
    beep = np.frombuffer(mulaw.decode(listener.heard[beeped * 8 : silent * 8]), "<i2")
    assert np.argmax(np.abs(np.fft.rfft(beep))) * 8000 / len(beep) == pytest.approx(BEEP_HZ, abs=5)
    assert report.ended_by == "caller"
    assert report.duration_ms == pytest.approx(BEEPED_MS + 20_000, abs=40)
    assert (report.message_from_ms, report.errors) == (BEEPED_MS, ())
    assert [turn.said for turn in report.turns] == ["Leave a message.", None]


def test_what_is_said_after_the_beep_is_what_the_machine_recorded() -> None:
    early = Listener(says_ms=1000, after_ms=1000)
    late = Listener(says_ms=1500, after_ms=RECORDS_AFTER_MS + 500)
    too_early, _ = placed(early)
    report, _ = placed(late)

    assert not any(too_early.left_message)
    message = np.frombuffer(report.left_message, "<i2")
    assert len(message) == (report.duration_ms - BEEPED_MS) * 8
    assert sounding_ms(message) == pytest.approx(1500, abs=30)
    assert report.turns[1].reply_ms == pytest.approx(500, abs=40)
    assert (report.turns[0].reply_ms, report.turns[1].heard) == (None, None)


def test_a_message_that_is_begun_too_early_loses_what_the_beep_drowned() -> None:
    straddling = Listener(says_ms=3000, after_ms=RECORDS_AFTER_MS - 1000)
    report, _ = placed(straddling)

    assert sounding_ms(np.frombuffer(report.left_message, "<i2")) == pytest.approx(2000, abs=40)


def test_what_the_carrier_says_to_a_machine_counts_only_after_the_beep() -> None:
    twiml = "<Response><Say>Too early.</Say><Pause length='6'/><Say>The message.</Say></Response>"
    report, _ = placed(Listener(), Url="", Twiml=twiml)

    assert report.carrier_said == ("Too early.", "The message.")
    assert report.carrier_said_to_machine == ("The message.",)


def test_a_machine_hangs_up_on_a_line_without_a_stream_too() -> None:
    report, _ = placed(Listener(), Url="", Twiml="<Response><Pause length='600'/></Response>")

    assert (report.ended_by, report.duration_ms) == ("caller", BEEPED_MS + 20_000)


def test_a_machine_that_nobody_waits_for_records_nothing() -> None:
    report, _ = placed(Listener(), party=FarParty(does="no-answer"), Timeout="5")

    assert (report.ended_by, report.message_from_ms, report.left_message) == ("unanswered", None, b"")


def test_a_person_has_no_beep() -> None:
    report, _ = placed(ToneAgent(), machine=None)

    assert (report.message_from_ms, report.left_message) == (None, b"")


# ---- how it is detected ----


@pytest.mark.parametrize(
    ("detection", "found", "after_ms"),
    [("Enable", "machine_start", 1000), ("DetectMessageEnd", "machine_end_beep", RECORDS_AFTER_MS + 200)],
)
def test_a_verdict_that_is_waited_for_holds_the_call_back(detection: str, found: str, after_ms: int) -> None:
    report, service = placed(Listener(says_ms=1000, after_ms=0), MachineDetection=detection)

    [form] = service.forms("/twilio/voice")
    assert (form["AnsweredBy"], form["MachineDetectionDuration"]) == (found, str(after_ms))
    assert report.answer_ms == pytest.approx(RING_MS + after_ms, abs=60)
    assert any(report.left_message) == (detection == "DetectMessageEnd")


@pytest.mark.parametrize(
    ("detection", "found", "after_ms"),
    [("Enable", "machine_start", 1000), ("DetectMessageEnd", "machine_end_beep", RECORDS_AFTER_MS + 200)],
)
def test_a_verdict_that_comes_by_itself_does_not(detection: str, found: str, after_ms: int) -> None:
    report, service = placed(
        Listener(says_ms=1000, after_ms=0),
        MachineDetection=detection,
        AsyncAmd="true",
        AsyncAmdStatusCallback=f"{PUBLIC_URL}/twilio/amd",
    )

    [form] = service.forms("/twilio/amd")
    assert (form["AnsweredBy"], form["MachineDetectionDuration"]) == (found, str(after_ms))
    assert report.answer_ms == pytest.approx(RING_MS, abs=60)
    assert "AnsweredBy" not in service.forms("/twilio/voice")[0]


@pytest.mark.parametrize(
    ("detection", "party", "machine", "found", "after_s"),
    [
        ("Enable", FarParty(detected_s=2), None, "human", 2),
        ("DetectMessageEnd", FarParty(detected_s=2), None, "human", 2),
        ("Enable", FarParty(answered_by="fax"), None, "fax", 1),
        ("Enable", FarParty(answered_by="machine_end_beep"), None, "machine_start", 1),
        ("DetectMessageEnd", FarParty(answered_by="machine_start"), None, "machine_end_beep", 1),
        ("DetectMessageEnd", FarParty(answered_by="machine_end_other"), None, "machine_end_other", 1),
        (
            "DetectMessageEnd",
            FarParty(),
            AnsweringMachine(greeting=GREETING, has_beep=False),
            "machine_end_silence",
            5.2,
        ),
        ("DetectMessageEnd", FarParty(), AnsweringMachine(greeting=Utterance(tone(9000))), "unknown", 6),
        ("Enable", FarParty(detected_s=9), None, "unknown", 6),
    ],
)
def test_what_is_detected_is_in_the_words_of_what_was_asked(
    detection: Detection, party: FarParty, machine: AnsweringMachine | None, found: AnsweredBy, after_s: float
) -> None:
    answered_by, told_s = verdict(detection, party, machine, 6)

    assert answered_by == found
    assert told_s == pytest.approx(after_s)


def test_a_verdict_takes_no_longer_than_the_service_wants_to_wait() -> None:
    _, service = placed(Listener(), MachineDetection="DetectMessageEnd", MachineDetectionTimeout="3")

    [form] = service.forms("/twilio/voice")
    assert (form["AnsweredBy"], form["MachineDetectionDuration"]) == ("unknown", "3000")


# ---- text messages ----


def sent(service: FakeService, network: Network | None = None, **fields: str) -> Account:
    account = Account(sid=ACCOUNT_SID, auth_token=TOKEN, public_url=PUBLIC_URL, app=service.app(), network=network)
    assert asked(account, "Messages", To=THEM, From=US, Body="Hello", **fields) == 201
    return account


def test_a_message_is_told_of_when_it_is_sent_and_when_it_is_delivered() -> None:
    service = FakeService(ToneAgent())
    account = sent(service, Network(rtt_ms=80), StatusCallback=f"{PUBLIC_URL}/twilio/texted")

    told = service.forms("/twilio/texted")
    assert [form["MessageStatus"] for form in told] == ["sent", "delivered"]
    assert {(form["MessageSid"], form["To"], form["From"]) for form in told} == {(account.messages[0].sid, THEM, US)}
    assert (service.refused, list(account.troubles)) == ([], [])


def test_nobody_is_told_of_a_message_who_did_not_ask() -> None:
    service = FakeService(ToneAgent())
    sent(service)

    assert service.posts == []


def test_a_message_that_cannot_be_told_of_is_one_of_the_accounts_troubles() -> None:
    account = sent(FakeService(ToneAgent()), StatusCallback="https://elsewhere.example/texted")
    nowhere = Account(sid=ACCOUNT_SID, auth_token=TOKEN)
    asked(nowhere, "Messages", To=THEM, From=US, Body="Hello", StatusCallback="https://x.example/texted")

    assert len(account.troubles) == 2 and "elsewhere.example" in account.troubles[0]
    assert len(nowhere.troubles) == 1
