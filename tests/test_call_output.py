"""How the carrier's deeds are told: a line each for people, an object each in JSON."""

import pytest

from channels.carrier.call import Dial, place_call
from channels.carrier.caller import Script
from channels.carrier.report import (
    CallEnded,
    CallUpdated,
    CarrierEvent,
    CarrierPlayed,
    DialBegan,
    DialEnded,
    DigitsGathered,
    DigitsSent,
    MessageRecorded,
    WhisperHeard,
)
from channels.carrier.virtual_time import run_virtual
from gateway.call_output import as_json, event_line, summary
from tests.carrier_service import PUBLIC_URL, TOKEN, FakeService, ToneAgent


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (CarrierPlayed(1000, "https://h.example/x.wav"), "carrier plays https://h.example/x.wav"),
        (DigitsSent(1000, "w1"), "carrier presses w1"),
        (DigitsGathered(1000, "12"), "carrier collected 12"),
        (DigitsGathered(1000, ""), "carrier collected no keys"),
        (MessageRecorded(1000, 2500, "Call me."), "carrier recorded 2.50 s: Call me."),
        (MessageRecorded(1000, 0, None), "carrier recorded 0.00 s"),
        (DialBegan(1000, "+15550100300"), "carrier rings +15550100300"),
        (WhisperHeard(1000, "+15550100300", "A caller."), "+15550100300 alone hears: A caller."),
        (DialEnded(1000, "+15550100300", "busy", 0), "+15550100300: busy"),
        (DialEnded(1000, "+15550100300", "completed", 3000), "+15550100300: completed after 3.00 s of talk"),
        (CallUpdated(1000, "hung up: completed"), "service, by REST: hung up: completed"),
    ],
)
def test_each_deed_of_the_carrier_is_one_line_with_its_time(event: CarrierEvent, line: str) -> None:
    assert event_line(event) == f"   1.00 s  {line}"


def test_a_call_that_nobody_answered_is_told() -> None:
    assert event_line(CallEnded(1000, "unanswered")).endswith("nobody answered the call")


def test_a_call_has_the_carriers_deeds_in_json_and_in_its_summary() -> None:
    twiml = "<Response><Play digits='5'/><Dial><Number>+15550100300</Number></Dial></Response>"
    service = FakeService(ToneAgent(), {"/twilio/voice": twiml})
    report = run_virtual(place_call(Dial(public_url=PUBLIC_URL, auth_token=TOKEN), Script(), app=service.app()))

    assert as_json(report)["carrier_did"] == [
        {"what": "digits-sent", "at_ms": 0, "digits": "5"},
        {"what": "dial-began", "at_ms": 200, "to": "+15550100300"},
        {"what": "dial-ended", "at_ms": 3200, "to": "+15550100300", "status": "completed", "talked_ms": 2000},
    ]
    assert "carrier did     carrier presses 5" in summary(report)
