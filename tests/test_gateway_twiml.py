"""What we tell Twilio to do reads back as the verbs that we meant."""

from xml.etree import ElementTree

import pytest

from channels.carrier.twiml import parse
from channels.carrier.twiml_verbs import Connect, Hangup, Reject, Say, Stream
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
