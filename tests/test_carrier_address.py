"""Addresses that are none are one clear error, wherever a service puts them."""

import pytest

from agents.errors import ChannelError
from channels.carrier import Dial, Script, place_call, run_virtual
from channels.carrier.address import is_web, joined, port, split
from tests.carrier_service import CONNECT, PUBLIC_URL, TOKEN, FakeService, ToneAgent

BROKEN = "http://[::1"
DESK = "+15550100300"


@pytest.mark.parametrize(
    ("url", "means"),
    [
        ("next?x=1", "https://gw.example.com/twilio/next?x=1"),
        ("/next", "https://gw.example.com/next"),
        ("", "https://gw.example.com/twilio/voice"),
        ("wss://other.example.com:444/a", "wss://other.example.com:444/a"),
    ],
)
def test_an_address_is_read_from_the_document_that_it_is_in(url: str, means: str) -> None:
    assert joined("https://gw.example.com/twilio/voice", url) == means


@pytest.mark.parametrize("url", [BROKEN, "https://h:port/", "//h:99999/x", "https://[x]/"])
def test_what_is_no_address_is_an_error_that_names_it(url: str) -> None:
    with pytest.raises(ChannelError, match=r"is not an address \(11100\)"):
        joined("https://gw.example.com/", url)
    assert not is_web(url)


def test_an_endless_address_is_named_in_part() -> None:
    with pytest.raises(ChannelError) as failed:
        split(BROKEN + "x" * 10_000)
    assert len(str(failed.value)) < 250


def test_an_address_leads_to_its_port_or_that_of_its_scheme() -> None:
    found = [port(split(url)) for url in ("https://h/", "wss://h/", "http://h/", "ws://h:81/")]

    assert found == [443, 443, 80, 81]


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://h/", "http://", BROKEN])
def test_a_dial_is_refused_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="public_url is"):
        Dial(public_url=url, auth_token=TOKEN)
    with pytest.raises(ValueError, match="local_url is"):
        Dial(public_url=PUBLIC_URL, local_url=url, auth_token=TOKEN)


@pytest.mark.parametrize(
    "voice",
    [
        f"<Redirect>{BROKEN}</Redirect>",
        f"<Play>{BROKEN}</Play>",
        f"<Gather action='{BROKEN}'/>",
        f"<Record action='{BROKEN}'/>",
        f"<Record recordingStatusCallback='{BROKEN}'/>",
        f"<Dial action='{BROKEN}'>{DESK}</Dial>",
        f"<Dial><Number url='{BROKEN}'>{DESK}</Number></Dial>",
        f"<Dial><Number statusCallback='{BROKEN}'>{DESK}</Number></Dial>",
        f"<Connect action='{BROKEN}'><Stream url='wss://gw.example.com/twilio/media'/></Connect>",
        f"<Connect><Stream url='wss://gw.example.com/twilio/media' statusCallback='{BROKEN}'/></Connect>",
    ],
)
def test_a_service_that_gives_no_address_has_its_reason_in_the_report(voice: str) -> None:
    service = FakeService(ToneAgent(), {"/twilio/voice": f"<Response>{voice}</Response>"})
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN)

    report = run_virtual(place_call(dial, Script(digits="1", hang_up_after_s=60), app=service.app()))

    assert report.ended_by == "carrier-error"
    assert report.errors == (f"{BROKEN} is not an address (11100)",)
    assert len(service.forms("/twilio/status")) == 1


def test_a_stream_without_an_address_is_an_error_and_the_twiml_goes_on() -> None:
    voice = CONNECT.replace("wss://gw.example.com/twilio/media", "wss://[::1")
    service = FakeService(
        ToneAgent(), {"/twilio/voice": voice, "/twilio/after-stream": "<Response><Hangup/></Response>"}
    )
    dial = Dial(public_url=PUBLIC_URL, auth_token=TOKEN)

    report = run_virtual(place_call(dial, Script(), app=service.app()))

    assert (report.ended_by, report.errors) == ("agent", ("wss://[::1 is not an address (11100)",))
    assert [form["StreamEvent"] for form in service.forms("/twilio/stream-status")] == ["stream-error"]
