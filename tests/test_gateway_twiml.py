"""What we tell Twilio to do reads back as the verbs that we meant."""

from xml.etree import ElementTree

import pytest

from channels.carrier.twiml import parse
from channels.carrier.twiml_verbs import (
    Conference,
    Connect,
    Dial,
    Gather,
    Hangup,
    PlayDigits,
    Redirect,
    Reject,
    Say,
    Stream,
)
from gateway import twiml

HOSTILE = """a&b<c>"d'e=%20 é"""


def test_a_stream_is_connected_with_its_token_as_a_parameter_and_no_query_string() -> None:
    text = twiml.connect("wss://gw.example.com/media", "https://gw.example.com/after", "https://gw.example.com/s", "t")

    (connect,) = parse(text)
    assert connect == Connect(
        Stream("wss://gw.example.com/media", None, "https://gw.example.com/s", {"token": "t"}),
        "https://gw.example.com/after",
    )


def test_a_stream_has_the_attributes_that_twilio_knows_and_no_others() -> None:
    root = ElementTree.fromstring(twiml.connect("wss://h/media", "https://h/after", "https://h/s", "t"))

    (connect,) = root
    (stream,) = connect
    (parameter,) = stream
    assert [element.tag for element in (root, connect, stream, parameter)] == [
        "Response",
        "Connect",
        "Stream",
        "Parameter",
    ]
    assert connect.attrib == {"action": "https://h/after"}
    assert stream.attrib == {"url": "wss://h/media", "statusCallback": "https://h/s"}
    assert parameter.attrib == {"name": "token", "value": "t"}


def test_every_value_is_escaped() -> None:
    text = twiml.connect(f"wss://h/{HOSTILE}", f"https://h/{HOSTILE}", f"https://s/{HOSTILE}", HOSTILE)

    (connect,) = parse(text)
    assert connect == Connect(
        Stream(f"wss://h/{HOSTILE}", None, f"https://s/{HOSTILE}", {"token": HOSTILE}), f"https://h/{HOSTILE}"
    )


def test_hanging_up_says_nothing_by_itself() -> None:
    assert parse(twiml.hang_up()) == (Hangup(),)


@pytest.mark.parametrize("apology", [twiml.NOT_IN_SERVICE, twiml.TROUBLE, HOSTILE])
def test_hanging_up_may_say_sorry_first(apology: str) -> None:
    assert parse(twiml.hang_up(apology)) == (Say(apology), Hangup())


def test_a_call_is_turned_away_by_the_first_verb_so_that_it_is_not_answered() -> None:
    assert parse(twiml.busy()) == (Reject("busy"),)


def test_the_answer_to_a_callback_is_an_empty_document() -> None:
    assert parse(twiml.nothing()) == ()


@pytest.mark.parametrize("text", [twiml.connect("wss://h", "a", "s", "t"), twiml.hang_up(), twiml.busy()])
def test_every_document_says_that_it_is_utf_8(text: str) -> None:
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>')


def test_keys_are_pressed_before_the_stream_is_connected() -> None:
    text = twiml.connect("wss://h/media", "https://h/after", "https://h/s", "t", digits="1w#")

    pressed, connect = parse(text)
    assert pressed == PlayDigits("1w#")
    assert isinstance(connect, Connect)


RING = {"caller_id": "+15550100200", "action_url": f"https://h/a?{HOSTILE}", "status_url": "https://h/s?id=1"}


@pytest.mark.parametrize(("address", "kind"), [("+15550100300", "Number"), ("sip:desk@example.com", "Sip")])
def test_somebody_is_rung_by_number_or_by_sip_and_hears_the_whisper_first(address: str, kind: str) -> None:
    text = twiml.transfer(address, ring_s=25, whisper_url="https://h/w?id=1", **RING)

    (dial,) = parse(text)
    assert isinstance(dial, Dial)
    assert (dial.action, dial.timeout_s, dial.caller_id) == (RING["action_url"], 25, "+15550100200")
    assert isinstance(dial.nouns, tuple)
    (noun,) = dial.nouns
    assert (noun.kind, noun.address, noun.whisper_url) == (kind, address, "https://h/w?id=1")
    assert (noun.status_callback, noun.status_events) == ("https://h/s?id=1", frozenset({"answered", "completed"}))


def test_without_a_whisper_or_a_number_of_ours_none_is_named() -> None:
    text = twiml.transfer(
        "+15550100300", ring_s=25, caller_id=None, action_url="https://h/a", status_url="https://h/s", whisper_url=None
    )

    (element,) = ElementTree.fromstring(text)
    assert "callerId" not in element.attrib
    assert element.attrib["answerOnBridge"] == "true"
    assert "url" not in element[0].attrib


def test_a_briefing_is_heard_and_asked_about_twice_and_silence_is_posted_too() -> None:
    first, second, redirect = parse(twiml.briefing(f"Ada {HOSTILE}", "https://h/answer?id=1"))

    assert isinstance(first, Gather)
    assert first == second
    assert first.prompts == (Say(f"Ada {HOSTILE} {twiml.ASK}"),)
    assert (first.takes_keys, first.takes_speech, first.num_digits) == (True, True, 1)
    assert (first.timeout_s, first.action) == (twiml.ANSWER_TIMEOUT_S, "https://h/answer?id=1")
    assert redirect == Redirect("https://h/answer?id=1")


def test_who_is_asked_again_hears_the_question_alone() -> None:
    first, *_ = parse(twiml.briefing(None, "https://h/answer"))

    assert isinstance(first, Gather)
    assert first.prompts == (Say(twiml.ASK),)


def test_two_meet_in_a_room_that_is_over_when_either_leaves() -> None:
    (dial,) = parse(twiml.conference("join-1"))

    assert isinstance(dial, Dial)
    assert dial.nouns == Conference("join-1", starts=True, ends=True)


def test_what_is_said_to_one_side_goes_on_with_what_comes_then() -> None:
    assert parse(twiml.say(HOSTILE)) == (Say(HOSTILE),)
