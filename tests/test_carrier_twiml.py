import pytest

from channels.carrier.twiml import (
    Connect,
    Hangup,
    NotSimulated,
    Pause,
    Redirect,
    Reject,
    Say,
    Stream,
    TwimlError,
    Verb,
    parse,
)


def test_a_connected_stream_is_read_with_its_action_callback_and_parameters() -> None:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="/after"><Stream url="wss://h/media" '
        'name="n" statusCallback="/stream"><Parameter name="token" value="&lt;a&amp;&quot;b"/></Stream></Connect>'
        "</Response>"
    )

    assert parse(text) == (Connect(Stream("wss://h/media", "n", "/stream", {"token": '<a&"b'}), "/after"),)


@pytest.mark.parametrize(
    ("element", "verb"),
    [
        ("<Say voice='x'> Good <break/>bye. </Say>", Say("Good bye.")),
        ("<Pause/>", Pause(1)),
        ("<Pause length='3'/>", Pause(3)),
        ("<Redirect>/next</Redirect>", Redirect("/next")),
        ("<Hangup/>", Hangup()),
        ("<Reject reason='busy'/>", Reject("busy")),
        ("<Reject/>", Reject("rejected")),
        ("<Dial>+1</Dial>", NotSimulated("<Dial>")),
        ("<Play>x.wav</Play>", NotSimulated("<Play>")),
        ("<Redirect method='GET'>/next</Redirect>", NotSimulated("<Redirect method='GET'>")),
        ("<Connect><ConversationRelay url='wss://h'/></Connect>", NotSimulated("<Connect><ConversationRelay>")),
    ],
)
def test_every_verb_is_read(element: str, verb: Verb) -> None:
    assert parse(f"<Response>{element}</Response>") == (verb,)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1}', "not XML"),
        ("<Response><Say>", "not XML"),
        ("<html/>", "begins with <html>"),
        ("<Response><Connect/></Response>", "0 nouns"),
        ("<Response><Connect><Stream/></Connect></Response>", "no url"),
        ("<Response><Connect><Stream url='wss://h' track='both_tracks'/></Connect></Response>", "31941"),
        (
            f"<Response><Connect><Stream url='wss://h'><Parameter name='a' value='{'x' * 499}'/></Stream></Connect>"
            "</Response>",
            "not under 500",
        ),
        ("<Response><Connect><Stream url='wss://h'><Parameter name='a'/></Stream></Connect></Response>", "name and"),
        ("<Response><Pause length='x'/></Response>", "not a number"),
    ],
)
def test_what_twilio_would_not_run_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(TwimlError, match=complaint):
        parse(text)
