"""How the carrier's deeds are told: a line each for people, an object each in JSON."""

import pytest

from channels.carrier.call import Dial, place_call
from channels.carrier.caller import Script
from channels.carrier.report import (
    CallEnded,
    CallEvent,
    CallUpdated,
    CarrierEvent,
    CarrierPlayed,
    DialBegan,
    DialEnded,
    DigitsGathered,
    DigitsSent,
    KeyPressed,
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
        (DigitsSent(1000, "w1"), "carrier presses 2 keys"),
        (DigitsGathered(1000, "12"), "carrier collected 2 keys"),
        (DigitsGathered(1000, "1"), "carrier collected 1 key"),
        (DigitsGathered(1000, ""), "carrier collected no keys"),
        (DigitsGathered(1000, "", "Yes."), "carrier understood: Yes."),
        (MessageRecorded(1000, 2500, "Call me."), "carrier recorded 2.50 s: Call me."),
        (MessageRecorded(1000, 0, None), "carrier recorded 0.00 s"),
        (DialBegan(1000, "+15550100300"), "carrier rings +15550100300"),
        (WhisperHeard(1000, "+15550100300", "A caller."), "+15550100300 alone hears: A caller."),
        (DialEnded(1000, "+15550100300", "busy", 0), "+15550100300: busy"),
        (DialEnded(1000, "+15550100300", "completed", 3000), "+15550100300: completed after 3.00 s of talk"),
        (
            DialEnded(1000, "room", "answered", 3000, ("+15550100300",)),
            "room: answered after 3.00 s of talk with +15550100300",
        ),
        (CallUpdated(1000, "hung up: completed"), "service, by REST: hung up: completed"),
    ],
)
def test_each_deed_of_the_carrier_is_one_line_with_its_time(event: CarrierEvent, line: str) -> None:
    assert event_line(event) == f"   1.00 s  {line}"


def test_a_call_that_nobody_answered_is_told() -> None:
    assert event_line(CallEnded(1000, "unanswered")).endswith("nobody answered the call")


def test_a_key_of_the_caller_is_a_line_and_is_not_named() -> None:
    assert event_line(KeyPressed(1000, "7")) == "   1.00 s  caller presses a key"


@pytest.mark.parametrize("event", [KeyPressed(1000, "7"), DigitsGathered(1000, "7"), DigitsSent(1000, "7")])
def test_no_key_is_in_the_repr_of_an_event(event: CallEvent) -> None:
    assert "7" not in repr(event)


def test_the_keys_of_the_caller_are_in_nothing_that_is_shown_of_a_call() -> None:
    twiml = "<Response><Gather numDigits='4' action='/twilio/next'/></Response>"
    service = FakeService(ToneAgent(), {"/twilio/voice": twiml, "/twilio/next": "<Response><Hangup/></Response>"})
    events: list[CallEvent] = []
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN)
    report = run_virtual(place_call(dial, Script(digits="4711"), on_event=events.append, app=service.app()))

    shown = [*map(event_line, events), *map(repr, events), summary(report), str(as_json(report)), repr(report)]
    assert service.forms("/twilio/next")[0]["Digits"] == "4711"
    assert [line[11:] for line in shown[: len(events)]].count("caller presses a key") == 4
    assert as_json(report)["carrier_did"] == [{"what": "digits-gathered", "at_ms": 800, "keys": 4, "said": None}]
    assert [text for text in shown if "4711" in text] == []


def test_a_call_has_the_carriers_deeds_in_json_and_in_its_summary() -> None:
    twiml = "<Response><Play digits='5'/><Dial><Number>+15550100300</Number></Dial></Response>"
    service = FakeService(ToneAgent(), {"/twilio/voice": twiml})
    report = run_virtual(place_call(Dial(public_url=PUBLIC_URL, auth_token=TOKEN), Script(), app=service.app()))

    assert as_json(report)["carrier_did"] == [
        {"what": "digits-sent", "at_ms": 0, "keys": 1},
        {"what": "dial-began", "at_ms": 200, "to": "+15550100300"},
        {"what": "dial-ended", "at_ms": 3200, "to": "+15550100300", "status": "completed", "talked_ms": 2000}
        | {"joined_with": ()},
    ]
    assert "carrier did     carrier presses 1 key" in summary(report)
